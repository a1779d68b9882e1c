"""What the maps and sets of the table hold, as nftables keeps it: keys of four-byte words, values, comments."""

import socket
import struct
from typing import NamedTuple

from rules import text
from rules.kernel.netlink import NESTED, attribute, attributes
from rules.kernel.nftables.expressions import (
    METHOD_LENGTH,
    METHODS,
    UNCOUNTED,
    counter,
    interface,
    long,
    number,
    rate_name,
)
from rules.model import Endpoint
from rules.ruleset import Element, Match, Rule, SetSpec

MAPS = {"DNAT": "sipmasq-dnat", "SNAT": "sipmasq-snat"}
"""The map of each kind of translation."""
SOURCES = "hash:ip,port,ip"
"""The type of a set whose elements name who may send."""
_TYPES = {4: "hash:ip", 8: "hash:ip,port", 12: SOURCES}
"""By the length of a key."""

# <linux/netfilter/nf_tables.h>: of a set, of an element in a list of them
_NAME, _FLAGS, _KEY_TYPE, _KEY_LENGTH, _VALUE_TYPE, _VALUE_LENGTH = range(2, 8)
_DESCRIPTION, _SET_ID, _SET_TIMEOUT, _SET_EXPRESSION = 9, 10, 11, 17
_KEY, _VALUE, _TIMEOUT, _USERDATA, _EXPRESSION = 1, 2, 4, 6, 7
_IS_MAP, _TIMED, _CHANGED_BY_RULES = 8, 0x10, 0x20
_ADDRESS_TYPE, _PORT_TYPE, _INTERFACE_TYPE, _BYTES_TYPE = 7, 13, 41, 5  # of the nft program, which lists by them
_TYPE_BITS = 6
_ADDRESS_LENGTH, _PORT_LENGTH, _INTERFACE_LENGTH = 4, 4, 16
_ENDPOINT = struct.Struct(">4sH2x")
_COMMENT = 0  # the kind of user data
_PACKETS = 2  # of a counter
_METHOD_NAMES = (
    "ACK BYE CANCEL INFO INVITE MESSAGE NOTIFY OPTIONS PRACK PUBLISH REFER REGISTER SUBSCRIBE UPDATE"  # RFC 3261 ff.
)


class Item(NamedTuple):
    """What one map or set holds once. `value` is empty in a set."""

    key: bytes
    value: bytes
    comment: str


class Held(NamedTuple):
    """An item as read, with what it has counted; None where it does not count."""

    item: Item
    packets: int | None


def of_rule(rule: Rule) -> Item:
    """A translation as the element that does it."""
    incoming = rule.target == "DNAT"
    where, ip, port = (
        (rule.incoming, rule.destination, rule.dport) if incoming else (rule.outgoing, rule.source, rule.sport)
    )
    to_ip, _, to_port = rule.options[0][1][0].partition(":")
    key = interface(where or "") + _endpoint(ip or "", int(port or 0))
    return Item(key, _endpoint(to_ip, int(to_port)), text.mark(rule))


def key_of(element: Element) -> bytes:
    """An element's key in its set."""
    key = _endpoint(*element.inside)
    return key if element.source is None else key + socket.inet_aton(element.source)


def element_of(name: str, key: bytes) -> Element:
    """The element with this key."""
    ip, port = _ENDPOINT.unpack_from(key)
    source = key[_ENDPOINT.size :]
    return Element(name, Endpoint(socket.inet_ntoa(ip), port), socket.inet_ntoa(source) if source else None)


def methods() -> list[Item]:
    """How requests of SIP begin."""
    return [Item(name.encode().ljust(METHOD_LENGTH)[:METHOD_LENGTH], b"", name) for name in _METHOD_NAMES.split()]


def new_map(table: bytes, name: str) -> bytes:
    """The message that makes a map of translations."""
    return _new(
        table,
        name,
        (_INTERFACE_TYPE, _ADDRESS_TYPE, _PORT_TYPE),
        _INTERFACE_LENGTH + _ADDRESS_LENGTH + _PORT_LENGTH,
        number(_VALUE_TYPE, _types(_ADDRESS_TYPE, _PORT_TYPE)),
        number(_VALUE_LENGTH, _ENDPOINT.size),
        flags=_IS_MAP,
    )


def new_sets(table: bytes, spec: SetSpec) -> list[bytes]:
    """The messages that make a set, and the one that is looked into without counting."""
    types = tuple(_PORT_TYPE if each == "port" else _ADDRESS_TYPE for each in spec.type.split(":")[1].split(","))
    length = _ADDRESS_LENGTH * len(types)
    counting = (attribute(_SET_EXPRESSION | NESTED, counter()),) if spec.counters else ()
    made = [_new(table, spec.name, types, length, *counting, flags=_TIMED if spec.timed else 0)]
    return [*made, *(_new(table, name, types, length) for name in names(spec.name)[1:])]


def new_methods(table: bytes) -> bytes:
    """The message that makes the set of methods."""
    return _new(table, METHODS, (_BYTES_TYPE,), METHOD_LENGTH)


def new_rate(table: bytes, limit: Match) -> bytes:
    """The message that makes the set of a `hashlimit`, which has an end and forgets who is quiet."""
    options = dict(limit.options)
    most, forgotten = (int(options[f"hashlimit-htable-{name}"][0]) for name in ("max", "expire"))
    return _new(
        table,
        rate_name(limit),
        (_ADDRESS_TYPE,),
        _ADDRESS_LENGTH,
        attribute(_DESCRIPTION | NESTED, number(1, most)),
        long(_SET_TIMEOUT, forgotten),
        flags=_TIMED | _CHANGED_BY_RULES,
    )


def names(name: str) -> tuple[str, ...]:
    """The sets of the table that hold what this one shall."""
    return (name, UNCOUNTED) if UNCOUNTED.startswith(name) else (name,)


def spec_of(found: dict[int, bytes]) -> SetSpec:
    """A set by the attributes that were read."""
    kind = _TYPES.get(int.from_bytes(found[_KEY_LENGTH], "big"), "")
    timed = bool(int.from_bytes(found.get(_FLAGS, b""), "big") & _TIMED)
    return SetSpec(_text(found[_NAME]), kind, _SET_EXPRESSION in found, timed)


def encode(item: Item) -> bytes:
    """An item to add, as one of a list."""
    value = attribute(_VALUE | NESTED, attribute(1, item.value)) if item.value else b""
    return attribute(1 | NESTED, _key(item.key) + value + attribute(_USERDATA, comment(item.comment)))


def encode_timed(key: bytes, seconds: int) -> bytes:
    """An item to add that ends by itself, as one of a list."""
    return attribute(1 | NESTED, _key(key) + long(_TIMEOUT, seconds * 1000))


def encode_key(key: bytes) -> bytes:
    """An item to take out, as one of a list."""
    return attribute(1 | NESTED, _key(key))


def decode(data: bytes, start: int, end: int) -> Held:
    """One of a list, as the kernel writes it."""
    key = value = b""
    note = ""
    packets = None
    for kind, begin, stop in attributes(data, start, end):
        if kind == _KEY:
            key = data[begin + 4 : stop]
        elif kind == _VALUE:
            value = data[begin + 4 : stop]
        elif kind == _USERDATA:
            note = read_comment(data[begin:stop])
        elif kind == _EXPRESSION:
            packets = _counted(data, begin, stop)
    return Held(Item(key, value, note), packets)


def counted(expressions: bytes) -> int:
    """What the counter among a rule's expressions says."""
    for _kind, begin, stop in attributes(expressions, 0, len(expressions)):
        if b"counter\0" in expressions[begin:stop]:
            return _counted(expressions, begin, stop) or 0
    return 0


def comment(note: str) -> bytes:
    """A comment as user data, where the nft program looks for it."""
    encoded = note.encode() + b"\0"
    return bytes((_COMMENT, len(encoded))) + encoded


def read_comment(data: bytes) -> str:
    """The comment in user data; empty if there is none."""
    at = 0
    while at + 2 <= len(data):
        kind, length = data[at], data[at + 1]
        if kind == _COMMENT:
            return _text(data[at + 2 : at + 2 + length])
        at += 2 + length
    return ""


def _counted(data: bytes, start: int, end: int) -> int | None:
    for kind, begin, stop in attributes(data, start, end):
        if kind == 2:  # the expression's own attributes
            for inner, first, last in attributes(data, begin, stop):
                if inner == _PACKETS:
                    return int.from_bytes(data[first:last], "big")
    return None


def _new(table: bytes, name: str, types: tuple[int, ...], length: int, *more: bytes, flags: int = 0) -> bytes:
    return b"".join(
        (
            table,
            attribute(_NAME, name.encode() + b"\0"),
            number(_FLAGS, flags),
            number(_KEY_TYPE, _types(*types)),
            number(_KEY_LENGTH, length),
            number(_SET_ID, 0),
            *more,
        )
    )


def _types(*types: int) -> int:
    whole = 0
    for each in types:
        whole = whole << _TYPE_BITS | each
    return whole


def _key(key: bytes) -> bytes:
    return attribute(_KEY | NESTED, attribute(1, key))


def _endpoint(ip: str, port: int) -> bytes:
    return _ENDPOINT.pack(socket.inet_aton(ip), port)


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode(errors="replace")
