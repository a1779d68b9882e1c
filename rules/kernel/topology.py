"""What the interfaces say about inside and outside; pure, from netlink's rows to one value."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

_GLOBAL_SCOPE = 0  # RT_SCOPE_UNIVERSE
_SECONDARY = 0x01  # IFA_F_SECONDARY
_UNICAST = 1  # RTN_UNICAST
_LOCAL_TABLE = 255
_DEFAULT = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True, slots=True)
class Link:
    """An interface; `up` is administratively up with its carrier there."""

    index: int
    name: str
    up: bool


@dataclass(frozen=True, slots=True)
class Address:
    """An address of the router; `network` is what the link reaches: the peer, where it is point-to-point."""

    link: int
    ip: IPv4Address
    network: IPv4Network
    scope: int
    flags: int


@dataclass(frozen=True, slots=True)
class Route:
    """A route with the links of all its next hops."""

    links: tuple[int, ...]
    network: IPv4Network
    table: int
    kind: int
    gateway: IPv4Address | None
    source: IPv4Address | None
    metric: int


@dataclass(frozen=True, slots=True)
class Interface:
    """How an interface is found; `up` is administratively up with its carrier there."""

    name: str
    exists: bool
    up: bool
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Topology:
    """Inside and outside as they are now.

    `address` is the router's own address on the outside interface, the one to be reached at; None while it
    has none. `networks` are the inside prefixes, none of them within another.
    """

    inside: tuple[Interface, ...]
    outside: Interface
    address: str | None
    networks: tuple[str, ...]


def derive(
    links: Sequence[Link],
    addresses: Sequence[Address],
    routes: Sequence[Route],
    inside: Sequence[str],
    outside: str,
) -> Topology:
    """The topology for these interface names; what does not exist is said in the value."""
    by_name = {link.name: link for link in links}
    within = {by_name[name].index for name in inside if name in by_name}
    beyond = by_name[outside].index if outside in by_name else 0
    return Topology(
        inside=tuple(_interface(name, by_name, addresses) for name in inside),
        outside=_interface(outside, by_name, addresses),
        address=_outside_address(beyond, addresses, routes),
        networks=_networks(within, addresses, routes),
    )


def _interface(name: str, by_name: dict[str, Link], addresses: Sequence[Address]) -> Interface:
    link = by_name.get(name)
    if link is None:
        return Interface(name, exists=False, up=False, addresses=())
    own = tuple(str(address.ip) for address in addresses if address.link == link.index)
    return Interface(name, exists=True, up=link.up, addresses=own)


def _outside_address(link: int, addresses: Sequence[Address], routes: Sequence[Route]) -> str | None:
    candidates = [
        address
        for address in addresses
        if address.link == link and address.scope == _GLOBAL_SCOPE and not address.flags & _SECONDARY
    ]
    defaults = sorted(
        (route for route in routes if route.network == _DEFAULT and link in route.links),
        key=lambda route: route.metric,
    )
    for route in defaults:
        for address in addresses:
            if address.link == link and address.ip == route.source:
                return str(address.ip)
        # as the kernel's own MASQUERADE chooses: the address in the gateway's network
        for address in candidates:
            if route.gateway is not None and route.gateway in address.network:
                return str(address.ip)
    return str(candidates[0].ip) if candidates else None


def _networks(within: set[int], addresses: Sequence[Address], routes: Sequence[Route]) -> tuple[str, ...]:
    found = {address.network for address in addresses if address.link in within and not _only_itself(address)}
    found |= {
        route.network
        for route in routes
        if route.kind == _UNICAST
        and route.table != _LOCAL_TABLE
        and route.network != _DEFAULT
        and within.intersection(route.links)
    }
    usable = {network for network in found if not (network.is_link_local or network.is_multicast)}
    return tuple(
        str(network)
        for network in sorted(usable)
        if not any(network != other and network.subnet_of(other) for other in usable)
    )


def _only_itself(address: Address) -> bool:
    return address.network == IPv4Interface(address.ip).network
