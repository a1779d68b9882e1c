"""The tables of iptables-legacy, read through python-iptables; in the one thread that may use it."""

import contextlib
from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Any

from rules import owner
from rules.errors import KernelError
from rules.kernel.libraries import iptc
from rules.kernel.survey.foreign import (
    Action,
    Condition,
    ForeignChain,
    ForeignRule,
    ForeignTable,
    Hook,
    Subject,
)
from rules.kernel.tables_in_use import tables_in_use

_ACTIONS = {
    "ACCEPT": Action.ACCEPT,
    "DROP": Action.DROP,
    "REJECT": Action.REJECT,
    "RETURN": Action.RETURN,
    "MASQUERADE": Action.SOURCE_NAT,
    "SNAT": Action.SOURCE_NAT,
    "DNAT": Action.DESTINATION_NAT,
    "REDIRECT": Action.DESTINATION_NAT,
}
_PORTS = {"dport": Subject.PORT, "sport": Subject.SOURCE_PORT}
_ADDRESSES = (Subject.SOURCE, Subject.DESTINATION)
_EVERYWHERE = "0.0.0.0/0.0.0.0"  # a rule's source that is not restricted, nothing listens here
_HARMLESS = frozenset({"comment", "udp", "tcp"})  # their ports are said apart


def read_legacy() -> tuple[ForeignTable, ...]:
    """Every legacy table in use but our own chains and rules; KernelError if one cannot be read."""
    with _only_tables_in_use() as names:
        # opened beforehand, for python-iptables would open them so that closing them commits
        tables = [_open(name) for name in names]
        return tuple(_table(table) for table in tables)


@contextlib.contextmanager
def _only_tables_in_use() -> Iterator[tuple[str, ...]]:
    """Keep python-iptables from looking for a jump's target in tables not in use, which creates them."""
    names = tables_in_use()
    known: dict[str, bool] = iptc.Table.existing_table_names
    before = dict(known)
    known.update({name: name in names for name in iptc.Table.ALL})
    try:
        yield names
    finally:
        known.clear()
        known.update(before)


def _open(name: str) -> Any:
    try:
        table = iptc.Table(name, autocommit=False)
        table.refresh()
    except iptc.IPTCError as error:
        raise KernelError(f"iptables-legacy table {name} cannot be read: {error}") from error
    return table


def _table(table: Any) -> ForeignTable:
    chains = [chain for chain in table.chains if not owner.is_chain(chain.name)]
    return ForeignTable(table.name, True, {chain.name: _chain(table, chain) for chain in chains})


def _chain(table: Any, chain: Any) -> ForeignChain:
    policy = chain.get_policy()
    return ForeignChain(
        table=table.name,
        name=chain.name,
        rules=tuple(_rules(table, chain)),
        hook=Hook[chain.name] if policy and chain.name in Hook.__members__ else None,
        nat=table.name == "nat",
        policy_drop=policy is not None and policy.name == "DROP",
    )


def _rules(table: Any, chain: Any) -> Iterator[ForeignRule]:
    entry = table.first_rule(chain.name)
    position = 0
    while entry:
        position += 1
        where = f"rule {position} of chain {chain.name} in iptables-legacy table {table.name}"
        try:
            rule = table.create_rule(entry, chain)
            if not any(owner.is_mark(comment) for comment in _comments(rule)):
                yield _rule(where, table, rule)
        except iptc.XTablesError:
            # an extension that is not installed here: nothing is known of what the rule does
            yield ForeignRule(where, Action.OTHER, (Condition(Subject.OTHER),))
        entry = table.next_rule(entry)


def _comments(rule: Any) -> Iterator[str]:
    for match in rule.matches:
        if match.name == "comment":
            yield match.comment


def _rule(where: str, table: Any, rule: Any) -> ForeignRule:
    name: str = rule.target.name or ""
    conditions = tuple(_conditions(rule))
    if name == "CT" and rule.target.get_all_parameters().get("helper") == ["sip"]:
        return ForeignRule(where, Action.SIP_HELPER, conditions)
    if name in _ACTIONS:
        return ForeignRule(where, _ACTIONS[name], conditions)
    if table.is_chain(name):
        return ForeignRule(where, Action.GOTO if rule.target.goto else Action.JUMP, conditions, target=name)
    return ForeignRule(where, Action.OTHER, conditions)


def _conditions(rule: Any) -> Iterator[Condition]:
    for subject, value in (
        (Subject.IN_INTERFACE, rule.in_interface),
        (Subject.OUT_INTERFACE, rule.out_interface),
        (Subject.SOURCE, rule.src),
        (Subject.DESTINATION, rule.dst),
        (Subject.PROTOCOL, rule.protocol),
    ):
        if value and value not in (_EVERYWHERE, "ip"):
            bare = value.removeprefix("!")
            understood = subject not in _ADDRESSES or _is_prefix(bare)
            yield Condition(subject, (bare,) if understood else (), negated=value.startswith("!"))
    for match in rule.matches:
        parameters = match.get_all_parameters()
        if match.name == "conntrack" and parameters.keys() == {"ctstate"}:
            yield _states(*parameters["ctstate"])
        elif match.name not in _HARMLESS:
            yield Condition(Subject.OTHER, (match.name,))
        elif match.name != "comment":
            for name, value in parameters.items():
                yield _ports(name, *value)


def _is_prefix(address: str) -> bool:
    try:
        IPv4Network(address, strict=False)
    except ValueError:  # a mask with holes
        return False
    return True


def _states(*words: str) -> Condition:
    negated, names = words[0] == "!", words[-1]
    return Condition(Subject.STATE, tuple(names.lower().split(",")), negated)


def _ports(name: str, *words: str) -> Condition:
    if name not in _PORTS:
        return Condition(Subject.OTHER, (name,))
    return Condition(_PORTS[name], (words[-1].replace(":", "-"),), words[0] == "!")
