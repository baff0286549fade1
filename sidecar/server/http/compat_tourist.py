"""Tourist's routes: jobs, their state, tokens, the health check, and `/visit` of its first version."""

import base64
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode
from sidecar_protocol.wire_types import Secret

from sidecar.errors import Forbidden, Unauthorized
from sidecar.server.http.access import credentials_of
from sidecar.server.http.call import Call, json_response, parsed
from sidecar.server.http.refusals import Refused
from sidecar.server.http.route_table import HttpRoute

if TYPE_CHECKING:
    from sidecar.jobs.visit_tokens import VisitTokens

RESULT: Final = ("screenshot", "video", "pdf", "messages")
"""What Tourist's results have."""
FLAGS: Final = {
    "record": ("RECORD", "video", "video/webm"),
    "screenshot": ("SCREENSHOT", "screenshot", "image/png"),
    "pdf": ("PDF", "pdf", "application/pdf"),
}
"""Flags of `/visit`: the option, its place in the result, and the file's type."""
SCOPE_NAME: Final = "scope "
"""Begins the name of a job that came with a visit token; the token's scope follows, for those who ask for its state."""
_KEPT_STATUSES: Final = frozenset({401, 403, 404, 405, 408, 409, 413, 415, 429, 500, 503})
_UNAUTHENTICATED: Final = "Authorization has not been provided"
_NOT_ITS_JOB: Final = "Provided token does not allow retrieving data for this job"
_NOT_ITS_PAGES: Final = "Provided token does not allow visiting one or more of the requested URLs"
_MISSING: Final = ": missing"


class TouristRoutes:
    """The table of Tourist."""

    def __init__(self, tokens: "Callable[[], VisitTokens] | None", own_url: str) -> None:
        """`tokens` are None where jobs need none; `own_url` is a page of ours, which the health check visits."""
        self._tokens = tokens
        self._own_url = own_url

    def routes(self) -> list[HttpRoute]:
        """With visit tokens on, Authorization holds such a token, which is checked here."""
        itself = self._tokens is not None
        return [
            HttpRoute("POST", "/api/v1/sync-job", self.sync_job, bad_request, checks_itself=itself),
            HttpRoute("POST", "/api/v1/async-job", self.async_job, bad_request, checks_itself=itself),
            HttpRoute("GET", "/api/v1/job-status", self.job_status, bad_request, checks_itself=itself),
            HttpRoute("POST", "/api/v1/issue-token", self.issue_token, bad_request, checks_itself=itself),
            HttpRoute("GET", "/api/v1/healthcheck", self.healthcheck, bad_request),
            HttpRoute("POST", "/visit", self.visit, bad_request, checks_itself=itself),
        ]

    async def sync_job(self, call: Call) -> web.Response:
        """A job that is waited for."""
        answer = await call.gateway.send("send_job", await self._job(call, "sync"))
        return json_response(encode({"status": "success", "result": _result(answer.content.get("result"))}))

    async def async_job(self, call: Call) -> web.Response:
        """A job that is accepted."""
        answer = await call.gateway.send("send_job", await self._job(call, "async"))
        return json_response(answer.raw)

    async def job_status(self, call: Call) -> web.Response:
        """The state of an accepted job."""
        job_id = call.query.get("id", "")
        if not job_id:
            raise Refused.because(ErrorCode.INVALID_CONTENT, "querystring must have required property 'id'")
        token = self._visit_token(call)
        state = (await call.gateway.send("job_status", {"id": job_id})).content
        if token and self._tokens:
            name = str(state.get("name", ""))
            if not name.startswith(SCOPE_NAME) or not self._tokens().scope_of(token).allows(name[len(SCOPE_NAME) :]):
                raise Refused.of(Forbidden(_NOT_ITS_JOB))
        status = "failed" if state["status"] == "cancelled" else state["status"]
        body = {"status": status}
        if status == "success":
            body["result"] = _result(state.get("result"))
        return json_response(encode(body))

    async def issue_token(self, call: Call) -> web.Response:
        """A visit token, for the holder of the issuer token."""
        issuer = credentials_of(call.request.headers).bearer
        if not issuer:
            raise Refused.of(Unauthorized(_UNAUTHENTICATED))
        answer = await call.gateway.send("issue_token", {**_object(await call.json()), "issuer_token": issuer})
        return json_response(answer.raw)

    async def healthcheck(self, call: Call) -> web.Response:
        """Whether a browser can open a page."""
        job: dict[str, Any] = {"steps": [{"url": "data:text/html,<title>ok</title>"}]}
        if self._tokens and self._own_url:
            job = {"steps": [{"url": self._own_url}], "token": self._tokens().issue(self._own_url, 60, strict=True)}
        try:
            await call.gateway.send("send_job", job)
        except Refused as refused:
            raise Refused(refused.error, 500) from None
        return json_response(b'{"status":"OK"}')

    async def visit(self, call: Call) -> web.Response:
        """A job of the first version: without a flag it is accepted, with one its file is the answer."""
        job = await self._job(call, "async")
        asked = [flag for flag in FLAGS if job.pop(flag, False)]
        if len(asked) > 1:
            raise Refused.because(ErrorCode.INVALID_CONTENT, f"only one of {', '.join(FLAGS)} at a time")
        if not asked:
            await call.gateway.send("send_job", job)
            return json_response(b'{"status":"scheduled"}')
        option, place, content_type = FLAGS[asked[0]]
        answer = await call.gateway.send("send_job", {**job, "mode": "sync", "options": [option]})
        return web.Response(body=base64.b64decode(answer.content["result"][place]), content_type=content_type)

    async def _job(self, call: Call, mode: str) -> dict[str, Any]:
        """The body as the content of `send_job`, with the token that came with it."""
        job = {**_object(parsed(await call.read())), "mode": mode}
        token = self._visit_token(call)
        if token and self._tokens:
            job["token"] = token.reveal()
            if mode == "async":
                job["name"] = f"{SCOPE_NAME}{self._tokens().scope_of(token).url}"
        return job

    def _visit_token(self, call: Call) -> Secret | None:
        """What Authorization carries, None where jobs need no token. Raises Refused."""
        if self._tokens is None:
            return None
        token = credentials_of(call.request.headers).bearer
        if not token:
            raise Refused.of(Unauthorized(_UNAUTHENTICATED))
        return Secret(token)


def bad_request(refused: Refused) -> web.Response:
    """An error in Tourist's form; what a job failed of is 400, too."""
    status = refused.status if refused.status in _KEPT_STATUSES else 400
    name = "Unauthenticated" if status == 401 else HTTPStatus(status).phrase
    body = {"statusCode": status, "error": name, "message": _message(refused)}
    return json_response(encode(body), status, refused.headers)


def _message(refused: Refused) -> str:
    error = refused.error
    field = str(error.get("field") or "")
    if refused.code is ErrorCode.FORBIDDEN and field.endswith(".url"):
        return _NOT_ITS_PAGES
    if refused.code is not ErrorCode.INVALID_CONTENT or not field or field == "content":
        return refused.message
    *parents, name = field.replace("[", ".").replace("]", "").split(".")
    said = refused.message.removeprefix(f"{field}: ")
    if refused.message.endswith(_MISSING):
        return f"{'/'.join(['body', *parents])} must have required property '{name}'"
    return f"{'/'.join(['body', *parents, name])} {said}"


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Refused.because(ErrorCode.INVALID_CONTENT, "body must be object")
    return value


def _result(result: Any) -> dict[str, Any]:
    return {name: result[name] for name in RESULT if name in result} if isinstance(result, dict) else {}
