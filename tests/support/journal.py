"""What happened, in order, for tests that wait for something to happen."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class MissedError(AssertionError):
    """What was waited for did not happen; the text says what did."""


class Journal(Generic[T]):
    """An append-only list that one thread writes and others wait on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._entries: list[T] = []
        self._ended = False
        self._changed = threading.Condition()

    def append(self, entry: T) -> None:
        with self._changed:
            self._entries.append(entry)
            self._changed.notify_all()

    def end(self) -> None:
        """No more entries will come: whoever waits need not wait longer."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        return iter(self._entries[:])

    def __len__(self) -> int:
        return len(self._entries)

    def wait(
        self,
        what: str,
        match: Callable[[T], R | None],
        *,
        timeout: float = 10,
        after: int = 0,
        count: int = 1,
    ) -> list[R]:
        """The first `count` values other than None that `match` gives, leaving out the first `after` entries.

        Raises `MissedError`, which names `what` and the last entries, when they do not come in time.
        """
        deadline = time.monotonic() + timeout
        found: list[R] = []
        position = after
        with self._changed:
            while True:
                for entry in self._entries[position:]:
                    value = match(entry)
                    if value is not None:
                        found.append(value)
                        if len(found) == count:
                            return found
                position = max(position, len(self._entries))
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    raise MissedError(self._report(what, len(found), count, timeout))
                self._changed.wait(left)

    def _report(self, what: str, found: int, count: int, timeout: float) -> str:
        why = "it ended" if self._ended else f"{timeout:g} s passed"
        last = "\n".join(f"  {entry}" for entry in self._entries[-25:]) or "  (nothing)"
        seen = f"{found} of {count} seen; last of {len(self)} entries"
        return f"{self.name}: {why} before {what} ({seen}):\n{last}"
