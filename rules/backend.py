"""What the reconciler asks of a kernel, real or not."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from rules.diff import Actual, Delta
from rules.flows import Flow, Search
from rules.ruleset import Element


class Backend(Protocol):
    """One network namespace's netfilter. Every method raises KernelError when the kernel refuses."""

    async def read(self) -> Actual:
        """What is ours, found by its marks."""
        ...

    async def commit(self, delta: Delta) -> None:
        """Make the changes in their order: sets and entries to add, each table at once, then what goes.

        An entry that is there already, or gone already, is no error. After an error some of it may be done.
        """
        ...

    async def disturbances(self) -> int:
        """How often somebody else was seen to change what the tables and sets hold, ours or not: a cheap look.

        An entry that another took the place of is not seen.
        """
        ...

    async def packets(self) -> Mapping[Element, int]:
        """What each entry of the counting sets has counted."""
        ...

    async def flows(self, search: Search) -> Iterable[Flow]:
        """The conntrack entries that the search touches, perhaps with some more."""
        ...

    async def cut(self, flows: Iterable[Flow]) -> None:
        """Delete these conntrack entries; one that ended meanwhile is no error."""
        ...

    async def close(self) -> None:
        """Let go of the kernel; nothing in it changes."""
        ...
