"""The objects of one job that its sandbox knows by number, and what the sandbox was told of each."""

from collections.abc import Callable
from typing import Any, Final

from playwright.async_api import Page, Request

from sidecar.browser.sandbox.allowlist import STATES, methods
from sidecar.browser.sandbox.wire_values import CallRefused, encode

MAX_HANDLES: Final = 20_000
MAX_BODY: Final = 1 << 20
"""Bytes of a request's body that an action can read."""
_BODY: Final = "post_data"
_CHANGING: Final = ("Page", "Frame", "BrowserContext")


class HandleTable:
    """Numbers for objects. They mean nothing to any other job."""

    def __init__(self, send: Callable[[list[Any]], None], on_page: Callable[[Page], None]) -> None:
        self._send = send
        self._on_page = on_page
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._told: dict[int, dict[str, Any]] = {}
        self._changing: list[int] = []
        self._telling: set[int] = set()
        self._tells_bodies = False
        self.body_bytes = 0
        """Bytes of bodies that were told since whoever sends them has set this to 0."""

    def get(self, number: Any) -> Any:
        """The object of this number. Raises Refused."""
        if type(number) is int and 0 <= number < len(self._objects):
            return self._objects[number]
        raise CallRefused("this object does not belong to the job", "forbidden")

    def handle_of(self, thing: Any) -> int:
        """The object's number; a new object is told to the sandbox first. Raises Refused."""
        known = self._numbers.get(id(thing))
        if known is not None:
            if type(thing).__name__ not in _CHANGING:
                self._tell(known)
            return known
        if len(self._objects) >= MAX_HANDLES:
            raise CallRefused(f"the job holds more than {MAX_HANDLES} objects")
        number = len(self._objects)
        self._objects.append(thing)  # kept, so that its id stays its own
        self._numbers[id(thing)] = number
        if type(thing).__name__ in _CHANGING:
            self._changing.append(number)
        if isinstance(thing, Page):
            self._on_page(thing)
        self._tell(number)
        return number

    def reference_to(self, thing: Any) -> dict[str, Any] | None:
        """A reference for the sandbox; None for what actions know nothing of."""
        kind = type(thing).__name__
        return {"$": "ref", "h": self.handle_of(thing), "t": kind} if kind in methods() else None

    def encode(self, value: Any) -> Any:
        """A value as the sandbox reads it. Raises Refused."""
        return encode(value, self.reference_to)

    def include_bodies(self) -> None:
        """From now on requests are told with their bodies, also those that are known already."""
        if not self._tells_bodies:
            self._tells_bodies = True
            for number, thing in enumerate(self._objects):
                if isinstance(thing, Request):
                    self._tell(number)

    def send_changes(self) -> None:
        """Tells the sandbox what has changed in pages and frames."""
        for number in tuple(self._changing):
            self._tell(number)

    def _tell(self, number: int) -> None:
        thing = self._objects[number]
        kind = type(thing).__name__
        names = STATES.get(kind)
        if names is None or number in self._telling:  # objects name each other
            return
        self._telling.add(number)
        told = self._told.setdefault(number, {})
        state = {name: self._read(thing, name) for name in names}
        self._telling.discard(number)
        if self._tells_bodies and isinstance(thing, Request) and _BODY not in told:
            state[_BODY] = self._read_body(thing)
        changed = {name: value for name, value in state.items() if name not in told or told[name] != value}
        if changed:
            told.update(changed)
            self._send(["state", number, kind, changed])

    def _read_body(self, request: Request) -> Any:
        """Its text; null without any, or where it is none; `{"over": bytes}` where it is too large."""
        try:
            body = request.post_data_buffer or b""
            if len(body) > MAX_BODY:
                return {"over": MAX_BODY}
            self.body_bytes += len(body)
            return body.decode() if body else None
        except Exception:  # Playwright's getters fail in many ways, a body that is no text too
            return None

    def _read(self, thing: Any, name: str) -> Any:
        try:
            value = getattr(thing, name)
            return self.encode(value() if callable(value) else value)
        except CallRefused:
            raise
        except Exception:  # Playwright's getters fail in many ways: no frame yet, a body that is no text
            return None
