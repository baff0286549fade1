"""Where the HTTP front listens: a TCP address or a unix socket."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.settings import SettingsError

_TCP: Final = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\[\]:/\s]*):(?P<port>[0-9]{1,5})")
_UNIX: Final = "unix:"
_MAX_PORT: Final = 65_535
_MAX_PATH: Final = 107
"""Bytes of a unix socket's path, on Linux."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A host and a port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    """0: any free one."""
    path: str = ""

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect."""
        return bool(self.path) or is_loopback(self.host)

    def url(self, port: int) -> str:
        """The address for clients; `port` is the one that is listened on."""
        if self.path:
            return f"{_UNIX}{self.path}"
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{port}"


def parse(text: str) -> ListenAddress:
    """Reads `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`. Raises SettingsError."""
    if text.startswith(_UNIX):
        path = text.removeprefix(_UNIX)
        if not path or len(path.encode()) > _MAX_PATH or "\0" in path:
            raise SettingsError(f"--http: unix: needs a path of at most {_MAX_PATH} bytes")
        return ListenAddress(path=str(Path(path).expanduser()))
    match = _TCP.fullmatch(text)
    if not match or int(match["port"]) > _MAX_PORT:
        raise SettingsError("--http: expected HOST:PORT or unix:PATH, as in 127.0.0.1:4000 or unix:/run/sidecar.sock")
    return ListenAddress(match["host"].strip("[]") or "0.0.0.0", int(match["port"]))  # noqa: S104  a token guards it


def is_loopback(host: str) -> bool:
    """Whether a host's name or address always means this machine."""
    if host.lower().rstrip(".") == "localhost" or host.lower().rstrip(".").endswith(".localhost"):
        return True
    address = ip_address(host)
    return address is not None and address.is_loopback


def ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is, None for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
