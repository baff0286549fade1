"""What is taken from a page: the whole mapping in one round trip, together with the page's title."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from playwright.async_api import Page

from protocol.jobs import Field, WaitUntil
from sidecar.browser import surrogates
from sidecar.browser.devtools import Devtools
from sidecar.browser.profiles.capture import PageStorage

# Values go both ways as JSON text: far cheaper than the driver's own serialization of thousands of rows.
# Old Prototype.js gives arrays a toJSON of its own that would turn them into strings.
_READ: Final = """([wanted, storage]) => {
  const read = (root, field) => {
    const spec = typeof field === "string" ? { selector: field } : field;
    if (spec.all) return Array.from(root.querySelectorAll(spec.selector), (found) => value(found, spec));
    const found = root.querySelector(spec.selector);
    return found === null ? null : value(found, spec);
  };
  const value = (element, spec) => {
    if (spec.fields) return readAll(element, spec.fields);
    if (spec.attribute) return element.getAttribute(spec.attribute);
    return (element.innerText ?? element.textContent ?? "").trim();
  };
  const readAll = (root, fields) => {
    const values = Object.create(null);
    for (const [name, field] of Object.entries(fields)) {
      try {
        values[name] = read(root, field);
      } catch (error) {
        if (error instanceof BadField) throw error;
        throw new BadField(name, error.message);
      }
    }
    return values;
  };
  class BadField extends Error {
    constructor(field, reason) { super(reason); this.field = field; }
  }
  const stringify = (value) => {
    const toJSON = Object.getOwnPropertyDescriptor(Array.prototype, "toJSON");
    if (toJSON?.configurable) delete Array.prototype.toJSON;
    try {
      return JSON.stringify(value);
    } finally {
      if (toJSON?.configurable) Object.defineProperty(Array.prototype, "toJSON", toJSON);
    }
  };
  const look = () => {
    const state = document.readyState;
    const title = typeof document.title === "string" ? document.title
      : document.querySelector("title")?.textContent ?? "";
    try {
      return { title, state, values: wanted === null ? null : readAll(document, JSON.parse(wanted)) };
    } catch (error) {
      if (!(error instanceof BadField)) throw error;
      return { title, state, field: error.field, reason: error.message };
    }
  };
  const stored = async () => {
    const { origin } = location;
    const local = Object.keys(localStorage).map((name) => ({ name, value: localStorage.getItem(name) }));
    return { origin, local, databases: (await indexedDB.databases()).length };
  };
  const seen = look();
  if (!storage) return stringify(seen);
  const late = new Promise((done) => setTimeout(done, 500, null));
  return Promise.race([stored().catch(() => null), late]).then((storage) => stringify({ ...seen, storage }));
}"""


_UNREADY: Final[dict[WaitUntil, tuple[str, ...]]] = {
    "load": ("loading", "interactive"),
    "networkidle": ("loading", "interactive"),
    "domcontentloaded": ("loading",),
}
"""States of a document for which a step still waits."""


class Reading(msgspec.Struct, frozen=True):
    """A page's title and what was taken from it."""

    title: str
    state: str
    """The document's `readyState`."""
    values: dict[str, Any] | None = None
    field: str | None = None
    """The name of a field whose selector is wrong; then there are no values."""
    reason: str | None = None
    storage: PageStorage | None = None
    """Where it was asked for, and where the page could tell."""

    def is_of_loaded(self, wait_until: WaitUntil) -> bool:
        """Whether the document had come as far as a step waits for."""
        return self.state not in _UNREADY.get(wait_until, ())


_decode = msgspec.json.Decoder(Reading).decode


def compile_extract(wanted: Mapping[str, str | Field] | None) -> str | None:
    """The mapping as the JSON text that the page reads."""
    return None if wanted is None else msgspec.json.encode(wanted).decode()


async def read(page: Page, devtools: Devtools, wanted: str | None, *, storage: bool = False) -> Reading:
    """Takes title and values from the page as it is now, and with `storage` what its origin stores.

    Raises Playwright's errors.
    """
    return surrogates.decode(_decode, await devtools.evaluate(page, _READ, [wanted, storage]))
