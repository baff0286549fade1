"""What can go wrong on the way to a server and back, for the stand-ins in `tests.fakes` to do on purpose."""

import asyncio
from dataclasses import dataclass, field
from typing import Final, Literal

from aiohttp import web

Kind = Literal[
    "error",  # a JSON error, 500 unless `status` says otherwise (429, 503 …)
    "empty_json",  # `{}` with an error status, 500
    "html",  # what a proxy writes, 502
    "not_json",  # HTML with status 200
    "empty",  # status 200 and no body
    "redirect",  # 302 unless `status` says 307 or 308; to `location`, by default the same path with `?redirected=1`
    "truncated",  # the right answer, broken off in the middle of its body
    "close",  # reads and handles the request, then closes without an answer
    "drop",  # closes without handling it
    "hang",  # handles it and does not answer before `release`
]

HTML: Final = b"<html>\n<head><title>502 Bad Gateway</title></head>\n<body><h1>502 Bad Gateway</h1></body>\n</html>\n"
ERROR_TEXT: Final = "injected failure"
NOT_HANDLED: Final = frozenset({"error", "empty_json", "html", "not_json", "empty", "redirect", "drop"})
"""Kinds whose request never reaches the server's own logic."""


@dataclass
class Fault:
    """One thing to go wrong, `left` times (None: always), for requests whose path contains `path`."""

    path: str
    kind: Kind
    left: int | None
    status: int | None = None
    retry_after: float | str | None = None
    """Value of the `Retry-After` header: seconds, or a date."""
    location: str | None = None
    error: str = ERROR_TEXT
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def takes(self, path: str) -> bool:
        """Whether this request is one to fail; counts it if so."""
        if self.path not in path or self.left == 0:
            return False
        if self.left is not None:
            self.left -= 1
        return True

    def answer(self, request: web.Request) -> web.Response:
        """The wrong answer, for the kinds that answer without having handled the request."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.kind == "error":
            return web.json_response({"error": self.error}, status=self.status or 500, headers=headers)
        if self.kind == "empty_json":
            return web.json_response({}, status=self.status or 500, headers=headers)
        if self.kind == "redirect":
            headers["Location"] = self.location or f"{request.path}?redirected=1"
            return web.Response(status=self.status or 302, headers=headers)
        if self.kind in ("html", "not_json"):
            status = self.status or (502 if self.kind == "html" else 200)
            return web.Response(body=HTML, content_type="text/html", status=status, headers=headers)
        if self.kind == "drop":
            _hang_up(request)
        return web.json_response(body=b"", status=self.status or 200)

    async def spoil(self, request: web.Request, answer: web.Response) -> web.StreamResponse:
        """What becomes of the right answer, for the kinds that handle the request first."""
        if self.kind == "hang":
            await self.released.wait()
            return answer
        if self.kind == "truncated":
            body = answer.body
            assert isinstance(body, bytes)
            cut = web.StreamResponse(status=answer.status, headers={"Content-Type": "application/json"})
            cut.content_length = len(body)
            await cut.prepare(request)
            await cut.write(body[: len(body) // 2])
            if request.transport is not None:
                request.transport.close()  # unlike `abort`, after what was written has left
            return cut
        _hang_up(request)
        return answer


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
