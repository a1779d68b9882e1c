"""Keeps the kernel a function of what is wanted.

Why it is so
- The state wanted is a setup and a table of forwards. Callers change the table and apply; how the kernel gets
  there is decided here and nowhere else, so a crash, an error or a stranger's flush is repaired the same way.
- The everyday road costs by the number of changes, not of calls: the difference between the forwards last
  reached and those wanted gives the delta at once, and nothing is read back.
- After an error nobody knows how far the kernel got. Then the knowledge is dropped and the long road taken, at
  once and by each apply until it succeeds: read everything of ours, compare, commit the difference.
- Flows are looked at after the rules are in, so whatever starts in between starts right. Each look walks the
  kernel's whole table of them, so only what a waiting packet may ride on is looked at before apply returns; for
  the rest, and for a look that failed, `cut_stale` makes up when it suits.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from rules import owner
from rules.backend import Backend
from rules.diff import Actual, Delta, Drift, TableDelta, compare
from rules.errors import KernelError, LockedError
from rules.flows import Search, public, wrong
from rules.forwards import Forwards
from rules.leftovers import leftovers
from rules.model import Endpoint, Forward, Setup, Traffic
from rules.plan import SETS, Parts, parts, plan
from rules.ruleset import Element, Entry, Rule, Ruleset

_NOTHING = Parts((), ())


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply did. `cut` are the inside addresses that had a flow against their forward.

    A packet that still waits in the queue and rides on such a flow carries the old translation: drop it.
    """

    cut: frozenset[Endpoint]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What a clean-up took away, in words, and whether it was we who had turned IPv4 forwarding on."""

    removed: tuple[str, ...]
    forwarding_was_off: bool


class Reconciler:
    """Owns everything of ours in one network namespace. One task at a time applies."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._busy = asyncio.Lock()
        self._setup: Setup | None = None
        self._wanted = Forwards()
        self._reached = Forwards()
        self._changed: set[Endpoint] = set()
        self._owed = Search()
        self._unreported: frozenset[Endpoint] = frozenset()
        self._sure = False

    async def configure(self, setup: Setup) -> Applied:
        """Take this setup, now; the forwards follow it. May be repeated: that makes good whatever differs.

        The first time, what a predecessor left is adopted: its frame is kept where it fits, its forwards where they
        are wanted by then, and its mark that forwarding was off stays.
        """
        async with self._busy:
            before = self._setup
            if before is not None:
                setup = _keeping_mark(setup, before.forwarding_was_off)
                for forward in self._reached.values():
                    old, new = public(before.address, forward), public(setup.address, forward)
                    self._owed.changed(forward, old, forward, new)
                self._owed.borrowed |= setup.masquerade and before.address != setup.address
            self._setup = setup
            return await self._resync(setup)

    def want(self, changes: Mapping[Endpoint, Forward | None]) -> None:
        """Change what is wanted: a forward for each inside address, None to end it. `apply` makes it so.

        ValueError, and nothing changes, when one port would be forwarded to two.
        """
        self._wanted.update(changes)
        self._changed.update(changes)

    async def apply(self) -> Applied:
        """Bring the kernel to what is wanted, in one commit; if it refuses, once more by reading it back.

        KernelError leaves the rest to a later apply: what is wanted stays wanted unless taken back.
        """
        async with self._busy:
            if self._setup is None:
                raise RuntimeError("apply before configure")
            applied = await self._catch_up(self._setup) if self._sure else await self._resync(self._setup)
            unreported, self._unreported = self._unreported, frozenset()
            return Applied(applied.cut | unreported)

    async def cut_stale(self) -> None:
        """Delete the flows that earlier changes made wrong and apply left. What it cuts, the next apply reports."""
        async with self._busy:
            self._unreported |= (await self._cut()).cut

    async def verify(self) -> Drift:
        """How the kernel differs from what was last applied; changes nothing."""
        async with self._busy:
            return await self._compare(self._reached, await self._backend.read())

    async def leftovers(self, setup: Setup) -> list[Forward]:
        """The forwards that a predecessor left, to be wanted before the first `configure`."""
        async with self._busy:
            actual = await self._backend.read()
        return await asyncio.to_thread(leftovers, setup, actual)

    async def disturbances(self) -> int:
        """How often others were seen to change tables or sets: `verify` when it grows. Cheap, to be asked often."""
        async with self._busy:
            return await self._backend.disturbances()

    async def counters(self) -> dict[Endpoint, Traffic]:
        """Packets at each media address, from all its sources together.

        A source that is taken out takes its count along, so `inward` can fall.
        """
        async with self._busy:
            packets = await self._backend.packets()
        inward: Counter[Endpoint] = Counter()
        outward: Counter[Endpoint] = Counter()
        for element, count in packets.items():
            (outward if element.set == owner.SET_OUT else inward)[element.inside] += count
        return {
            inside: Traffic(inward[inside], outward[inside])
            for inside, forward in self._reached.items()
            if forward.purpose.is_media
        }

    @property
    def masquerades(self) -> bool:
        """Whether the rules that are wanted hide the inside networks."""
        return self._setup is not None and self._setup.masquerade

    def ruleset(self) -> Ruleset:
        """The rules as wanted, each with its reason; none before `configure` and after `clean`."""
        return Ruleset() if self._setup is None else plan(self._setup, self._wanted.values())

    async def forwarding_was_off(self) -> bool:
        """Whether a mark in the kernel says that it was we who turned IPv4 forwarding on.

        Whoever cleans up turns it off before: what is forwarded once the masquerade is gone leaks.
        """
        async with self._busy:
            return _is_marked(await self._backend.read())

    async def clean(self) -> Cleaned:
        """Take away everything of ours, by marks alone: needs no setup and may be repeated."""
        async with self._busy:
            actual = await self._backend.read()
            drift = compare(Ruleset(), actual)
            self._owed = Search({element.inside for element in actual.entries}, thorough=True)
            self._setup = None
            self._wanted.clear()
            self._reached.clear()
            self._changed.clear()
            await self._commit(drift.delta)
            await self._cut()
            return Cleaned(drift.surplus, _is_marked(actual))

    async def close(self) -> None:
        """Let go of the kernel and leave the rules in it."""
        await self._backend.close()

    async def _catch_up(self, setup: Setup) -> Applied:
        """The everyday road: from what was last reached."""
        changes = self._take_changes(setup, self._changed)
        try:
            await self._commit(self._delta(setup, changes))
        except LockedError:
            raise  # reading back helps nobody to the lock
        except KernelError:
            # most likely somebody reloaded a firewall and flushed our chains; no call shall fail for that
            return await self._resync(setup)
        self._reached.update(changes)
        return await self._cut() if self._owed.urgent else Applied(frozenset())

    async def _resync(self, setup: Setup) -> Applied:
        """The long road: from what the kernel really holds."""
        actual = await self._backend.read()
        self._setup = setup = _keeping_mark(setup, _is_marked(actual))
        changes = self._take_changes(setup, {*self._reached, *self._wanted})
        wanted = dict(self._wanted)
        stale = {element.inside for element in actual.entries} - wanted.keys()
        self._owed.insides |= stale
        self._owed.thorough |= bool(stale)  # their public ports are not known
        if any(spec not in SETS for spec in actual.sets):  # of another version, and not to be changed in use
            await self._commit(compare(Ruleset(), actual).delta)
            actual = await self._backend.read()
        delta = (await self._compare(wanted, actual)).delta
        await self._commit(delta)
        self._reached.update(changes)
        if any(chain.name == owner.MASQUERADE and chain.rules for table in delta.tables for chain in table.replace):
            self._owed.bare = True
        if delta.tables:  # what began without these rules goes on without them
            for forward in wanted.values():
                self._owed.doubted(forward, public(setup.address, forward))
        self._sure = True
        return await self._cut()

    async def _compare(self, forwards: Mapping[Endpoint, Forward], actual: Actual) -> Drift:
        """In a thread: with thousands of forwards it takes a tenth of a second."""
        setup, wanted = self._setup, list(forwards.values())

        def difference() -> Drift:
            return compare(Ruleset() if setup is None else plan(setup, wanted), actual)

        return await asyncio.to_thread(difference)

    def _take_changes(self, setup: Setup, insides: Iterable[Endpoint]) -> dict[Endpoint, Forward | None]:
        changes: dict[Endpoint, Forward | None] = {}
        for inside in insides:
            old, new = self._reached.get(inside), self._wanted.get(inside)
            if old == new:
                continue
            changes[inside] = new
            before = public(setup.address, old) if old else None
            after = public(setup.address, new) if new else None
            self._owed.changed(old, before, new, after)
        self._changed.clear()
        return changes

    def _delta(self, setup: Setup, changes: Mapping[Endpoint, Forward | None]) -> Delta:
        add: list[Entry] = []
        drop: list[Element] = []
        append: list[Rule] = []
        remove: list[Rule] = []
        for inside, new in changes.items():
            old = self._reached.get(inside)
            before = parts(setup, old) if old else _NOTHING
            after = parts(setup, new) if new else _NOTHING
            add += [entry for entry in after.entries if entry not in before.entries]
            kept = {entry.element for entry in after.entries}
            drop += [entry.element for entry in before.entries if entry.element not in kept]
            append += [rule for rule in after.rules if rule not in before.rules]
            remove += [rule for rule in before.rules if rule not in after.rules]
        nat = TableDelta("nat", append=tuple(append), remove=tuple(remove))
        return Delta(add=tuple(add), tables=(nat,) if nat else (), drop=tuple(drop))

    async def _commit(self, delta: Delta) -> None:
        if not delta:
            return
        sure, self._sure = self._sure, False
        await self._backend.commit(delta)
        self._sure = sure

    async def _cut(self) -> Applied:
        if not self._owed:
            return Applied(frozenset())
        address = self._setup.address if self._setup else None
        networks = self._setup.networks if self._setup else ()
        found = await self._backend.flows(self._owed)
        gone, cut = wrong(found, self._owed, self._reached, address, networks)
        if gone:
            await self._backend.cut(gone)
        self._owed = Search()
        return Applied(cut)


def _is_marked(actual: Actual) -> bool:
    return any(owner.FORWARDING_WAS_OFF in owner.reason(mark) for mark in actual.marks())


def _keeping_mark(setup: Setup, marked: bool) -> Setup:
    return replace(setup, forwarding_was_off=setup.forwarding_was_off or marked)
