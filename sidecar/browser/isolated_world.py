"""Queries a page in an isolated JavaScript world, out of reach of the page's scripts.

`isolated_world.js` holds the queries. Chromium is asked by its own protocol (`cdp`); any page can be asked by
Playwright, which uses `engine.js` as a selector engine, and so makes its own selectors available in there.
"""

import contextlib
import importlib.resources
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Frame, Locator, Page, Playwright
from playwright.async_api import TimeoutError as PlaywrightTimeout
from sidecar_protocol.encoding import encode

from sidecar.browser import lenient_json

_NAME: Final = "sidecar"
_RECHECK_MS: Final = 1_000.0
"""Milliseconds until the query is repeated if no element matches."""
ELEMENT_READS: Final = {
    "inner_text": "inner",
    "inner_html": "html",
    "text_content": "content",
    "get_attribute": "attribute",
}
"""Playwright's methods that read one element, and the function of `isolated_world.js` that does the same."""
_CONTROL: Final = "ref: <Node>"
"""Playwright's text for an element in place of a text."""
_HIDDEN_MEMBER: Final = ("Node is not an HTMLElement", "is not a function")
"""Playwright's errors if such an element hides a member that it uses."""
_numbers: Final = itertools.count(1)
"""One for each query, so that elements of one are never taken for another's."""


def _load(name: str) -> str:
    """The source without comments: it is sent with each query, and to each new context."""
    text = importlib.resources.files(__package__).joinpath(name).read_text("utf-8").rstrip().rstrip(";")
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


_FUNCTIONS: Final = _load("isolated_world.js")
FUNCTION: Final = """async function (key, isNew, name, argument) {
  if (isNew) globalThis.sidecar = key;
  return globalThis.sidecar === key ? JSON.stringify((await (QUESTIONS)[name](argument)) ?? null) : null;
}""".replace("QUESTIONS", _FUNCTIONS)
"""The answer as JSON text, in a world that a key marks as ours; null in any other.

The text never changes, so the browser compiles it once for a site.
"""


@dataclass(frozen=True, slots=True)
class ElementQuery:
    """One selector, matched within the elements of another one (`within`), or in the document."""

    number: int
    selector: str
    name: str
    """The query's name in errors."""
    all: bool = False
    """Whether all matches count, or only the first."""
    within: "ElementQuery | None" = None


async def register_engine(playwright: Playwright) -> None:
    """Registers the engine with a driver, for all its pages."""
    await playwright.selectors.register(_NAME, f"({_load('engine.js')})({_FUNCTIONS})", content_script=True)


def decode_result(answer: str) -> Any:
    """The value of an answer."""
    return lenient_json.decode(answer)


async def call(page: Page | Frame, name: str, argument: Any = None) -> str:
    """The answer as JSON text. Raises Playwright's errors."""
    return await _read_result(page, _command("ask", next(_numbers), name, argument))


async def call_with_elements(page: Page, sought: Sequence[ElementQuery], name: str, argument: Any) -> str:
    """Runs a query on the elements that these selectors match by Playwright's rules, open shadow roots included.

    Raises Playwright's errors, and InvalidSelector.
    """
    number = next(_numbers)
    clauses = (f"internal:or={_quoted(_query_selector(number, one))}" for one in sought)
    try:
        return await _read_result(
            page, _chain(_command("begin", number), *clauses, _command("give", number, name, argument))
        )
    except PlaywrightError:
        for one in sought:
            await _check_selector(page, one)
        raise


async def inner_texts(locator: Locator) -> list[str | None]:
    """The rendered text of each match; null for elements that are not HTML. Raises Playwright's errors."""
    texts: list[str | None] = await _call_for_all(locator, "inner")
    return texts


async def text_contents(locator: Locator) -> list[str]:
    """The text content of each match. Raises Playwright's errors."""
    texts: list[str] = await _call_for_all(locator, "content")
    return texts


async def options(locator: Locator) -> list[tuple[int, list[tuple[str, str]]]]:
    """The options of each select box: their number, and value and label of the first short ones.

    Raises Playwright's errors.
    """
    found: list[tuple[int, list[tuple[str, str]]]] = await _call_for_all(locator, "options")
    return found


async def status(page: Page) -> int | None:
    """The document's HTTP status, as the browser recorded it; None if it has none. Raises Playwright's errors."""
    status = decode_result(await call(page, "status"))
    return status if isinstance(status, int) else None


async def read_element(target: Page | Frame | Locator, method: str, given: dict[str, Any]) -> str | None:
    """The result of Playwright's method of this name, one of `ELEMENT_READS`, for an element.

    A control in a form hides the form's member of its name (`<input name=innerText>`), of which Playwright reads the
    control; that is read again here. Raises Playwright's errors.
    """
    locator = target if isinstance(target, Locator) else target.locator(given["selector"]).first
    failure: PlaywrightError | None = None
    value: str | None = _CONTROL
    try:
        value = await getattr(target, method)(**given)
    except PlaywrightError as error:
        if not any(words in error.message for words in _HIDDEN_MEMBER):
            raise
        failure = error
    if value != _CONTROL:
        return value
    texts: list[str | None] = await _call_for_all(locator, ELEMENT_READS[method], given.get("name"))
    if texts and (failure is None or texts[0] is not None):
        return texts[0]
    if failure:
        raise failure
    return value


async def _call_for_all(locator: Locator, name: str, argument: Any = None) -> Any:
    while await locator.count():
        number = next(_numbers)
        asked = locator.locator(_chain(_command("gather", number), _command("tell", number, name, argument)))
        with contextlib.suppress(PlaywrightTimeout):  # they are gone
            return decode_result(await asked.text_content(timeout=_RECHECK_MS) or "null")
    return []


class InvalidSelector(PlaywrightError):
    """A selector that Playwright rejects."""

    def __init__(self, sought: ElementQuery, reason: str) -> None:
        super().__init__(reason)
        self.field = sought.name


async def _read_result(page: Page | Frame, selector: str) -> str:
    # the job's limits end it; Playwright repeats the query if the page navigates meanwhile
    return await page.text_content(selector, timeout=0) or "null"


async def _check_selector(page: Page, sought: ElementQuery) -> None:
    try:
        await page.locator(_chain("css=:root", f"internal:chain={_quoted(sought.selector)}")).count()
    except PlaywrightError as error:
        raise InvalidSelector(sought, error.message) from None


def _query_selector(number: int, sought: ElementQuery) -> str:
    chained = f"internal:chain={_quoted(sought.selector)}"
    found = _chain(_command("row", number, sought.number), chained, _command("take", number, sought.number))
    if sought.within is None:
        return found
    rows = _command("rows", number, sought.within.number, sought.within.all)
    return _chain(rows, f"internal:has={_quoted(found)}")


def _chain(*parts: str) -> str:
    return " >> ".join(parts)


def _command(*words: Any) -> str:
    return f"{_NAME}={quote(encode(words), safe='')}"


def _quoted(selector: str) -> str:
    return encode(selector).decode()
