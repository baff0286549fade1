"""A browser job that was started: which events are its own, and how it ended. `Job` and `AsyncJob` show it."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final

from sidecar.client.core import Asked, Core
from sidecar.client.errors import SidecarEnded, SidecarFailure, failure

CANCELLED: Final = {"message": "the job was cancelled", "code": "cancelled", "retryable": False}
_LOOK_SECONDS: Final = 0.5
"""Between two looks at a queued job; an event that says that it has ended is followed at once."""
_ENDS: Final = ("COMPLETED", "FAILED")
_MOST_EVENTS: Final = 10_000
"""Kept until a queued job's id is known."""


class JobRun:
    """One `send_job`, sync or async. `take` gets its events, and None after the last one."""

    def __init__(self, core: Core, content: Mapping[str, Any], take: Callable[[dict[str, Any] | None], None]) -> None:
        self._core = core
        self._take = take
        self._lock = threading.Lock()
        self._early: list[dict[str, Any]] = []
        self.queued_id: Future[str] = Future()
        """The id of an async job, once it is accepted."""
        self.reply: Future[Any] = Future()
        """The content of the job's reply, or why there is none."""
        self.is_async = content.get("mode") == "async"
        self.asked: Asked = core.ask("send_job", dict(content))
        self.reply.set_running_or_notify_cancel()
        self.reply.add_done_callback(self._close)
        core.add_listener(self._listen)
        self.asked.answer.add_done_callback(self._answered)

    def cancel(self) -> Asked | None:
        """The request that stops it, for `send`; None where the sidecar has ended, or the job's id is not known yet."""
        if not self.is_async:
            return self._core.cancel(self.asked)
        try:
            return self._core.ask("cancel_job", {"id": self.queued_id.result(0)})
        except (SidecarEnded, SidecarFailure, TimeoutError):
            return None

    def _answered(self, answer: "Future[Any]") -> None:
        wrong = answer.exception()
        if wrong is not None and self.is_async:
            self.queued_id.set_exception(wrong)
        if wrong is not None or not self.is_async:
            _settle(self.reply, wrong if wrong is not None else answer.result())
            return
        with self._lock:
            self.queued_id.set_result(answer.result()["id"])
            early, self._early = self._early, []
        for event in early:
            self._listen(event)
        self._look_later(_LOOK_SECONDS)

    def _listen(self, event: dict[str, Any]) -> None:
        """Takes an event of the session's."""
        if not self.is_async:
            if event.get("id") == self.asked.request_id:
                self._take(event)
            return
        run, state = _run(event)
        if run is None or "id" in event:
            return
        with self._lock:
            if not self.queued_id.done():
                if len(self._early) < _MOST_EVENTS:
                    self._early.append(event)
                return
        if run == self.queued_id.result():
            self._take(event)
            if state in _ENDS:
                self._look_later(0)

    def _look_later(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self._look)  # not in the reading thread, which must not wait for a write
        timer.daemon = True
        timer.start()

    def _look(self) -> None:
        """Asks how a queued job stands, and again until it has ended."""
        if self.reply.done():
            return
        try:
            asked = self._core.ask("job_status", {"id": self.queued_id.result()})
        except SidecarEnded as ended:
            _settle(self.reply, ended)
            return
        asked.answer.add_done_callback(self._looked)
        self._core.send(asked)

    def _looked(self, answer: "Future[Any]") -> None:
        if (wrong := answer.exception()) is not None:
            _settle(self.reply, wrong)
        elif answer.result()["status"] == "pending":
            self._look_later(_LOOK_SECONDS)
        else:
            try:
                _settle(self.reply, reply_of(answer.result()))
            except SidecarFailure as failed:
                _settle(self.reply, failed)

    def _close(self, _: object) -> None:
        self._core.remove_listener(self._listen)
        self._take(None)


def reply_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """What a sync job would have been answered, from the status of a job that has ended. Raises SidecarFailure."""
    if state["status"] != "success":
        raise failure(state.get("error", CANCELLED))
    result = {"result": state["result"]} if "result" in state else {}
    return {"status": state.get("outcome", "success"), **result}


def _run(event: Mapping[str, Any]) -> tuple[str | None, str]:
    """The run that an event belongs to, if any, and its state."""
    content = event["content"]
    if event["event"] == "progress":
        return content["run"], ""
    if event["event"] == "job_update":
        return content["data"]["runReference"], content["data"]["runState"]
    return None, ""


def _settle(reply: "Future[Any]", outcome: Any) -> None:
    if reply.done():  # two looks were under way
        return
    if isinstance(outcome, BaseException):
        reply.set_exception(outcome)
    else:
        reply.set_result(outcome)
