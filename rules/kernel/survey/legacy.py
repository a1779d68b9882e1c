"""The tables of iptables-legacy, read through python-iptables; in the one thread that may use it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rules import owner
from rules.diff import TABLES
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

TABLES_IN_USE = Path("/proc/thread-self/net/ip_tables_names")

_ACTIONS = {
    "ACCEPT": Action.ACCEPT,
    "DROP": Action.DROP,
    "REJECT": Action.REJECT,
    "RETURN": Action.RETURN,
    "MASQUERADE": Action.SOURCE_NAT,
    "SNAT": Action.SOURCE_NAT,
}
_EVERYWHERE = "0.0.0.0/0.0.0.0"  # a rule's source that is not restricted, nothing listens here
_HARMLESS = frozenset({"comment", "udp", "tcp"})  # their ports are said apart


def tables_in_use() -> tuple[str, ...]:
    """The tables that exist in this namespace; to name another one to python-iptables would create it.

    Only root is told. Somebody else with CAP_NET_ADMIN takes it that those exist that our rules are in.
    """
    try:
        return tuple(TABLES_IN_USE.read_text().split())
    except PermissionError:
        return TABLES
    except OSError:
        return ()


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
            yield Condition(subject, (value.removeprefix("!"),), negated=value.startswith("!"))
    for match in rule.matches:
        if match.name not in _HARMLESS:
            yield Condition(Subject.OTHER, (match.name,))
        elif match.name != "comment":
            for name, value in match.get_all_parameters().items():
                port = name in ("dport", "sport") and len(value) == 1
                yield Condition(Subject.PORT, (value[0].replace(":", "-"),) if port else ())
