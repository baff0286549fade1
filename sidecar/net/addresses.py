"""Which addresses are a public host's. Our own table: Python's differs from one release to the next."""

import ipaddress
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

SPECIAL_V4: Final = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",
            "100.64.0.0/10",  # shared by a carrier's customers
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local
            "172.16.0.0/12",
            "192.0.0.0/24",  # IETF protocol assignments
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays, deprecated
            "192.168.0.0/16",
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarking
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
"""IANA's registry of special-purpose IPv4 addresses, and multicast."""

SPECIAL_V6: Final = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # IETF protocol assignments: Teredo, benchmarking, AMT, AS112, ORCHID, drones
            "2001:db8::/32",  # documentation
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)
"""IANA's registry of special-purpose IPv6 addresses, within the block that is given to hosts."""

GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
"""The block that is given to hosts: loopback, link-local, unique local, discard, SRv6 and multicast are outside."""
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def is_private(address: Address) -> bool:
    """Whether an address is anything but a public host's, however it is wrapped.

    IPv4 addresses within others (mapped, NAT64, 6to4) count for themselves; those of a network's own NAT64 prefix
    (64:ff9b:1::/48) and of Teredo are private.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return any(address in network for network in SPECIAL_V4)
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if inner is not None:
        return is_private(inner)
    return address not in GLOBAL_V6 or any(address in network for network in SPECIAL_V6)
