"""The Playwright objects of one job that its sandbox knows by handle, and the state it has of each."""

from collections.abc import Callable
from typing import Any, Final

from playwright.async_api import Page, Request

from sidecar.browser.sandbox.allowlist import STATES, methods
from sidecar.browser.sandbox.wire_values import CallRefused, encode

MAX_HANDLES: Final = 20_000
MAX_BODY: Final = 1 << 20
"""The largest request body that an action can read, in bytes."""
_BODY: Final = "post_data"
_MUTABLE: Final = ("Page", "Frame", "BrowserContext")


class HandleTable:
    """Maps handles, which are numbers, to the objects of one job."""

    def __init__(self, send: Callable[[list[Any]], None], on_page: Callable[[Page], None]) -> None:
        self._send = send
        self._on_page = on_page
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._sent: dict[int, dict[str, Any]] = {}
        self._mutable: list[int] = []
        self._sending: set[int] = set()
        self._includes_bodies = False
        self.body_bytes = 0
        """Bytes of request bodies queued since the last flush, which resets this to 0."""

    def get(self, number: Any) -> Any:
        """The object with this handle. Raises CallRefused."""
        if type(number) is int and 0 <= number < len(self._objects):
            return self._objects[number]
        raise CallRefused("this object does not belong to the job", "forbidden")

    def handle_of(self, obj: Any) -> int:
        """The object's handle; the state of a new object is sent first. Raises CallRefused."""
        handle = self._numbers.get(id(obj))
        if handle is not None:
            if type(obj).__name__ not in _MUTABLE:
                self._send_state(handle)
            return handle
        if len(self._objects) >= MAX_HANDLES:
            raise CallRefused(f"the job holds more than {MAX_HANDLES} objects")
        number = len(self._objects)
        self._objects.append(obj)  # kept, so that its id stays its own
        self._numbers[id(obj)] = number
        if type(obj).__name__ in _MUTABLE:
            self._mutable.append(number)
        if isinstance(obj, Page):
            self._on_page(obj)
        self._send_state(number)
        return number

    def reference_to(self, obj: Any) -> dict[str, Any] | None:
        """A reference for the sandbox; None for objects whose class actions don't know."""
        kind = type(obj).__name__
        return {"$": "ref", "h": self.handle_of(obj), "t": kind} if kind in methods() else None

    def encode(self, value: Any) -> Any:
        """A value as the sandbox reads it. Raises CallRefused."""
        return encode(value, self.reference_to)

    def include_bodies(self) -> None:
        """Sends the bodies of known requests, and of all later ones."""
        if not self._includes_bodies:
            self._includes_bodies = True
            for number, obj in enumerate(self._objects):
                if isinstance(obj, Request):
                    self._send_state(number)

    def send_changes(self) -> None:
        """Sends the sandbox what has changed in pages and frames."""
        for number in tuple(self._mutable):
            self._send_state(number)

    def _send_state(self, number: int) -> None:
        obj = self._objects[number]
        kind = type(obj).__name__
        names = STATES.get(kind)
        if names is None or number in self._sending:  # objects name each other
            return
        self._sending.add(number)
        sent = self._sent.setdefault(number, {})
        state = {name: self._read_property(obj, name) for name in names}
        self._sending.discard(number)
        if self._includes_bodies and isinstance(obj, Request) and _BODY not in sent:
            state[_BODY] = self._read_body(obj)
        changed = {name: value for name, value in state.items() if name not in sent or sent[name] != value}
        if changed:
            sent.update(changed)
            self._send(["state", number, kind, changed])

    def _read_body(self, request: Request) -> Any:
        """The body's text; null without a body or if it is no text; `{"over": bytes}` if it is too large."""
        try:
            body = request.post_data_buffer or b""
            if len(body) > MAX_BODY:
                return {"over": MAX_BODY}
            self.body_bytes += len(body)
            return body.decode() if body else None
        except Exception:  # Playwright's getters fail in many ways, a body that is no text too
            return None

    def _read_property(self, obj: Any, name: str) -> Any:
        try:
            value = getattr(obj, name)
            return self.encode(value() if callable(value) else value)
        except CallRefused:
            raise
        except Exception:  # Playwright's getters fail in many ways: no frame yet, a body that is no text
            return None
