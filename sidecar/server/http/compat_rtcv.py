"""Routes of RT-CV scraper client v2, for scrapers that it would have started. Errors are plain text."""

import base64
from typing import Final

from aiohttp import web
from sidecar_protocol import codec
from sidecar_protocol.cv_documents import PDF
from sidecar_protocol.cvs import with_zip_codes
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode
from sidecar_protocol.wire_types import Raw

from sidecar.rtcv.scraper_env import EnvError
from sidecar.server.http.call import Call, json_response
from sidecar.server.http.multipart_form import parts_of
from sidecar.server.http.refusals import Refused
from sidecar.server.http.route_table import ANY, HttpRoute
from sidecar.server.scraper_logins import ScraperLogins
from sidecar.settings import SettingsError

_TRUE: Final = b"true"
_FALSE: Final = b"false"
_REQUEST_ERRORS: Final = frozenset({400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503})
"""Statuses that stay; a server's failure is 500, as that client has it."""


class RtcvRoutes:
    """The table of that client."""

    def __init__(self, logins: ScraperLogins) -> None:
        """`logins` are those that the server keeps for the scraper."""
        self._logins = logins

    def routes(self) -> list[HttpRoute]:
        """Each takes any method."""
        table = {
            "/send_cv": self.send_cv,
            "/send_full_cv": self.send_full_cv,
            "/cvs_list": self.cvs_list,
            "/users": self.list_users,
            "/set_cached_reference": self.set_cached_reference,
            "/set_short_cached_reference": self.set_short_cached_reference,
            "/get_cached_reference": self.get_cached_reference,
            "/server_request": self.not_implemented,
            "/server_response": self.not_implemented,
        }
        return [HttpRoute(ANY, path, handler, plain_text) for path, handler in table.items()]

    async def send_cv(self, call: Call) -> web.Response:
        """`true` once it is sent, `false` where its reference is remembered."""
        return await _sent(call, "send_cv", await call.read())

    async def send_full_cv(self, call: Call) -> web.Response:
        """A form with `metadata` and the file `cv`."""
        parts = parts_of(await call.read(), call.request.headers.get("Content-Type", ""))
        for name in ("metadata", "cv"):
            if name not in parts:
                raise Refused.because(ErrorCode.INVALID_CONTENT, f"{name} is required in the form")
        document = parts["cv"]
        content = {
            "metadata": _raw(parts["metadata"].content),
            "cv": base64.b64encode(document.content).decode(),
            "content_type": document.content_type or PDF,
        }
        return await _sent(call, "send_full_cv", encode(content))

    async def cvs_list(self, call: Call) -> web.Response:
        """Those with a usable zip code are sent, each reference once."""
        body = await call.read()
        try:
            body.decode()
            usable = with_zip_codes(body)
        except (ValueError, RecursionError):
            raise Refused.because(ErrorCode.PARSE_ERROR, "the body is not JSON") from None
        await call.gateway.ask("send_cvs_list", usable)
        return json_response(_TRUE)

    async def list_users(self, call: Call) -> web.Response:
        """The scraper's logins."""
        if self._logins.are_mocked:
            return json_response((await call.gateway.send("get_users_secret", {})).raw)
        call.gateway.check_room("get_users_secret")
        try:
            return json_response(encode(list(await self._logins.fetch())))
        except (EnvError, SettingsError) as wrong:
            raise Refused.because(ErrorCode.INTERNAL, str(wrong)) from None

    async def set_cached_reference(self, call: Call) -> web.Response:
        """Remembered for three days."""
        return await _remembered(call, "set_cached_reference")

    async def set_short_cached_reference(self, call: Call) -> web.Response:
        """Remembered for twelve hours."""
        return await _remembered(call, "set_short_cached_reference")

    async def get_cached_reference(self, call: Call) -> web.Response:
        """`true` or `false`."""
        return json_response((await call.gateway.send("has_cached_reference", await _text(call))).raw)

    async def not_implemented(self, _: Call) -> web.Response:
        """A server's websocket, which the sidecar does not hold."""
        message = "requests of the server are not handed on: the sidecar holds no websocket to it"
        raise Refused.because(ErrorCode.INVALID_REQUEST, message, 501)


def plain_text(refused: Refused) -> web.Response:
    """An error as that client writes it."""
    status = refused.status if refused.status in _REQUEST_ERRORS or refused.status == 501 else 500
    return web.Response(status=status, text=refused.message, headers=refused.headers)


def unknown_path(refused: Refused) -> web.Response:
    """What that client says of a path that it has not."""
    if refused.status != 404:
        return plain_text(refused)
    return web.Response(status=404, text="404 not found")


async def _sent(call: Call, kind: str, content: bytes) -> web.Response:
    answer = await call.gateway.ask(kind, content)
    return json_response(_FALSE if answer.raw == b"null" else _TRUE)


async def _remembered(call: Call, kind: str) -> web.Response:
    await call.gateway.send(kind, await _text(call))
    return json_response(_TRUE)


async def _text(call: Call) -> str:
    """The body as plain text. Raises Refused."""
    try:
        return (await call.read()).decode()
    except UnicodeDecodeError:
        raise Refused.because(ErrorCode.PARSE_ERROR, "the reference is not UTF-8") from None


def _raw(text: bytes) -> Raw:
    try:
        text.decode()
        return codec.raw(text)
    except ValueError:
        raise Refused.because(ErrorCode.PARSE_ERROR, "metadata is not JSON") from None
