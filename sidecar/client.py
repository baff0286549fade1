"""The Python client: spawns the sidecar and talks to it. For scrapers' authors; standard library only.

    from sidecar.client import Sidecar, SidecarFailure

    with Sidecar() as sidecar:
        sidecar.login("https://rtcv.example.com", key_id, key)
        user = sidecar.get_user_secret(encryption_key)
        if sidecar.send_cv({"referenceNumber": "abc-1", ...}) is None:
            print("was sent before")

Every method waits for its answer and gives its content, or raises `SidecarFailure` with the reason. Threads may share a
client, and `submit` does not wait: such requests run side by side, so where one must see what another did, wait for it.
"""

import base64
import collections
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from sidecar import isolated_launch

PROTOCOL = "2"
"""The protocol's major version that this client speaks."""
_LOOK_SECONDS = 0.1
"""Between two looks at a job that is waited for."""
_LAST_WORDS = 10
"""Lines of the sidecar's stderr that an error repeats."""
_LONGEST_WORDS = 4096
"""Bytes of one of them; a longer line counts as several."""
_INTERRUPTED_SECONDS = 1.0
"""What an interrupted scraper waits for the sidecar, twice."""
_CANCELLED = {"message": "the job was cancelled", "code": "cancelled", "retryable": False}


class SidecarFailure(Exception):
    """The sidecar answered with an error. `code` is stable and meant to be branched on, the message may change."""

    def __init__(self, message: str, code: str, *, retryable: bool, fields: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        """One of the protocol's error codes, such as `timeout` or `missing_credentials`."""
        self.retryable = retryable
        """Whether the same request can succeed later without being changed."""
        self.fields = dict(fields)
        """Where it failed, as far as it applies: `field`, `url`, `status`, `step`, `action`."""


class SidecarEnded(Exception):
    """The sidecar is gone, or speaks another protocol: what was asked got no answer."""


class Sidecar:
    """A running sidecar. Use it in a `with` block, or call `close`."""

    def __init__(
        self,
        command: Sequence[str] | None = None,
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        timeout: float = 300.0,
        close_timeout: float = 40.0,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Spawns `command` (None: the sidecar of this package, which no module of the scraper's gets into).

        Waits until it is ready. What it writes to stderr goes to this process's; an error repeats its last lines.
        `env` is the child's whole environment (None: this process's own). `timeout` is how many seconds a request may
        take where it is not given one of its own, `close_timeout` how many `close` waits for work in flight.
        `on_event` is handed each notification; it is called by the reading thread, so it must be quick and must not
        wait for requests of this client. Raises SidecarEnded.
        """
        self.timeout = timeout
        self._close_timeout = close_timeout
        self._on_event = on_event
        self._ids = itertools.count(1)
        self._lock = threading.Lock()  # guards the two below
        self._waiting: dict[int, tuple[Future[Any], int]] = {}  # id -> where its answer goes, how long its line was
        self._ended: str | None = None
        self._started: Future[dict[str, Any]] = Future()
        if command is None:
            command = isolated_launch.command()
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=env, cwd=cwd)  # noqa: S603
        self._input, self._output = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        self._last_words: collections.deque[str] = collections.deque(maxlen=_LAST_WORDS)
        self._listener = threading.Thread(target=self._listen, name="sidecar-stderr", daemon=True)
        self._listener.start()
        self._writing = threading.Lock()
        self._reader = threading.Thread(target=self._read, name="sidecar-reader", daemon=True)
        self._reader.start()
        try:
            self.ready = self._started.result(timeout)
            """The first line: `protocol`, `version` and `pid` of the sidecar."""
            if on_event is not None:
                self.request("hello", {"notifications": True})
        except BaseException:
            self.kill()
            raise

    def request(self, type: str, content: Any = None, *, timeout: float | None = None) -> Any:  # noqa: A002
        """Sends any message and waits for the content of its answer (None where it has none).

        Raises SidecarFailure, SidecarEnded, or TimeoutError after `timeout` seconds; the request is then cancelled.
        """
        request_id, answer = self._send(type, content)
        seconds = self.timeout if timeout is None else timeout
        try:
            return answer.result(seconds)
        except TimeoutError:
            self._send("cancel", {"id": request_id})
            raise TimeoutError(f"{type} had no answer after {seconds:g} s") from None

    def submit(self, type: str, content: Any = None) -> Future[Any]:  # noqa: A002
        """Sends any message without waiting; the future gets the content of its answer, or what `request` raises."""
        return self._send(type, content)[1]

    def ping(self) -> None:
        """Returns when the sidecar has answered."""
        self.request("ping")

    def login(self, server_location: str, api_key_id: str, api_key: str) -> None:
        """Logs in to one RT-CV server."""
        server = {"server_location": server_location, "api_key_id": api_key_id, "api_key": api_key}
        self.request("set_credentials", server)

    def set_credentials(self, servers: Sequence[Mapping[str, Any]]) -> None:
        """Logs in to several servers: `server_location`, `api_key_id`, `api_key` each, and `primary` on one of them."""
        self.request("set_multiple_credentials", [dict(server) for server in servers])

    def set_mock(self, secrets: Mapping[str, Any] | None = None, *, cv_matches: bool = True) -> None:
        """Needs no server from here on: `secrets` are given out, CVs are accepted and sent nowhere."""
        self.request("set_mock", {"secrets": dict(secrets or {}), "cv_matches": cv_matches})

    def get_secret(self, key: str, encryption_key: str) -> Any:
        """The secret under `key`: any JSON."""
        return self.request("get_secret", {"key": key, "encryption_key": encryption_key})

    def get_users_secret(self, encryption_key: str, key: str = "users") -> list[dict[str, str]]:
        """Logins under `key`, each with `username` and `password`."""
        request = {"key": key, "encryption_key": encryption_key}
        return cast(list[dict[str, str]], self.request("get_users_secret", request))

    def get_user_secret(self, encryption_key: str, key: str = "user") -> dict[str, str]:
        """The login under `key`: `username` and `password`."""
        return cast(dict[str, str], self.request("get_user_secret", {"key": key, "encryption_key": encryption_key}))

    def remember(self, reference: str, *, short: bool = False) -> None:
        """Remembers a reference for 3 days, or for 12 hours where `short`; also over restarts."""
        self.request("set_short_cached_reference" if short else "set_cached_reference", reference)

    def is_remembered(self, reference: str) -> bool:
        """Whether a reference is remembered, by `remember` or because its CV was sent and matched."""
        return bool(self.request("has_cached_reference", reference))

    def send_cv(self, cv: Mapping[str, Any]) -> bool | None:
        """Sends a CV with its `referenceNumber`: whether it matched; None where it was remembered, so not sent."""
        return cast(bool | None, self.request("send_cv", dict(cv)))

    def send_full_cv(self, metadata: Mapping[str, Any], pdf: bytes | Path) -> bool | None:
        """Sends a CV with its PDF, as bytes or as a path in the sidecar's `SIDECAR_CV_FOLDER`; answers as `send_cv`."""
        cv = base64.b64encode(pdf).decode() if isinstance(pdf, bytes) else str(pdf)
        return cast(bool | None, self.request("send_full_cv", {"metadata": dict(metadata), "cv": cv}))

    def send_cvs_list(self, cvs: Sequence[Mapping[str, Any]]) -> dict[str, int]:
        """Sends a list of CVs: how many were `sent`, and how many `duplicates` or `without_reference` were not."""
        return cast(dict[str, int], self.request("send_cvs_list", [dict(cv) for cv in cvs]))

    def send_job(self, job: Mapping[str, Any], *, timeout: float | None = None) -> dict[str, Any]:
        """Runs a browser job: `{"status": "success", "result": {...}}`, or status `skipped` and no result."""
        return cast(dict[str, Any], self.request("send_job", dict(job), timeout=timeout))

    def queue_job(self, job: Mapping[str, Any], *, key: str | None = None) -> str:
        """Has a browser job run as soon as there is a place, also after a restart; gives its id.

        The same `key` is the same job: sent again, it makes no second one.
        """
        content = dict(job) | {"mode": "async"} | ({"key": key} if key is not None else {})
        return cast(str, self.request("send_job", content)["id"])

    def job_status(self, job_id: str) -> dict[str, Any]:
        """What is known of a queued job: its `status`, and its `result` or `error` once it has ended."""
        return cast(dict[str, Any], self.request("job_status", {"id": job_id}))

    def wait_for_job(self, job_id: str, *, timeout: float | None = None) -> dict[str, Any]:
        """The content of the job's reply once it has succeeded.

        Raises SidecarFailure where it failed or was cancelled, TimeoutError after `timeout` seconds; it then goes on.
        """
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while (state := self.job_status(job_id))["status"] == "pending":
            if time.monotonic() >= deadline:
                raise TimeoutError(f"the job {job_id} has not ended yet")
            time.sleep(_LOOK_SECONDS)
        if state["status"] != "success":
            raise _failure(state.get("error", _CANCELLED))
        result = {"result": state["result"]} if "result" in state else {}
        return {"status": state.get("outcome", "success"), **result}

    def set_webhooks(self, webhooks: Sequence[str | Mapping[str, Any]]) -> None:
        """Sets the webhooks of all following runs: URLs, or `url` with `secret`, `format`, `max_stdouterr_size`."""
        self.request("set_webhooks", [{"url": one} if isinstance(one, str) else dict(one) for one in webhooks])

    def close(self) -> None:
        """Tells the sidecar to finish and waits for it; what does not finish in time is ended. May be called again.

        Called while a KeyboardInterrupt is under way, as in a `finally`, it does not wait for work in flight.
        """
        if isinstance(sys.exc_info()[1], KeyboardInterrupt):
            self._interrupt()
            return
        if self._writing.acquire(timeout=1):
            self._close_input()
            self._writing.release()
        else:  # a thread is stuck writing to a sidecar that doesn't read
            self._process.terminate()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):  # it had its time
                self._process.wait(self._close_timeout)
        finally:
            self.kill()

    def kill(self) -> None:
        """Ends the sidecar at once. What it holds on disk stays."""
        self._process.kill()
        self._process.wait()
        self._reader.join(5)
        self._listener.join(5)
        if self._writing.acquire(timeout=1):
            self._close_input()
            self._writing.release()
        if not self._reader.is_alive():
            self._output.close()
        if not self._listener.is_alive():
            cast(IO[bytes], self._process.stderr).close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        # asyncio turns Ctrl-C into a cancellation first
        if kind is not None and (issubclass(kind, KeyboardInterrupt) or kind.__name__ == "CancelledError"):
            self._interrupt()
        else:
            self.close()

    def _interrupt(self) -> None:
        """Ends the sidecar as a second signal does: what it has accepted waits for the next one."""
        try:
            for _ in range(2):
                self._process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_INTERRUPTED_SECONDS)
                    break
        finally:
            self.kill()

    def _send(self, kind: str, content: Any) -> tuple[int, Future[Any]]:
        request_id, answer = next(self._ids), Future[Any]()
        answer.set_running_or_notify_cancel()  # a future can't take a line back; the `cancel` message can
        message = {"id": request_id, "type": kind} | ({} if content is None else {"content": content})
        line = json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        with self._lock:
            if self._ended is not None:
                raise SidecarEnded(self._ended)
            self._waiting[request_id] = answer, len(line)
        try:
            with self._writing:
                self._input.write(line)
                self._input.flush()
        except (OSError, ValueError):  # ValueError: closed by `close`
            self._settle(request_id, SidecarEnded("the sidecar no longer listens"))
        return request_id, answer

    def _read(self) -> None:
        """The reading thread: hands each line to the one it answers, until there are no more."""
        why = ""
        try:
            for line in self._output:
                self._take(json.loads(line))
        except Exception as wrong:
            why = f"the sidecar wrote a line that can't be used: {wrong!r}"
            self._process.kill()
        why = why or self._how_it_ended()
        with self._lock:
            self._ended = why
        for request_id in list(self._waiting):
            self._settle(request_id, SidecarEnded(why))
        if not self._started.done():
            self._started.set_exception(SidecarEnded(why))

    def _how_it_ended(self) -> str:
        """With its exit code or signal, and the last lines of its stderr."""
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "the sidecar says nothing any more"
        self._listener.join(1)
        early = "" if self._started.done() else " before it was ready"
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        words = "".join(f"\n  {line}" for line in self._last_words)
        return f"the sidecar has ended{early} ({how})" + (f"; its last words:{words}" if words else "")

    def _listen(self) -> None:
        """The other reading thread: hands on what the sidecar says on stderr, and keeps the end of it."""
        said = cast(IO[bytes], self._process.stderr)
        while line := said.readline(_LONGEST_WORDS):
            self._last_words.append(line.decode(errors="replace").rstrip())
            with contextlib.suppress(OSError):  # the reader is gone
                os.write(2, line)

    def _take(self, reply: dict[str, Any]) -> None:
        kind = reply["type"]
        if not self._started.done():
            if kind != "ready" or str(reply.get("protocol")).split(".")[0] != PROTOCOL:
                raise ValueError(f"not `ready` of protocol {PROTOCOL}: {reply}")
            self._started.set_result(reply)
        elif kind == "event":
            if self._on_event is not None:
                self._on_event(reply)
        elif kind == "error":
            self._settle(reply["id"] if "id" in reply else self._longest(), _failure(reply["error"]))
        else:
            self._settle(reply["id"], reply.get("content"))

    def _settle(self, request_id: int, outcome: Any) -> None:
        with self._lock:
            answer, _ = self._waiting.pop(request_id, (None, 0))
        if answer is not None and isinstance(outcome, SidecarFailure | SidecarEnded):
            answer.set_exception(outcome)
        elif answer is not None:  # else settled already: the pipe broke both ways at once
            answer.set_result(outcome)

    def _longest(self) -> int:
        """Only a line over the sidecar's limit is answered without its id, for it was skipped unread."""
        with self._lock:
            return max(self._waiting, key=lambda request_id: self._waiting[request_id][1])

    def _close_input(self) -> None:
        with contextlib.suppress(OSError):  # what was still buffered can't be written any more
            self._input.close()


def _failure(detail: Mapping[str, Any]) -> SidecarFailure:
    fields = dict(detail)
    code, message = fields.pop("code"), fields.pop("message")
    return SidecarFailure(message, code, retryable=fields.pop("retryable"), fields=fields)
