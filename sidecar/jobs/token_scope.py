"""The scope of a visit token: URLs as browsers read them, and whether they are within the scope."""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_PORTS: Final = {"http": 80, "https": 443}
_HOST_AND_PORT: Final = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(:[0-9]*)?")
_NUMERIC: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_IN_PATH: Final = "!$%&'()*+,-./:;=@[]^_|~"
_IN_QUERY: Final = "!$%&()*+,-./:;=?@[]^_`{|}~"
_HERE: Final = (".", "%2e")
_UP: Final = ("..", ".%2e", "%2e.", "%2e%2e")


@dataclass(frozen=True, slots=True)
class BrowserUrl:
    """A URL in the form of a browser, without its fragment."""

    scheme: str
    user: str
    """User and password, as written before the `@`."""
    host: str
    port: int
    path: str
    query: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        return self.scheme, self.host, self.port

    @property
    def page(self) -> tuple[str, str, int, str, str]:
        """The part of the URL that is sent to the server; the user is sent in a header."""
        return (*self.origin, self.path, self.query)


@dataclass(frozen=True, slots=True)
class Scope:
    """The pages that a token allows."""

    url: str
    strict: bool
    strict_resources: bool = False
    """Whether the resources of pages have to be within the scope, too."""

    def allows(self, url: str) -> bool:
        """Whether this page may be opened: the same registrable domain, or if strict, the same URL.

        A strict scope allows no user or password but its own: they are part of the request. A `blob:` page belongs to
        the page that created it; a strict scope allows none.
        """
        if self.strict:
            wanted, own = parse_url(url), parse_url(self.url)
            return wanted is not None and own is not None and wanted.page == own.page and wanted.user in ("", own.user)
        domain = registrable_domain(url.removeprefix("blob:"))
        return domain is not None and domain == registrable_domain(self.url)

    def allows_server(self, host: str, port: int) -> bool:
        """Whether a page may load from there: the same registrable domain, or if strict, the scope's own server."""
        bracketed = f"[{host}]" if ":" in host else host
        wanted, own = parse_url(f"http://{bracketed}:{port}/"), parse_url(self.url)
        if wanted is None or own is None:
            return False
        if self.strict:
            return (wanted.host, wanted.port) == (own.host, own.port)
        return _registrable_domain(wanted.host) == _registrable_domain(own.host)


def parse_url(url: str) -> BrowserUrl | None:
    """An http or https URL with a host as browsers read it; None for others, and for ambiguous ones.

    Browsers take a backslash for a slash, and ignore tabs and line breaks: such URLs are None.
    """
    if "\\" in url or not url.isprintable():
        return None
    try:
        parts = urlsplit(url)
        user, _, rest = parts.netloc.rpartition("@")
        known = parts.scheme in _PORTS and _HOST_AND_PORT.fullmatch(rest)
        host, port = _host(parts.hostname or "") if known else "", parts.port
    except ValueError:  # UnicodeError is a ValueError
        return None
    if not host:
        return None
    path = _without_dots(quote(parts.path or "/", safe=_IN_PATH))
    query = quote(parts.query, safe=_IN_QUERY)
    return BrowserUrl(parts.scheme, user, host, _PORTS[parts.scheme] if port is None else port, path, query)


def registrable_domain(url: str) -> str | None:
    """The registrable domain of an http or https URL; an address, single label or public suffix is its own.

    `https://www.a.co.uk` has `a.co.uk`; ports don't matter. None for any other URL.
    """
    address = parse_url(url)
    return None if address is None else _registrable_domain(address.host)


def _registrable_domain(host: str) -> str:
    if ":" in host or _NUMERIC.fullmatch(host.rpartition(".")[2]):
        return host
    name = host.removesuffix(".")
    return _suffixes().privatesuffix(name) or name


def _host(host: str) -> str:
    """A host in the form that browsers show. Raises ValueError for an invalid one."""
    if "%" in host:
        raise ValueError("a zone, or letters that are decoded by some and not by others")
    if ":" in host:
        return str(ipaddress.IPv6Address(host))
    if not host.isascii():
        import idna  # late: its tables take time, and few names need them

        host = idna.encode(host, uts46=True).decode()
    name = host.removesuffix(".")
    if not name or "" in name.split("."):
        raise ValueError("no host")
    return _ipv4(name) if _NUMERIC.fullmatch(name.rpartition(".")[2]) else host


def _ipv4(host: str) -> str:
    """The IPv4 address: browsers read `127.1`, `0x7f000001` and `017700000001` as 127.0.0.1. Raises ValueError."""
    *front, last = [_number(part) for part in host.split(".")]
    if len(front) > 3 or any(one > 255 for one in front) or last >= 256 ** (4 - len(front)):
        raise ValueError("no address")
    return str(ipaddress.IPv4Address(sum(one << 8 * (3 - place) for place, one in enumerate(front)) + last))


def _number(text: str) -> int:
    if len(text) > 20:
        raise ValueError("no number")
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    return int(text, 8 if text.startswith("0") else 10)


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")[1:]
    for place, segment in enumerate(segments):
        dots, last = segment.lower(), place == len(segments) - 1
        if dots in _UP:
            del kept[-1:]
        elif dots not in _HERE:
            kept.append(segment)
            continue
        if last:
            kept.append("")
    return "/" + "/".join(kept)


def is_public_suffix(host: str) -> bool:
    """Whether a host name is a public suffix, below which anyone can register a domain."""
    try:
        plain = host.encode("idna").decode()
    except UnicodeError:
        return False
    return bool(_suffixes().is_public(plain, accept_unknown=False))


@lru_cache(maxsize=1)
def _suffixes() -> "PublicSuffixList":
    from publicsuffixlist import PublicSuffixList  # late: it reads 15,000 rules

    return PublicSuffixList()
