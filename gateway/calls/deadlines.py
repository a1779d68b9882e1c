"""When to look at what again. Prolonging is free: an entry that comes up too early is simply put back."""

import heapq
from collections.abc import Hashable
from itertools import count
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

_NEVER = float("inf")


class Deadlines(Generic[Key]):
    """At most one live wake-up a key; whoever is woken looks up the true deadline and may ask again."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Key]] = []
        self._live: dict[Key, float] = {}
        self._order = count()

    def wake(self, key: Key, when: float) -> None:
        """Make sure that `key` comes up at `when` or before."""
        if when < self._live.get(key, _NEVER):
            self._live[key] = when
            heapq.heappush(self._heap, (when, next(self._order), key))

    def next(self) -> float | None:
        """The time of the next wake-up."""
        while self._heap and self._live.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[Key]:
        """The keys whose time has come; they are forgotten until they ask again."""
        keys = []
        while (when := self.next()) is not None and when <= now:
            key = heapq.heappop(self._heap)[2]
            del self._live[key]
            keys.append(key)
        return keys
