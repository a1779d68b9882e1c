"""The variant of nftables, and what iptables does for it.

Where the kernel lacks nftables' `queue` expression, packets are intercepted by the legacy table mangle. It looks into
ipsets, so the one of the phones that speak SIP is kept twice, and the one of who is banned is kept there.
"""

from collections.abc import Mapping
from dataclasses import replace

from rules import owner
from rules.diff import TABLES, Actual, Delta, compare
from rules.kernel.nftables.table import Table, in_both
from rules.kernel.tables_in_use import tables_in_use
from rules.kernel.xtables import Xtables
from rules.ruleset import Element, Ruleset, TableName

_INTERCEPTION: TableName = "mangle"
_SETS = (owner.SET_SIP, owner.SET_BANNED)
"""The ipsets that it looks into."""


class Nftables:
    """Our table, and the legacy interception unless `queue` says that nftables has it."""

    def __init__(self, *, queue: bool) -> None:
        self._table = Table()
        try:
            self._legacy = None if queue else Xtables((_INTERCEPTION,))
        except BaseException:
            self._table.close()
            raise

    def read(self) -> Actual:
        """See Variant."""
        actual = self._table.read()
        if self._legacy is None:
            return actual
        legacy = self._legacy.read()
        twice = in_both(_signalling(actual.entries), _signalling(legacy.entries))
        alone = {spec for spec in legacy.sets if spec.name == owner.SET_BANNED}
        sets = alone | {spec for spec in actual.sets if spec.name not in _SETS or spec in legacy.sets}
        entries = {element: note for element, note in actual.entries.items() if element.set != owner.SET_SIP}
        return Actual(actual.chains | legacy.chains, actual.jumps | legacy.jumps, frozenset(sets), entries | twice)

    def commit(self, delta: Delta) -> None:
        """See Variant."""
        if self._legacy is None:
            self._table.commit(delta)
        else:
            intercepted, rest = _split(delta, self._legacy)
            order: list[tuple[Table | Xtables, Delta]] = [(self._table, rest), (self._legacy, intercepted)]
            if delta.tables and delta.tables[0].table == _INTERCEPTION:  # being taken down
                order.reverse()
            for part, change in order:
                if change:
                    part.commit(change)

    def look(self) -> int:
        """See Variant."""
        self._table.look()
        return self._table.changes + (self._legacy.look() if self._legacy else 0)

    def packets(self) -> dict[Element, int]:
        """See Variant."""
        return self._table.packets()

    def flooded(self) -> int:
        """See Variant."""
        return self._legacy.flooded() if self._legacy else self._table.flooded()

    def ban(self, seconds: Mapping[str, int | None]) -> None:
        """See Variant."""
        (self._legacy or self._table).ban(seconds)

    def forget_bans(self) -> None:
        """See Variant."""
        (self._legacy or self._table).forget_bans()

    def close(self) -> None:
        """See Variant."""
        self._table.close()
        if self._legacy:
            self._legacy.close()

    def sweep(self) -> None:
        """See Variant."""
        ours = (_INTERCEPTION, *_SETS) if self._legacy else ()
        in_use = tables_in_use()
        legacy = Xtables([table for table in TABLES if table in in_use and table not in ours])
        try:
            actual = legacy.read()
            sets = frozenset(spec for spec in actual.sets if spec.name not in ours)
            if delta := compare(Ruleset(), replace(actual, sets=sets, entries={})).delta:
                legacy.commit(delta)
        finally:
            legacy.close()


def _split(delta: Delta, legacy: Xtables) -> tuple[Delta, Delta]:
    """What the legacy table does, and what ours does."""
    held = legacy.read().sets if delta.create else frozenset()
    intercepted = Delta(
        create=tuple(spec for spec in delta.create if spec.name in _SETS and spec not in held),
        add=tuple(entry for entry in delta.add if entry.element.set == owner.SET_SIP),
        tables=tuple(change for change in delta.tables if change.table == _INTERCEPTION),
        drop=tuple(element for element in delta.drop if element.set == owner.SET_SIP),
        destroy=tuple(name for name in delta.destroy if name in _SETS),
    )
    return intercepted, replace(
        delta,
        create=tuple(spec for spec in delta.create if spec.name != owner.SET_BANNED),
        tables=tuple(change for change in delta.tables if change.table != _INTERCEPTION),
        destroy=tuple(name for name in delta.destroy if name != owner.SET_BANNED),
    )


def _signalling(entries: dict[Element, str]) -> dict[Element, str]:
    return {element: note for element, note in entries.items() if element.set == owner.SET_SIP}
