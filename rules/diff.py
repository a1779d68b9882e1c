"""What must change for the kernel to be as wanted."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from rules import text
from rules.ruleset import Chain, Element, Entry, Jump, Rule, Ruleset, SetSpec, TableName

TABLES: tuple[TableName, ...] = ("filter", "nat", "mangle")
"""In the order of making: admitted and translated first, intercepted last."""


_MOST_SHOWN = 8


class Place(NamedTuple):
    """A chain in a table."""

    table: TableName
    chain: str


@dataclass(frozen=True, slots=True)
class Actual:
    """What is ours in the kernel, read back by marks. Rules are their marks, in order; "" is one that is not ours.

    `jumps` are the rules of the built-in chains that hold one of ours.
    """

    chains: dict[Place, tuple[str, ...]]
    jumps: dict[Place, tuple[str, ...]]
    sets: frozenset[SetSpec]
    entries: dict[Element, str]

    def marks(self) -> Iterable[str]:
        """Every mark of a rule that was found."""
        for found in (*self.chains.values(), *self.jumps.values()):
            yield from filter(None, found)


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


class Kind(StrEnum):
    """How something differs from what is wanted."""

    MISSING = "missing"
    SURPLUS = "too much"
    MISPLACED = "misplaced"


class Difference(NamedTuple):
    """One thing that is not as wanted: a chain, rule or jump of a table, a set or an entry of the table `ipset`.

    `chain` is the chain it is or should be in, or the set. `text` is a rule's mark, an element as ipset prints it, or
    where a jump leads and stands; empty for chains and sets themselves.
    """

    kind: Kind
    thing: str
    table: str
    chain: str
    text: str = ""

    def __str__(self) -> str:
        where = self.chain if self.table == "ipset" else f"{self.table} {self.chain}"
        colon = ":" if self.thing == "rule" else ""
        return " ".join(filter(None, (self.thing, f"{where}{colon}", self.text)))


@dataclass(frozen=True, slots=True)
class Drift:
    """How the kernel differs from what is wanted, and the delta that ends it."""

    differences: tuple[Difference, ...]
    delta: Delta

    def __bool__(self) -> bool:
        return bool(self.delta)

    def __str__(self) -> str:
        """The first of them in words, as a line of a log can hold."""
        shown = [f"{each.kind}: {each}" for each in self.differences[:_MOST_SHOWN]]
        left = len(self.differences) - len(shown)
        return "; ".join((*shown, f"and {left} more") if left else shown) or "none"

    @property
    def missing(self) -> tuple[str, ...]:
        """What is wanted and not there."""
        return self._of(Kind.MISSING)

    @property
    def surplus(self) -> tuple[str, ...]:
        """What is there and not wanted."""
        return self._of(Kind.SURPLUS)

    @property
    def misplaced(self) -> tuple[str, ...]:
        """What is there, but in another place than wanted."""
        return self._of(Kind.MISPLACED)

    def _of(self, kind: Kind) -> tuple[str, ...]:
        return tuple(str(each) for each in self.differences if each.kind is kind)


def compare(wanted: Ruleset, actual: Actual) -> Drift:
    """The way from `actual` to `wanted`. Sets of one name must be of one type in both."""
    found: list[Difference] = []
    tables = [_table(table, wanted, actual, found) for table in TABLES]
    if not wanted.chains:
        tables.reverse()  # taken down in the other order: nothing is queued that is no longer admitted
    held = {spec.name for spec in actual.sets}
    kept = {spec.name for spec in wanted.sets}
    create = tuple(spec for spec in wanted.sets if spec.name not in held)
    destroy = tuple(sorted(held - kept))
    add = tuple(entry for entry in wanted.entries if actual.entries.get(entry.element) != entry.comment)
    elements = {entry.element for entry in wanted.entries}
    surplus = sorted(set(actual.entries) - elements)
    drop = tuple(item for item in surplus if item.set in kept)
    found += [Difference(Kind.MISSING, "set", "ipset", spec.name) for spec in create]
    found += [_entry(Kind.MISSING, entry.element) for entry in add]
    found += [_entry(Kind.SURPLUS, item) for item in surplus]
    found += [Difference(Kind.SURPLUS, "set", "ipset", name) for name in destroy]
    return Drift(tuple(found), Delta(create, add, tuple(filter(None, tables)), drop, destroy))


def _table(table: TableName, wanted: Ruleset, actual: Actual, found: list[Difference]) -> TableDelta:
    chains = [chain for chain in wanted.chains if chain.table == table]
    replace = []
    for chain in chains:
        marks = tuple(text.mark(rule) for rule in chain.rules)
        held = actual.chains.get(Place(table, chain.name))
        if held is None:
            found.append(Difference(Kind.MISSING, "chain", table, chain.name))
        elif marks == held or (not chain.ordered and Counter(marks) == Counter(held)):
            continue
        replace.append(chain)
        _tell(table, chain.name, marks, held or (), found)
    names = {chain.name for chain in chains}
    delete = [place.chain for place in actual.chains if place.table == table and place.chain not in names]
    jumps, unjump = _jumps(table, wanted, actual, found)
    found += [Difference(Kind.SURPLUS, "chain", table, name) for name in delete]
    return TableDelta(table, replace=tuple(replace), jump=jumps, unjump=unjump, delete=tuple(delete))


def _jumps(
    table: TableName, wanted: Ruleset, actual: Actual, found: list[Difference]
) -> tuple[tuple[Jump, ...], tuple[tuple[str, str], ...]]:
    """What is not at its end of the chain, or there twice, is taken out and made anew: only ours is moved."""
    held = {place.chain: marks for place, marks in actual.jumps.items() if place.table == table}
    spare = Counter((chain, mark) for chain, marks in held.items() for mark in marks if mark)
    made: list[Jump] = []
    unjump: list[tuple[str, str]] = []
    for jump in wanted.jumps:
        if jump.rule.table != table:
            continue
        chain, mark = jump.rule.chain, text.mark(jump.rule)
        copies = spare.pop((chain, mark), 0)
        leads = f"-> {jump.rule.target}"
        if not copies:
            found.append(Difference(Kind.MISSING, "jump", table, chain, leads))
        elif copies > 1:
            found += [Difference(Kind.SURPLUS, "jump", table, chain, leads)] * (copies - 1)
        elif held[chain][-1 if jump.last else 0] != mark:
            found.append(
                Difference(Kind.MISPLACED, "jump", table, chain, f"{leads} not {'last' if jump.last else 'first'}")
            )
        else:
            continue
        made.append(jump)
        unjump += [(chain, mark)] * copies
    found += [Difference(Kind.SURPLUS, "jump", table, chain, mark) for chain, mark in spare.elements()]
    return tuple(made), (*unjump, *spare.elements())


def _tell(table: str, chain: str, marks: Iterable[str], found: Iterable[str], differences: list[Difference]) -> None:
    wanted, held = Counter(marks), Counter(found)
    lacking, extra = wanted - held, held - wanted
    differences += [Difference(Kind.MISSING, "rule", table, chain, mark) for mark in lacking.elements()]
    differences += [Difference(Kind.SURPLUS, "rule", table, chain, mark or "not ours") for mark in extra.elements()]
    if not lacking and not extra and held:
        differences.append(Difference(Kind.MISPLACED, "rule", table, chain, "not in order"))


def _entry(kind: Kind, item: Element) -> Difference:
    return Difference(kind, "entry", "ipset", item.set, text.element(item))
