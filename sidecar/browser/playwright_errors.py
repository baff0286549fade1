"""Playwright's errors -> ours: one line, typed, without its call log and without what was typed into fields."""

import re
from typing import Final
from urllib.parse import unquote, urlsplit

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from sidecar.errors import ActionFailed, BrowserCrashed, LimitExceeded, NavigationFailed, SidecarError, TimedOut
from sidecar.truncation import cap_length

_AT_URL = re.compile(r" at \S+://.*$")
_FIREFOX_ERROR = re.compile(r"about:(?:net|cert)error\?.*?\bu=([^&]*)")
_TOO_LARGE = ("the value of the page has more than ", "the file has more than ")
"""Texts of our own refusals, in `driver` and `page_actions`."""
_AWAITS_NAVIGATION = ("waiting for scheduled navigations to finish", "elementHandle.press(")
"""Lines of an action's log once Playwright waits for a navigation."""
NO_SUCH_OPTION: Final = "did not find some options"
"""A line of the log of a select box that lacks an option."""
AWAITING_NAVIGATION: Final = "the action is done, but the page that it leads to has not responded"
ERROR_PAGES: Final = ("chrome-error:", "about:neterror", "about:certerror")
"""Beginnings of the addresses of browsers' own error pages."""
_LISTED: Final = re.compile(r"^ +\d+\) (<[a-z][^>\n]{0,500}>)", re.MULTILINE)
"""An element in Playwright's list of several matches."""
_ATTRIBUTE_BUT: Final = re.compile(r""" (?!id=|class=)[^\s=>]+(?:="[^"]*")?""")
_MOST_LISTED: Final = 5
_MEANT_IN_SECONDS: Final = 200
"""Milliseconds: a smaller limit that was too short was probably meant in seconds."""
_STRICT_ADVICE: Final = "narrow the selector, or leave out `strict` to take the first match"
_NAVIGATION_ADVICE: Final = (
    ("NAME_NOT_RESOLVED", "check the host name"),
    ("UNKNOWN_HOST", "check the host name"),
    ("CONNECTION_REFUSED", "nothing listens there: check host and port"),
    ("SSL_PROTOCOL_ERROR", "the server speaks http: write http://"),
    ("ERR_CERT", 'a certificate of your own is accepted with "context": {"ignore_https_errors": true}'),
    ("UNSAFE_PORT", "browsers refuse this port"),
    ("PROXY_CONNECTION", "check `context.proxy`"),
)
"""Words of the browser's reason, and what to do."""
_CONTEXT_DESTROYED = (
    "Execution context was destroyed",
    "Cannot find context with specified id",
    "Inspected target navigated or closed",
    "Promise was collected",
)
"""Playwright's texts, and those of Chromium over CDP."""
_CLOSED = (
    "target crashed",
    "page crashed",
    "has been closed",
    "has disconnected",
    "connection closed",
    "browser closed",
    "session closed",
    "no object with guid",
)


def first_line(error: BaseException) -> str:
    """Playwright's message without the method's name and the call log; truncated only after redaction."""
    said = str(error).partition("\nCall log:")[0].strip().split("\n", 1)[0]
    method, colon, rest = said.partition(": ")
    if colon and "." in method and " " not in method:
        said = rest
    return cap_length(said.removeprefix("Error: ")) or type(error).__name__


def describe(error: PlaywrightError) -> str:
    """The error of an action, with a hint if one is known."""
    if isinstance(error, PlaywrightTimeout):
        return _describe_timeout(error)
    said = first_line(error)
    return f"{said} {_matches(error)}" if said.endswith(" elements:") else said


def _matches(error: PlaywrightError) -> str:
    """The elements that a selector has matched, by tags, ids and classes: Playwright's list also quotes their texts."""
    tags = _LISTED.findall(str(error))
    shown = ", ".join(_ATTRIBUTE_BUT.sub("", tag) for tag in tags[:_MOST_LISTED])
    return f"{shown}, …" if len(tags) > _MOST_LISTED else shown


def is_closed(error: BaseException) -> bool:
    """Whether the page, its browser or the driver is gone."""
    said = str(error).split("\n", 1)[0].lower()
    return any(words in said for words in _CLOSED)


def is_rejected(error: BaseException) -> bool:
    """Whether a context was not opened because of what was asked of it, and not because the browser is unwell."""
    said = str(error)
    return isinstance(error, PlaywrightError) and not is_closed(error) and "Protocol error" not in said


def is_context_destroyed(error: BaseException) -> bool:
    """Whether a navigation took the page away under a script, which may simply run again."""
    return any(words in str(error) for words in _CONTEXT_DESTROYED)


def is_crash(error: Exception) -> bool:
    """Whether a job ended because its browser did. A driver that died says so with a bare Exception."""
    return isinstance(error, BrowserCrashed) or (type(error) in (Exception, PlaywrightError) and is_closed(error))


def may_be_crash(error: BaseException | None) -> bool:
    """Whether a failure looks like that of a page that is just crashing: the news of it may come second."""
    return error is not None and ("ERR_ABORTED" in str(error) or is_closed(error))


def to_crash(error: BaseException, step: str | None = None) -> BrowserCrashed:
    """The page or its browser crashed during the job."""
    if isinstance(error, BrowserCrashed):
        return error
    return BrowserCrashed(f"the browser or its page crashed: {first_line(error)}", step=step)


def awaits_navigation(error: PlaywrightTimeout) -> bool:
    """Whether an action has been done, and its time has passed in waiting for the page that it leads to."""
    log = str(error).rpartition("Call log:")[2]
    return any(words in log for words in _AWAITS_NAVIGATION)


def was_aborted(failure: str) -> bool:
    """Whether a navigation was aborted: by a download, a 204 or another navigation."""
    return "ABORTED" in failure


def requested_url(url: str) -> str:
    """The address that a page was opened by, also where the browser shows a page of its own in its place."""
    shown = _FIREFOX_ERROR.match(url)
    return unquote(shown[1]) if shown else url


def without_credentials(url: str) -> str:
    """The URL without user name and password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else url


def navigation_error(
    error: PlaywrightError,
    url: str,
    step: str,
    action: str | None = None,
    *,
    addition: str = "",
    limit: int | None = None,
) -> SidecarError:
    """Why `url` could not be opened; a timeout has the addition, and advice about its limit in milliseconds."""
    url = without_credentials(url)
    if isinstance(error, PlaywrightTimeout):
        said = f"{url} took too long: {first_line(error)}{addition}"
        return TimedOut(said, url=url, step=step, action=action, hint=timeout_advice(limit))
    if is_closed(error):
        return to_crash(error, step)
    reason = _AT_URL.sub("", first_line(error))  # the browser spells it in its own way, with user and password
    advice = navigation_advice(reason)
    return NavigationFailed(f"could not open {url}: {reason}", url=url, step=step, action=action, hint=advice)


def timeout_advice(milliseconds: int | None) -> str | None:
    """What to do about a limit that was probably meant in seconds."""
    if milliseconds is None or milliseconds >= _MEANT_IN_SECONDS:
        return None
    return f"`timeout_ms` is in milliseconds: {milliseconds} seconds are {milliseconds * 1_000}"


def navigation_advice(reason: str) -> str | None:
    """What to do about a browser's reason for not opening a page."""
    return next((advice for words, advice in _NAVIGATION_ADVICE if words in reason), None)


def action_error(error: PlaywrightError, label: str, step: str, hidden: str | None = None) -> SidecarError:
    """Why an action failed; `hidden` is text that was typed and must not be repeated."""
    if is_closed(error):
        return to_crash(error, step)
    if isinstance(error, PlaywrightTimeout) and awaits_navigation(error):
        return TimedOut(f"{label}: {AWAITING_NAVIGATION}", step=step, action=label)
    said = describe(error)
    if hidden and len(hidden) > 2 and hidden in said:  # shorter ones are parts of common words
        said = "the page refused the value"
    if is_too_large(said):
        return LimitExceeded(f"{label} failed: {said}", step=step, action=label)
    strict = "strict mode violation" in said
    return ActionFailed(f"{label} failed: {said}", step=step, action=label, hint=_STRICT_ADVICE if strict else None)


def is_too_large(said: str) -> bool:
    """Whether a failure's reason is one of our own bounds of size."""
    return any(words in said for words in _TOO_LARGE)


def _describe_timeout(error: PlaywrightTimeout) -> str:
    said = str(error)
    if awaits_navigation(error):
        return f"{first_line(error)} ({AWAITING_NAVIGATION})"
    if "waiting for locator" not in said or "to be hidden" in said:
        return first_line(error)
    if NO_SUCH_OPTION in said:
        return f"{first_line(error)} (it has no such option)"
    if "locator resolved to" in said:
        return f"{first_line(error)} (the element is there, but was not ready: visible, enabled, not covered)"
    return f"{first_line(error)} (nothing matched the selector)"


def is_interrupted(error: Exception) -> bool:
    """Whether a navigation ended because another one began."""
    return "interrupted by another navigation" in str(error)
