"""Kernel state as frozen values: rules, chains, sets and their entries."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from rules.model import Endpoint

TableName = Literal["filter", "nat", "mangle"]
Option = tuple[str, tuple[str, ...]]
"""One option with its values; a name that starts with ``!`` is negated."""


class Match(NamedTuple):
    """One match extension of a rule, options in the order iptables-save prints them."""

    name: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One iptables rule. Addresses may be prefixes; ports are ``5060`` or ``20000:29999`` and mean UDP.

    `outgoing` may be negated: ``!wan0``.
    """

    table: TableName
    chain: str
    target: str
    reason: str
    options: tuple[Option, ...] = ()
    source: str | None = None
    destination: str | None = None
    incoming: str | None = None
    outgoing: str | None = None
    udp: bool = True
    sport: str | None = None
    dport: str | None = None
    matches: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """An own chain with all its rules. The order counts unless the rules exclude one another."""

    table: TableName
    name: str
    rules: tuple[Rule, ...]
    ordered: bool = True


@dataclass(frozen=True, slots=True)
class Jump:
    """A rule in a built-in chain that leads into an own one, made at its head or its end."""

    rule: Rule
    last: bool = False


@dataclass(frozen=True, slots=True)
class SetSpec:
    """An ipset: its type (``hash:ip,port``) and whether its entries count packets.

    Those of a `timed` one end by themselves and are not part of what is compared.
    """

    name: str
    type: str
    counters: bool
    timed: bool = False


class Element(NamedTuple):
    """What a set holds once: an inside UDP address, in one set with the address that may send to it."""

    set: str
    inside: Endpoint
    source: str | None = None


class Entry(NamedTuple):
    """An element and the comment it carries."""

    element: Element
    comment: str


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Everything of ours in one network namespace."""

    chains: tuple[Chain, ...] = ()
    jumps: tuple[Jump, ...] = ()
    sets: tuple[SetSpec, ...] = ()
    entries: tuple[Entry, ...] = ()
