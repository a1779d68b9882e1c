"""When to look at what again. Prolonging is free: an entry that comes up too early is simply put back."""

import heapq
from collections.abc import Hashable
from itertools import count
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

_NEVER = float("inf")
_FEW = 64  # entries that are not worth a look for those that mean nothing any more

_Entry = tuple[float, int, Key]


class Deadlines(Generic[Key]):
    """At most one live wake-up a key; whoever is woken looks up the true deadline and may ask again.

    Entries that were forgotten, or overtaken by an earlier one, lie in the heap until they are the first or outnumber
    the live ones by some.
    """

    def __init__(self) -> None:
        self._heap: list[_Entry[Key]] = []
        self._live: dict[Key, _Entry[Key]] = {}
        self._order = count()

    def __len__(self) -> int:
        return len(self._heap)

    def wake(self, key: Key, when: float) -> None:
        """Make sure that `key` comes up at `when` or before."""
        live = self._live.get(key)
        if when < (_NEVER if live is None else live[0]):
            self._live[key] = entry = (when, next(self._order), key)
            heapq.heappush(self._heap, entry)
            self._sweep()

    def forget(self, key: Key) -> None:
        """Let it come up no more, until it asks again."""
        if self._live.pop(key, None) is not None:
            self._sweep()

    def next(self) -> float | None:
        """The time of the next wake-up."""
        while self._heap and not self._is_live(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[Key]:
        """The keys whose time has come; they are forgotten until they ask again."""
        keys = []
        while (when := self.next()) is not None and when <= now:
            key = heapq.heappop(self._heap)[2]
            del self._live[key]
            keys.append(key)
        self._sweep()
        return keys

    def _is_live(self, entry: _Entry[Key]) -> bool:
        return self._live.get(entry[2]) is entry

    def _sweep(self) -> None:
        if len(self._heap) > _FEW + 2 * len(self._live):
            self._heap = [entry for entry in self._heap if self._is_live(entry)]
            heapq.heapify(self._heap)
