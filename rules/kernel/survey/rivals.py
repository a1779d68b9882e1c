"""Translations elsewhere that may be made in place of ours.

A flow is translated once each way, by the first rule that is asked. Within iptables-legacy ours come first. An nft
chain is asked before them if its priority is lower; at the same one, whichever table was loaded last is.
"""

from collections.abc import Iterator, Sequence

from rules.kernel.survey.finding import Finding, Severity
from rules.kernel.survey.foreign import Action, ForeignChain, ForeignTable, Hook
from rules.kernel.survey.traffic import Site, traffic
from rules.kernel.survey.walk import base_chains, steps

_PRIORITIES = {Hook.PREROUTING: -100, Hook.POSTROUTING: 100}
_NAMES = {Hook.PREROUTING: "dstnat", Hook.POSTROUTING: "srcnat"}


def find_rivals(tables: Sequence[ForeignTable], site: Site) -> list[Finding]:
    """A warning for each rule that translates calls otherwise than we announce them, or may do so."""
    found: dict[str, Finding] = {}
    for hook, priority in _PRIORITIES.items():
        for table, chain in base_chains(tables, hook):
            if chain.nat and not table.legacy and chain.priority <= priority:
                for where, said, certain in _translations(table, chain, site):
                    found.setdefault(where, _finding(table, chain, where, said, certain=certain))
    return list(found.values())


def _translations(table: ForeignTable, chain: ForeignChain, site: Site) -> Iterator[tuple[str, str, bool]]:
    inward = chain.hook is Hook.PREROUTING
    action = Action.DESTINATION_NAT if inward else Action.SOURCE_NAT
    for kind in traffic(site.inside):
        if kind.outward is inward:
            continue
        passage = kind.first(site, chain)
        for rule, rest in steps(table, chain, passage)[0]:
            hits = [kind.is_hit(condition, passage) for condition in rest]
            if rule.action is action and False not in hits:
                yield rule.where, rule.said, None not in hits


def _finding(table: ForeignTable, chain: ForeignChain, where: str, said: str, *, certain: bool) -> Finding:
    hook = chain.hook or Hook.POSTROUTING
    early = certain and chain.priority < _PRIORITIES[hook]
    when = "comes" if early else "may come, as whatever is loaded last is asked first,"
    if hook is Hook.POSTROUTING:
        what = f"{where} ({said}) {when} before our translation: audio then leaves from other ports than announced"
    else:
        what = f"{where} ({said}) {when} before our translation: calls then arrive elsewhere"
    return Finding(Severity.WARNING, "firewall", what, _cure(table, chain, hook))


def _cure(table: ForeignTable, chain: ForeignChain, hook: Hook) -> str:
    if table.name == "ip nat" and chain.name == hook.name:
        if hook is Hook.POSTROUTING:
            return (
                "delete that rule, and the gateway hides the inside networks (outside.masquerade = true);"
                " or make the rule with iptables-legacy"
            )
        return "make that rule with iptables-legacy, or choose other ports in media.ports and sip.public_ports"
    return (
        f"load chain {chain.name} of table {table.name} with: type nat hook {hook.name.lower()}"
        f" priority {_NAMES[hook]} + 1"
    )
