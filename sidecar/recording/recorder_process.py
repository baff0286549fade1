"""Records a session in a process of its own: the session only hands over what it read, sent and exchanged."""

import contextlib
import fcntl
import logging
import os
import pickle
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

from sidecar import isolated_launch, settings
from sidecar.clock import Clock
from sidecar.http_record import HttpRecord
from sidecar.recording import frames
from sidecar.recording.frames import ENDING_SIGNALS, Frame, encode_frame
from sidecar.recording.pipe_writer import PipeWriter
from sidecar.recording.recording_folder import RecordingFolder, claim_folder
from sidecar.wall_clock import rfc3339

log = logging.getLogger(__name__)

KEY_BYTES: Final = 32
_PIPE_BYTES: Final = 1 << 20
"""What is in the pipe is recorded even if this process is killed."""
_END_SECONDS: Final = 60.0
"""How long the recorder may write on after the session."""


class RecorderProcess:
    """An open recording. Recording never raises: whatever fails ends it with a warning, and the session goes on.

    Methods may be called from any thread.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any], max_bytes: int, clock: Clock, key: bytes) -> None:
        """`about` is what the manifest says of the process and its settings; `key` are `KEY_BYTES` secret random
        bytes. Raises OSError."""
        self._clock = clock
        started = rfc3339(clock.now(), "milliseconds")
        claimed = claim_folder(folder, started)
        self.folder = claimed.path
        """The folder that is recorded into."""
        try:
            manifest = {**about, "started_at": started, "complete": False}
            claimed.write_manifest(manifest)
            self._process, pipe = _start(claimed)
        finally:
            claimed.close()  # the recorder holds the lock, too
        self._pipe = PipeWriter(pipe)
        self._warnings = threading.Thread(
            target=self._log_warnings, args=(self._process.stdout,), name="recorder-warnings", daemon=True
        )
        self._warnings.start()
        self._reported = False
        self._send(frames.CALL, pickle.dumps((manifest, max_bytes, key)))

    def record(self, lines: Sequence[bytes], _: Sequence[object]) -> None:
        """Records a batch of input; a line over the limit is empty."""
        self._send(frames.INPUT, b"\n".join(lines))

    def record_sent(self, sent: bytes) -> None:
        """Records whole lines of output."""
        self._send(frames.OUTPUT, sent)

    def record_exchange(self, record: HttpRecord) -> None:
        """Records a request to a server and what came of it."""
        self._call("record_exchange", record)

    def record_pages(self, job: str, seed: int, began: float, har: bytes) -> None:
        """Records what the pages of a browser job loaded."""
        self._call("record_pages", job, seed, began, har)

    def record_job(self, job: str, seed: int, began: float, film: Mapping[str, Any], pictures: Sequence[bytes]) -> None:
        """Records what the steps of a browser job did and looked like."""
        self._call("record_job", job, seed, began, film, pictures)

    def record_progress(
        self, job: str, seed: int, began: float, film: Mapping[str, Any], pictures: Sequence[bytes], before: int
    ) -> None:
        """Records what a browser job that goes on did, and the pictures that follow the `before` earlier ones."""
        self._call("record_progress", job, seed, began, film, pictures, before)

    def record_script(self, name: str, content: bytes) -> None:
        """Records a file of a task's script, by its path in the scripts folder."""
        self._call("record_script", name, content)

    def link_script(self, name: str, target: str) -> None:
        """Records that a file in the scripts folder is a link to another one."""
        self._call("link_script", name, target)

    def record_token(self, token: str, claims: Mapping[str, Any], issued: bool) -> None:
        """Records a valid visit token, and whether this session has signed it."""
        self._call("record_token", token, dict(claims), issued)

    def add_secret(self, secret: str) -> None:
        """Takes a secret that must not be recorded."""
        self._call("add_secret", secret)

    def name_secret(self, secret: str, name: str) -> None:
        """Takes a secret whose word has this name."""
        self._call("name_secret", secret, name)

    def close(self) -> None:
        """Lets the recorder sync everything to disk and complete the manifest."""
        self._send(frames.CLOSE, b"")
        self._pipe.close()
        try:
            status = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._warnings.join()
        if status and not self._reported:
            self._report()

    def _call(self, name: str, *arguments: object) -> None:
        self._send(frames.CALL, pickle.dumps((name, arguments)))

    def _send(self, kind: int, payload: bytes) -> None:
        self._pipe.write(*encode_frame(Frame(kind, self._clock.now(), self._clock.monotonic(), payload)))
        if self._pipe.failed and not self._reported:
            self._report()

    def _report(self) -> None:
        self._reported = True
        log.warning("nothing more is recorded to %s: the recorder has ended", self.folder)

    def _log_warnings(self, lines: IO[bytes]) -> None:
        with lines:
            for line in lines:
                log.warning("%s", line.decode(errors="replace").rstrip())


def _start(claimed: RecordingFolder) -> "tuple[subprocess.Popen[bytes], int]":
    """The recorder, and the pipe to its stdin."""
    source, target = os.pipe()
    # blocked in the recorder, too: a SIGTERM to everything may come before it has set that it ignores them
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        with contextlib.suppress(OSError):  # the user has as many large pipes as the system allows
            fcntl.fcntl(target, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        process = subprocess.Popen(  # noqa: S603 - ours
            isolated_launch.command(str(claimed.path), str(claimed.lock), module="sidecar.recording.recorder"),
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(claimed.lock,),
            process_group=0,  # a Ctrl-C is for the session, which ends it
            env=settings.child_environment({}),
        )
    except BaseException:
        os.close(target)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(source)
    return process, target
