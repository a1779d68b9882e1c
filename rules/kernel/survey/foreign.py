"""Other people's firewall rules, legacy and nft alike, as far as they matter to calls; only looked at.

A condition that is not understood stays in the value as OTHER, so that no reader takes such a rule for one
that always matches.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import lru_cache
from ipaddress import IPv4Network


class Hook(Enum):
    """Where a base chain sees packets; the kernel's numbers (enum nf_inet_hooks)."""

    PREROUTING = 0
    INPUT = 1
    FORWARD = 2
    OUTPUT = 3
    POSTROUTING = 4
    INGRESS = 5


class Action(StrEnum):
    """What a rule does with a packet that meets its conditions."""

    ACCEPT = "accept"
    DROP = "drop"
    REJECT = "reject"
    JUMP = "jump"
    GOTO = "goto"
    RETURN = "return"
    SOURCE_NAT = "source nat"
    DESTINATION_NAT = "destination nat"
    SIP_HELPER = "sip helper"
    OTHER = "other"


class Subject(Enum):
    """What a condition looks at."""

    IN_INTERFACE = "in"
    OUT_INTERFACE = "out"
    PROTOCOL = "protocol"
    FAMILY = "family"
    SOURCE = "source"
    DESTINATION = "destination"
    PORT = "port"
    SOURCE_PORT = "source port"
    STATE = "state"
    WAS_DNATED = "dnat"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of a rule: whether what it looks at is one of `values`.

    These are interface names (``eth+`` for all that begin so), prefixes, names of protocols, ports (``5060``
    or ``5060-5070``), or states of a flow (``new``, and ``dnat`` for one with a translated destination); none
    where they were not understood.
    """

    subject: Subject
    values: tuple[str, ...] = ()
    negated: bool = False

    def __str__(self) -> str:
        word = "" if self.subject in (Subject.OTHER, Subject.PROTOCOL, Subject.FAMILY) else f"{self.subject.value} "
        return f"{'not ' if self.negated else ''}{word}{','.join(self.values)}".strip() or "?"


@dataclass(frozen=True, slots=True)
class ForeignRule:
    """`where` names the rule for its owner; `target` is the chain of a jump or goto."""

    where: str
    action: Action
    conditions: tuple[Condition, ...] = ()
    target: str = ""

    @property
    def said(self) -> str:
        """What the rule does, in a few words."""
        return " ".join((*(str(condition) for condition in self.conditions), str(self.action)))


@dataclass(frozen=True, slots=True)
class ForeignChain:
    """A chain of one table; `hook` is None unless the kernel calls it itself.

    `devices` are the interfaces whose packets it sees, none where it sees those of all.
    """

    table: str
    name: str
    rules: tuple[ForeignRule, ...]
    hook: Hook | None = None
    nat: bool = False
    policy_drop: bool = False
    priority: int = 0
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignTable:
    """`legacy` tells iptables-legacy from nft; `name` is ``nat``, or ``inet fw4``."""

    name: str
    legacy: bool
    chains: Mapping[str, ForeignChain]


@dataclass(frozen=True, slots=True)
class Passage:
    """A kind of forwarded IPv4 UDP packet.

    The interfaces it comes from and leaves by, and whether DNAT gave it its destination. What is not said about it
    is None: the prefix that its source or destination is in, the (first, last) of the ports it may be sent to, and
    the state of its flow.
    """

    into: str
    out: str
    dnated: bool
    sources: tuple[str, ...] | None = None
    destinations: tuple[str, ...] | None = None
    ports: tuple[tuple[int, int], ...] | None = None
    state: str | None = None


def leaves_open(rule: ForeignRule, passage: Passage) -> tuple[Condition, ...] | None:
    """The conditions of a rule that the passage does not settle; None if the rule cannot match it."""
    rest = []
    for condition in rule.conditions:
        settled = _settle(condition, passage)
        if settled is False:
            return None
        if settled is None:
            rest.append(condition)
    return tuple(rest)


def _settle(condition: Condition, passage: Passage) -> bool | None:
    """Whether all such packets meet the condition, or none does; None if some may."""
    holds: bool | None
    match condition.subject:
        case Subject.IN_INTERFACE:
            holds = any(names_interface(value, passage.into) for value in condition.values)
        case Subject.OUT_INTERFACE:
            holds = any(names_interface(value, passage.out) for value in condition.values)
        case Subject.PROTOCOL:
            holds = "udp" in condition.values
        case Subject.FAMILY:
            holds = "ip" in condition.values
        case Subject.WAS_DNATED:
            holds = passage.dnated
        case Subject.STATE if condition.values and passage.state is not None:
            holds = passage.state in condition.values or (passage.dnated and "dnat" in condition.values)
        case Subject.SOURCE if passage.sources is not None:
            holds = _within(passage.sources, condition.values)
        case Subject.DESTINATION if passage.destinations is not None:
            holds = _within(passage.destinations, condition.values)
        case Subject.PORT if condition.values and passage.ports is not None:
            holds = _ports_within(passage.ports, [span(value) for value in condition.values])
        case _:
            holds = None
    return None if holds is None else holds is not condition.negated


def _within(prefixes: tuple[str, ...], values: tuple[str, ...]) -> bool | None:
    if all(covers(values, prefix) for prefix in prefixes):
        return bool(values) or None
    networks = [_network(value) for value in values]
    apart = not any(_network(prefix).overlaps(network) for prefix in prefixes for network in networks)
    return False if apart and values else None


def _ports_within(ports: Iterable[tuple[int, int]], spans: list[tuple[int, int]]) -> bool | None:
    if all(any(low <= first and last <= high for low, high in spans) for first, last in ports):
        return True
    return None if any(shared(ports, one) for one in spans) else False


def shared(ports: Iterable[tuple[int, int]], other: tuple[int, int]) -> int:
    """How many of the ports are in another range."""
    return sum(max(0, min(last, other[1]) - max(first, other[0]) + 1) for first, last in ports)


def span(value: str) -> tuple[int, int]:
    """First and last port of a condition's value."""
    first, _, last = value.partition("-")
    return int(first), int(last or first)


def names_interface(pattern: str, name: str) -> bool:
    """Whether an interface name meets a rule's pattern."""
    return name.startswith(pattern[:-1]) if pattern.endswith("+") else name == pattern


def covers(prefixes: Iterable[str], network: str) -> bool:
    """Whether every address of `network` is in one of the prefixes."""
    return any(_network(network).subnet_of(_network(prefix)) for prefix in prefixes)


@lru_cache(maxsize=4096)  # each is asked for again and again, by every kind of packets
def _network(prefix: str) -> IPv4Network:
    return IPv4Network(prefix, strict=False)
