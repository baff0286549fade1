"""Answers `alert`, `confirm`, `prompt` and `beforeunload`, and records the messages of alerts."""

import contextlib
from collections.abc import Callable
from typing import Final

from playwright.async_api import BrowserContext, Dialog, Page
from playwright.async_api import Error as PlaywrightError

from sidecar.browser.steps.event_scope import EventScope
from sidecar.truncation import Redact, truncate

MAX_MESSAGES: Final = 1_000
MAX_MESSAGE_CHARS: Final = 10_000


class DialogHandler:
    """The dialogs of a job's pages. Until `listen`, the browser dismisses them."""

    def __init__(self, context: BrowserContext, redact: Redact, scope: EventScope) -> None:
        """`redact` removes secrets before a message is truncated; `scope` says which dialogs belong to the job."""
        self._redact = redact
        self._scope = scope
        self._context = context
        self._listening = False
        self._accept: bool | None = None
        self._text: str | None = None
        self.is_handled_elsewhere: Callable[[Page | None], bool] = lambda _: False
        """Whether another listener answers the dialogs of a page; then they are only recorded."""
        self.messages: list[str] = []
        """The messages of alerts, in order: the first 1,000, each truncated to 10,000 characters."""

    def listen(self) -> None:
        """Starts to listen."""
        if not self._listening:
            self._listening = True
            self._context.on("dialog", self._on_dialog)

    def set_answer(self, accept: bool, text: str | None) -> None:
        """Sets the answer to the following dialogs; `text` is the answer to a prompt."""
        self._accept, self._text = accept, text
        self.listen()

    def close(self) -> None:
        """Stops listening."""
        if self._listening:
            self._context.remove_listener("dialog", self._on_dialog)
            self._listening = False

    async def _on_dialog(self, dialog: Dialog) -> None:
        if not self._scope.covers(dialog.page):
            with contextlib.suppress(PlaywrightError):
                await (dialog.accept() if dialog.type == "beforeunload" else dialog.dismiss())
            return
        if dialog.type == "alert" and len(self.messages) < MAX_MESSAGES:
            self.messages.append(truncate(dialog.message, MAX_MESSAGE_CHARS, self._redact))
        if self._accept is None and self.is_handled_elsewhere(dialog.page):
            return
        # `beforeunload` is accepted unless an answer was set, as without a listener
        accept = dialog.type == "beforeunload" if self._accept is None else self._accept
        with contextlib.suppress(PlaywrightError):  # the page is closed, or a script of the job answered first
            if accept and dialog.type == "prompt":
                await dialog.accept(dialog.default_value if self._text is None else self._text)
            elif accept:
                await dialog.accept()
            else:
                await dialog.dismiss()
