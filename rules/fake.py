"""A kernel in memory that obeys the real one's laws and fails on request."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial

from rules import owner, text
from rules.diff import Actual, Delta, Place, TableDelta
from rules.errors import KernelError
from rules.flows import Flow, Search
from rules.ruleset import Element, Entry, Rule, SetSpec, TableName

_BUILT_IN: Mapping[TableName, tuple[str, ...]] = {
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
}
_VERDICTS = {"ACCEPT", "DROP", "RETURN", "DNAT", "SNAT", "MASQUERADE", "NFQUEUE"}

Line = Rule | str
"""A rule of ours, or the text of somebody else's."""


@dataclass
class FakeBackend:
    """Tables, sets, counters and flows to look into, and switches that make things fail.

    `commits` and `looks` count what was asked: changes, and searches for flows.

    While they are set, `fail_commit` refuses the commits of the table it names, after everything before it was
    done, `fail_set` the changes of one set, `fail_step` every commit when so many of its changes are done,
    `fail_read` and `fail_flows` every look, `fail_cut` the end of flows. `delay` is what a commit takes, in seconds.
    """

    tables: dict[TableName, dict[str, list[Line]]] = field(
        default_factory=lambda: {table: {name: [] for name in names} for table, names in _BUILT_IN.items()}
    )
    sets: dict[str, SetSpec] = field(default_factory=dict)
    entries: dict[Element, str] = field(default_factory=dict)
    counts: dict[Element, int] = field(default_factory=dict)
    conntrack: list[Flow] = field(default_factory=list)
    commits: int = 0
    looks: int = 0
    fail_commit: str | None = None
    fail_set: str | None = None
    fail_step: int | None = None
    fail_read: bool = False
    fail_flows: bool = False
    fail_cut: bool = False
    delay: float = 0.0
    _known: object = field(default=None, init=False)
    _disturbances: int = field(default=0, init=False)

    async def read(self) -> Actual:
        """See Backend."""
        if self.fail_read:
            raise KernelError("reading the rules: refused on request")
        chains: dict[Place, tuple[str, ...]] = {}
        jumps: dict[Place, tuple[str, ...]] = {}
        for table, held in self.tables.items():
            for chain, lines in held.items():
                marks = tuple(text.mark(line) if isinstance(line, Rule) else "" for line in lines)
                if owner.is_chain(chain):
                    chains[Place(table, chain)] = marks
                elif any(marks):
                    jumps[Place(table, chain)] = marks
        sets = frozenset(spec for spec in self.sets.values() if owner.is_set(spec.name))
        entries = {element: note for element, note in self.entries.items() if owner.is_set(element.set)}
        return Actual(chains, jumps, sets, entries)

    async def commit(self, delta: Delta) -> None:
        """See Backend."""
        self.commits += 1
        await asyncio.sleep(self.delay)
        self._look()
        try:
            self._commit(delta)
        finally:
            self._known = self._held()

    async def disturbances(self) -> int:
        """See Backend."""
        if self.fail_read:
            raise KernelError("looking at the rules: refused on request")
        self._look()
        return self._disturbances

    async def packets(self) -> Mapping[Element, int]:
        """See Backend."""
        return {
            element: self.counts.get(element, 0)
            for element in self.entries
            if owner.is_set(element.set) and self.sets[element.set].counters
        }

    async def flows(self, search: Search) -> Iterable[Flow]:
        """See Backend."""
        self.looks += 1
        if self.fail_flows:
            raise KernelError("reading conntrack: refused on request")
        return [flow for flow in self.conntrack if search.touches(flow)]

    async def cut(self, flows: Iterable[Flow]) -> None:
        """See Backend."""
        if self.fail_cut:
            raise KernelError("deleting conntrack entries: refused on request")
        gone = set(flows)
        self.conntrack = [flow for flow in self.conntrack if flow not in gone]

    async def close(self) -> None:
        """See Backend."""

    def _commit(self, delta: Delta) -> None:
        for done, change in enumerate(self._changes(delta)):
            if self.fail_step == done:
                raise KernelError(f"step {done} of a commit: refused on request")
            change()

    def _changes(self, delta: Delta) -> Iterator[Callable[[], None]]:
        """One after the other, in the order that the real one has."""
        yield from (partial(self._create, spec) for spec in delta.create)
        yield from (partial(self._add, entry) for entry in delta.add)
        yield from (partial(self._commit_table, change) for change in delta.tables)
        yield from (partial(self._drop, element) for element in delta.drop)
        yield from (partial(self._destroy, name) for name in delta.destroy)

    def _create(self, spec: SetSpec) -> None:
        self._refuse_set(spec.name)
        if spec.name in self.sets:
            raise KernelError(f"set {spec.name}: exists already")
        self.sets[spec.name] = spec

    def _drop(self, element: Element) -> None:
        self._set(element.set)
        self.entries.pop(element, None)
        self.counts.pop(element, None)

    def _held(self) -> object:
        tables = {(table, name): list(lines) for table, held in self.tables.items() for name, lines in held.items()}
        return tables, dict(self.sets), dict(self.entries)

    def _look(self) -> None:
        held = self._held()
        self._disturbances += held != self._known
        self._known = held

    def _refuse_set(self, name: str) -> None:
        if self.fail_set == name:
            raise KernelError(f"set {name}: refused on request")

    def _set(self, name: str) -> SetSpec:
        self._refuse_set(name)
        if name not in self.sets:
            raise KernelError(f"set {name}: does not exist")
        return self.sets[name]

    def _add(self, entry: Entry) -> None:
        spec = self._set(entry.element.set)
        if (entry.element.source is not None) != (spec.type == "hash:ip,port,ip"):
            raise KernelError(f"set {spec.name}: {text.element(entry.element)} is not {spec.type}")
        self.entries[entry.element] = entry.comment
        self.counts.setdefault(entry.element, 0)

    def _destroy(self, name: str) -> None:
        self._set(name)
        for table, chains in self.tables.items():
            for chain, lines in chains.items():
                if any(name in _sets_of(line) for line in lines):
                    raise KernelError(f"set {name}: in use by {table} {chain}")
        del self.sets[name]
        self.entries = {element: note for element, note in self.entries.items() if element.set != name}

    def _commit_table(self, change: TableDelta) -> None:
        if self.fail_commit == change.table:
            raise KernelError(f"table {change.table}: refused on request")
        chains = deepcopy(self.tables[change.table])
        for chain in change.replace:
            chains.setdefault(chain.name, [])
        for chain in change.replace:
            chains[chain.name] = []
            for rule in chain.rules:
                self._append(chains, rule)
        for rule in change.append:
            self._append(chains, rule)
        for rule in change.remove:
            self._remove(chains, rule.chain, text.mark(rule))
        for name, mark in change.unjump:
            self._remove(chains, name, mark)
        for jump in change.jump:
            self._append(chains, jump.rule)
            if not jump.last:
                lines = chains[jump.rule.chain]
                lines.insert(0, lines.pop())
        for name in change.delete:
            if name not in chains or name in _BUILT_IN[change.table]:
                raise KernelError(f"table {change.table}: no chain {name} to delete")
            chains[name] = []
        for name in change.delete:
            rules = [line for lines in chains.values() for line in lines if isinstance(line, Rule)]
            if any(rule.target == name for rule in rules):
                raise KernelError(f"table {change.table}: chain {name} is still referenced")
            del chains[name]
        self.tables[change.table] = chains

    def _append(self, chains: dict[str, list[Line]], rule: Rule) -> None:
        if rule.chain not in chains:
            raise KernelError(f"table {rule.table}: no chain {rule.chain}")
        if rule.target not in _VERDICTS and rule.target not in chains:
            raise KernelError(f"table {rule.table}: no target {rule.target}")
        for name in _sets_of(rule):
            if name not in self.sets:
                raise KernelError(f"table {rule.table}: set {name} does not exist")
        chains[rule.chain].append(rule)

    @staticmethod
    def _remove(chains: dict[str, list[Line]], chain: str, mark: str) -> None:
        for line in chains.get(chain, ()):
            if isinstance(line, Rule) and text.mark(line) == mark:
                chains[chain].remove(line)
                return
        raise KernelError(f"chain {chain}: no rule {mark}")


def _sets_of(line: Line) -> set[str]:
    if isinstance(line, str):
        return set()
    return {values[0] for match in line.matches for name, values in match.options if name == "match-set"}
