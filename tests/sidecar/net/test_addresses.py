"""Which addresses are public: IANA's registries, block by block, and what is wrapped in others."""

import ipaddress
from itertools import chain

import pytest

from sidecar.net.addresses import is_private

BLOCKS = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24"),
    *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32"),
    *("::/128", "::1/128", "::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001::/32"),
    *("2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48", "2001:3::/32", "2001:4:112::/48"),
    *("2001:10::/28", "2001:20::/28", "2001:30::/28", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20", "5f00::/16"),
    *("fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
)
"""IANA's registries of special-purpose addresses, multicast, and two that were given back."""

EDGES = (
    *("1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"),
    *("169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0"),
    *("192.31.195.255", "192.31.197.0", "192.52.192.255", "192.52.194.0", "192.88.98.255", "192.88.100.0"),
    *("192.167.255.255", "192.169.0.0", "192.175.47.255", "192.175.49.0", "198.17.255.255", "198.20.0.0"),
    *("198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255"),
    *("2000::", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::", "2001:db7:ffff::", "2001:db9::"),
    *("2620:4f:7fff:ffff::", "2620:4f:8001::", "3ffe::", "3fff:1000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
)
"""Public addresses next to the blocks."""

WRAPPERS = ("::ffff:{}", "64:ff9b::{}")


def wrapped(address: ipaddress.IPv4Address) -> list[ipaddress.IPv6Address]:
    """An IPv4 address as others carry it: mapped, by NAT64, by 6to4."""
    six_to_four = ipaddress.IPv6Address((0x2002 << 112) | (int(address) << 80) | 1)
    return [six_to_four, *(ipaddress.IPv6Address(form.format(address)) for form in WRAPPERS)]


@pytest.mark.parametrize("block", BLOCKS)
def test_no_special_block_is_public(block: str) -> None:
    """Its first address and its last are private, whatever IPv6 address carries them."""
    network = ipaddress.ip_network(block)
    for address in (network[0], network[-1]):
        assert is_private(address)
        if isinstance(address, ipaddress.IPv4Address):
            assert all(map(is_private, wrapped(address)))


@pytest.mark.parametrize("edge", EDGES)
def test_neighbours_of_private_blocks_are_public(edge: str) -> None:
    """The blocks are no larger than they are, bare or carried."""
    address = ipaddress.ip_address(edge)
    carried = wrapped(address) if isinstance(address, ipaddress.IPv4Address) else []
    assert not any(map(is_private, chain((address,), carried)))


def test_teredo_hides_nothing() -> None:
    """An address of Teredo is private, also where the server and the client in it are public."""
    assert is_private(ipaddress.ip_address("2001:0:808:808:0:0:f7f7:f7f7"))
