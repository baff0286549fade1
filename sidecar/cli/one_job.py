"""Runs one browser job in a sidecar of its own, and puts what it brings home into files."""

import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sidecar import isolated_launch, settings
from sidecar.cli.error_text import describe_error
from sidecar.client import Sidecar, SidecarEnded, SidecarFailure

SUCCEEDED: Final = 0
FAILED: Final = 1
INVALID: Final = 2
SKIPPED: Final = 3
RETRYABLE: Final = 75
"""As EX_TEMPFAIL of sysexits.h: the same job may succeed later."""
EXIT_CODES: Final = (
    f"exit code: {SUCCEEDED} done, {FAILED} failed, {INVALID} not a job, {SKIPPED} skipped as its reference is cached, "
    f"{RETRYABLE} failed but may succeed later"
)
ARTIFACTS: Final = {
    "screenshot": ".png",
    "html": ".html",
    "pdf": ".pdf",
    "video": ".webm",
    "har": ".har",
    "trace": ".trace.zip",
}
"""Members of a job's result that are files, and the ends of their names."""
_INVALID_CODES: Final = frozenset({"invalid_content", "invalid_request", "parse_error", "line_too_long"})
_NOT_IN_NAMES: Final = re.compile(r"[^\w.-]+")
_CLOSE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job."""

    code: int
    """The command's exit code."""
    reply: dict[str, Any]
    """`status`, and `result` or `error`; files of the result are paths."""
    error: str = ""
    """One sentence, if it failed."""
    evidence: tuple[str, ...] = ()
    """The files of a failed job: what its page showed at the end."""

    def print_failure(self, command: str) -> None:
        """Says on stderr why a job failed, and where its evidence is."""
        print(f"sidecar {command}: {self.error}", file=sys.stderr)
        if self.evidence:
            print(f"sidecar {command}: the page at that moment: {', '.join(self.evidence)}", file=sys.stderr)


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where files go: artifacts by their name in the result; the others to `folder`, with `stem` before their name."""

    folder: Path
    stem: str
    named: Mapping[str, Path] = field(default_factory=dict)
    make_failure_folder: Callable[[], Path] | None = None
    """Makes the folder for the files of a failed job, which is `folder` without it."""

    def for_failure(self) -> "Destinations":
        """Where the files of a failed job go: never over those of an earlier success, unless they were named."""
        folder = self.make_failure_folder() if self.make_failure_folder else self.folder
        return Destinations(folder, f"{self.stem}.failed", self.named)

    def path(self, artifact: str, suffix: str) -> Path:
        """Where an artifact goes."""
        return self.named.get(artifact, self.folder / f"{self.stem}{suffix}")

    def download(self, name: str, taken: set[Path]) -> Path:
        """Where a download goes, whose name is the server's: never outside the folder, never over another one."""
        plain = _NOT_IN_NAMES.sub("_", Path(name).name).lstrip(".") or "download"
        path, number = self.folder / f"{self.stem}.{plain}", 1
        while path in taken:
            number += 1
            path = self.folder / f"{self.stem}.{number}.{plain}"
        taken.add(path)
        return path


def run_job(
    job: Mapping[str, Any], flags: Mapping[str, str], destinations: Destinations, *, own_settings: bool
) -> Outcome:
    """Runs a job, and copies its files. Raises OSError if they can't be written.

    Without a profile it has a state folder of its own, so stored work of the real one does not begin. `own_settings`:
    webhooks and visit tokens of the environment are for scrapers, and don't count.
    """
    content = {**job, "mode": "sync", "artifacts": "files"}
    with ExitStack() as resources:
        given = dict(flags)
        variables = {"SIDECAR_QUEUE": "", "SIDECAR_QUEUE_FILE": ""}
        if not job.get("profile"):
            folder = resources.enter_context(tempfile.TemporaryDirectory(prefix="sidecar-", ignore_cleanup_errors=True))
            given["home"] = folder
        if own_settings:
            given.setdefault("webhook", "")
            variables |= {"SIDECAR_TOKEN_SECRET": "", "SIDECAR_TOKEN_SECRET_FILE": ""}
        given["shutdown_timeout"] = "0"  # Ctrl-C ends what runs; a finished job has nothing left to do
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
        command, environment = isolated_launch.command(*arguments), settings.child_environment(variables)
        try:
            with Sidecar(command, env=environment, close_timeout=_CLOSE_SECONDS) as sidecar:
                reply = sidecar.request("send_job", content, timeout=_patience(job))
        except SidecarFailure as failure:
            return _failed(failure, destinations)
        except (SidecarEnded, TimeoutError) as failure:
            detail = {"code": "internal", "message": str(failure)}
            return Outcome(FAILED, {"status": "failed", "error": detail}, str(failure))
        result = reply.get("result") or {}
        _move_artifacts(result, destinations)
        _move_downloads(result, destinations)
    return Outcome(SKIPPED if reply["status"] == "skipped" else SUCCEEDED, reply)


def _patience(job: Mapping[str, Any]) -> float:
    """Seconds that a reply may take: the job's own limit, a browser's start, and a page's documents."""
    timeout = job.get("timeout_ms", 60_000)
    return (timeout / 1000 if isinstance(timeout, int | float) else 60) + 120


def _failed(failure: SidecarFailure, destinations: Destinations) -> Outcome:
    code = INVALID if failure.code in _INVALID_CODES else RETRYABLE if failure.retryable else FAILED
    detail = {"code": failure.code, "message": failure.message, "retryable": failure.retryable, **failure.fields}
    evidence: tuple[str, ...] = ()
    if artifacts := detail.get("artifacts"):
        evidence = _move_artifacts(artifacts, destinations.for_failure())
    said = "; ".join(filter(None, (describe_error(detail), detail.get("hint"))))
    return Outcome(code, {"status": "failed", "error": detail}, said, evidence)


def _move_artifacts(result: dict[str, Any], destinations: Destinations) -> tuple[str, ...]:
    """Moves the files that a result names, which then names where they are; gives these paths."""
    moved = {
        name: _move(Path(result[name]), destinations.path(name, suffix))
        for name, suffix in ARTIFACTS.items()
        if isinstance(result.get(name), str)
    }
    result.update(moved)
    return tuple(moved.values())


def _move_downloads(result: dict[str, Any], destinations: Destinations) -> None:
    taken: set[Path] = set()
    for download in result.get("downloads") or ():
        download["path"] = _move(Path(download["path"]), destinations.download(download["name"], taken))


def _move(path: Path, to: Path) -> str:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)
    path.unlink()
    return str(to)
