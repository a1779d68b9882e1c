"""Rules and sets as the text that iptables-save and ipset save print."""

from collections.abc import Iterable, Iterator

from rules import owner
from rules.ruleset import Element, Entry, Option, Rule, Ruleset, SetSpec


def line(rule: Rule) -> str:
    """The rule as iptables-save prints it, mark and all."""
    return f'{_conditions(rule)} -m comment --comment "{mark(rule)}" {_verdict(rule)}'


def mark(rule: Rule) -> str:
    """The comment the rule carries in the kernel."""
    return owner.mark(rule.reason, unmarked(rule))


def unmarked(rule: Rule) -> str:
    """What the rule does, of which its mark has the fingerprint."""
    return f"{rule.table} {_conditions(rule)} {_verdict(rule)}"


def element(item: Element) -> str:
    """The element as ipset prints it: ``10.0.0.5,udp:4000,198.51.100.7``."""
    head = f"{item.inside.ip},udp:{item.inside.port}"
    return head if item.source is None else f"{head},{item.source}"


def ruleset(rules: Ruleset) -> str:
    """All of it: the sets, then each table with its own chains, its jumps and its rules."""
    lines = [_create(spec) for spec in rules.sets]
    lines += [_add(entry) for entry in rules.entries]
    for table in dict.fromkeys(chain.table for chain in rules.chains):
        chains = [chain for chain in rules.chains if chain.table == table]
        lines += [f"*{table}", *(f":{chain.name} - [0:0]" for chain in chains)]
        lines += [line(jump.rule) for jump in rules.jumps if jump.rule.table == table]
        lines += [line(rule) for chain in chains for rule in chain.rules]
        lines.append("COMMIT")
    return "".join(f"{each}\n" for each in lines)


def _create(spec: SetSpec) -> str:
    counters = " counters" if spec.counters else ""
    timeout = " timeout 0" if spec.timed else ""
    return f"create {spec.name} {spec.type} family inet{timeout}{counters} comment"


def _add(entry: Entry) -> str:
    return f'add {entry.element.set} {element(entry.element)} comment "{entry.comment}"'


def _conditions(rule: Rule) -> str:
    parts = [f"-A {rule.chain}"]
    if rule.source:
        parts.append(f"-s {_prefix(rule.source)}")
    if rule.destination:
        parts.append(f"-d {_prefix(rule.destination)}")
    if rule.incoming:
        parts.append(f"-i {rule.incoming}")
    if rule.outgoing:
        parts.append(f"! -o {rule.outgoing[1:]}" if rule.outgoing.startswith("!") else f"-o {rule.outgoing}")
    if rule.udp:
        parts.append("-p udp")
    if rule.sport:
        parts.append(f"-m udp --sport {rule.sport}")
    if rule.dport:
        parts.append(f"-m udp --dport {rule.dport}")
    for match in rule.matches:
        parts += [f"-m {match.name}", *_options(match.options)]
    return " ".join(parts)


def _verdict(rule: Rule) -> str:
    return " ".join((f"-j {rule.target}", *_options(rule.options)))


def _options(options: Iterable[Option]) -> Iterator[str]:
    for name, values in options:
        flag = f"! --{name[1:]}" if name.startswith("!") else f"--{name}"
        yield " ".join((flag, *(f'"{value}"' if "|" in value else value for value in values)))


def _prefix(address: str) -> str:
    return address if "/" in address else f"{address}/32"
