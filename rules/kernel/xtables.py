"""The variant of legacy tables and ipsets."""

from collections.abc import Collection, Mapping
from contextlib import ExitStack

from rules.diff import TABLES, Actual, Delta, compare
from rules.errors import UnsupportedError
from rules.kernel.ipsets import Sets
from rules.kernel.iptables import Tables
from rules.kernel.nftables.table import Table
from rules.ruleset import Element, Ruleset, TableName


class Xtables:
    """Rules of these tables; the others are not touched, for to look at a legacy table creates it."""

    def __init__(self, tables: Collection[TableName] = TABLES) -> None:
        with ExitStack() as opened:
            self._tables = Tables(tables)
            opened.callback(self._tables.watch.close)
            self._sets = Sets()
            opened.pop_all()

    def read(self) -> Actual:
        """See Variant."""
        chains, jumps = self._tables.read()
        sets, entries = self._sets.read()
        return Actual(chains, jumps, sets, entries)

    def commit(self, delta: Delta) -> None:
        """See Variant."""
        if delta.create or delta.add:
            with self._sets.own_change():
                for spec in delta.create:
                    self._sets.create(spec)
                self._sets.add(delta.add)
        for change in delta.tables:
            self._tables.commit(change)
        if delta.drop or delta.destroy:
            with self._sets.own_change():
                self._sets.drop(delta.drop)
                for name in delta.destroy:
                    self._sets.destroy(name)

    def look(self) -> int:
        """See Variant."""
        self._tables.watch.look()
        self._sets.look()
        return self._tables.watch.changes + self._sets.changes

    def packets(self) -> dict[Element, int]:
        """See Variant."""
        return self._sets.packets()

    def flooded(self) -> int:
        """See Variant."""
        return self._tables.flooded()

    def ban(self, seconds: Mapping[str, int | None]) -> None:
        """See Variant."""
        self._sets.ban(seconds)

    def forget_bans(self) -> None:
        """See Variant."""
        self._sets.forget_bans()

    def sweep(self) -> None:
        """See Variant."""
        table = Table()
        try:
            if delta := compare(Ruleset(), table.read()).delta:
                table.commit(delta)
        except UnsupportedError:
            pass  # nothing is left where there is no nftables
        finally:
            table.close()

    def close(self) -> None:
        """See Variant."""
        self._tables.watch.close()
        self._sets.close()
