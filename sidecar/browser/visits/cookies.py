"""The cookies that a job brings along."""

from collections.abc import Sequence
from typing import Any

from playwright.async_api import BrowserContext
from playwright.async_api import Error as PlaywrightError

from protocol.jobs import Cookie
from sidecar.browser import failures
from sidecar.errors import InvalidContent


async def set_cookies(context: BrowserContext, cookies: Sequence[Cookie]) -> None:
    """Sets them. Raises InvalidContent where the browser refuses one, and BrowserCrashed."""
    if not cookies:
        return
    try:
        await context.add_cookies([_cookie(cookie) for cookie in cookies])
    except PlaywrightError as error:
        if failures.is_dead(error):
            raise failures.crashed(error) from None
        raise InvalidContent("cookies: the browser refuses one of them", "cookies") from None


def _cookie(cookie: Cookie) -> Any:
    given = {
        "name": cookie.name,
        "value": cookie.value.reveal(),
        "domain": cookie.domain,
        "path": cookie.path,
        "expires": cookie.expires,
        "httpOnly": cookie.http_only,
        "secure": cookie.secure,
        "sameSite": cookie.same_site,
    }
    return {name: value for name, value in given.items() if value is not None}
