"""Which addresses a caller's URL may lead to: public ones, and those an operator allows."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import httpx

Address = IPv4Address | IPv6Address

# The IANA special-purpose registries know more than Python 3.11's `is_global`, and one cloud's own service hides
# behind a public address.
_CLOSED_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT; holds a cloud's metadata service too (100.100.100.200)
            "168.63.129.16/32",  # Azure's host agent
            "192.0.0.0/24",  # IETF protocol assignments; holds another cloud's metadata service (192.0.0.192)
            "192.88.99.0/24",  # 6to4 relays
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")  # all that IANA hands out as global unicast
_CLOSED_V6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments; Teredo carries an IPv4 address inside
            "2001:db8::/32",
            "2002::/16",  # 6to4 carries an IPv4 address inside
            "3fff::/20",
        ),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")

PUBLIC_PORTS = frozenset({80, 443, 8080, 8443})
"""Where documents are served; on others a caller could have us knock at mail servers and databases."""


class Allowed:
    """The judge of one service: `hosts` are names, addresses or networks that may be reached although private.

    Raises `ValueError` for a network that is none.
    """

    def __init__(self, hosts: Iterable[str] = ()) -> None:
        self._names: set[str] = set()
        self._networks: list[IPv4Network | IPv6Network] = []
        for host in hosts:
            try:
                self._networks.append(ip_network(host.strip("[]"), strict=False))
            except ValueError:
                if "/" in host:
                    raise
                self._names.add(_plain(httpx.URL(f"http://{host}/").raw_host.decode("ascii")))

    def allows(self, host: str, address: Address, port: int) -> bool:
        """Whether a connection to `address`, which the URL's `host` resolved to, is allowed."""
        address = _unwrapped(address)
        return (
            _plain(host) in self._names
            or any(address.version == network.version and address in network for network in self._networks)
            or (_is_public(address) and port in PUBLIC_PORTS)
        )


def _plain(host: str) -> str:
    return host.lower().rstrip(".")


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where the system would really connect to that."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in _CLOSED_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _CLOSED_V6)
