"""What is taken from a page: the whole mapping in one round trip, together with the page's title."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from playwright.async_api import Page
from sidecar_protocol.jobs import Field, WaitUntil

from sidecar.browser import isolated_world, lenient_json
from sidecar.browser.cdp import CdpClient
from sidecar.browser.isolated_world import ElementQuery
from sidecar.browser.profiles.storage_observer import PageStorage
from sidecar.browser.steps.css_selectors import to_native_css

_UNREADY: Final[dict[WaitUntil, tuple[str, ...]]] = {
    "load": ("loading", "interactive"),
    "networkidle": ("loading", "interactive"),
    "domcontentloaded": ("loading",),
}
"""States of a document for which a step still waits."""


class PageReading(msgspec.Struct, frozen=True):
    """A page's title and what was taken from it."""

    title: str
    state: str
    """The document's `readyState`."""
    values: dict[str, Any] | None = None
    pierced: bool = False
    """There are no values: the page has open shadow roots, into which Playwright's selectors alone look."""
    storage: PageStorage | None = None
    """Where it was asked for, and where the page could tell."""

    def is_of_loaded(self, wait_until: WaitUntil) -> bool:
        """Whether the document had come as far as a step waits for."""
        return self.state not in _UNREADY.get(wait_until, ())


_decode = msgspec.json.Decoder(PageReading).decode


class _FieldQuery(msgspec.Struct, frozen=True, omit_defaults=True):
    """A field as `isolated_world.js` reads it."""

    n: int
    """Its query's number."""
    css: str | None
    """What the browser itself finds it by; None where that takes Playwright."""
    attribute: str | None = None
    all: bool = False
    fields: "list[tuple[str, _FieldQuery]] | None" = None


@dataclass(frozen=True, slots=True)
class ExtractPlan:
    """What a step wants of its page."""

    fields: list[tuple[str, _FieldQuery]]
    queries: tuple[ElementQuery, ...]
    """All its selectors, outer ones first."""
    is_native: bool
    """Whether the browser itself knows them all."""


def compile_extract(mapping: Mapping[str, str | Field] | None) -> ExtractPlan | None:
    """The mapping, ready to be read."""
    if mapping is None:
        return None
    queries: list[ElementQuery] = []
    fields = _compile(mapping, None, queries)
    known = all(to_native_css(one.selector) for one in queries)
    return ExtractPlan(fields, tuple(queries), known)


def _compile(
    mapping: Mapping[str, str | Field], within: ElementQuery | None, queries: list[ElementQuery]
) -> list[tuple[str, _FieldQuery]]:
    fields = []
    for name, given in mapping.items():
        field = Field(selector=given) if isinstance(given, str) else given
        path = f"{within.name}.{name}" if within else name
        one = ElementQuery(len(queries), field.selector, path, field.all, within)
        queries.append(one)
        inner = None if field.fields is None else _compile(field.fields, one, queries)
        css = to_native_css(field.selector, nested=within is not None)
        fields.append((name, _FieldQuery(one.number, css, field.attribute, field.all, inner)))
    return fields


async def read_page(page: Page, cdp: CdpClient, plan: ExtractPlan | None, *, storage: bool = False) -> PageReading:
    """Takes title and values from the page as it is now, and with `storage` what its origin stores.

    Raises Playwright's errors, and InvalidSelector.
    """
    asked = {"fields": plan.fields if plan else None, "storage": storage}
    if plan is None or plan.is_native:
        reading = lenient_json.decode(_decode, await cdp.call(page, "look", asked))
        if plan is None or not reading.pierced:
            return reading
    return lenient_json.decode(_decode, await isolated_world.call_with_elements(page, plan.queries, "look", asked))
