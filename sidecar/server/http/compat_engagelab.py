"""EngageLab's routes: schedules, with its numbers for errors."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web
from sidecar_protocol import codec
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode
from sidecar_protocol.schedules import DEVICE_PUSH
from sidecar_protocol.wire_types import Raw

from sidecar.server.http.call import Call, json_response, parsed
from sidecar.server.http.gateway import Answer
from sidecar.server.http.refusals import Refused
from sidecar.server.http.route_table import HttpRoute

SCHEDULES: Final = "/v4/schedules"
SHOWN: Final = ("schedule_id", "name", "enabled", "trigger", "push")
"""What EngageLab's schedules have."""
STATUSES: Final = {28100: 400, 28101: 401, 28104: 404, 28105: 404, 28200: 500, 28203: 503}
"""The status of each of its numbers."""
CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="sidecar"'}
_INVALID: Final = 28100
_OWN_MEMBERS: Final = frozenset({"from", "to", "body"})
_WITHIN: Final = "push.content"
_NUMBERS: Final = {
    ErrorCode.UNAUTHORIZED: 28101,
    ErrorCode.FORBIDDEN: 28101,
    ErrorCode.NOT_FOUND: 28104,
    ErrorCode.INTERNAL: 28200,
    ErrorCode.QUEUE_FULL: 28203,
    ErrorCode.TIMEOUT: 28203,
    ErrorCode.SHUTTING_DOWN: 28203,
}
"""Numbers of errors that come before a message does."""


class EngagelabRoutes:
    """The table of EngageLab."""

    def routes(self) -> list[HttpRoute]:
        """All of them."""
        table = {
            SCHEDULES: {"POST": self.create, "GET": self.list_schedules},
            f"{SCHEDULES}/{{id}}": {"GET": self.show, "PUT": self.update, "DELETE": self.delete},
            f"{SCHEDULES}/{{id}}/msg-ids": {"GET": self.msg_ids},
            f"{SCHEDULES}/{{id}}/msg_ids": {"GET": self.msg_ids},
        }
        return [
            HttpRoute(method, path, handler, numbered)
            for path, methods in table.items()
            for method, handler in methods.items()
        ]

    async def create(self, call: Call) -> web.Response:
        """Adds a schedule; its push is a message of ours, or in EngageLab's own form."""
        return json_response((await _send(call, "create_schedule")).raw)

    async def list_schedules(self, call: Call) -> web.Response:
        """A page of those that are still to come."""
        text = call.query.get("page", "") or "1"
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise Refused.because(ErrorCode.INVALID_CONTENT, "page: expected a number from 1 on")
        content = (await call.gateway.send("list_schedules", {"page": int(text)})).content
        return json_response(encode({**content, "schedules": [_shown(one) for one in content["schedules"]]}))

    async def show(self, call: Call) -> web.Response:
        """One schedule."""
        return json_response(encode(_shown((await _ask(call, "get_schedule")).content)))

    async def update(self, call: Call) -> web.Response:
        """Replaces parts of a schedule."""
        shown = _shown((await _send(call, "update_schedule", schedule_id=call.parameters["id"])).content)
        return json_response(encode({name: value for name, value in shown.items() if name != "schedule_id"}))

    async def delete(self, call: Call) -> web.Response:
        """Forgets a schedule."""
        await _ask(call, "delete_schedule")
        return json_response(b"")

    async def msg_ids(self, call: Call) -> web.Response:
        """The jobs that a schedule made."""
        return json_response((await _ask(call, "get_schedule_msg_ids")).raw)


def numbered(refused: Refused) -> web.Response:
    """An error in EngageLab's form; its number says the status."""
    number = refused.error.get("number") or _NUMBERS.get(refused.code, _INVALID)
    headers = {name: value for name, value in refused.headers.items() if name != "WWW-Authenticate"}
    if number == _NUMBERS[ErrorCode.UNAUTHORIZED]:
        headers |= CHALLENGE
    status = refused.status if refused.status in (403, 405, 413) else STATUSES[number]
    return json_response(encode({"error": {"code": number, "message": refused.message}}), status, headers)


async def _ask(call: Call, kind: str) -> Any:
    return await call.gateway.send(kind, {"schedule_id": call.parameters["id"]})


async def _send(call: Call, kind: str, **more: str) -> Answer:
    """The answer to a message with the request's body. Raises Refused, whose sentence names places of that body."""
    members = _members(await call.read())
    is_own = _has_own_form(members.get("push"))
    if is_own:
        members["push"] = Raw(b'{"type":%s,"content":%s}' % (encode(DEVICE_PUSH), members["push"]))
    try:
        return await call.gateway.send(kind, {**members, **more})
    except Refused as refused:
        if is_own:
            refused.error["message"] = refused.message.replace(_WITHIN, "push")
        raise


def _members(body: bytes) -> dict[str, Raw]:
    parsed(body)
    try:
        return codec.members(body)
    except codec.NotJson:
        message = "request data is not json: expected an object"
        raise Refused.because(ErrorCode.INVALID_CONTENT, message) from None


def _has_own_form(push: Raw | None) -> bool:
    """Whether a push names devices, not a message."""
    try:
        members = codec.members(push or b"")
    except codec.NotJson:
        return False
    return "type" not in members and not members.keys().isdisjoint(_OWN_MEMBERS)


def _shown(schedule: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: schedule[name] for name in SHOWN if name in schedule}
    if shown["push"]["type"] == DEVICE_PUSH:
        shown["push"] = shown["push"]["content"]
    return shown
