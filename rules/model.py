"""What the netfilter side is told: the router, and one forward per announced transport address.

All values are frozen. Ports are 1-65535, addresses dotted IPv4 text.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple


class Flood(NamedTuple):
    """How much may come to the packet queue, in datagrams per second; what is above ends in the kernel.

    `rate` is for each source address on either side, and `burst` how many it may send at once; `strangers` is for all
    datagrams together that belong to no connection which an inside host has had a part in.
    """

    rate: int = 1000
    burst: int = 2000
    strangers: int = 2000


class Endpoint(NamedTuple):
    """A UDP transport address."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"{self.ip}:{self.port}"


class Purpose(StrEnum):
    """What a forwarded port carries; the packets of media stay in the kernel."""

    SIGNALLING = "sip"
    RTP = "rtp"
    RTCP = "rtcp"
    UDPTL = "udptl"

    def __init__(self, text: str) -> None:
        self.is_media = text != "sip"


class Forward(NamedTuple):
    """One inside transport address reachable at one port of the router's outside address.

    `sources` are the outside addresses that may send to it, from any port; None leaves it open to all, an
    empty set to nobody yet. `reason` is what the operator reads beside the rule: ``call 3f2a9c01``.
    """

    inside: Endpoint
    port: int
    purpose: Purpose
    sources: frozenset[str] | None
    reason: str


@dataclass(frozen=True, slots=True)
class Setup:
    """What the rules need to know of the router, apart from the forwards.

    `inside` and `outside` are interface names, `networks` the inside prefixes (``10.0.0.0/24``). `address` is
    the router's own address on the outside interface, None while it has none: no address, no translation.
    `sip_ports` are those of providers; `any_port` has the first message to any other one found by its request
    line. `masquerade` adds the rule that hides the networks. `forwarding_was_off` is kept as a mark in
    the kernel so that a clean-up without any state can turn IPv4 forwarding off again. `flood` bounds what comes to
    the queue.
    """

    inside: tuple[str, ...]
    outside: str
    networks: tuple[str, ...]
    address: str | None
    sip_ports: tuple[int, ...]
    any_port: bool
    media_ports: tuple[int, int]
    queue: int
    on_failure: Literal["drop", "pass"]
    masquerade: bool
    forwarding_was_off: bool = False
    flood: Flood = field(default_factory=Flood)


class Traffic(NamedTuple):
    """Packets seen at one media address since its forward was made."""

    inward: int
    outward: int
