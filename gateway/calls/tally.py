"""How many have something in common."""

from collections import Counter
from collections.abc import Iterator, Set
from typing import Generic, TypeVar

Key = TypeVar("Key")


class Tally(Generic[Key]):
    """The keys that somebody has, the longest held first; a key that nobody has any more is gone."""

    def __init__(self) -> None:
        self._count: Counter[Key] = Counter()

    def __contains__(self, key: object) -> bool:
        return key in self._count

    def __iter__(self) -> Iterator[Key]:
        return iter(self._count)

    def __len__(self) -> int:
        return len(self._count)

    def move(self, before: Set[Key], after: Set[Key]) -> None:
        """Somebody had the keys of `before` and has those of `after`."""
        for key in after - before:
            self._count[key] += 1
        for key in before - after:
            self._count[key] -= 1
            if not self._count[key]:
                del self._count[key]
