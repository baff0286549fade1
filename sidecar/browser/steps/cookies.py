"""The cookies of a job: checks, and setting them."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from playwright.async_api import BrowserContext
from playwright.async_api import Error as PlaywrightError
from sidecar_protocol.jobs import Cookie

from sidecar.browser import playwright_errors
from sidecar.errors import InvalidContent

_MAX_BYTES: Final = 4_096
"""Bytes of name and value in total."""
_MAX_ATTRIBUTE_BYTES: Final = 1_024
"""Bytes of a domain or path."""
_MAX_SHOWN_CHARS: Final = 100
"""Characters of a name that an error repeats."""
_MILLISECONDS_FROM: Final = 1e11
"""The year 5138 in seconds, and 1973 in milliseconds."""
_HOST: Final = re.compile(r"\.?(\[[0-9A-Fa-f:.]+\]|[^\s/?#@:*%\[\]\\]+)")
_IN_URL: Final = re.compile(r"\s*(?:[A-Za-z][A-Za-z0-9+.-]*:)?//(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)")


def cookie_errors(
    cookies: Sequence[Cookie], is_suffix: Callable[[str], bool], first: int = 0
) -> Iterator[InvalidContent]:
    """Finds cookies that browsers refuse; `is_suffix` says whether a host name is a public suffix.

    `first` is the index of the first one.

    Each error names the cookie, its field and the way out, but not its value.
    """
    for index, cookie in enumerate(cookies, first):
        found = _cookie_error(cookie, is_suffix)
        if found:
            field, said = found
            place = f"cookies[{index}].{field}"
            yield InvalidContent(f"{place}: the cookie{_quoted_name(cookie)} can't be set: {said}", place)


def _cookie_error(cookie: Cookie, is_suffix: Callable[[str], bool]) -> tuple[str, str] | None:
    name, value = cookie.name, cookie.value.reveal()
    if _has_forbidden_chars(name) or "=" in name:
        return "name", "its name has a control character, `;`, `=`, or a blank at an end"
    if _has_forbidden_chars(value):
        return "value", "its value has a control character, `;`, or a blank at an end; such letters are written as %3B"
    if len(name.encode()) + len(value.encode()) > _MAX_BYTES:
        return "value", f"name and value have more than {_MAX_BYTES} bytes together"
    if (
        not cookie.path.startswith("/")
        or len(cookie.path.encode()) > _MAX_ATTRIBUTE_BYTES
        or _has_forbidden_chars(cookie.path)
    ):
        return (
            "path",
            f"a path begins with / and has at most {_MAX_ATTRIBUTE_BYTES} bytes, without control characters or `;`",
        )
    return _prefix_error(cookie) or _domain_error(cookie.domain, is_suffix)


def _prefix_error(cookie: Cookie) -> tuple[str, str] | None:
    prefix = cookie.name.lower()
    if prefix.startswith(("__secure-", "__host-")) and not cookie.secure:
        return "secure", "a name that begins with __Secure- or __Host- needs secure: true"
    if prefix.startswith("__host-") and cookie.path != "/":
        return "path", "a name that begins with __Host- needs the path /"
    if prefix.startswith("__host-") and cookie.domain.startswith("."):
        return "domain", "a name that begins with __Host- needs a domain without a dot before it"
    return None


def _domain_error(domain: str, is_suffix: Callable[[str], bool]) -> tuple[str, str] | None:
    url = _IN_URL.match(domain)
    if url:
        host = url[1] if 0 < len(url[1]) < _MAX_SHOWN_CHARS else "example.com"
        return "domain", f"this is a URL; write the host name alone: {host}"
    if not _HOST.fullmatch(domain) or len(domain.encode()) > _MAX_ATTRIBUTE_BYTES:
        said = "a domain is a host name, as in example.com, or .example.com for those below it too: no port, no path"
        return "domain", said
    if domain.startswith(".") and is_suffix(domain[1:].lower()):
        return "domain", "this is a public suffix, for which browsers reject cookies"
    return None


def _quoted_name(cookie: Cookie) -> str:
    return f" {cookie.name!r}" if len(cookie.name) < _MAX_SHOWN_CHARS else ""


def _has_forbidden_chars(text: str) -> bool:
    return text != text.strip() or any(letter < " " or letter in ";\x7f" for letter in text)


async def set_cookies(context: BrowserContext, cookies: Sequence[Cookie]) -> None:
    """Sets cookies. Raises InvalidContent if the browser refuses one, and BrowserCrashed."""
    if not cookies:
        return
    try:
        await context.add_cookies([_cookie(cookie) for cookie in cookies])
    except PlaywrightError as error:
        if playwright_errors.is_closed(error):
            raise playwright_errors.to_crash(error) from None
        await _raise_for_rejected(context, cookies)
        raise InvalidContent("cookies: the browser rejects these cookies together", "cookies") from None


async def _raise_for_rejected(context: BrowserContext, cookies: Sequence[Cookie]) -> None:
    """Raises InvalidContent for the first cookie that is refused, and BrowserCrashed."""
    for index, cookie in enumerate(cookies):
        try:
            await context.add_cookies([_cookie(cookie)])
        except PlaywrightError as error:
            if playwright_errors.is_closed(error):
                raise playwright_errors.to_crash(error) from None
            place = f"cookies[{index}]"
            raise InvalidContent(f"{place}: the browser rejects the cookie{_quoted_name(cookie)}", place) from None


def _cookie(cookie: Cookie) -> Any:
    given = {
        "name": cookie.name,
        "value": cookie.value.reveal(),
        "domain": cookie.domain,
        "path": cookie.path,
        "expires": _seconds(cookie.expires),
        "httpOnly": cookie.http_only,
        "secure": cookie.secure,
        "sameSite": cookie.same_site,
    }
    return {name: value for name, value in given.items() if value is not None}


def _seconds(expires: float | None) -> float | None:
    return expires / 1000 if expires is not None and expires > _MILLISECONDS_FROM else expires
