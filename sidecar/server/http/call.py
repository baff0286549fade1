"""One request as routes see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from sidecar_protocol import codec
from sidecar_protocol.codec import NotJson
from sidecar_protocol.errors import ErrorCode

from sidecar.server.http.bodies import HeldBody
from sidecar.server.http.gateway import Gateway
from sidecar.server.http.refusals import Refused

JSON = "application/json"
MAX_PARAMETERS = 100


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be answered: its path, its query, its body, and the way to the dispatcher."""

    request: web.BaseRequest
    parameters: Mapping[str, str]
    """The variable parts of its path."""
    query_text: str
    body: HeldBody
    gateway: Gateway

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; of several with one name, the last. Raises Refused."""
        try:
            return dict(
                parse_qsl(self.query_text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
            )
        except (ValueError, UnicodeError):
            raise Refused.because(ErrorCode.INVALID_REQUEST, "the query can't be read") from None

    async def read(self) -> bytes:
        """The body. Raises Refused."""
        return await self.body.read(self.request)

    async def json(self) -> Any:
        """The body as values. Raises Refused: `parse_error`."""
        return parsed(await self.read())


def parsed(body: bytes) -> Any:
    """JSON as values. Raises Refused: `parse_error`, which quotes nothing of it."""
    try:
        if not body.isascii():
            body.decode()
        return codec.plain(body)
    except UnicodeDecodeError:
        raise Refused.because(ErrorCode.PARSE_ERROR, "the body is not UTF-8") from None
    except NotJson as wrong:
        raise Refused.because(ErrorCode.PARSE_ERROR, f"the body is not JSON: {wrong}") from None


def json_response(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer whose body is JSON."""
    return web.Response(status=status, body=body, content_type=JSON, headers=headers)
