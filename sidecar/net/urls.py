"""URLs from messages and settings: validation, normalization, literal private addresses."""

import ipaddress
import re
from typing import Final

from yarl import URL

from sidecar.errors import Forbidden, InvalidContent
from sidecar.net import addresses

_AFTER_HOST: Final = re.compile(r"[/?#]")


class PrivateAddress(OSError):
    """A private address, to which connections are not allowed."""


def check_url(url: str, field: str = "url", *, allow_private: bool = True) -> None:
    """Raises InvalidContent for what is no http or https URL with a host and without a user, and Forbidden.

    Forbidden is a private address in its own form; names are checked when they are resolved.
    """
    try:
        parsed = URL(url)
        usable = parsed.scheme in ("http", "https") and bool(parsed.host) and parsed.port is not None
        has_user = "@" in _AFTER_HOST.split(url.partition("//")[2], maxsplit=1)[0]
    except ValueError:
        usable = has_user = False
    if not usable or not url.isprintable() or " " in url or "\\" in url:
        raise InvalidContent("this is not a usable http or https URL", field)
    if has_user:
        raise InvalidContent("a URL can't hold a user or a password", field)
    if not allow_private:
        check_literal(parsed, field)


def check_literal(url: URL, field: str | None = None) -> None:
    """Raises Forbidden where the host is a private address."""
    try:
        address = ipaddress.ip_address((url.host or "").partition("%")[0])
    except ValueError:
        return
    if addresses.is_private(address):
        raise private_address_error(url.host_port_subcomponent or "", field)


def private_address_error(host: str, field: str | None = None) -> Forbidden:
    """The error for a private address."""
    said = f"{host} is a private address, which only SIDECAR_ALLOW_PRIVATE_NETWORK=true allows"
    return Forbidden(said, field=field)


def to_url(url: str) -> URL:
    """The parsed URL. Raises ValueError for URLs that `check_url` refuses."""
    return URL(url)


def host_names(url: URL) -> set[str]:
    """The URL's host as it is sent, and in its readable form if it is an internationalized name."""
    return {url.raw_host or "", url.host or ""}


def normalize(url: str) -> str:
    """The URL without trailing slashes, its host in lower case and IDNA, its path percent-encoded."""
    return str(URL(url)).rstrip("/")


def authority(url: str) -> str:
    """Host and port."""
    return URL(url).authority


def is_http(url: str) -> bool:
    """Whether it is an http or https URL with a host."""
    try:
        parsed = URL(url)
        return parsed.scheme in ("http", "https") and bool(parsed.host)
    except ValueError:
        return False
