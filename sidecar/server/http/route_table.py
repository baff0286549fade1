"""Paths and methods of the HTTP front, and what answers each."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from aiohttp import web
from sidecar_protocol.errors import ErrorCode

from sidecar.server.http.refusals import Refused, problem

if TYPE_CHECKING:
    from sidecar.server.http.call import Call

KNOWN_PATHS: Final = 256
"""Paths whose routes are remembered: most clients use few."""
SHORT_PATH: Final = 200
"""Characters of a path that may be remembered."""
ANY: Final = "*"
"""Stands for every method."""
ErrorForm = Callable[[Refused], web.Response]


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """One method of one path."""

    method: str
    path: str
    """With names of its variable parts: `/api/v1/tasks/{id}`."""
    handler: "Callable[[Call], Awaitable[web.StreamResponse]]"
    error_form: ErrorForm = problem
    """How this system says that something failed."""
    is_open: bool = False
    """Whether it needs no token."""
    checks_itself: bool = False
    """Whether another token than ours may stand in Authorization, which the handler checks."""


@dataclass(slots=True)
class _Path:
    """What is served under one path."""

    names: tuple[str, ...] = ()
    routes: dict[str, HttpRoute] = field(default_factory=dict)

    @property
    def methods(self) -> str:
        """As an Allow header has them."""
        methods = dict.fromkeys(self.routes)
        if "GET" in methods:
            methods["HEAD"] = None
        return ", ".join([*methods, "OPTIONS"])


@dataclass(frozen=True, slots=True)
class Match:
    """What a path leads to."""

    routes: Mapping[str, HttpRoute]
    parameters: Mapping[str, str]
    methods: str

    def route(self, method: str) -> HttpRoute:
        """That of a method; one of GET answers HEAD, too. Raises Refused, which names the others."""
        found = (
            self.routes.get(method) or self.routes.get(ANY) or (self.routes.get("GET") if method == "HEAD" else None)
        )
        if found is None:
            message = f"{method} is not one of this path's methods: {self.methods}"
            raise Refused.because(ErrorCode.INVALID_REQUEST, message, 405, {"Allow": self.methods})
        return found

    @property
    def error_form(self) -> ErrorForm:
        """How errors of this path look, whatever the method."""
        return next(iter(self.routes.values())).error_form


class RouteTable:
    """All routes. A path's variable parts are single segments, percent-encoded where need be."""

    def __init__(self, routes: Iterable[HttpRoute]) -> None:
        self._fixed: dict[str, _Path] = {}
        self._variable: dict[int, dict[tuple[str | None, ...], _Path]] = {}
        """The number of segments -> those that are fixed, None in the place of the others."""
        for route in routes:
            self._path(route.path).routes[route.method] = route
        self._remembered = lru_cache(KNOWN_PATHS)(self._find)

    def find(self, path: str) -> Match | None:
        """What an encoded path leads to; None for nothing. Raises Refused where it is not UTF-8."""
        return self._remembered(path) if len(path) <= SHORT_PATH else self._find(path)

    def _find(self, path: str) -> Match | None:
        fixed = self._fixed.get(path)
        if fixed:
            return Match(fixed.routes, {}, fixed.methods)
        segments = path.split("/", 16)
        for pattern, found in self._variable.get(len(segments), {}).items():
            if all(wanted is None or wanted == given for wanted, given in zip(pattern, segments, strict=True)):
                values = [given for wanted, given in zip(pattern, segments, strict=True) if wanted is None]
                return Match(found.routes, dict(zip(found.names, map(decoded, values), strict=True)), found.methods)
        return None

    def _path(self, path: str) -> _Path:
        if "{" not in path:
            return self._fixed.setdefault(path, _Path())
        segments = path.split("/")
        names = tuple(segment.strip("{}") for segment in segments if segment.startswith("{"))
        pattern = tuple(None if segment.startswith("{") else segment for segment in segments)
        return self._variable.setdefault(len(segments), {}).setdefault(pattern, _Path(names))


def decoded(segment: str) -> str:
    """A segment of a path without its percent-encoding. Raises Refused."""
    try:
        text = unquote(segment, errors="strict")
        text.encode()
    except UnicodeError:
        raise Refused.because(ErrorCode.INVALID_REQUEST, "the path is not UTF-8, percent-encoded") from None
    return text
