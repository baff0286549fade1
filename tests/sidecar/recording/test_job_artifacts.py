"""Files of recorded jobs: from another disk, and when the recording is full meanwhile."""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from sidecar.clock import Clock
from sidecar.recording.job_artifacts import hold
from sidecar.recording.recording_folder import claim_folder
from sidecar.recording.session_recording import SessionRecording

SECRET = "canary-4711"


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory."""
    with TemporaryDirectory(dir="/dev/shm") as folder:
        assert Path(folder).stat().st_dev != tmp_path.stat().st_dev
        yield Path(folder)


def opened(folder: Path, max_bytes: int) -> SessionRecording:
    """A recording that knows a secret."""
    claimed = claim_folder(folder, "2026-01-01T00:00:00Z")
    recording = SessionRecording(claimed, {}, max_bytes, Clock(lambda: 2.0, lambda: 1.0), b"k" * 32)
    recording.add_secret(SECRET)
    return recording


def job(folder: Path, seed: int, *paths: tuple[str, Path]) -> tuple[Any, ...]:
    """What a session hands over of a job that has written files."""
    held = [one for kind, path in paths if (one := hold(folder, kind, path))]
    return f"job-{seed}", seed, 1.0, {"name": "n", "steps": [], "failure": None, "artifacts": held}, []


def noted(folder: Path, number: int) -> list[dict[str, Any]]:
    """The artifacts in the notes of a job."""
    notes: list[dict[str, Any]] = json.loads((folder / "jobs" / f"{number:06}" / "job.json").read_text())["artifacts"]
    return notes


def test_files_on_another_disk_are_copied(tmp_path: Path, other_disk: Path) -> None:
    """Whole, and texts without secrets, whichever of both is in memory; the job's own files stay as they are."""
    for number, (home, folder) in enumerate([(other_disk, tmp_path / "a"), (tmp_path, other_disk / "b")]):
        page, picture = home / "page.html", home / "picture.png"
        page.write_text(f"<p>{SECRET}")
        picture.write_bytes(b"\x89PNG\0" + bytes(range(256)) * 1_000)
        recording = opened(folder, 1 << 20)
        recording.record_job(*job(folder, number, ("html", page), ("screenshot", picture)))
        recording.close(ended=True)
        html, image = noted(folder, 1)
        copy = folder / "jobs" / "000001" / image["file"]
        assert copy.read_bytes() == picture.read_bytes()
        assert not copy.samefile(picture)
        assert copy.stat().st_mode & 0o777 == 0o600
        text = (folder / "jobs" / "000001" / html["file"]).read_text()
        assert text.startswith("<p>secret_value_")
        assert page.read_text() == f"<p>{SECRET}"


def test_the_limit_is_reached_while_files_are_copied(tmp_path: Path, other_disk: Path) -> None:
    """What fits is recorded, what does not is a note; the next job is left out, and nothing is held any more."""
    folder = tmp_path / "recording"
    recording = opened(folder, 10_000)
    for home in (tmp_path, other_disk):
        for name in ("small.png", "large.png"):
            (home / name).write_bytes(b"\0" * (20_000 if name == "large.png" else 4_000))
    both = ("screenshot", tmp_path / "large.png"), ("screenshot", tmp_path / "small.png")
    recording.record_job(*job(folder, 1, *both, ("screenshot", other_disk / "large.png")))
    large, small, other = noted(folder, 1)
    assert (large["size"], small["size"], other["size"]) == (20_000, 4_000, 20_000)
    assert [name for name in ("file",) for one in (large, other) if name in one] == []
    assert (folder / "jobs" / "000001" / small["file"]).stat().st_size == 4_000
    recording.record([b"{}" * 5_000])  # it is full now
    recording.record_job(*job(folder, 2, ("screenshot", tmp_path / "small.png")))
    recording.close(ended=True)
    assert sorted(path.name for path in (folder / "jobs").iterdir()) == [".staged", "000001"]
    assert list((folder / "jobs" / ".staged").iterdir()) == []
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 10_000
    assert json.loads((folder / "manifest.json").read_text())["complete"] is False
