"""The tables of nftables, iptables-nft's among them, read over netlink."""

import struct
from contextlib import suppress
from dataclasses import dataclass, field

from rules import owner
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
from rules.kernel.survey.nft_values import (
    ADDRESS_LENGTH,
    FAMILIES,
    INDEX,
    NFTABLES,
    NOT_EQUAL,
    UNKNOWN,
    Register,
    compared,
    one_of,
    read_set,
)

# <linux/netfilter/nf_tables.h>
_GET_CHAIN, _GET_RULE, _GET_OBJECT = 4, 7, 19
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_TYPE = 1, 3, 4, 5, 7
_RULE_TABLE, _RULE_CHAIN, _RULE_HANDLE, _RULE_EXPRESSIONS = 1, 2, 3, 4
_OBJECT_TABLE, _OBJECT_NAME, _OBJECT_TYPE, _OBJECT_DATA = 1, 2, 3, 4
_CT_HELPER = 3
_OURS = f"ip {owner.NAME}"
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
_CT_STATUS = 2
_LOADED_INTO = 1
_LOOKUP_SET, _LOOKUP_REGISTER, _LOOKUP_INTO, _LOOKUP_FLAGS = 1, 2, 3, 5
_LOOKUP_INVERTED = 1
_ANONYMOUS = "__set"
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_PORT_OFFSETS = (0, 2)
_PROTOCOL_FIELD = (9, 1)
_ADDRESSES = {12: Subject.SOURCE, 16: Subject.DESTINATION}
_WITHOUT_EFFECT = frozenset({"counter", "log", "notrack"})


@dataclass(slots=True)
class _Reading:
    """A rule as far as it is read."""

    action: Action = Action.OTHER
    target: str = ""
    conditions: list[Condition] = field(default_factory=list)
    registers: dict[int, Register] = field(default_factory=dict)


def read_nftables() -> tuple[ForeignTable, ...]:
    """Every nft table that sees forwarded IPv4 but our own; none where the kernel has no nftables.

    NotPermittedError if they may not be read.
    """
    try:
        rows = [_chain_row(family, row) for family, row in dump(NFTABLES, _GET_CHAIN) if family in FAMILIES]
        chains = [row for row in rows if row[0] != _OURS]
        helpers = _sip_helpers()
        rules: dict[tuple[str, str], list[ForeignRule]] = {}
        for family, row in dump(NFTABLES, _GET_RULE):
            if family in FAMILIES:
                table = f"{FAMILIES[family]} {text(row[_RULE_TABLE])}"
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


def _sip_helpers() -> set[tuple[str, str]]:
    """Table and name of each declared ct helper of type sip."""
    return {
        (f"{FAMILIES[family]} {text(row[_OBJECT_TABLE])}", text(row[_OBJECT_NAME]))
        for family, row in dump(NFTABLES, _GET_OBJECT)
        if family in FAMILIES
        and number(row[_OBJECT_TYPE]) == _CT_HELPER
        and text(attributes(row[_OBJECT_DATA])[1]) == "sip"
    }


def _chain_row(family: int, row: Attributes) -> tuple[str, str, Hook | None, bool, bool]:
    hook = None
    if _CHAIN_HOOK in row:
        with suppress(ValueError):  # ingress and egress are not ours to judge
            hook = Hook(number(attributes(row[_CHAIN_HOOK])[1]))
    table = f"{FAMILIES[family]} {text(row[_CHAIN_TABLE])}"
    nat = text(row.get(_CHAIN_TYPE, b"")) == "nat"
    policy_drop = _CHAIN_POLICY in row and number(row[_CHAIN_POLICY]) == _DROP
    return table, text(row[_CHAIN_NAME]), hook, nat, policy_drop


def _rule(table: str, chain: str, row: Attributes, helpers: set[tuple[str, str]]) -> ForeignRule:
    where = f"rule with handle {number(row[_RULE_HANDLE])} of chain {chain} in nft table {table}"
    reading = _Reading()
    try:
        for _kind, element in each_attribute(row.get(_RULE_EXPRESSIONS, b"")):
            expression = attributes(element)
            _read(text(expression[1]), attributes(expression.get(2, b"")), reading, table, helpers)
    except (LookupError, ValueError, struct.error):
        # a shape this kernel has and we do not know: nothing is known of what the rule does
        return ForeignRule(where, Action.OTHER, (Condition(Subject.OTHER),))
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
            reading.registers[number(data[2])] = Register(register.subject, register.kind, mask)
        case "cmp":
            value = attributes(data[3]).get(1, b"")
            reading.conditions.append(compared(_register(reading, data), number(data[2]), value))
        case "range":
            ends = attributes(data[3])[1], attributes(data[4])[1]
            negated = number(data[2]) == NOT_EQUAL
            reading.conditions.append(one_of(_register(reading, data), [ends], negated))
        case "lookup":
            reading.conditions.append(_looked_up(data, reading, table))
        case "match" if text(data[1]) == "comment":
            pass
        case _ if name not in _WITHOUT_EFFECT:
            reading.conditions.append(Condition(Subject.OTHER, (name,)))


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


def _register(reading: _Reading, data: Attributes, kind: int = 1) -> Register:
    return reading.registers.get(number(data[kind]), UNKNOWN)


def _looked_up(data: Attributes, reading: _Reading, table: str) -> Condition:
    name = text(data[_LOOKUP_SET])
    # maps give verdicts of their own, and sets with a name may be large and change at any time
    if _LOOKUP_INTO in data or not name.startswith(_ANONYMOUS):
        return Condition(Subject.OTHER, (name,))
    negated = _LOOKUP_FLAGS in data and bool(number(data[_LOOKUP_FLAGS]) & _LOOKUP_INVERTED)
    return one_of(_register(reading, data, _LOOKUP_REGISTER), read_set(table, name), negated)


def _loaded(name: str, data: Attributes) -> Register:
    if name == "meta":
        key = number(data[2])
        return Register(_META.get(key, Subject.OTHER), INDEX if key in _META_INDEXES else "")
    if name == "ct":
        return Register(Subject.WAS_DNATED if number(data[2]) == _CT_STATUS else Subject.OTHER)
    base, offset, length = number(data[2]), number(data[3]), number(data[4])
    if base == _TRANSPORT_HEADER and offset in _PORT_OFFSETS:
        return Register(Subject.PORT)
    if base == _NETWORK_HEADER and (offset, length) == _PROTOCOL_FIELD:
        return Register(Subject.PROTOCOL)
    if base == _NETWORK_HEADER and length <= ADDRESS_LENGTH:
        return Register(_ADDRESSES.get(offset, Subject.OTHER))
    return UNKNOWN
