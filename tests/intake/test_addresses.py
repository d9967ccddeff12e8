from __future__ import annotations

from ipaddress import ip_address

import pytest

from gateway.intake.addresses import Allowed

# fmt: off
CLOSED = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
    "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1",
    "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
    "240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "100::1", "2001::1",
    "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
    "fe80::1%1", "fec0::1", "ff02::1", "4000::1",
]
# fmt: on

# fmt: off
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1",
    "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888", "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]
# fmt: on


@pytest.mark.parametrize("address", CLOSED)
def test_addresses_that_are_not_public_are_closed(address: str) -> None:
    """Private, local, reserved and metadata addresses are closed, also inside IPv6 that carries IPv4."""
    assert not Allowed().allows("host.example", ip_address(address), 443)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_open(address: str) -> None:
    """What the internet reaches is open, the IPv6 forms of public IPv4 addresses included."""
    assert Allowed().allows("host.example", ip_address(address), 443)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("minio", "10.1.2.3"),
        ("MinIO.", "fd00::7"),
        ("bücher.example", "10.0.0.9"),
        ("any", "192.168.7.7"),
        ("any", "::ffff:192.168.7.7"),
        ("any", "172.20.0.200"),
        ("any", "fd12::1"),
        ("any", "8.8.8.8"),
    ],
)
def test_operators_open_names_addresses_and_networks(host: str, address: str) -> None:
    """An allowed name opens what it resolves to, an allowed address or network opens itself under any name."""
    allowed = Allowed(["minio", "Bücher.example", "192.168.7.7", "172.20.0.0/16", "fd12::/16", "[fd13::1]"])
    assert allowed.allows(host.encode("idna").decode() if not host.isascii() else host, ip_address(address), 443)


@pytest.mark.parametrize(
    ("host", "address"),
    [("minio.evil.example", "10.1.2.3"), ("any", "192.168.7.8"), ("any", "172.21.0.1"), ("192.168.7.7", "10.0.0.1")],
)
def test_what_is_not_named_stays_closed(host: str, address: str) -> None:
    """Neither a longer name nor a neighbouring address comes in with an allowed one."""
    assert not Allowed(["minio", "192.168.7.7", "172.20.0.0/16"]).allows(host, ip_address(address), 443)


def test_a_network_that_is_none_is_an_error() -> None:
    """A slip in the settings is told at the start."""
    with pytest.raises(ValueError, match="10"):
        Allowed(["10.0.0.0/33"])


@pytest.mark.parametrize("port", [0, 22, 25, 587, 1433, 2375, 3306, 5432, 6379, 9200, 11211, 65535])
def test_public_addresses_are_open_where_documents_are_served(port: int) -> None:
    """Other ports of the internet are closed, and those of what an operator names are open."""
    address = ip_address("93.184.216.34")
    assert not Allowed().allows("host.example", address, port)
    assert Allowed(["host.example"]).allows("host.example", address, port)
    assert Allowed(["93.184.216.0/24"]).allows("host.example", address, port)
    assert all(Allowed().allows("host.example", address, open_port) for open_port in (80, 443, 8080, 8443))
