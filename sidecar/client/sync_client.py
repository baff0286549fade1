"""The client whose calls wait."""

import queue
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, cast

from sidecar.client.core import Core
from sidecar.client.job import Job
from sidecar.client.job_run import JobRun
from sidecar.client.messages import Messages
from sidecar.client.requests import SendJob
from sidecar.client.results import Event, Ready

MOST_EVENTS = 10_000
"""Events that wait for a loop over `events`; more of them, and the oldest are dropped."""


class Sidecar(Messages):
    """A running sidecar. Use it in a `with` block, or call `close`."""

    def __init__(
        self,
        command: Sequence[str] | None = None,
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        timeout: float = 300.0,
        close_timeout: float = 40.0,
        restart: bool = False,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Spawns `command` (None: the sidecar of this package, which no module of the scraper's gets into).

        Waits until it is ready. What it writes to stderr goes to this process's; an error repeats its last lines.
        `env` is the child's whole environment (None: this process's own). `timeout` is how many seconds a request may
        take where it is not given one of its own, `close_timeout` how many `close` waits for work in flight.
        With `restart` a sidecar that has died is restarted: it gets the last `hello`, login and webhooks, and what
        was not answered is asked again. Jobs and tasks get a key for that; `create_schedule` and `run_task`, which have
        none, raise SidecarEnded. `on_event` is handed each notification; it is called by the reading thread, so it must
        be quick and must not wait for requests of this client. Raises SidecarEnded.
        """
        self.timeout = timeout
        self._core = Core(command, env=env, cwd=cwd, timeout=timeout, close_timeout=close_timeout, restart=restart)
        if on_event is not None:
            self._core.add_listener(on_event)
        self._core.start()
        if on_event is not None:
            try:
                self._ask_for_events()
            except BaseException:
                self.kill()
                raise

    @property
    def ready(self) -> Ready:
        """The first line: `protocol`, `version` and `pid` of the sidecar."""
        return cast(Ready, self._core.ready)

    def request(self, type: str, content: Any = None, *, timeout: float | None = None) -> Any:  # noqa: A002
        """Sends any message and waits for the content of its answer (None where it has none).

        Raises SidecarFailure, SidecarEnded, or TimeoutError after `timeout` seconds; the request is then cancelled.
        """
        asked = self._core.send(self._core.ask(type, content))
        seconds = self.timeout if timeout is None else timeout
        try:
            return asked.answer.result(seconds)
        except TimeoutError:
            if (cancel := self._core.cancel(asked)) is not None:
                self._core.send(cancel)
            raise TimeoutError(f"{type} had no answer after {seconds:g} s") from None

    def submit(self, type: str, content: Any = None) -> "Future[Any]":  # noqa: A002
        """Sends any message without waiting; the future gets the content of its answer, or what `request` raises."""
        return self._core.send(self._core.ask(type, content)).answer

    def start(self, job: SendJob) -> Job:
        """Starts a browser job and does not wait: loop over it for its events, `result` waits for its reply."""
        self._ask_for_events()
        return Job(lambda take: JobRun(self._core, cast(Mapping[str, Any], job), take), self._core.send)

    def events(self) -> Iterator[Event]:
        """Every event from now on, until the sidecar has ended."""
        self._ask_for_events()
        waiting: queue.Queue[dict[str, Any] | None] = queue.Queue()

        def take(event: dict[str, Any] | None) -> None:
            if waiting.qsize() >= MOST_EVENTS:
                waiting.get_nowait()
            waiting.put(event)

        def end() -> None:
            waiting.put(None)

        self._core.add_listener(take, end)
        return self._told(waiting, take, end)

    def _told(
        self, waiting: "queue.Queue[dict[str, Any] | None]", take: Callable[[Any], None], end: Callable[[], None]
    ) -> Iterator[Event]:
        try:
            while (event := waiting.get()) is not None:
                yield cast(Event, event)
        finally:
            self._core.remove_listener(take, end)

    def close(self) -> None:
        """Tells the sidecar to finish and waits for it; what does not finish in time is ended. May be called again.

        Called while a KeyboardInterrupt is under way, as in a `finally`, it does not wait for work in flight.
        """
        if isinstance(sys.exc_info()[1], KeyboardInterrupt):
            self._core.interrupt()
        else:
            self._core.close()

    def kill(self) -> None:
        """Ends the sidecar at once. What it holds on disk stays."""
        self._core.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        # asyncio turns Ctrl-C into a cancellation first
        if kind is not None and (issubclass(kind, KeyboardInterrupt) or kind.__name__ == "CancelledError"):
            self._core.interrupt()
        else:
            self.close()

    def _ask_for_events(self) -> None:
        if (hello := self._core.hello_for_events()) is not None:
            self.request("hello", hello)

    def _pause(self, seconds: float) -> None:
        time.sleep(seconds)
