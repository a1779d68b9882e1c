"""Rules and policies elsewhere that throw away what ours let through.

An ACCEPT ends only its own base chain: a packet must pass every base chain of its hook, in nft tables and in
iptables-legacy. Where our ACCEPT stands in iptables-legacy's own FORWARD chain, in front, that is none of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rules.kernel.survey.finding import Finding, Severity
from rules.kernel.survey.foreign import Action, Condition, ForeignChain, ForeignTable, Hook, Passage, Subject
from rules.kernel.survey.remedies import Way, let_pass
from rules.kernel.survey.traffic import Site, Traffic, traffic
from rules.kernel.survey.walk import base_chains, steps

_HOOKS = (Hook.INGRESS, Hook.PREROUTING, Hook.FORWARD, Hook.POSTROUTING)
_FATAL = (Action.DROP, Action.REJECT)
# what never happens to packets of calls although it cannot be worked out: forged sources, other kinds of addresses
_NEVER_MEANT = frozenset({"fib", "rpfilter", "addrtype", "pkttype", "physdev", "owner", "skuid"})


@dataclass(slots=True)
class _Barrier:
    """What is known of one so far: the packets it stops, whether for certain, and whether only those that begin."""

    where: str
    said: str
    chain: ForeignChain
    table: ForeignTable
    way: Way
    kinds: list[str] = field(default_factory=list)
    certain: bool = False
    first_only: bool = True


def find_barriers(tables: Sequence[ForeignTable], site: Site) -> list[Finding]:
    """One warning for each rule or policy, and each way, that drops or may drop calls."""
    found: dict[tuple[str, Way], _Barrier] = {}
    for hook in _HOOKS:
        for table, chain in base_chains(tables, hook):
            if site.by_iptables and table.legacy and chain.table == "filter":
                continue
            for kind in traffic(site.inside):
                if chain.devices and kind.first(site, chain).into not in chain.devices:
                    continue
                _judge(table, chain, kind, site, found)
    return [_finding(barrier) for barrier in found.values()]


def _judge(
    table: ForeignTable, chain: ForeignChain, kind: Traffic, site: Site, found: dict[tuple[str, Way], _Barrier]
) -> None:
    into, out = (kind.inside, site.outside) if kind.outward else (site.outside, kind.inside)
    way = Way(into, out, outward=kind.outward)
    first = kind.first(site, chain)
    for passage in (first, *kind.later(site, chain)):
        for where, said, certain in _stops(table, chain, kind, passage):
            barrier = found.setdefault((where, way), _Barrier(where, said, chain, table, way))
            if kind.name not in barrier.kinds:
                barrier.kinds.append(kind.name)
            barrier.certain |= certain
            barrier.first_only &= passage is first


def _stops(
    table: ForeignTable, chain: ForeignChain, kind: Traffic, passage: Passage
) -> Iterator[tuple[str, str, bool]]:
    """Each rule or policy that stops such packets: its place, what it says, and whether it does so for certain."""
    path, reaches_policy = steps(table, chain, passage)
    certain = True
    for rule, rest in path:
        hits = [kind.is_hit(condition, passage) for condition in rest]
        if rule.action in _FATAL:
            if False not in hits and not any(_is_harmless(condition) for condition in rest):
                yield rule.where, rule.said, certain and None not in hits
        elif rule.action is Action.ACCEPT and not any(_is_partial(condition) for condition in rest):
            certain = False
    if reaches_policy and chain.policy_drop:
        title = f"iptables-legacy table {table.name}" if table.legacy else f"nft table {table.name}"
        yield f"the drop policy of chain {chain.name} in {title}", "", certain


def _is_harmless(condition: Condition) -> bool:
    return condition.subject is Subject.OTHER and bool(_NEVER_MEANT.intersection(condition.values))


def _is_partial(condition: Condition) -> bool:
    """Whether an accept under this condition leaves others of these packets to what follows."""
    ports = condition.subject in (Subject.PORT, Subject.SOURCE_PORT) and bool(condition.values)
    return ports or _is_harmless(condition)


def _finding(barrier: _Barrier) -> Finding:
    said = f" ({barrier.said})" if barrier.said else ""
    does = "drops" if barrier.certain else "may drop"
    what = " and ".join(barrier.kinds)
    if barrier.first_only:
        what = f"the first packets of {what}"
    return Finding(
        Severity.WARNING,
        "firewall",
        f"{barrier.where}{said} {does} calls on their way from {barrier.way.into} to {barrier.way.out}: {what}",
        let_pass(barrier.table, barrier.chain, barrier.way, first_only=barrier.first_only),
    )
