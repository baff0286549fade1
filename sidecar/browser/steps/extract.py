"""Extracts data from a page: all fields and the title in one round trip."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Required, TypedDict

from playwright.async_api import Page
from sidecar_protocol.jobs import Field, WaitUntil
from sidecar_protocol.models import Model

from sidecar.browser import isolated_world, lenient_json
from sidecar.browser.cdp import CdpClient
from sidecar.browser.isolated_world import ElementQuery
from sidecar.browser.profiles.storage_observer import PageStorage
from sidecar.browser.steps.css_selectors import to_native_css
from sidecar.browser.steps.extract_values import has_types

_UNREADY: Final[dict[WaitUntil, tuple[str, ...]]] = {
    "load": ("loading", "interactive"),
    "networkidle": ("loading", "interactive"),
    "domcontentloaded": ("loading",),
}
"""The states in which a document is not loaded enough for a step's `wait_until`."""


class PageReading(Model):
    """A page's title and extracted values."""

    title: str
    state: str
    """The document's `readyState`."""
    values: dict[str, Any] | None = None
    pierced: bool = False
    """Whether no values were read because the page has open shadow roots, which only Playwright's selectors reach."""
    storage: PageStorage | None = None
    """If requested, and if the page could be asked."""

    def is_of_loaded(self, wait_until: WaitUntil) -> bool:
        """Whether the document had reached the state that a step waits for."""
        return self.state not in _UNREADY.get(wait_until, ())


class _FieldQuery(TypedDict, total=False):
    """A field in the form that `isolated_world.js` reads."""

    n: Required[int]
    """The number of its query."""
    css: Required[str | None]
    """CSS for the browser; None if the selector needs Playwright."""
    attribute: str
    all: bool
    type: str
    fields: "list[tuple[str, _FieldQuery]]"


@dataclass(frozen=True, slots=True)
class ExtractPlan:
    """The compiled `extract` of a step."""

    fields: list[tuple[str, _FieldQuery]]
    queries: tuple[ElementQuery, ...]
    """All selectors, outer ones first."""
    is_native: bool
    """Whether the browser itself supports all of them."""
    typed: Mapping[str, str | Field] | None = None
    """The fields as they were given, if one of them has a type, a default, or is required."""


def compile_extract(mapping: Mapping[str, str | Field] | None) -> ExtractPlan | None:
    """Compiles the `extract` of a step."""
    if mapping is None:
        return None
    queries: list[ElementQuery] = []
    fields = _compile(mapping, None, queries)
    known = all(to_native_css(one.selector) for one in queries)
    return ExtractPlan(fields, tuple(queries), known, mapping if has_types(mapping) else None)


def _compile(
    mapping: Mapping[str, str | Field], within: ElementQuery | None, queries: list[ElementQuery]
) -> list[tuple[str, _FieldQuery]]:
    fields = []
    for name, given in mapping.items():
        field = Field(selector=given) if isinstance(given, str) else given
        path = f"{within.name}.{name}" if within else name
        one = ElementQuery(len(queries), field.selector, path, field.all, within)
        queries.append(one)
        asked = _FieldQuery(n=one.number, css=to_native_css(field.selector, nested=within is not None))
        if field.attribute is not None:
            asked["attribute"] = field.attribute
        if field.all:
            asked["all"] = True
        if field.type in ("url", "table", "date"):
            asked["type"] = field.type
        if field.fields is not None:
            asked["fields"] = _compile(field.fields, one, queries)
        fields.append((name, asked))
    return fields


async def read_page(page: Page, cdp: CdpClient, plan: ExtractPlan | None, *, storage: bool = False) -> PageReading:
    """Reads title and values of the page in its current state, and with `storage` the storage of its origin.

    Raises Playwright's errors, and InvalidSelector.
    """
    asked = {"fields": plan.fields if plan else None, "storage": storage}
    if plan is None or plan.is_native:
        reading = lenient_json.read(PageReading, await cdp.call(page, "look", asked))
        if plan is None or not reading.pierced:
            return reading
    return lenient_json.read(PageReading, await isolated_world.call_with_elements(page, plan.queries, "look", asked))
