"""Which addresses a job may open."""

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Request
from sidecar_protocol.nearest_name import nearest

from sidecar.errors import InvalidContent

_HOST: Final = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63}){1,4}/?", re.IGNORECASE)
AllowsUrl = Callable[[str], bool]
"""Whether a page may be opened."""


def is_document_request(request: Request) -> bool:
    """Whether it asks for the document of a page or of a frame."""
    # Firefox calls an <object>'s or an <embed>'s request a navigation of its page, but not of its document
    return request.is_navigation_request() and request.resource_type == "document"


def is_page_navigation(request: Request) -> bool:
    """Whether it asks for a page's own document, and not for something within a page."""
    if not is_document_request(request):
        return False
    try:
        return request.frame.parent_frame is None
    except PlaywrightError:
        return True  # the first request of a popup, whose page is not there yet


def _host_like(url: str) -> str:
    """What was written, if it looks like a host and nothing in it may be secret."""
    return url if _HOST.fullmatch(url) else "shop.example"


def check_url(url: str, field: str, *, files: bool = False) -> None:
    """Lets http, https, data: and about:blank pass, with `files` file: too. Raises InvalidContent for the rest."""
    if url != url.strip() or any(ord(letter) < 0x20 for letter in url):
        raise InvalidContent(f"{field}: a URL holds no spaces or control characters at its ends", field)
    lowered = url.lower()
    if lowered.startswith("data:") or lowered.partition("#")[0] == "about:blank":
        return
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme, parts.hostname
        parts.port  # noqa: B018 - reading it checks it
    except ValueError as wrong:
        raise InvalidContent(f"{field}: not a URL: {wrong}", field) from None
    if scheme == "file" and files and not host:
        return
    if scheme not in ("http", "https"):
        raise InvalidContent(f"{field}: {_refusal(url, scheme, host)}", field)
    if not host:
        raise InvalidContent(f"{field}: the URL names no host; write one, as in {scheme}://shop.example/", field)


def _refusal(url: str, scheme: str, host: str | None) -> str:
    """The sentence on a URL of another scheme, or without one."""
    files = "a file of this machine can be opened only with SIDECAR_ALLOW_FILE_URLS=true, as file:///folder/page.html"
    if scheme == "file" and host:
        return "a file: URL has three slashes and no host, as in file:///folder/page.html"
    if scheme == "file":
        return f"file: URLs are refused; {files}"
    if len(scheme) == 1 or url.startswith(("/", "./", "../", "~")):
        return f"this is a path; {files}"
    if url.lower().startswith(("http//", "https//", "http/", "https/")):
        return "a colon is missing after the scheme; write https://shop.example/"
    if near := nearest(scheme, ("http", "https")) if scheme else "":
        return f"{scheme}: is no known scheme; did you mean {near}:?"
    what = f"{scheme}: URLs are refused" if scheme else f"a URL begins with its scheme, as in https://{_host_like(url)}"
    return f"{what}; http, https, data: and about:blank can be opened"
