"""The tables of nftables, iptables-nft's among them, read over netlink."""

import struct
from contextlib import suppress
from dataclasses import dataclass, field, replace

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
    span,
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
    read_verdicts,
)
from rules.kernel.survey.xt_values import matched

# <linux/netfilter/nf_tables.h>
_GET_CHAIN, _GET_RULE, _GET_OBJECT = 4, 7, 19
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_TYPE = 1, 3, 4, 5, 7
_RULE_TABLE, _RULE_CHAIN, _RULE_HANDLE, _RULE_EXPRESSIONS = 1, 2, 3, 4
_OBJECT_TABLE, _OBJECT_NAME, _OBJECT_TYPE, _OBJECT_DATA = 1, 2, 3, 4
_HOOK_NUMBER, _HOOK_PRIORITY, _HOOK_DEVICE, _HOOK_DEVICES = 1, 2, 3, 4
_NETDEV = 5
_CT_HELPER = 3
_OURS = f"ip {owner.NAME}"
_ACCEPT, _DROP = 1, 0
_VERDICTS = {_DROP: Action.DROP, _ACCEPT: Action.ACCEPT, -3: Action.JUMP, -4: Action.GOTO, -5: Action.RETURN}
_NAT = {0: Action.SOURCE_NAT, 1: Action.DESTINATION_NAT}  # enum nft_nat_types
_XT_TARGETS = {
    "REJECT": Action.REJECT,
    "MASQUERADE": Action.SOURCE_NAT,
    "SNAT": Action.SOURCE_NAT,
    "DNAT": Action.DESTINATION_NAT,
    "REDIRECT": Action.DESTINATION_NAT,
}
_XT_HELPER_NAME = slice(12, 28)  # struct xt_ct_target_info: flags, zone and two event masks come first
_META = {
    1: Subject.FAMILY,  # protocol, an EtherType
    4: Subject.IN_INTERFACE,  # iif, an index
    5: Subject.OUT_INTERFACE,  # oif
    6: Subject.IN_INTERFACE,  # iifname
    7: Subject.OUT_INTERFACE,  # oifname
    15: Subject.FAMILY,
    16: Subject.PROTOCOL,
}
_META_INDEXES = (4, 5)
_CT = {0: Subject.STATE, 2: Subject.WAS_DNATED}  # state, status
_LOADED_INTO = 1
_LOOKUP_SET, _LOOKUP_REGISTER, _LOOKUP_INTO, _LOOKUP_FLAGS = 1, 2, 3, 5
_LOOKUP_INVERTED = 1
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_PORT_OFFSETS = {0: Subject.SOURCE_PORT, 2: Subject.PORT}
_PROTOCOL_FIELD = (9, 1)
_ADDRESSES = {12: Subject.SOURCE, 16: Subject.DESTINATION}
_VERDICT_REGISTER = 0
_PORTS = (Subject.PORT, Subject.SOURCE_PORT)
_WITHOUT_EFFECT = frozenset({"counter", "log", "notrack"})


@dataclass(slots=True)
class _Reading:
    """A rule as far as it is read."""

    action: Action = Action.OTHER
    target: str = ""
    conditions: list[Condition] = field(default_factory=list)
    branches: list[tuple[Condition, Action, str]] = field(default_factory=list)
    registers: dict[int, Register] = field(default_factory=dict)


def read_nftables() -> tuple[ForeignTable, ...]:
    """Every nft table that sees forwarded IPv4 but our own; none where the kernel has no nftables.

    NotPermittedError if they may not be read.
    """
    try:
        rows = [_chain_row(family, row) for family, row in dump(NFTABLES, _GET_CHAIN) if family in FAMILIES]
        chains = [row for row in rows if row.table != _OURS]
        helpers = _sip_helpers()
        rules: dict[tuple[str, str], list[ForeignRule]] = {}
        for family, row in dump(NFTABLES, _GET_RULE):
            if family in FAMILIES:
                table = f"{FAMILIES[family]} {text(row[_RULE_TABLE])}"
                chain = text(row[_RULE_CHAIN])
                rules.setdefault((table, chain), []).extend(_rules(table, chain, row, helpers))
    except NotPermittedError:
        raise
    except KernelError:
        return ()
    tables: dict[str, dict[str, ForeignChain]] = {}
    for chain_row in chains:
        found = tuple(rules.get((chain_row.table, chain_row.name), ()))
        tables.setdefault(chain_row.table, {})[chain_row.name] = replace(chain_row, rules=found)
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


def _chain_row(family: int, row: Attributes) -> ForeignChain:
    hook: Hook | None = None
    priority = 0
    devices: tuple[str, ...] = ()
    if _CHAIN_HOOK in row:
        where = attributes(row[_CHAIN_HOOK])
        priority = int.from_bytes(where[_HOOK_PRIORITY], "big", signed=True)
        hook = _hook(family, number(where[_HOOK_NUMBER]))
        names = (where.get(_HOOK_DEVICE), *_values(where.get(_HOOK_DEVICES, b"")))
        devices = tuple(dict.fromkeys(text(name) for name in names if name))
    return ForeignChain(
        table=f"{FAMILIES[family]} {text(row[_CHAIN_TABLE])}",
        name=text(row[_CHAIN_NAME]),
        rules=(),
        hook=hook,
        nat=text(row.get(_CHAIN_TYPE, b"")) == "nat",
        policy_drop=_CHAIN_POLICY in row and number(row[_CHAIN_POLICY]) == _DROP,
        priority=priority,
        devices=devices,
    )


def _values(data: bytes) -> list[bytes]:
    return [value for _kind, value in each_attribute(data)]


def _hook(family: int, code: int) -> Hook | None:
    if family == _NETDEV:
        return Hook.INGRESS if code == 0 else None  # egress has no forwarded packet of its own
    with suppress(ValueError):
        return Hook(code)
    return None


def _rules(table: str, chain: str, row: Attributes, helpers: set[tuple[str, str]]) -> list[ForeignRule]:
    """A rule, or one for each verdict of its map."""
    where = f"rule with handle {number(row[_RULE_HANDLE])} of chain {chain} in nft table {table}"
    reading = _Reading()
    try:
        for _kind, element in each_attribute(row.get(_RULE_EXPRESSIONS, b"")):
            expression = attributes(element)
            _read(text(expression[1]), attributes(expression.get(2, b"")), reading, table, helpers)
    except (LookupError, ValueError, struct.error):
        # a shape this kernel has and we do not know: nothing is known of what the rule does
        return [ForeignRule(where, Action.OTHER, (Condition(Subject.OTHER),))]
    conditions = tuple(reading.conditions)
    if reading.branches:
        return [
            ForeignRule(where, action, (*conditions, condition), target)
            for condition, action, target in reading.branches
        ]
    return [ForeignRule(where, reading.action, conditions, reading.target)]


def _read(name: str, data: Attributes, reading: _Reading, table: str, helpers: set[tuple[str, str]]) -> None:
    match name:
        case "immediate":
            _read_verdict(data, reading)
        case "masq":
            reading.action = Action.SOURCE_NAT
        case "nat":
            reading.action = _NAT[number(data[1])]
        case "redir":
            reading.action = Action.DESTINATION_NAT
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
            _narrow(reading.conditions, compared(_register(reading, data), number(data[2]), value))
        case "range":
            ends = attributes(data[3])[1], attributes(data[4])[1]
            negated = number(data[2]) == NOT_EQUAL
            reading.conditions.append(one_of(_register(reading, data), [ends], negated))
        case "lookup":
            _look_up(data, reading, table)
        case "match":
            reading.conditions += matched(text(data[1]), number(data[2]), data[3])
        case _ if name not in _WITHOUT_EFFECT:
            reading.conditions.append(Condition(Subject.OTHER, (name,)))


def _narrow(conditions: list[Condition], added: Condition) -> None:
    """A range of ports comes as two comparisons."""
    last = conditions[-1] if conditions else None
    if (
        last
        and last.subject is added.subject
        and len(last.values) == len(added.values) == 1
        and added.subject in _PORTS
        and not (last.negated or added.negated)
    ):
        (one_first, one_last), (first, end) = span(*last.values), span(*added.values)
        conditions[-1] = replace(last, values=(f"{max(one_first, first)}-{min(one_last, end)}",))
    else:
        conditions.append(added)


def _read_verdict(data: Attributes, reading: _Reading) -> None:
    verdict = attributes(data[2]).get(2, b"")
    if verdict:
        reading.action, reading.target = _verdict(verdict)


def _verdict(data: bytes) -> tuple[Action, str]:
    verdict = attributes(data)
    code = int.from_bytes(verdict[1], "big", signed=True)
    return _VERDICTS.get(code, Action.OTHER), text(verdict.get(2, b""))


def _read_xt_target(data: Attributes, reading: _Reading) -> None:
    name = text(data[1])
    if name == "CT" and text(data[3][_XT_HELPER_NAME]) == "sip":
        reading.action = Action.SIP_HELPER
    else:
        reading.action = _XT_TARGETS.get(name, Action.OTHER)


def _register(reading: _Reading, data: Attributes, kind: int = 1) -> Register:
    return reading.registers.get(number(data[kind]), UNKNOWN)


def _look_up(data: Attributes, reading: _Reading, table: str) -> None:
    name = text(data[_LOOKUP_SET])
    register = _register(reading, data, _LOOKUP_REGISTER)
    if _LOOKUP_INTO not in data:
        negated = _LOOKUP_FLAGS in data and bool(number(data[_LOOKUP_FLAGS]) & _LOOKUP_INVERTED)
        reading.conditions.append(one_of(register, read_set(table, name), negated))
    elif number(data[_LOOKUP_INTO]) != _VERDICT_REGISTER:
        reading.registers[number(data[_LOOKUP_INTO])] = UNKNOWN
    else:
        for one, verdict in read_verdicts(table, name):
            reading.branches.append((one_of(register, [one], negated=False), *_verdict(verdict)))
        # a map without elements has no verdict
        reading.action = Action.OTHER


def _loaded(name: str, data: Attributes) -> Register:
    if name == "meta":
        key = number(data[2])
        return Register(_META.get(key, Subject.OTHER), INDEX if key in _META_INDEXES else "")
    if name == "ct":
        return Register(_CT.get(number(data[2]), Subject.OTHER))
    base, offset, length = number(data[2]), number(data[3]), number(data[4])
    if base == _TRANSPORT_HEADER and offset in _PORT_OFFSETS:
        return Register(_PORT_OFFSETS[offset])
    if base == _NETWORK_HEADER and (offset, length) == _PROTOCOL_FIELD:
        return Register(Subject.PROTOCOL)
    if base == _NETWORK_HEADER and length <= ADDRESS_LENGTH:
        return Register(_ADDRESSES.get(offset, Subject.OTHER))
    return UNKNOWN
