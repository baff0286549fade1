"""What `Sidecar` and `AsyncSidecar` share: requests and their answers, events, and restarts after a crash.

Threads may share it. Nothing here waits but `start`, `send`, `close` and `interrupt`.
"""

import itertools
import json
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final

from sidecar import isolated_launch
from sidecar.client import repeats
from sidecar.client.child import Child
from sidecar.client.errors import SidecarEnded, SidecarFailure, failure

Listener = Callable[[dict[str, Any]], None]
"""Gets each event; called by the reading thread, so it must be quick."""
ATTEMPTS: Final = 5
"""New processes in a row that may fail before they have logged in again."""
MOST_TIMES: Final = 3
"""How often a request is asked whose process ends each time."""
_FIRST_PAUSE: Final = 0.2
"""Seconds before the second attempt; doubled before each further one."""
_SHORT_LIFE: Final = 5.0
"""Seconds; a process that ends within these counts as an attempt that failed."""


class Asked:
    """A request that has no answer yet."""

    def __init__(self, request_id: int, kind: str, content: Any, line: bytes) -> None:
        self.request_id = request_id
        self.kind = kind
        self.content = content
        self.line = line
        self.answer: Future[Any] = Future()
        self.times = 0
        """How often it was written."""
        self.of_session = False
        """Whether it repeats a part of the session for a new process."""
        self.abandoned = False
        """Whether its answer is wanted no more."""


class Core:
    """A sidecar process, and the next one where it is to be restarted."""

    def __init__(
        self,
        command: Sequence[str] | None,
        *,
        env: Mapping[str, str] | None,
        cwd: str | None,
        timeout: float,
        close_timeout: float,
        restart: bool,
    ) -> None:
        self._command = list(command) if command is not None else isolated_launch.command()
        self._env, self._cwd = env, cwd
        self.timeout = timeout
        self._close_timeout = close_timeout
        self._restart = restart
        self._ids = itertools.count(1)
        self._lock = threading.RLock()  # guards all below
        self._waiting: dict[int, Asked] = {}
        self._session: dict[str, tuple[str, Any]] = {}
        self._listeners: list[Listener] = []
        self._ended: SidecarEnded | None = None
        self._restarting = False
        self._short_lives = 0  # of how many processes in a row
        self._closing = threading.Event()
        self._is_spawned = False
        self._closed: list[Callable[[], None]] = []
        self._writing = threading.Lock()  # while what was not answered is asked again, nothing else is
        self.child: Child
        self.ready: dict[str, Any] = {}

    def start(self) -> None:
        """Spawns the process and waits until it is ready. Raises SidecarEnded, TimeoutError."""
        self.child = self._spawn()
        self._is_spawned = True
        try:
            if self._closing.is_set():
                raise SidecarEnded("the client was closed")
            self.ready = self.child.ready.result(self.timeout)
        except BaseException:
            self._closing.set()
            self.child.kill()
            raise

    def give_up(self) -> None:
        """Ends a process that is not ready yet, without waiting for it."""
        self._closing.set()
        if self._is_spawned:
            self.child.process.kill()

    def add_listener(self, listener: Listener, closed: Callable[[], None] | None = None) -> None:
        """Hands it each event from now on, and calls `closed` when there will be no more."""
        with self._lock:
            self._listeners.append(listener)
            if closed is not None and self._ended is None:
                self._closed.append(closed)
                return
        if closed is not None:
            closed()

    def remove_listener(self, listener: Listener, closed: Callable[[], None] | None = None) -> None:
        """Takes back what `add_listener` did."""
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)
            if closed in self._closed:
                self._closed.remove(closed)

    def hello_for_events(self) -> dict[str, Any] | None:
        """The content of a `hello` that asks for events and keeps the session's zone; None where it has asked."""
        with self._lock:
            _, content = self._session.get("hello", ("", None))
        current = dict(content or {})
        return None if current.get("notifications") else {**current, "notifications": True}

    def ask(self, kind: str, content: Any = None) -> Asked:
        """A new request; `send` writes it. Raises SidecarEnded, and ValueError for what is no JSON."""
        if self._restart:
            content = repeats.with_key(kind, content)
        asked = self._asked(kind, content)
        with self._lock:
            if self._ended is not None:
                raise SidecarEnded(str(self._ended), exit_code=self._ended.exit_code, last_words=self._ended.last_words)
            self._waiting[asked.request_id] = asked
        return asked

    def send(self, asked: Asked) -> Asked:
        """Writes a request; waits while the sidecar reads nothing."""
        with self._writing:
            with self._lock:
                if self._restarting or asked.answer.done():
                    return asked  # it is written with the others, once the next process is ready
                child = self.child
                asked.times += 1
            try:
                child.write(asked.line)
            except (OSError, ValueError):  # ValueError: closed by `close`
                if not self._restart or self._closing.is_set():
                    self._settle(asked.request_id, SidecarEnded("the sidecar no longer listens"))
        return asked

    def cancel(self, asked: Asked) -> Asked | None:
        """The request that stops another one, for `send`; None where the sidecar has ended."""
        asked.abandoned = True
        try:
            return self.ask("cancel", {"id": asked.request_id})
        except SidecarEnded:
            return None

    def close(self) -> None:
        """Tells the sidecar to finish and waits for it; what does not finish in time is ended. May be called again."""
        self._closing.set()
        self.child.close(self._close_timeout)

    def interrupt(self) -> None:
        """Ends it at once, as Ctrl-C does: what it has accepted waits for the next one."""
        self._closing.set()
        self.child.interrupt()

    def kill(self) -> None:
        """Ends it by SIGKILL."""
        self._closing.set()
        if self._is_spawned:
            self.child.kill()

    def _asked(self, kind: str, content: Any) -> Asked:
        request_id = next(self._ids)
        message = {"id": request_id, "type": kind} | ({} if content is None else {"content": content})
        line = json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        asked = Asked(request_id, kind, content, line)
        asked.answer.set_running_or_notify_cancel()  # a future can't take a line back; the `cancel` message can
        return asked

    def _spawn(self) -> Child:
        return Child(self._command, self._env, self._cwd, self._take, self._child_ended)

    def _take(self, reply: dict[str, Any]) -> None:
        """A line of the sidecar's."""
        kind = reply["type"]
        if kind == "event":
            self._tell(reply)
        elif kind == "error":
            self._take_error(reply["id"] if "id" in reply else self._longest(), failure(reply["error"]))
        else:
            self._settle(reply["id"], reply.get("content"))

    def _tell(self, event: dict[str, Any]) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            try:
                listener(event)
            except Exception:  # the listener's own fault
                traceback.print_exc()

    def _take_error(self, request_id: int, error: SidecarFailure) -> None:
        with self._lock:
            asked = self._waiting.get(request_id)
        if self._restart and asked and not self._closing.is_set() and error.code == "shutting_down":
            return  # it is ending, not on our request: the next process is asked
        if asked and asked.times > 1 and repeats.was_deleted(asked.kind, error.code):
            self._settle(request_id, None)
        elif asked and asked.times > 1 and repeats.was_created(asked.kind, error.code):
            threading.Thread(target=self._look_instead, args=(asked,), name="sidecar-asking", daemon=True).start()
        else:
            self._settle(request_id, error)

    def _look_instead(self, asked: Asked) -> None:
        """The first `create_task` was done: its answer is the task."""
        looking = self._asked("get_task", {"id": asked.content["id"]})
        looking.answer = asked.answer
        with self._lock:
            self._waiting.pop(asked.request_id, None)
            self._waiting[looking.request_id] = looking
        self.send(looking)

    def _settle(self, request_id: int, outcome: Any) -> None:
        with self._lock:
            asked = self._waiting.pop(request_id, None)
            if asked is None:  # settled already: the pipe broke both ways at once
                return
            failed = isinstance(outcome, SidecarFailure | SidecarEnded)
            if not failed and asked.kind in repeats.SESSION and not asked.of_session:
                self._session[repeats.SESSION[asked.kind]] = asked.kind, asked.content
        if failed:
            asked.answer.set_exception(outcome)
        else:
            asked.answer.set_result(outcome)

    def _longest(self) -> int:
        """Only a line over the sidecar's limit is answered without its id, for it was skipped unread."""
        with self._lock:
            return max(self._waiting, key=lambda request_id: len(self._waiting[request_id].line))

    def _child_ended(self, child: Child, why: SidecarEnded) -> None:
        """Called once for each process, when there are no more lines of it."""
        with self._lock:
            again = self._restart and not self._closing.is_set() and bool(self.ready)
            lost = [asked for asked in self._waiting.values() if not again or self._is_lost(asked)]
            if not again:
                self._end(why)
            if starts := again and not self._restarting and child is self.child:
                self._restarting = True
                self._short_lives = self._short_lives + 1 if child.age() < _SHORT_LIFE else 0
        for asked in lost:
            self._settle(asked.request_id, _unanswered(asked, why))
        if starts:
            threading.Thread(target=self._revive, args=(why,), name="sidecar-restart", daemon=True).start()

    def _is_lost(self, asked: Asked) -> bool:
        """Whether a request is not asked again after a death."""
        never = asked.kind in repeats.NEVER and asked.times > 0
        return never or asked.of_session or asked.abandoned or asked.times >= MOST_TIMES

    def _end(self, why: SidecarEnded) -> None:
        """There is no process any more, and no other will be started."""
        self._ended = why
        closed, self._closed = self._closed, []
        for one in closed:
            one()

    def _revive(self, why: SidecarEnded) -> None:
        """Starts processes until one has the session again, and asks it what has no answer."""
        self.child.kill()  # it may have closed its output and live on
        last: Exception = why
        for attempt in range(self._short_lives, ATTEMPTS + 1):
            if self._closing.wait(_FIRST_PAUSE * 2 ** (attempt - 1) if attempt else 0):
                break
            try:
                self._begin_anew()
                self._ask_again()
            except (SidecarFailure, SidecarEnded, TimeoutError, OSError) as wrong:
                last = wrong
                self.child.kill()
                if isinstance(wrong, SidecarFailure) and not wrong.retryable:
                    break
            else:
                return
        text = str(why) if last is why else f"{why}; starting it anew failed: {last}"
        ended = SidecarEnded(text, exit_code=why.exit_code, last_words=why.last_words)
        with self._lock:
            self._end(ended)
            lost = list(self._waiting)
        for request_id in lost:
            self._settle(request_id, ended)

    def _begin_anew(self) -> None:
        """A new process with the parts of the session that there were."""
        self.child = child = self._spawn()
        if self._closing.is_set():
            raise SidecarEnded("the client was closed")
        ready = child.ready.result(self.timeout)
        with self._lock:
            self.ready = ready
            parts = [self._session[part] for part in repeats.SESSION_ORDER if part in self._session]
        for kind, content in parts:
            asked = self._asked(kind, content)
            asked.of_session = True
            with self._lock:
                self._waiting[asked.request_id] = asked
            child.write(asked.line)
            asked.answer.result(self.timeout)

    def _ask_again(self) -> None:
        with self._writing:
            with self._lock:
                child = self.child
                if child.ended is not None:
                    raise child.ended
                self._restarting = False
                again = [asked for asked in self._waiting.values() if not asked.answer.done()]
            for asked in again:
                asked.times += 1
                try:
                    child.write(asked.line)
                except (OSError, ValueError):
                    break  # it has ended too: `_child_ended` begins again


def _unanswered(asked: Asked, why: SidecarEnded) -> SidecarEnded:
    if asked.times >= MOST_TIMES:
        text = f"{why}; {asked.kind} was asked {asked.times} times, and the sidecar ended each time"
    elif asked.kind in repeats.NEVER and asked.times:
        text = f"{why}; whether {asked.kind} was done is not known"
    else:
        text = str(why)
    return SidecarEnded(text, exit_code=why.exit_code, last_words=why.last_words)
