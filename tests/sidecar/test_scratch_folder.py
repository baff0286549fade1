"""The scratch folder: its place, and its removal."""

import errno
import fcntl
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sidecar.scratch_folder import MAX_PATH_BYTES, Scratch, remove_abandoned

LEAVE = """
import os
import sys
from pathlib import Path
from sidecar.scratch_folder import Scratch
state = Path(sys.argv[1]) if len(sys.argv) > 1 else None
scratch = Scratch(lambda: state)
(scratch.short() / "raw").write_text("raw")
print(scratch.folder(), flush=True)
os._exit(9)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files."""
    folder = tmp_path / "t"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def left_by_the_dead(temporary: Path, *state: str) -> Path:
    """What a process that was killed has left."""
    command = [sys.executable, "-c", LEAVE, *state]
    done = subprocess.run(command, env={"TMPDIR": str(temporary)}, capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr
    return Path(done.stdout.strip())


def test_temporary_files_are_in_the_state_folder(tmp_path: Path, temporary: Path) -> None:
    """Temporary files are in a folder for its owner only, removed at the end."""
    scratch = Scratch(lambda: tmp_path)
    with scratch.new() as folder:
        assert folder.parent == scratch.folder()
        assert scratch.folder().parent == tmp_path / "scratch"
        assert scratch.folder().stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
    scratch.close()
    assert list((tmp_path / "scratch").iterdir()) == list(temporary.iterdir()) == []


def test_what_the_dead_have_left_is_swept(tmp_path: Path, temporary: Path) -> None:
    """In both places, a way around long names too; what a living one uses, and what is somebody else's, stays."""
    state = tmp_path / ("long" * 20)
    state.mkdir()
    mine, other = Scratch(lambda: state), temporary / "sidecar-other"
    mine.short()
    other.mkdir()
    left = [left_by_the_dead(temporary, str(state)), left_by_the_dead(temporary)]
    assert [folder.parent for folder in left] == [state / "scratch", temporary]
    assert len(list(temporary.iterdir())) == 4
    remove_abandoned(state)
    assert list((state / "scratch").iterdir()) == [mine.folder()]
    assert set(temporary.iterdir()) == {other, mine.short().parent}
    mine.close()
    assert set(temporary.iterdir()) == {other}


def test_what_can_not_be_taken_away_yet_is_swept_later(tmp_path: Path, temporary: Path) -> None:
    """A dying browser may write on while it is swept: the folder is still known for what it is."""
    left = left_by_the_dead(temporary, str(tmp_path))
    stuck = left / "raw"
    stuck.unlink()
    stuck.mkdir()
    (stuck / "inside").mkdir()
    (stuck / "inside" / "file").touch()
    (stuck / "inside").chmod(0o500)
    remove_abandoned(tmp_path)
    assert (left / ".owner").exists() or not left.exists()
    if left.exists():  # root may take away what it wants
        (stuck / "inside").chmod(0o700)
        remove_abandoned(tmp_path)
    assert not left.exists()


def test_a_long_path_has_a_short_name(tmp_path: Path, temporary: Path) -> None:
    """Browsers make sockets in it, whose names are bounded; what lies there is in the state folder all the same."""
    state = tmp_path / ("long" * 20)
    state.mkdir()
    scratch = Scratch(lambda: state)
    assert len(str(scratch.folder())) > MAX_PATH_BYTES
    (scratch.short() / "a").touch()
    assert (scratch.folder() / "a").exists()
    assert scratch.short().parent.parent == temporary
    scratch.close()
    assert list(temporary.iterdir()) == []


def test_a_link_in_its_place_is_not_followed(tmp_path: Path, temporary: Path) -> None:
    """A link in the folder's place is not followed, neither for files nor for sweeping."""
    elsewhere = tmp_path / "elsewhere"
    left = left_by_the_dead(temporary, str(tmp_path))
    left.parent.rename(elsewhere)
    (tmp_path / "scratch").symlink_to(elsewhere)
    scratch = Scratch(lambda: tmp_path)
    assert scratch.folder().parent == temporary
    remove_abandoned(tmp_path)
    assert [path.name for path in elsewhere.iterdir()] == [left.name]
    scratch.close()


def test_a_relative_state_folder_is_no_relative_scratch(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Browsers and their driver get the path, and have ideas of their own of where they are."""
    monkeypatch.chdir(tmp_path)
    Path("home").mkdir()
    scratch = Scratch(lambda: Path("home"))
    assert scratch.folder().parent == tmp_path / "home" / "scratch"
    assert scratch.short().is_absolute()
    scratch.close()


def test_a_file_system_without_locks(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's folder does where the state folder knows none, and nothing half made is left."""
    lock = fcntl.flock

    def refuse(descriptor: int, how: int) -> None:
        if str(tmp_path / "home") in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(errno.ENOLCK, "No locks available")
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", refuse)
    (tmp_path / "home").mkdir()
    scratch = Scratch(lambda: tmp_path / "home")
    assert scratch.folder().parent == temporary
    assert list((tmp_path / "home" / "scratch").iterdir()) == []
    scratch.close()


def test_nothing_is_left_in_the_state_folder_where_nothing_may(temporary: Path) -> None:
    """The system's folder has to do, and is clean in the end."""
    scratch = Scratch(lambda: None)
    assert scratch.folder().parent == temporary
    assert scratch.folder().stat().st_mode & 0o777 == 0o700
    scratch.close()
    assert list(temporary.iterdir()) == []


def test_sweeping_needs_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeping tolerates an inaccessible state folder, and a machine without a temporary folder."""

    def none() -> str:
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    (tmp_path / "file").touch()
    for state in (tmp_path / "file" / "x", Path("x" * 5_000)):
        remove_abandoned(state)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
