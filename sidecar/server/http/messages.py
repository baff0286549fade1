"""The sidecar's own routes: every message under `/v1/`, events, health."""

from typing import Final

from aiohttp import web
from sidecar_protocol import codec
from sidecar_protocol.codec import NotJson
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode
from sidecar_protocol.wire_types import Raw

from sidecar.server.http.access import Access
from sidecar.server.http.call import Call, json_response
from sidecar.server.http.event_stream import EventStream
from sidecar.server.http.refusals import Refused
from sidecar.server.http.route_table import HttpRoute
from sidecar.server.session import Session

MAX_REQUEST_ID: Final = 200
STATUS_PATH: Final = "/api/v1/job-status?id="
"""Where a job's state can be looked at with a GET."""
_RESPOND_ASYNC: Final = "respond-async"


class Messages:
    """Answers what is no other system's."""

    def __init__(self, events: EventStream, session: Session, access: Access) -> None:
        self._events = events
        self._session = session
        self._access = access

    def routes(self) -> list[HttpRoute]:
        """The routes."""
        return [
            HttpRoute("POST", "/v1/{type}", self.send),
            HttpRoute("GET", "/v1/events", self.events),
            HttpRoute("GET", "/health", self.health, is_open=True),
        ]

    async def send(self, call: Call) -> web.Response:
        """One message: its content in, its reply out."""
        kind = call.parameters["type"]
        call.gateway.check_room(kind)
        _check_type(call.request)
        request_id = _request_id(call.request)
        body = await call.read()
        prefers_async = _RESPOND_ASYNC in call.request.headers.get("Prefer", "").lower()
        applied = False
        if prefers_async and kind == "send_job":
            body, applied = _as_async(body)
        content = body if body.strip() else None
        answer = await call.gateway.ask(kind, content, request_id=request_id, detached=prefers_async)
        if not applied:
            return json_response(answer.line)
        headers = {"Preference-Applied": _RESPOND_ASYNC, "Location": f"{STATUS_PATH}{answer.content['id']}"}
        return json_response(answer.line, 202, headers)

    async def events(self, call: Call) -> web.StreamResponse:
        """Events, for as long as the client listens; to listen asks for them, as `hello` does."""
        self._session.has_listeners = True
        return await self._events.serve(call.request, self._access.cors_headers(call.request.headers))

    async def health(self, call: Call) -> web.Response:
        """Whether this process takes requests."""
        ending = call.gateway.ending
        return json_response(b'{"status":"ending"}' if ending else b'{"status":"ok"}', 503 if ending else 200)


def _check_type(request: web.BaseRequest) -> None:
    """Raises Refused for a body that says it is something else than JSON."""
    if not request.can_read_body or "Content-Type" not in request.headers:
        return
    kind = request.content_type
    if not (kind == "application/json" or kind.endswith("+json")):
        message = "the body has to be JSON: send Content-Type: application/json"
        raise Refused.because(ErrorCode.INVALID_REQUEST, message, 415, {"Accept-Post": "application/json"})
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
        raise Refused.because(ErrorCode.INVALID_REQUEST, "the body has to be in UTF-8", 415)


def _request_id(request: web.BaseRequest) -> str | None:
    """The id that the client gives its request, for `cancel` and for events. Raises Refused."""
    request_id = request.headers.get("X-Request-Id")
    if request_id is not None and not (
        0 < len(request_id) <= MAX_REQUEST_ID and request_id.isascii() and request_id.isprintable()
    ):
        message = f"X-Request-Id: expected 1 to {MAX_REQUEST_ID} printable ASCII characters"
        raise Refused.because(ErrorCode.INVALID_REQUEST, message)
    return request_id


def _as_async(body: bytes) -> tuple[bytes, bool]:
    """A job with the mode `async`, and whether it is one now; what is no object is left to the codec."""
    try:
        members = codec.members(body)
    except NotJson:
        return body, False
    return encode({**members, "mode": Raw(b'"async"')}), True
