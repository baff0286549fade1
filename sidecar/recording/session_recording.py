"""Records a whole session into a folder: what came in, what was answered, what servers said."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sidecar_protocol import codec
from sidecar_protocol.codec import Request
from sidecar_protocol.errors import WireError

from sidecar.clock import Clock
from sidecar.http_record import HttpRecord
from sidecar.recording.append_file import AppendFile
from sidecar.recording.exchange_log import exchange_line
from sidecar.recording.input_log import InputLog
from sidecar.recording.job_artifacts import ArtifactRecorder
from sidecar.recording.job_recordings import JobRecorder
from sidecar.recording.page_recordings import PageRecorder
from sidecar.recording.recording_folder import EXCHANGES, REPLIES, SESSION, RecordingFolder
from sidecar.recording.redaction.placeholders import SecretWords
from sidecar.recording.redaction.redactor import Redactor
from sidecar.recording.reply_log import ReplyLog
from sidecar.recording.script_recordings import ScriptRecorder
from sidecar.recording.token_recordings import TokenRecorder
from sidecar.wall_clock import rfc3339

log = logging.getLogger(__name__)

MAX_REMEMBERED: Final = 100_000
"""Secrets found in lines that are known in later ones, too."""


class SessionRecording:
    """An open recording. Recording never raises: a disk error, or the size limit, ends it with a warning."""

    def __init__(
        self, folder: RecordingFolder, manifest: Mapping[str, Any], max_bytes: int, clock: Clock, key: bytes
    ) -> None:
        """`manifest` is what the folder's says so far; `key` are secret random bytes. Raises OSError."""
        self._clock = clock
        self._max_bytes = max_bytes
        self._folder = folder
        self._manifest = manifest
        redactor = Redactor(SecretWords(key), MAX_REMEMBERED)
        self.add_secret: Callable[[str], None] = redactor.add_secret
        """Takes a secret that must not be recorded."""
        self.name_secret: Callable[[str, str], object] = redactor.replace_secret
        """Takes a secret that must not be recorded, and the name in the word for it."""
        self._redactor = redactor
        self._input = InputLog(folder.path / SESSION, redactor, clock, buffered=True)
        self._reply_file = AppendFile(folder.path / REPLIES, "replies", buffered=True)
        self._replies = ReplyLog(redactor, self._reply_file.write)
        self._exchanges = AppendFile(folder.path / EXCHANGES, "exchanges")
        self._pages = PageRecorder(folder.path, redactor, self._is_full)
        artifacts = ArtifactRecorder(redactor, self._is_full, lambda: max_bytes - self._bytes)
        self._jobs = JobRecorder(folder.path, redactor, self._is_full, artifacts)
        self._scripts = ScriptRecorder(folder.path, redactor, self._is_full)
        self._tokens = TokenRecorder(folder.path, redactor, self._is_full)
        self._seq = 0
        self._bytes = 0
        self._full = self._pages_failed = False

    def record(self, lines: Sequence[bytes]) -> None:
        """Records a batch of input; a line that was over the limit is empty."""
        if self._is_full(sum(map(len, lines))):
            return
        requests = [_decoded(line) for line in lines]
        self._input.record(lines, requests)
        self._replies.expect(self._seq + 1, lines, requests, self._clock.monotonic())
        self._seq += len(lines)

    def record_sent(self, sent: bytes) -> None:
        """Records whole lines of output."""
        if not self._is_full(len(sent)):
            self._replies.record(sent, self._seq, self._now(), self._clock.monotonic())

    def record_exchange(self, record: HttpRecord) -> None:
        """Records a request to a server and what came of it."""
        if not self._is_full(len(record.body) + len(record.response_body)):
            note = {"at": self._now(), "ms": round(record.seconds * 1000, 3)}
            self._exchanges.write(exchange_line(record, self._redactor, note))

    def record_pages(self, job: str, seed: int, began: float, har: bytes) -> None:
        """Records what the pages of a browser job loaded; from any thread."""
        try:
            self._pages.record(job, seed, began, har)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as failure:
            self._pages_failed = True
            log.warning("the pages of a job could not be recorded to %s: %s", self._folder.path, type(failure).__name__)

    def record_job(self, job: str, seed: int, began: float, film: Mapping[str, Any], pictures: Sequence[bytes]) -> None:
        """Records what the steps of a browser job did and looked like; from any thread."""
        try:
            took = self._clock.now() - began
            self._jobs.record({"job": job, "seed": seed, "began": began, "seconds": round(took, 3), **film}, pictures)
        except (OSError, ValueError, TypeError) as failure:
            self._pages_failed = True
            log.warning("the steps of a job could not be recorded to %s: %s", self._folder.path, type(failure).__name__)

    def record_progress(
        self, job: str, seed: int, began: float, film: Mapping[str, Any], pictures: Sequence[bytes], before: int
    ) -> None:
        """Records what a browser job that goes on did, and the pictures that follow the `before` earlier ones."""
        notes = {"job": job, "seed": seed, "began": began, "seconds": round(self._clock.now() - began, 3), **film}
        try:
            self._jobs.record_progress(notes, pictures, before)
        except (OSError, ValueError, TypeError) as failure:
            log.warning("the steps of a job could not be recorded to %s: %s", self._folder.path, type(failure).__name__)

    def record_script(self, name: str, content: bytes) -> None:
        """Records a file of a task's script, by its path in the scripts folder."""
        try:
            self._scripts.record(name, content)
        except (OSError, ValueError) as failure:
            log.warning("the script %s could not be recorded to %s: %s", name, self._folder.path, failure)

    def link_script(self, name: str, target: str) -> None:
        """Records that a file in the scripts folder is another one."""
        try:
            self._scripts.link(name, target)
        except (OSError, ValueError) as failure:
            log.warning("the script %s could not be recorded to %s: %s", name, self._folder.path, failure)

    def record_token(self, token: str, claims: Mapping[str, Any], issued: bool) -> None:
        """Records a valid visit token, and whether this session has signed it."""
        try:
            self._tokens.record(token, claims, issued=issued)
        except (OSError, TypeError) as failure:
            log.warning("a visit token could not be recorded to %s: %s", self._folder.path, failure)

    def flush(self) -> None:
        """Writes what is buffered."""
        self._input.flush()
        self._reply_file.flush()

    def close(self, *, ended: bool) -> None:
        """Syncs everything to disk, and completes the manifest if the session has `ended`."""
        parts = (self._input, self._reply_file, self._exchanges)
        complete = not (self._full or self._pages_failed) and not any(part.failed for part in parts)
        for part in parts:
            part.close()
        if ended:
            self._complete_manifest(complete)
        self._folder.close()

    def _complete_manifest(self, complete: bool) -> None:
        ended = {"ended_at": self._now(), "complete": complete, "requests": self._seq}
        try:
            self._folder.write_manifest({**self._manifest, **ended})
        except OSError as failure:
            log.warning("the manifest of %s can't be completed: %s", self._folder.path, failure.strerror or failure)

    def _is_full(self, size: int) -> bool:
        self._bytes += size
        if self._bytes > self._max_bytes and not self._full:
            self._full = True
            log.warning("nothing more is recorded to %s: SIDECAR_RECORD_MAX_MB is reached", self._folder.path)
        return self._full

    def _now(self) -> str:
        return rfc3339(self._clock.now(), "milliseconds")


def _decoded(line: bytes) -> Request | None:
    """The request of a line; None if it is none."""
    try:
        return codec.decode(line) if line else None
    except WireError:
        return None
