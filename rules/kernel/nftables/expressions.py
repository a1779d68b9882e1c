"""Rules in the machine language of nftables: what loads registers, compares them, and decides.

A rule means here what it means to iptables. Some things differ in form: a match of a set counts by the lookup, so a
rule that shall not count looks into a set of its own; and nothing searches a packet for a string, so the first
message of SIP is known by how its method begins. A rate is kept in a set with a limit for each source; when that is
full, a new source is held up by the share of all only.
"""

import ipaddress
import socket
import struct
from collections.abc import Iterator
from enum import IntEnum

from rules import owner, text
from rules.errors import UnsupportedError
from rules.kernel.netlink import NESTED, attribute
from rules.ruleset import Match, Rule

UNCOUNTED = f"{owner.SET_TO}-uncounted"
"""Holds what the set of that name holds, for the lookup that shall not count."""
METHODS = f"{owner.NAME}-methods"
"""The first four bytes of each SIP request."""
RATES = f"{owner.NAME}-rate-"
"""How the name of a set begins that keeps rates."""

# <linux/netfilter/nf_tables.h>
_VERDICT_REGISTER, _REGISTER = 0, 8  # NFT_REG_VERDICT, NFT_REG32_00 of sixteen with four bytes each
_DROP, _ACCEPT = 0, 1
_SNAT, _DNAT = 0, 1
_WORD = 4
_INTERFACE_WORDS = 4
_NETWORK, _TRANSPORT = 1, 2
_SOURCE, _DESTINATION = 12, 16  # of the addresses in the IP header
_METHOD_AT, METHOD_LENGTH = 8, 4  # in the UDP datagram
_BYPASS = 1  # NFT_QUEUE_FLAG_BYPASS
_STATES = {"NEW": 1 << 3, "ESTABLISHED": 1 << 1}
_DIRECTIONS = {"ORIGINAL": 0, "REPLY": 1}
_ABOVE = 1  # NFT_LIMIT_F_INV
_UPDATE = 1  # NFT_DYNSET_OP_UPDATE
_SECOND = 1  # the unit of a rate


class _Meta(IntEnum):
    INCOMING, OUTGOING, PROTOCOL = 6, 7, 16


class _Ct(IntEnum):
    STATE, DIRECTION, DESTINATION_PORT = 0, 1, 12


class _Compare(IntEnum):
    EQUAL, NOT_EQUAL = 0, 1
    AT_MOST, AT_LEAST = 3, 5


def rule(made: Rule) -> bytes:
    """The expressions of a rule; UnsupportedError for one that has no such form."""
    counted = _element(counter()) if made.reason.startswith(owner.FLOOD) else b""
    return b"".join((*_conditions(made), counted, _verdict(made)))


def translation(target: str, name: str) -> bytes:
    """The one rule of a chain that translates by a map: interface, address and port to address and port."""
    incoming = target == "DNAT"
    parts = (
        _udp(),
        _meta(_Meta.INCOMING if incoming else _Meta.OUTGOING, _REGISTER),
        _address(_DESTINATION if incoming else _SOURCE, _REGISTER + _INTERFACE_WORDS),
        _port(_DESTINATION if incoming else _SOURCE, _REGISTER + _INTERFACE_WORDS + 1),
        _expression("lookup", _name(1, name), number(2, _REGISTER), number(3, _REGISTER)),
        _expression(
            "nat",
            number(1, _DNAT if incoming else _SNAT),
            number(2, socket.AF_INET),
            number(3, _REGISTER),
            number(5, _REGISTER + 1),
        ),
    )
    return b"".join(parts)


def counter() -> bytes:
    """The counter of a rule or of each element of a set."""
    return _named("counter")


def number(kind: int, value: int) -> bytes:
    """An attribute of 32 bits."""
    return attribute(kind, struct.pack(">I", value))


def long(kind: int, value: int) -> bytes:
    """An attribute of 64 bits."""
    return attribute(kind, struct.pack(">Q", value))


def rate_name(limit: Match) -> str:
    """The set that keeps the rates of a `hashlimit`."""
    ((name,),) = (values for option, values in limit.options if option == "hashlimit-name")
    return RATES + name.removeprefix(f"{owner.NAME}-")


def _name(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def _expression(name: str, *parts: bytes) -> bytes:
    return _element(_named(name, *parts))


def _element(named: bytes) -> bytes:
    """One of a list."""
    return attribute(1 | NESTED, named)


def _named(name: str, *parts: bytes) -> bytes:
    return _name(1, name) + attribute(2 | NESTED, b"".join(parts))


def _conditions(made: Rule) -> Iterator[bytes]:
    for key, name in ((_Meta.INCOMING, made.incoming), (_Meta.OUTGOING, made.outgoing)):
        if name:
            yield _meta(key, _REGISTER)
            how = _Compare.NOT_EQUAL if name.startswith("!") else _Compare.EQUAL
            yield _compare(how, interface(name.removeprefix("!")))
    for offset, prefix in ((_SOURCE, made.source), (_DESTINATION, made.destination)):
        if prefix:
            yield from _within(offset, prefix)
    if made.udp:
        yield _udp()
    for offset, ports in ((_SOURCE, made.sport), (_DESTINATION, made.dport)):
        if ports:
            yield _port(offset, _REGISTER)
            yield from _between(ports)
    for match in made.matches:
        yield from _match(made, match)


def _match(made: Rule, match: Match) -> Iterator[bytes]:
    options = dict(match.options)
    if match.name == "set":
        name, directions = options["match-set"]
        yield from _in_set(name if "!update-counters" not in options else UNCOUNTED, directions)
    elif match.name == "string":
        yield _load("payload", _REGISTER, _TRANSPORT, _METHOD_AT, METHOD_LENGTH)
        yield _expression("lookup", _name(1, METHODS), number(2, _REGISTER))
    elif match.name == "conntrack":
        for option, (value,) in options.items():
            yield from _tracked(option, value)
    elif match.name == "hashlimit":
        yield from _above(match)
    else:
        raise UnsupportedError(f"rule {text.line(made)}: nftables has no match {match.name}")


def _tracked(option: str, value: str) -> Iterator[bytes]:
    if option == "ctstate":
        yield _ct(_Ct.STATE)
        mask = struct.pack("=I", _STATES[value])
        yield _masked(mask)
        yield _compare(_Compare.NOT_EQUAL, bytes(_WORD))
    elif option == "ctdir":
        yield _ct(_Ct.DIRECTION)
        yield _compare(_Compare.EQUAL, bytes([_DIRECTIONS[value]]))
    else:  # ctorigdstport
        yield _ct(_Ct.DESTINATION_PORT, attribute(3, bytes([_DIRECTIONS["ORIGINAL"]])))
        yield _compare(_Compare.EQUAL, struct.pack(">H", int(value)))


def _above(match: Match) -> Iterator[bytes]:
    """Where no source counts, all have the one that is left of each by an empty mask."""
    options = dict(match.options)
    rate, _, unit = options["hashlimit-above"][0].partition("/")
    if unit != "sec":
        raise UnsupportedError(f"match hashlimit: nftables is told rates by the second, not by the {unit}")
    yield _address(_SOURCE, _REGISTER)
    if "hashlimit-mode" not in options:
        yield _masked(bytes(_WORD))
    limit = _named(
        "limit",
        long(1, int(rate)),
        long(2, _SECOND),
        number(3, int(options["hashlimit-burst"][0])),
        number(5, _ABOVE),
    )
    name = _name(1, rate_name(match))
    yield _expression("dynset", name, number(3, _UPDATE), number(4, _REGISTER), attribute(7 | NESTED, limit))


def _in_set(name: str, directions: str) -> Iterator[bytes]:
    """As ipset reads them: the address, its port, and perhaps the other address."""
    for word, direction in enumerate(directions.split(",")):
        offset = _SOURCE if direction == "src" else _DESTINATION
        register = _REGISTER + word
        yield _port(offset, register) if word == 1 else _address(offset, register)
    yield _expression("lookup", _name(1, name), number(2, _REGISTER))


def _verdict(made: Rule) -> bytes:
    options = dict(made.options)
    match made.target:
        case "ACCEPT":
            return _decide(_ACCEPT)
        case "DROP":
            return _decide(_DROP)
        case "MASQUERADE":
            return _expression("masq")
        case "NFQUEUE":
            flags = _BYPASS if "queue-bypass" in options else 0
            values = (int(options["queue-num"][0]), 1, flags)
            return _expression("queue", *(attribute(kind, struct.pack(">H", v)) for kind, v in enumerate(values, 1)))
    raise UnsupportedError(f"rule {text.line(made)}: nftables has no target {made.target}")


def _decide(code: int) -> bytes:
    verdict = attribute(2 | NESTED, number(1, code))
    return _expression("immediate", number(1, _VERDICT_REGISTER), attribute(2 | NESTED, verdict))


def interface(name: str) -> bytes:
    """An interface's name as registers hold it."""
    return name.encode().ljust(_INTERFACE_WORDS * _WORD, b"\0")


def _udp() -> bytes:
    return _meta(_Meta.PROTOCOL, _REGISTER) + _compare(_Compare.EQUAL, bytes([socket.IPPROTO_UDP]))


def _within(offset: int, prefix: str) -> Iterator[bytes]:
    network = ipaddress.IPv4Network(prefix)
    yield _address(offset, _REGISTER)
    yield _masked(network.netmask.packed)
    yield _compare(_Compare.EQUAL, network.network_address.packed)


def _between(ports: str) -> Iterator[bytes]:
    low, _, high = ports.partition(":")
    yield _compare(_Compare.AT_LEAST if high else _Compare.EQUAL, struct.pack(">H", int(low)))
    if high:
        yield _compare(_Compare.AT_MOST, struct.pack(">H", int(high)))


def _address(offset: int, register: int) -> bytes:
    return _load("payload", register, _NETWORK, offset, _WORD)


def _port(offset: int, register: int) -> bytes:
    return _load("payload", register, _TRANSPORT, 0 if offset == _SOURCE else 2, 2)


def _meta(key: _Meta, register: int) -> bytes:
    return _load("meta", register, key)


def _ct(key: _Ct, *more: bytes) -> bytes:
    return _expression("ct", number(1, _REGISTER), number(2, key), *more)


def _load(name: str, *values: int) -> bytes:
    return _expression(name, *(number(kind, value) for kind, value in enumerate(values, 1)))


def _compare(how: _Compare, value: bytes) -> bytes:
    data = attribute(3 | NESTED, attribute(1, value))
    return _expression("cmp", number(1, _REGISTER), number(2, how), data)


def _masked(mask: bytes) -> bytes:
    masks = (attribute(kind | NESTED, attribute(1, value)) for kind, value in ((4, mask), (5, bytes(len(mask)))))
    return _expression("bitwise", number(1, _REGISTER), number(2, _REGISTER), number(3, len(mask)), *masks)
