"""Our questions to a page, asked in a world of their own: whatever the page's scripts have changed does not reach them.

`isolated_world.js` holds the questions. Chromium is asked by its own protocol (`cdp`); any page can be asked by
Playwright, which takes `engine.js` for a selector engine of its own, and so lets us use its selectors in there.
"""

import contextlib
import importlib.resources
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import msgspec
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Frame, Locator, Page, Playwright
from playwright.async_api import TimeoutError as PlaywrightTimeout

from sidecar.browser import lenient_json

_NAME: Final = "sidecar"
_PATIENCE: Final = 1_000.0
"""Milliseconds until it is looked whether there still are any elements."""
_encode: Final = msgspec.json.Encoder().encode
_numbers: Final = itertools.count(1)
"""One for each question, so that what one has found is never taken for another's."""


def _load(name: str) -> str:
    """A program without what is for its readers alone: it goes along with each question, and with each new context."""
    text = importlib.resources.files(__package__).joinpath(name).read_text("utf-8").rstrip().rstrip(";")
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


_QUESTIONS: Final = _load("isolated_world.js")
FUNCTION: Final = """async function (key, isNew, name, argument) {
  if (isNew) globalThis.sidecar = key;
  return globalThis.sidecar === key ? JSON.stringify((await (QUESTIONS)[name](argument)) ?? null) : null;
}""".replace("QUESTIONS", _QUESTIONS)
"""The answer as JSON text, in a world that a key marks as ours; null in another one.

The text is always the same: the browser has compiled it after the first page of a site.
"""


@dataclass(frozen=True, slots=True)
class Sought:
    """One selector, looked for in whatever another one has found (`within`), or in the document."""

    number: int
    selector: str
    name: str
    """What errors call it."""
    all: bool = False
    """Whether more than the first of what it finds counts."""
    within: "Sought | None" = None


async def teach(playwright: Playwright) -> None:
    """Lets all pages of a driver be asked."""
    await playwright.selectors.register(_NAME, f"({_load('engine.js')})({_QUESTIONS})", content_script=True)


def decode(answer: str) -> Any:
    """The value of an answer."""
    return lenient_json.decode(msgspec.json.decode, answer)


async def ask(page: Page | Frame, name: str, argument: Any = None) -> str:
    """The answer as JSON text. Raises Playwright's errors."""
    return await _answer(page, _verb("ask", next(_numbers), name, argument))


async def ask_of_found(page: Page, sought: Sequence[Sought], name: str, argument: Any) -> str:
    """The answer to a question about what these selectors find, in Playwright's meaning, open shadow roots included.

    Raises Playwright's errors, and BadSelector.
    """
    number = next(_numbers)
    clauses = (f"internal:or={_quoted(_clause(number, one))}" for one in sought)
    try:
        return await _answer(page, _chain(_verb("begin", number), *clauses, _verb("give", number, name, argument)))
    except PlaywrightError:
        for one in sought:
            await _check(page, one)
        raise


async def inner_texts(locator: Locator) -> list[str | None]:
    """What each element that is found shows; null for those that are not HTML. Raises Playwright's errors."""
    texts: list[str | None] = await _ask_of_all(locator, "inner")
    return texts


async def text_contents(locator: Locator) -> list[str]:
    """The text of each element that is found. Raises Playwright's errors."""
    texts: list[str] = await _ask_of_all(locator, "content")
    return texts


async def options(locator: Locator) -> list[tuple[int, list[tuple[str, str]]]]:
    """Of each box that is found how many options it has, and value and label of the first short ones.

    Raises Playwright's errors.
    """
    found: list[tuple[int, list[tuple[str, str]]]] = await _ask_of_all(locator, "options")
    return found


async def status(page: Page) -> int | None:
    """HTTP status of the document, as the browser noted it; None where there is none. Raises Playwright's errors."""
    told = decode(await ask(page, "status"))
    return told if isinstance(told, int) else None


async def title(page: Page | Frame) -> str:
    """The document's title. Raises Playwright's errors."""
    return str(decode(await ask(page, "title")))


async def _ask_of_all(locator: Locator, name: str) -> Any:
    while await locator.count():
        number = next(_numbers)
        asked = locator.locator(_chain(_verb("gather", number), _verb("tell", number, name)))
        with contextlib.suppress(PlaywrightTimeout):  # they are gone meanwhile
            return decode(await asked.text_content(timeout=_PATIENCE) or "null")
    return []


class BadSelector(PlaywrightError):
    """A selector that Playwright does not take."""

    def __init__(self, sought: Sought, reason: str) -> None:
        super().__init__(reason)
        self.field = sought.name


async def _answer(page: Page | Frame, selector: str) -> str:
    # the job's own limits end it; Playwright asks again where the page goes away under the question
    return await page.text_content(selector, timeout=0) or "null"


async def _check(page: Page, sought: Sought) -> None:
    try:
        await page.locator(_chain("css=:root", f"internal:chain={_quoted(sought.selector)}")).count()
    except PlaywrightError as error:
        raise BadSelector(sought, error.message) from None


def _clause(number: int, sought: Sought) -> str:
    chained = f"internal:chain={_quoted(sought.selector)}"
    found = _chain(_verb("row", number, sought.number), chained, _verb("take", number, sought.number))
    if sought.within is None:
        return found
    rows = _verb("rows", number, sought.within.number, sought.within.all)
    return _chain(rows, f"internal:has={_quoted(found)}")


def _chain(*parts: str) -> str:
    return " >> ".join(parts)


def _verb(*words: Any) -> str:
    return f"{_NAME}={quote(_encode(words), safe='')}"


def _quoted(selector: str) -> str:
    return _encode(selector).decode()
