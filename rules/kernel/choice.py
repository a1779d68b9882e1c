"""Which variant keeps the rules on this machine, and why."""

import errno
from typing import Literal, NamedTuple

from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_NFTABLES

from rules.kernel.netlink import Netlink, refusal
from rules.kernel.nftables.table import Table
from rules.kernel.nftables.trial import TRIED_AT, trial
from rules.kernel.nftables.variant import Nftables
from rules.kernel.table_watch import Use, use
from rules.kernel.tables_in_use import tables_in_use
from rules.kernel.variant import Variant
from rules.kernel.xtables import Xtables
from rules.ruleset import TableName

Backend = Literal["auto", "iptables", "nftables"]

NEEDED = ("lookup", "ct", "nat", "masq")
"""The expressions without which nftables cannot keep the rules."""
INTERCEPTING = ("queue", "dynset", "limit")
"""Those that iptables can stand in for."""

_TELLING: tuple[TableName, ...] = ("filter", "nat")  # mangle may be in use for the sake of nftables


class Choice(NamedTuple):
    """The variant, the reason in words, and what nftables lacks here: names of expressions."""

    backend: Literal["iptables", "nftables"]
    why: str
    missing: tuple[str, ...]

    @property
    def intercepts(self) -> bool:
        """Whether nftables does all of it."""
        return self.backend == "nftables" and not set(INTERCEPTING) & set(self.missing)


def choose(wanted: Backend) -> Choice:
    """What the operator wants, or with `auto` what the machine uses; changes no rule.

    What it has left here itself decides first: calls go on in what holds them.
    """
    missing = _missing()
    if wanted != "auto":
        return Choice(wanted, "rules.backend says so", missing)
    lacking = [name for name in missing if name in NEEDED]
    if not lacking and _is_ours_in_nftables():
        return Choice("nftables", "it holds rules of sipmasq here", missing)
    uses = {name: use(name) for name in tables_in_use() if name in _TELLING}
    if Use.OURS in uses.values():
        return Choice("iptables", "it holds rules of sipmasq here", missing)
    in_use = sorted(name for name, by in uses.items() if by is Use.OTHERS)
    if in_use:
        return Choice("iptables", f"in use here: legacy table {' and '.join(in_use)}", missing)
    if lacking:
        return Choice("iptables", f"nftables lacks {', '.join(lacking)} here", missing)
    return Choice("nftables", "no legacy table filter or nat is in use here", missing)


def open_variant(choice: Choice) -> Variant:
    """The one chosen."""
    return Xtables() if choice.backend == "iptables" else Nftables(queue=choice.intercepts)


def every_variant() -> tuple[Variant, ...]:
    """Each that may have left something here; between them all that is ours, each part once."""
    lacking = set(NEEDED) & set(_missing())
    return (Xtables(),) if lacking else (Xtables(), Nftables(queue=True))


def _is_ours_in_nftables() -> bool:
    table = Table()
    try:
        actual = table.read()
        return bool(actual.chains or actual.sets)
    finally:
        table.close()


def _missing() -> tuple[str, ...]:
    """The expressions that nftables lacks, tried in a batch that is refused as a whole."""
    names = (*NEEDED, *INTERCEPTING)
    netlink = Netlink(NFNL_SUBSYS_NFTABLES)
    try:
        refused = netlink.transact(trial(names), generation=0)
    except OSError as error:
        raise refusal("nftables cannot be asked what it has", error.errno or errno.EIO) from error
    finally:
        netlink.close()
    whole = refused.get(-1)
    if whole in (errno.EPERM, errno.EACCES):
        raise refusal("nftables cannot be asked what it has", whole)
    return tuple(name for at, name in enumerate(names) if whole or refused.get(TRIED_AT + at) == errno.ENOENT)
