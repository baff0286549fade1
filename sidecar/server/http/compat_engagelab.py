"""EngageLab's routes: schedules, with its numbers for errors."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode

from sidecar.server.http.call import Call, json_response
from sidecar.server.http.refusals import Refused
from sidecar.server.http.route_table import HttpRoute

SCHEDULES: Final = "/v4/schedules"
SHOWN: Final = ("schedule_id", "name", "enabled", "trigger", "push")
"""What EngageLab's schedules have."""
STATUSES: Final = {28100: 400, 28101: 401, 28104: 404, 28105: 404, 28200: 500, 28203: 503}
"""The status of each of its numbers."""
CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="sidecar"'}
_INVALID: Final = 28100
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
        """Adds a schedule."""
        return json_response((await call.gateway.send("create_schedule", _body(await call.json()))).raw)

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
        body = {**_body(await call.json()), "schedule_id": call.parameters["id"]}
        shown = _shown((await call.gateway.send("update_schedule", body)).content)
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


def _shown(schedule: Mapping[str, Any]) -> dict[str, Any]:
    return {name: schedule[name] for name in SHOWN if name in schedule}


def _body(body: Any) -> Mapping[str, Any]:
    """The content of a message; a push to devices has no target here."""
    if not isinstance(body, dict):
        raise Refused.because(ErrorCode.INVALID_CONTENT, "request data is not json: expected an object")
    return body
