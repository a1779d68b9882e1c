"""Rules and policies elsewhere that throw away what ours let through.

An ACCEPT ends only its own base chain: a packet must pass every base chain of its hook, in nft tables and in
iptables-legacy. Where our ACCEPT stands in iptables-legacy's own FORWARD chain, in front, that is none of them.
"""

from collections.abc import Iterable, Iterator, Sequence

from rules.kernel.survey.finding import Finding, Severity
from rules.kernel.survey.foreign import Action, Condition, ForeignChain, ForeignTable, Hook, Passage, Subject
from rules.kernel.survey.walk import base_chains, steps

_HOOKS = (Hook.PREROUTING, Hook.FORWARD, Hook.POSTROUTING)
_FATAL = (Action.DROP, Action.REJECT)


def find_barriers(
    tables: Sequence[ForeignTable],
    inside: Iterable[str],
    outside: str,
    ports: Sequence[tuple[int, int]],
    *,
    by_iptables: bool = True,
) -> list[Finding]:
    """One warning for each rule or policy that drops calls between the interfaces, as far as can be told.

    `ports` are the ranges that calls use at the outside address; `by_iptables` is where our own rules stand.
    """
    passages = [
        passage
        for name in inside
        for passage in (Passage(name, outside, dnated=False), Passage(outside, name, dnated=True))
    ]
    found: dict[str, Finding] = {}
    for hook in _HOOKS:
        for table, chain in base_chains(tables, hook):
            if by_iptables and table.legacy and chain.table == "filter":
                continue
            for passage in passages:
                for barrier in _barriers(table, chain, passage, ports):
                    found.setdefault(barrier, _finding(barrier, table, chain, passage))
    return list(found.values())


def _barriers(
    table: ForeignTable, chain: ForeignChain, passage: Passage, ports: Sequence[tuple[int, int]]
) -> Iterator[str]:
    path, reaches_policy = steps(table, chain, _as_seen(chain, passage))
    for rule, rest in path:
        if rule.action in _FATAL and all(_may_be_a_call(condition, ports) for condition in rest):
            yield rule.where
    if reaches_policy and chain.policy_drop:
        yield f"the drop policy of chain {chain.name} in {_title(table)}"


def _may_be_a_call(condition: Condition, ports: Sequence[tuple[int, int]]) -> bool:
    if condition.subject is not Subject.PORT:
        return False
    for value in condition.values:
        low, _, high = value.partition("-")
        if any(int(low) <= last and first <= int(high or low) for first, last in ports):
            return True
    return not condition.values


def _as_seen(chain: ForeignChain, passage: Passage) -> Passage:
    # before routing a packet has no interface to leave by and no translated address
    if chain.hook is Hook.PREROUTING:
        return Passage(passage.into, "", dnated=False)
    return passage


def _finding(barrier: str, table: ForeignTable, chain: ForeignChain, passage: Passage) -> Finding:
    way = f"{passage.into} to {passage.out}"
    return Finding(
        Severity.WARNING,
        "firewall",
        f"{barrier} drops calls on their way from {way}",
        f"let them pass before it: {_cure(table, chain, passage)}",
    )


def _cure(table: ForeignTable, chain: ForeignChain, passage: Passage) -> str:
    if table.legacy:
        ways = f"-i {passage.into}" if chain.hook is not Hook.POSTROUTING else f"-o {passage.out}"
        return f"iptables-legacy -t {table.name} -I {chain.name} {ways} -p udp -j ACCEPT"
    ways = f"iifname {passage.into}"
    if chain.hook is not Hook.PREROUTING:
        ways += f" oifname {passage.out}"
    which = "ct status dnat" if passage.dnated else "meta l4proto udp"
    return f"nft insert rule {table.name} {chain.name} {ways} {which} accept"


def _title(table: ForeignTable) -> str:
    return f"iptables-legacy table {table.name}" if table.legacy else f"nft table {table.name}"
