"""One request, from its head to its answer: site, path, method, token, room; every failure in the path's own form."""

import asyncio
import logging
from typing import Final

from aiohttp import web
from sidecar_protocol.errors import ErrorCode, WireError

from sidecar.clock import within
from sidecar.errors import INTERNAL_ERROR
from sidecar.server.http.access import Access
from sidecar.server.http.bodies import BYTES_PER_SECOND, Bodies
from sidecar.server.http.call import Call
from sidecar.server.http.gateway import Gateway, not_found
from sidecar.server.http.refusals import Refused, problem
from sidecar.server.http.route_table import ErrorForm, HttpRoute, Match, RouteTable

log = logging.getLogger(__name__)

SMALL_ANSWER: Final = 64 << 10
"""Bytes that the kernel and asyncio take from us without a wait, about."""
WRITE_SECONDS: Final = 30.0
"""How long a client may take to read an answer, and a second more for every BYTES_PER_SECOND."""


class HttpFront:
    """Answers every request, whatever happens."""

    def __init__(
        self, table: RouteTable, access: Access, bodies: Bodies, gateway: Gateway, unknown_path: ErrorForm = problem
    ) -> None:
        """`unknown_path` is the form of errors of paths that lead nowhere."""
        self._unknown_path = unknown_path
        self._table = table
        self._access = access
        self._bodies = bodies
        self._gateway = gateway

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to a request."""
        form = self._unknown_path
        try:
            self._access.check_site(request.headers)
            path, _, query = self._access.target_of(request.raw_path).partition("?")
            path, has_token = self._access.without_token(path)
            match = self._table.find(path)
            if match is None:
                if not has_token:
                    self._access.check_token(request.headers)  # without the token, no path says whether it exists
                raise not_found("there is nothing under this path")
            form = match.error_form
            if request.method == "OPTIONS":
                return self._options(request, match)
            route = match.route(request.method)
            form = route.error_form
            if not (has_token or route.is_open or route.checks_itself):
                self._access.check_token(request.headers)
            return await self._answer(request, route, match, query)
        except Refused as refused:
            return self._refuse(request, form(refused))
        except WireError as wrong:
            return self._refuse(request, form(Refused.of(wrong)))
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as wrong:
            log.error("unexpected error while handling a request", exc_info=wrong)
            return self._refuse(request, form(Refused.because(ErrorCode.INTERNAL, INTERNAL_ERROR)))

    async def _answer(self, request: web.BaseRequest, route: HttpRoute, match: Match, query: str) -> web.StreamResponse:
        with self._bodies.hold() as body:
            response = await route.handler(Call(request, match.parameters, query, body, self._gateway))
        if not response.prepared:
            response.headers.extend(self._access.cors_headers(request.headers))
            if isinstance(response, web.Response):
                await self._write(request, response)
        return response

    async def _write(self, request: web.BaseRequest, response: web.Response) -> None:
        """Writes a long answer here, where its bytes count and a client that does not read is given up."""
        size = len(response.body) if isinstance(response.body, bytes) else 0
        if size <= SMALL_ANSWER:
            return
        self._gateway.unsent += size
        try:
            async with within(WRITE_SECONDS + size / BYTES_PER_SECOND):
                await response.prepare(request)
                await response.write_eof()
        except TimeoutError:
            if request.transport:
                request.transport.abort()
        finally:
            self._gateway.unsent -= size

    def _refuse(self, request: web.BaseRequest, response: web.Response) -> web.Response:
        response.headers.extend(self._access.cors_headers(request.headers))
        if "Connection" in response.headers:
            response.force_close()
        return response

    def _options(self, request: web.BaseRequest, match: Match) -> web.Response:
        headers = {"Allow": match.methods, **self._access.cors_headers(request.headers)}
        headers |= self._access.preflight_headers(request.headers, match.methods)
        return web.Response(status=204, headers=headers)
