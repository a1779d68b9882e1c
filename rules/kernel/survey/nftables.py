"""The tables of nftables, iptables-nft's among them, read over netlink."""

import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field

from rules.errors import KernelError, NotPermittedError
from rules.kernel.survey.foreign import (
    Action,
    Condition,
    ForeignChain,
    ForeignRule,
    ForeignTable,
    Hook,
    Subject,
)
from rules.kernel.survey.nfnetlink import Attributes, attributes, dump, each_attribute, number, text

# <linux/netfilter/nf_tables.h>
_NFTABLES = 10
_GET_CHAIN, _GET_RULE, _GET_OBJECT = 4, 7, 19
_FAMILIES = {1: "inet", 2: "ip"}  # those that see forwarded IPv4
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_TYPE = 1, 3, 4, 5, 7
_RULE_TABLE, _RULE_CHAIN, _RULE_HANDLE, _RULE_EXPRESSIONS = 1, 2, 3, 4
_OBJECT_TABLE, _OBJECT_NAME, _OBJECT_TYPE, _OBJECT_DATA = 1, 2, 3, 4
_CT_HELPER = 3
_ACCEPT, _DROP = 1, 0
_VERDICTS = {_DROP: Action.DROP, _ACCEPT: Action.ACCEPT, -3: Action.JUMP, -4: Action.GOTO, -5: Action.RETURN}
_XT_TARGETS = {"REJECT": Action.REJECT, "MASQUERADE": Action.SOURCE_NAT, "SNAT": Action.SOURCE_NAT}
_XT_HELPER_NAME = slice(12, 28)  # struct xt_ct_target_info: flags, zone and two event masks come first
_META = {
    4: Subject.IN_INTERFACE,  # iif, an index
    5: Subject.OUT_INTERFACE,  # oif
    6: Subject.IN_INTERFACE,  # iifname
    7: Subject.OUT_INTERFACE,  # oifname
    15: Subject.FAMILY,
    16: Subject.PROTOCOL,
}
_META_INDEXES = (4, 5)
_INDEX = "index"
_CT_STATUS = 2
_STATUS_DNATED = struct.pack("=I", 1 << 5)  # IPS_DST_NAT
_NOT_EQUAL = 1
_LOADED_INTO = 1
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_PORT_OFFSETS = (0, 2)
_PROTOCOL_FIELD = (9, 1)
_ADDRESSES = {12: Subject.SOURCE, 16: Subject.DESTINATION}
_ADDRESS_LENGTH = 4
_PROTOCOLS = {6: "tcp", 17: "udp"}
_NFPROTOS = {2: "ip", 10: "ip6"}
_WITHOUT_EFFECT = frozenset({"counter", "log", "notrack"})


@dataclass(frozen=True, slots=True)
class _Register:
    """What a rule has loaded to compare: where from, whether it is an index, and which bits of it."""

    subject: Subject = Subject.OTHER
    kind: str = ""
    mask: bytes = b""


_UNKNOWN = _Register()


@dataclass(slots=True)
class _Reading:
    """A rule as far as it is read."""

    action: Action = Action.OTHER
    target: str = ""
    conditions: list[Condition] = field(default_factory=list)
    registers: dict[int, _Register] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HelperObject:
    """A declared ct helper that runs the kernel's SIP helper."""

    table: str
    name: str


def read_nftables() -> tuple[ForeignTable, ...]:
    """Every nft table that sees forwarded IPv4; none where the kernel has no nftables.

    NotPermittedError if they may not be read.
    """
    try:
        chains = [_chain_row(family, row) for family, row in dump(_NFTABLES, _GET_CHAIN) if family in _FAMILIES]
        helpers = {(helper.table, helper.name) for helper in sip_helper_objects()}
        rules: dict[tuple[str, str], list[ForeignRule]] = {}
        for family, row in dump(_NFTABLES, _GET_RULE):
            if family in _FAMILIES:
                table = f"{_FAMILIES[family]} {text(row[_RULE_TABLE])}"
                chain = text(row[_RULE_CHAIN])
                rules.setdefault((table, chain), []).append(_rule(table, chain, row, helpers))
    except NotPermittedError:
        raise
    except KernelError:
        return ()
    tables: dict[str, dict[str, ForeignChain]] = {}
    for table, name, hook, nat, policy_drop in chains:
        found = tuple(rules.get((table, name), ()))
        tables.setdefault(table, {})[name] = ForeignChain(table, name, found, hook, nat, policy_drop)
    return tuple(ForeignTable(name, False, held) for name, held in tables.items())


def sip_helper_objects() -> tuple[HelperObject, ...]:
    """The declared ct helpers of type sip."""
    found = []
    for family, row in dump(_NFTABLES, _GET_OBJECT):
        if family in _FAMILIES and number(row[_OBJECT_TYPE]) == _CT_HELPER:
            helper = text(attributes(row[_OBJECT_DATA])[1])
            if helper.startswith("sip"):
                table = f"{_FAMILIES[family]} {text(row[_OBJECT_TABLE])}"
                found.append(HelperObject(table, text(row[_OBJECT_NAME])))
    return tuple(found)


def _chain_row(family: int, row: Attributes) -> tuple[str, str, Hook | None, bool, bool]:
    hook = None
    if _CHAIN_HOOK in row:
        with suppress(ValueError):  # ingress and egress are not ours to judge
            hook = Hook(number(attributes(row[_CHAIN_HOOK])[1]))
    table = f"{_FAMILIES[family]} {text(row[_CHAIN_TABLE])}"
    nat = text(row.get(_CHAIN_TYPE, b"")) == "nat"
    policy_drop = _CHAIN_POLICY in row and number(row[_CHAIN_POLICY]) == _DROP
    return table, text(row[_CHAIN_NAME]), hook, nat, policy_drop


def _rule(table: str, chain: str, row: Attributes, helpers: set[tuple[str, str]]) -> ForeignRule:
    reading = _Reading()
    for _kind, element in each_attribute(row.get(_RULE_EXPRESSIONS, b"")):
        expression = attributes(element)
        _read(text(expression[1]), attributes(expression.get(2, b"")), reading, table, helpers)
    where = f"rule with handle {number(row[_RULE_HANDLE])} of chain {chain} in nft table {table}"
    return ForeignRule(where, reading.action, tuple(reading.conditions), reading.target)


def _read(name: str, data: Attributes, reading: _Reading, table: str, helpers: set[tuple[str, str]]) -> None:
    match name:
        case "immediate":
            _read_verdict(data, reading)
        case "masq":
            reading.action = Action.SOURCE_NAT
        case "nat":
            if number(data[1]) == 0:  # NFT_NAT_SNAT
                reading.action = Action.SOURCE_NAT
        case "reject":
            reading.action = Action.REJECT
        case "target":
            _read_xt_target(data, reading)
        case "objref":
            if 2 in data and (table, text(data[2])) in helpers:
                reading.action = Action.SIP_HELPER
        case "meta" | "ct" | "payload":
            if _LOADED_INTO in data:  # else it writes
                reading.registers[number(data[_LOADED_INTO])] = _loaded(name, data)
        case "bitwise":
            register = _register(reading, data)
            mask = attributes(data.get(4, b"")).get(1, b"")
            reading.registers[number(data[2])] = _Register(register.subject, register.kind, mask)
        case "cmp":
            negated = number(data[2]) == _NOT_EQUAL
            value = attributes(data[3]).get(1, b"")
            reading.conditions.append(_compared(_register(reading, data), negated, value))
        case "range" | "lookup":
            port = _register(reading, data).subject is Subject.PORT
            ports = _port_range(data) if name == "range" else ""
            reading.conditions.append(Condition(Subject.PORT, ports) if port else Condition(Subject.OTHER))
        case "match" if text(data[1]) == "comment":
            pass
        case _ if name not in _WITHOUT_EFFECT:
            reading.conditions.append(Condition(Subject.OTHER, name))


def _read_verdict(data: Attributes, reading: _Reading) -> None:
    verdict = attributes(attributes(data[2]).get(2, b""))
    if verdict:
        code = int.from_bytes(verdict[1], "big", signed=True)
        reading.action = _VERDICTS.get(code, Action.OTHER)
        reading.target = text(verdict.get(2, b""))


def _read_xt_target(data: Attributes, reading: _Reading) -> None:
    name = text(data[1])
    if name == "CT" and text(data[3][_XT_HELPER_NAME]) == "sip":
        reading.action = Action.SIP_HELPER
    else:
        reading.action = _XT_TARGETS.get(name, Action.OTHER)


def _register(reading: _Reading, data: Attributes) -> _Register:
    # 'lookup' names its set first, the others their register
    return reading.registers.get(number(data.get(1, b"")[:4]), _UNKNOWN)


def _loaded(name: str, data: Attributes) -> _Register:
    if name == "meta":
        key = number(data[2])
        return _Register(_META.get(key, Subject.OTHER), _INDEX if key in _META_INDEXES else "")
    if name == "ct":
        return _Register(Subject.WAS_DNATED if number(data[2]) == _CT_STATUS else Subject.OTHER)
    base, offset, length = number(data[2]), number(data[3]), number(data[4])
    if base == _TRANSPORT_HEADER and offset in _PORT_OFFSETS:
        return _Register(Subject.PORT)
    if base == _NETWORK_HEADER and (offset, length) == _PROTOCOL_FIELD:
        return _Register(Subject.PROTOCOL)
    if base == _NETWORK_HEADER and length <= _ADDRESS_LENGTH:
        return _Register(_ADDRESSES.get(offset, Subject.OTHER))
    return _UNKNOWN


def _compared(register: _Register, negated: bool, value: bytes) -> Condition:
    match register.subject:
        case Subject.IN_INTERFACE | Subject.OUT_INTERFACE:
            return Condition(register.subject, _interface(register, value), negated)
        case Subject.PROTOCOL:
            return Condition(register.subject, _PROTOCOLS.get(value[0], str(value[0])), negated)
        case Subject.FAMILY:
            return Condition(register.subject, _NFPROTOS.get(value[0], str(value[0])), negated)
        case Subject.SOURCE | Subject.DESTINATION:
            return Condition(register.subject, _prefix(register, value), negated)
        case Subject.WAS_DNATED:
            # the test of one bit: status & dnat != 0
            if register.mask == _STATUS_DNATED:
                return Condition(Subject.WAS_DNATED, negated=not negated)
            return Condition(Subject.OTHER, "ct status")
        case Subject.PORT:
            return Condition(Subject.PORT, "" if negated else str(number(value)))
        case _:
            return Condition(Subject.OTHER)


def _interface(register: _Register, value: bytes) -> str:
    if register.kind == _INDEX:
        try:
            return socket.if_indextoname(struct.unpack("=I", value)[0])
        except OSError:
            return ""
    return text(value) if b"\0" in value else text(value) + "+"


def _port_range(data: Attributes) -> str:
    if number(data[2]) == _NOT_EQUAL:
        return ""
    return f"{number(attributes(data[3])[1])}-{number(attributes(data[4])[1])}"


def _prefix(register: _Register, value: bytes) -> str:
    mask = register.mask or b"\xff" * len(value)
    bits = sum(byte.bit_count() for byte in mask)
    return f"{socket.inet_ntoa(value.ljust(_ADDRESS_LENGTH, bytes(1)))}/{bits}"
