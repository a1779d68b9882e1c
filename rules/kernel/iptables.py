"""The legacy tables of a network namespace, through libiptc; in the one thread that owns the kernel.

A commit replaces a whole table and fails if somebody changed it since it was read, so each one is: take the lock,
read, change, commit, and again from the start if somebody who takes no lock came in between.
"""

import ctypes
import struct
import time
from collections.abc import Collection, Iterator
from typing import Any

from rules import owner
from rules.diff import TABLES, Place, TableDelta
from rules.errors import KernelError, NotPermittedError, UnsupportedError
from rules.kernel.blobs import Blobs
from rules.kernel.libraries import iptc
from rules.kernel.lock import xtables_lock
from rules.kernel.table_watch import TableWatch
from rules.kernel.tables_in_use import tables_in_use
from rules.ruleset import TableName

_TRIES = 10
_PAUSE = 0.005  # seconds before the next try
_ENTRY_SIZE = ctypes.sizeof(iptc.ip4tc.ipt_entry)
_MATCH = struct.Struct("=H29sB")  # size, name, revision; its data follows


class Tables:
    """Changes and reads our chains in these tables."""

    def __init__(self, tables: Collection[TableName] = TABLES) -> None:
        self._blobs = Blobs()
        self._names = tables
        self.watch = TableWatch(tables)

    def read(self) -> tuple[dict[Place, tuple[str, ...]], dict[Place, tuple[str, ...]]]:
        """The marks in our own chains, and in those of others that have one.

        It takes no lock, for whoever holds that may be stopped: each table is read at one moment.
        """
        chains: dict[Place, tuple[str, ...]] = {}
        jumps: dict[Place, tuple[str, ...]] = {}
        in_use = tables_in_use()  # to open another one would create it
        for name in (each for each in self._names if each in in_use):
            table = _open(name)
            for chain in [each.name for each in table.chains]:
                comments = [comment for _entry, comment in _rules(table, chain)]
                marks = tuple(comment if owner.is_mark(comment) else "" for comment in comments)
                if owner.is_chain(chain):
                    chains[Place(name, chain)] = marks
                elif any(marks):
                    jumps[Place(name, chain)] = marks
        return chains, jumps

    def flooded(self) -> int:
        """Packets that the rules against floods have dropped since they were made."""
        if "mangle" not in tables_in_use():
            return 0
        return sum(
            entry.counters.pcnt
            for entry, comment in _rules(_open("mangle"), owner.FORWARD)
            if owner.reason(comment).startswith(owner.FLOOD)
        )

    def commit(self, change: TableDelta) -> None:
        """Make the changes of one table, all or none."""
        # unless told, python-iptables looks for a jump's target in every table and so makes those not used yet
        iptc.Table.existing_table_names.update({name: name in self._names for name in iptc.Table.ALL})
        of_jumps = bool(change.jump or change.unjump)
        for left in reversed(range(_TRIES)):
            try:
                with xtables_lock(), self.watch.own_change(change.table, of_jumps=of_jumps):
                    table = _open(change.table)
                    self._change(table, change)
                    table.commit()
                return
            except iptc.IPTCError as error:
                if "temporarily unavailable" not in str(error) or not left:
                    raise _refusal(change.table, error) from error
                time.sleep(_PAUSE)

    def _change(self, table: Any, change: TableDelta) -> None:
        for chain in change.replace:
            if table.is_chain(chain.name):
                table.flush_entries(chain.name)
            else:
                table.create_chain(chain.name)
        for chain in change.replace:
            for rule in chain.rules:
                table.append_entry(chain.name, self._blobs.build(rule).entry)
        for rule in change.append:
            table.append_entry(rule.chain, self._blobs.build(rule).entry)
        for rule in change.remove:
            blob = self._blobs.build(rule)
            table.delete_entry(rule.chain, blob.entry, blob.mask)
        for name, mark in change.unjump:
            _delete_marked(table, name, mark)
        for jump in change.jump:
            entry = self._blobs.build(jump.rule).entry
            if jump.last:
                table.append_entry(jump.rule.chain, entry)
            else:
                table.insert_entry(jump.rule.chain, entry, 0)
        for name in change.delete:
            table.flush_entries(name)
            table.delete_chain(name)


def _open(name: TableName) -> Any:
    """The table as it is now."""
    try:
        table = iptc.Table(name, autocommit=False)
        table.refresh()
    except iptc.IPTCError as error:
        raise _refusal(name, error) from error
    return table


def _rules(table: Any, chain: str) -> Iterator[tuple[Any, str]]:
    """Each rule of a chain with its comment."""
    entry = table.first_rule(chain)
    while entry:
        yield entry, _comment(ctypes.string_at(ctypes.addressof(entry), entry.target_offset))
        entry = table.next_rule(entry)


def _comment(entry: bytes) -> str:
    at = _ENTRY_SIZE
    while at < len(entry):
        size, name, _revision = _MATCH.unpack_from(entry, at)
        if name.partition(b"\0")[0] == b"comment":
            text = entry[at + _MATCH.size : at + size].partition(b"\0")[0]
            return text.decode(errors="replace")
        at += size
    return ""


def _delete_marked(table: Any, chain: str, mark: str) -> None:
    for entry, comment in _rules(table, chain):
        if comment == mark:
            rule = table.create_rule(entry, iptc.Chain(table, chain))
            table.delete_entry(chain, rule.rule, rule.mask)
            return


def _refusal(table: str, error: Exception) -> KernelError:
    said = str(error)
    if "must be root" in said or "not permitted" in said or "Permission denied" in said:
        return NotPermittedError(f"iptables table {table}: not permitted; run as root (CAP_NET_ADMIN)")
    if "insmod" in said or "not supported" in said or "Protocol not available" in said:
        return UnsupportedError(
            f"iptables table {table}: this kernel has no legacy tables; load the module iptable_{table}, or"
            " use a kernel built with CONFIG_NETFILTER_XTABLES_LEGACY and CONFIG_IP_NF_IPTABLES_LEGACY"
        )
    if "can't commit" in said and "No chain/target/match" in said:
        return UnsupportedError(
            f"iptables table {table}: this kernel lacks a match or target; load or build xt_comment, xt_conntrack,"
            " xt_hashlimit, xt_set, xt_NFQUEUE, xt_nat and xt_MASQUERADE, and xt_string or set sip.any_port = false"
        )
    if "Too many links" in said:
        return KernelError(
            f"iptables table {table}: a rule that is not ours leads into one of our chains; delete it first"
        )
    return KernelError(f"iptables table {table}: {said}")
