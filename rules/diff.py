"""What must change for the kernel to be as wanted."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from rules import text
from rules.ruleset import Chain, Element, Entry, Jump, Rule, Ruleset, SetSpec, TableName

TABLES: tuple[TableName, ...] = ("filter", "nat", "mangle")
"""In the order of making: admitted and translated first, intercepted last."""


class Place(NamedTuple):
    """A chain in a table."""

    table: TableName
    chain: str


@dataclass(frozen=True, slots=True)
class Actual:
    """What is ours in the kernel, read back by marks. Rules are their marks, in order."""

    chains: dict[Place, tuple[str, ...]]
    jumps: dict[Place, tuple[str, ...]]
    sets: frozenset[SetSpec]
    entries: dict[Element, str]

    def marks(self) -> Iterable[str]:
        """Every mark of a rule that was found."""
        for found in (*self.chains.values(), *self.jumps.values()):
            yield from found


@dataclass(frozen=True, slots=True)
class TableDelta:
    """Changes of one table, made in one commit: all of them or none.

    `replace` gives a chain exactly these rules and makes it where it is missing; `append` and `remove` change
    single rules of a chain whose order does not count; `unjump` names rules in built-in chains by their mark.
    """

    table: TableName
    replace: tuple[Chain, ...] = ()
    append: tuple[Rule, ...] = ()
    remove: tuple[Rule, ...] = ()
    jump: tuple[Jump, ...] = ()
    unjump: tuple[tuple[str, str], ...] = ()
    delete: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.replace, self.append, self.remove, self.jump, self.unjump, self.delete))


@dataclass(frozen=True, slots=True)
class Delta:
    """Changes in the order they are made: what is added comes before what goes."""

    create: tuple[SetSpec, ...] = ()
    add: tuple[Entry, ...] = ()
    tables: tuple[TableDelta, ...] = ()
    drop: tuple[Element, ...] = ()
    destroy: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.create, self.add, self.tables, self.drop, self.destroy))


@dataclass(frozen=True, slots=True)
class Drift:
    """How the kernel differs from what is wanted, in words for people and as the delta that ends it."""

    missing: tuple[str, ...]
    surplus: tuple[str, ...]
    delta: Delta

    def __bool__(self) -> bool:
        return bool(self.delta)

    def __str__(self) -> str:
        sides = (("missing", self.missing), ("too much", self.surplus))
        return "; ".join(f"{name}: {', '.join(what)}" for name, what in sides if what) or "none"


def compare(wanted: Ruleset, actual: Actual) -> Drift:
    """The way from `actual` to `wanted`. Sets of one name must be of one type in both."""
    missing: list[str] = []
    surplus: list[str] = []
    tables = [_table(table, wanted, actual, missing, surplus) for table in TABLES]
    if not wanted.chains:
        tables.reverse()  # taken down in the other order: nothing is queued that is no longer admitted
    held = {spec.name for spec in actual.sets}
    kept = {spec.name for spec in wanted.sets}
    create = tuple(spec for spec in wanted.sets if spec.name not in held)
    destroy = tuple(sorted(held - kept))
    add = tuple(entry for entry in wanted.entries if actual.entries.get(entry.element) != entry.comment)
    elements = {entry.element for entry in wanted.entries}
    drop = tuple(sorted(item for item in actual.entries if item not in elements and item.set in kept))
    missing += [f"set {spec.name}" for spec in create]
    missing += [f"entry {entry.element.set} {text.element(entry.element)}" for entry in add]
    surplus += [f"entry {item.set} {text.element(item)}" for item in sorted(set(actual.entries) - elements)]
    surplus += [f"set {name}" for name in destroy]
    return Drift(tuple(missing), tuple(surplus), Delta(create, add, tuple(filter(None, tables)), drop, destroy))


def _table(table: TableName, wanted: Ruleset, actual: Actual, missing: list[str], surplus: list[str]) -> TableDelta:
    chains = [chain for chain in wanted.chains if chain.table == table]
    replace = []
    for chain in chains:
        marks = [text.mark(rule) for rule in chain.rules]
        found = actual.chains.get(Place(table, chain.name))
        if found is None:
            missing.append(f"chain {table} {chain.name}")
        elif tuple(marks) == found or (not chain.ordered and Counter(marks) == Counter(found)):
            continue
        replace.append(chain)
        _tell(f"rule {table} {chain.name}", marks, found or (), missing, surplus)
    names = {chain.name for chain in chains}
    delete = [place.chain for place in actual.chains if place.table == table and place.chain not in names]
    jumps, unjump = _jumps(table, wanted, actual)
    missing += [f"jump {table} {jump.rule.chain} -> {jump.rule.target}" for jump in jumps]
    surplus += [f"jump {table} {chain} {mark}" for chain, mark in unjump]
    surplus += [f"chain {table} {name}" for name in delete]
    return TableDelta(table, replace=tuple(replace), jump=jumps, unjump=unjump, delete=tuple(delete))


def _jumps(table: TableName, wanted: Ruleset, actual: Actual) -> tuple[tuple[Jump, ...], tuple[tuple[str, str], ...]]:
    """Where a jump stands is not compared: others may put their rules before it, on purpose."""
    spare = Counter(
        (place.chain, mark) for place, marks in actual.jumps.items() if place.table == table for mark in marks
    )
    made = []
    for jump in wanted.jumps:
        if jump.rule.table != table:
            continue
        key = (jump.rule.chain, text.mark(jump.rule))
        if spare[key] > 0:
            spare[key] -= 1
        else:
            made.append(jump)
    return tuple(made), tuple(spare.elements())


def _tell(what: str, marks: Iterable[str], found: Iterable[str], missing: list[str], surplus: list[str]) -> None:
    wanted, held = Counter(marks), Counter(found)
    lacking, extra = wanted - held, held - wanted
    missing += [f"{what}: {mark}" for mark in lacking.elements()]
    surplus += [f"{what}: {mark or 'not ours'}" for mark in extra.elements()]
    if not lacking and not extra and held:
        surplus.append(f"{what}: not in order")
