from ipaddress import IPv4Address, IPv4Network

import pytest

from rules.kernel.topology import Address, Interface, Link, Route, derive

LAN, DMZ, WAN = 2, 3, 4
LINKS = [Link(LAN, "lan0", True), Link(DMZ, "dmz0", False), Link(WAN, "wan0", True)]


def address(link: int, text: str, *, peer: str | None = None, scope: int = 0, flags: int = 0) -> Address:
    ip, _, length = text.partition("/")
    network = IPv4Network(f"{peer or ip}/{length}", strict=False)
    return Address(link, IPv4Address(ip), network, scope, flags)


def route(
    network: str,
    *links: int,
    table: int = 254,
    kind: int = 1,
    gateway: str | None = None,
    source: str | None = None,
    metric: int = 0,
) -> Route:
    return Route(
        links,
        IPv4Network(network),
        table,
        kind,
        IPv4Address(gateway) if gateway else None,
        IPv4Address(source) if source else None,
        metric,
    )


def test_missing_interfaces_are_said_in_the_value() -> None:
    found = derive([], [], [], ["lan0"], "wan0")
    assert found.inside == (Interface("lan0", exists=False, up=False, addresses=()),)
    assert found.outside == Interface("wan0", exists=False, up=False, addresses=())
    assert (found.address, found.networks) == (None, ())


def test_inside_networks_are_prefixes_of_addresses_and_routes() -> None:
    found = derive(
        LINKS,
        [address(LAN, "10.0.0.1/24"), address(DMZ, "10.9.0.1/16"), address(WAN, "198.51.100.1/24")],
        [
            route("10.0.0.0/24", LAN),
            route("192.168.7.0/24", LAN, gateway="10.0.0.9"),
            route("192.168.8.0/24", WAN, DMZ),
            route("203.0.113.0/24", WAN),
        ],
        ["lan0", "dmz0"],
        "wan0",
    )
    assert found.networks == ("10.0.0.0/24", "10.9.0.0/16", "192.168.7.0/24", "192.168.8.0/24")
    assert [interface.addresses for interface in found.inside] == [("10.0.0.1",), ("10.9.0.1",)]
    assert [interface.up for interface in found.inside] == [True, False]


def test_what_is_no_inside_network_is_left_out() -> None:
    found = derive(
        LINKS,
        [address(LAN, "10.0.0.1/24"), address(LAN, "10.255.0.1/32"), address(LAN, "169.254.3.4/16")],
        [
            route("0.0.0.0/0", LAN),
            route("10.0.0.1/32", LAN, table=255, kind=2),
            route("10.0.0.255/32", LAN, table=255, kind=3),
            route("224.0.0.0/4", LAN),
            route("169.254.0.0/16", LAN),
        ],
        ["lan0"],
        "wan0",
    )
    assert found.networks == ("10.0.0.0/24",)


def test_a_network_within_another_is_not_said_twice() -> None:
    found = derive(LINKS, [address(LAN, "10.0.0.1/24")], [route("10.0.0.0/8", LAN)], ["lan0"], "wan0")
    assert found.networks == ("10.0.0.0/8",)


def test_the_peer_of_a_point_to_point_link_is_an_inside_network() -> None:
    found = derive(LINKS, [address(LAN, "10.0.0.1/32", peer="10.5.5.5")], [], ["lan0"], "wan0")
    assert found.networks == ("10.5.5.5/32",)


@pytest.mark.parametrize(
    ("defaults", "expected"),
    [
        ([], "198.51.100.1"),
        ([route("0.0.0.0/0", WAN, source="198.51.100.7")], "198.51.100.7"),
        ([route("0.0.0.0/0", WAN, source="198.51.100.9")], "198.51.100.9"),
        ([route("0.0.0.0/0", WAN, source="192.0.2.77")], "198.51.100.1"),
        ([route("0.0.0.0/0", WAN, gateway="203.0.113.254")], "203.0.113.1"),
        ([route("0.0.0.0/0", LAN, gateway="203.0.113.254")], "198.51.100.1"),
        (
            [
                route("0.0.0.0/0", WAN, gateway="198.51.100.254", metric=200),
                route("0.0.0.0/0", WAN, gateway="203.0.113.254", metric=100),
            ],
            "203.0.113.1",
        ),
    ],
)
def test_the_outside_address_follows_the_default_route(defaults: list[Route], expected: str) -> None:
    addresses = [
        address(WAN, "192.0.2.1/24", scope=253),
        address(WAN, "198.51.100.1/24"),
        address(WAN, "198.51.100.7/24"),
        address(WAN, "198.51.100.9/24", flags=1),
        address(WAN, "203.0.113.1/24"),
    ]
    found = derive(LINKS, addresses, defaults, ["lan0"], "wan0")
    assert found.address == expected
    assert len(found.outside.addresses) == 5


def test_neither_secondary_nor_link_scope_addresses_are_reachable_ones() -> None:
    addresses = [address(WAN, "192.0.2.1/24", scope=253), address(WAN, "198.51.100.9/24", flags=1)]
    assert derive(LINKS, addresses, [], ["lan0"], "wan0").address is None
