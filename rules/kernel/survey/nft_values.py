"""What nft rules compare packets with: single values, ranges, and the sets that are written into a rule."""

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, summarize_address_range

from rules.kernel.survey.foreign import Condition, Subject
from rules.kernel.survey.nfnetlink import attribute, attributes, dump, each_attribute, number, text

# <linux/netfilter/nf_tables.h>
NFTABLES = 10
FAMILIES = {1: "inet", 2: "ip", 5: "netdev"}  # those that see forwarded IPv4
ADDRESS_LENGTH = 4
NOT_EQUAL = 1
INDEX = "index"
_LESS, _AT_MOST, _MORE, _AT_LEAST = 2, 3, 4, 5
_GET_ELEMENTS = 13
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3
_ELEMENT_KEY, _ELEMENT_DATA, _ELEMENT_FLAGS = 1, 2, 3
_MOST_ELEMENTS = 4096
_INTERVAL_END = 1
_STATUS_DNATED = struct.pack("=I", 1 << 5)  # IPS_DST_NAT
_LAST_PORT = 0xFFFF
_LENGTHS = {
    Subject.IN_INTERFACE: 16,  # IFNAMSIZ
    Subject.OUT_INTERFACE: 16,
    Subject.PROTOCOL: 1,
    Subject.FAMILY: 2,
    Subject.PORT: 2,
    Subject.SOURCE_PORT: 2,
    Subject.STATE: 4,
    Subject.SOURCE: ADDRESS_LENGTH,
    Subject.DESTINATION: ADDRESS_LENGTH,
}
_NAMES = {
    Subject.PROTOCOL: {6: "tcp", 17: "udp"},
    Subject.FAMILY: {2: "ip", 10: "ip6", 0x0800: "ip", 0x86DD: "ip6"},
}
_STATES = {0: "invalid", 1: "established", 2: "related", 3: "new", 6: "untracked"}  # NF_CT_STATE_BIT()

Range = tuple[bytes, bytes]
"""First and last value."""


@dataclass(frozen=True, slots=True)
class Register:
    """What a rule has loaded to compare: where from, whether it is an index, and which bits of it."""

    subject: Subject = Subject.OTHER
    kind: str = ""
    mask: bytes = b""


UNKNOWN = Register()


def compared(register: Register, operator: int, value: bytes) -> Condition:
    """The condition of a comparison with one value."""
    if register.subject is Subject.WAS_DNATED:
        # the test of one bit: status & dnat != 0
        if register.mask == _STATUS_DNATED:
            return Condition(Subject.WAS_DNATED, negated=operator != NOT_EQUAL)
        return Condition(Subject.OTHER, ("ct status",))
    if register.subject is Subject.STATE and register.mask:
        if any(value):
            return Condition(Subject.OTHER, ("ct state",))
        return Condition(Subject.STATE, _states(register.mask), negated=operator != NOT_EQUAL)
    if operator <= NOT_EQUAL:
        if register.mask:
            return _masked(register, operator == NOT_EQUAL, value)
        return one_of(register, [(value, value)], operator == NOT_EQUAL)
    if register.subject not in (Subject.PORT, Subject.SOURCE_PORT):
        return Condition(Subject.OTHER)
    port = number(value)
    first = {_MORE: port + 1, _AT_LEAST: port}.get(operator, 0)
    last = {_LESS: port - 1, _AT_MOST: port}.get(operator, _LAST_PORT)
    return Condition(register.subject, (f"{first}-{last}",))


def one_of(register: Register, ranges: Sequence[Range], negated: bool) -> Condition:
    """The condition of being in one of the ranges, or in none of them."""
    values: list[str] = []
    for first, last in ranges:
        understood = _spelled(register, first, last)
        if not understood:
            return Condition(Subject.OTHER)
        values += understood
    return Condition(register.subject, tuple(values), negated)


def read_set(table: str, name: str) -> list[Range]:
    """The elements of a set of `table` (``inet fw4``), in order; LookupError if they are too many."""
    return _ranges([(key, ends) for key, ends, _verdict in _elements(table, name)])


def read_verdicts(table: str, name: str) -> list[tuple[Range, bytes]]:
    """The elements of a verdict map, in order, each with the attributes of its verdict; else as `read_set`."""
    elements = _elements(table, name)
    verdicts = {key: verdict for key, ends, verdict in elements if not ends}
    return [(found, verdicts[found[0]]) for found in _ranges([(key, ends) for key, ends, _verdict in elements])]


def _elements(table: str, name: str) -> list[tuple[bytes, bool, bytes]]:
    family_name, _, bare = table.partition(" ")
    family = next(code for code, word in FAMILIES.items() if word == family_name)
    question = attribute(_LIST_TABLE, bare.encode() + b"\0") + attribute(_LIST_SET, name.encode() + b"\0")
    elements: list[tuple[bytes, bool, bytes]] = []
    for _family, row in dump(NFTABLES, _GET_ELEMENTS, question, family):
        for _kind, element in each_attribute(row.get(_LIST_ELEMENTS, b"")):
            found = attributes(element)
            ends = bool(number(found.get(_ELEMENT_FLAGS, b"")) & _INTERVAL_END)
            verdict = attributes(found.get(_ELEMENT_DATA, b"")).get(2, b"")
            elements.append((attributes(found[_ELEMENT_KEY])[1], ends, verdict))
        if len(elements) > _MOST_ELEMENTS:
            raise LookupError(name)
    return sorted(elements, key=lambda element: (element[0], not element[1]))


def _ranges(elements: Sequence[tuple[bytes, bool]]) -> list[Range]:
    """An interval is its first value and, marked as an end, the first one after it; the end may be missing."""
    with_ends = any(ends for _key, ends in elements)
    found: list[Range] = []
    for at, (key, ends) in enumerate(elements):
        if ends:
            continue
        last = key
        if with_ends:
            after = elements[at + 1][0] if at + 1 < len(elements) else None
            last = _before(after) if after else b"\xff" * len(key)
        found.append((key, last))
    return found


def _before(key: bytes) -> bytes:
    return (number(key) - 1).to_bytes(len(key), "big")


def _spelled(register: Register, first: bytes, last: bytes) -> list[str]:
    """The values of a range in words, none where they make no sense."""
    if len(first) > _LENGTHS.get(register.subject, 0):
        return []  # several things compared at once
    match register.subject:
        case Subject.IN_INTERFACE | Subject.OUT_INTERFACE if first == last:
            return [_interface(register, first)]
        case Subject.PROTOCOL | Subject.FAMILY if first == last:
            return [_NAMES[register.subject].get(number(first), str(number(first)))]
        case Subject.STATE if first == last and not register.mask:
            return list(_states(first))
        case Subject.PORT | Subject.SOURCE_PORT:
            return [f"{number(first)}-{number(last)}" if first != last else str(number(first))]
        case Subject.SOURCE | Subject.DESTINATION if not register.mask:
            low, high = first.ljust(ADDRESS_LENGTH, b"\0"), last.ljust(ADDRESS_LENGTH, b"\xff")
            return [str(prefix) for prefix in summarize_address_range(IPv4Address(low), IPv4Address(high))]
        case _:
            return []


def _masked(register: Register, negated: bool, value: bytes) -> Condition:
    if register.subject not in (Subject.SOURCE, Subject.DESTINATION):
        return Condition(Subject.OTHER)
    mask = register.mask.ljust(ADDRESS_LENGTH, b"\0")
    bits = number(mask).bit_count()
    if number(mask) != (0xFFFFFFFF << (32 - bits)) & 0xFFFFFFFF:
        return Condition(register.subject)  # no prefix
    address = socket.inet_ntoa(value.ljust(ADDRESS_LENGTH, b"\0"))
    return Condition(register.subject, (f"{address}/{bits}",), negated)


def _states(mask: bytes) -> tuple[str, ...]:
    bits = struct.unpack("=I", mask)[0]
    return tuple(name for bit, name in _STATES.items() if bits >> bit & 1)


def _interface(register: Register, value: bytes) -> str:
    if register.kind == INDEX:
        try:
            return socket.if_indextoname(struct.unpack("=I", value)[0])
        except OSError:
            return ""
    return text(value) if b"\0" in value else text(value) + "+"
