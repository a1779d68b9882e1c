"""Other people's firewall rules, legacy and nft alike, as far as they matter to calls; only looked at.

A condition that is not understood stays in the value as OTHER, so that no reader takes such a rule for one
that always matches.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from ipaddress import IPv4Network


class Hook(Enum):
    """Where a base chain sees packets; the kernel's numbers (enum nf_inet_hooks)."""

    PREROUTING = 0
    INPUT = 1
    FORWARD = 2
    OUTPUT = 3
    POSTROUTING = 4


class Action(StrEnum):
    """What a rule does with a packet that meets its conditions."""

    ACCEPT = "accept"
    DROP = "drop"
    REJECT = "reject"
    JUMP = "jump"
    GOTO = "goto"
    RETURN = "return"
    SOURCE_NAT = "source nat"
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
    WAS_DNATED = "dnat"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of a rule: whether what it looks at is one of `values`.

    These are interface names (``eth+`` for all that begin so), prefixes, names of protocols, or ports (``5060``
    or ``5060-5070``); none where they were not understood.
    """

    subject: Subject
    values: tuple[str, ...] = ()
    negated: bool = False


@dataclass(frozen=True, slots=True)
class ForeignRule:
    """`where` names the rule for its owner; `target` is the chain of a jump or goto."""

    where: str
    action: Action
    conditions: tuple[Condition, ...] = ()
    target: str = ""


@dataclass(frozen=True, slots=True)
class ForeignChain:
    """A chain of one table; `hook` is None unless the kernel calls it itself."""

    table: str
    name: str
    rules: tuple[ForeignRule, ...]
    hook: Hook | None = None
    nat: bool = False
    policy_drop: bool = False


@dataclass(frozen=True, slots=True)
class ForeignTable:
    """`legacy` tells iptables-legacy from nft; `name` is ``nat``, or ``inet fw4``."""

    name: str
    legacy: bool
    chains: Mapping[str, ForeignChain]


@dataclass(frozen=True, slots=True)
class Passage:
    """A kind of forwarded IPv4 UDP packet.

    The interfaces it comes from and leaves by, and whether DNAT gave it its destination.
    """

    into: str
    out: str
    dnated: bool


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
        case _:
            return None
    return holds is not condition.negated


def names_interface(pattern: str, name: str) -> bool:
    """Whether an interface name meets a rule's pattern."""
    return name.startswith(pattern[:-1]) if pattern.endswith("+") else name == pattern


def covers(prefixes: Iterable[str], network: str) -> bool:
    """Whether every address of `network` is in one of the prefixes."""
    return any(IPv4Network(network).subnet_of(IPv4Network(prefix, strict=False)) for prefix in prefixes)
