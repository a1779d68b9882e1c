"""What is measured between two rounds, when nothing is going on, and what counts as flat.

Why it is so: everything that is remembered on purpose (transactions, ended calls, callers) has run out by then or is
bounded, so what is left is the same each time. One object more for each call shows as hundreds. Memory is less exact:
the allocator keeps what it once had, so it is looked at from the second quarter on, and may waver by two MiB. Half an
object a call in 50 000 calls would be more.
"""

import functools
import gc
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

_MOST_WAVERING = 2048  # KiB
_MOST_OBJECTS = 50  # a dict that grew, a lazily made table; far fewer than there are calls in a round


class Sample(NamedTuple):
    """One look. `resident` is in KiB, `objects` are None for another process, `ports` leased for media."""

    calls: int
    messages: int
    resident: int
    descriptors: int
    objects: int | None
    ports: int

    def __str__(self) -> str:
        objects = "" if self.objects is None else f", {self.objects} objects"
        return (
            f"{self.messages} messages, {self.calls} calls: {self.resident} KiB, {self.descriptors} descriptors"
            f"{objects}, {self.ports} ports leased"
        )


def resident(pid: int) -> int:
    """The memory of a process in KiB."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None, f"process {pid} has no memory"
    return int(found[1])


def descriptors(pid: int) -> int:
    """How many a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def objects() -> int:
    """How many objects this process has that are not garbage, what was remembered to save time left out."""
    for each in gc.get_objects():
        if isinstance(each, functools._lru_cache_wrapper):
            each.cache_clear()
    gc.collect()
    return len(gc.get_objects())


def grown(samples: Sequence[Sample]) -> list[str]:
    """What is not flat, in words; the first sample stands for a start that is over."""
    early, late = samples[len(samples) // 4 : len(samples) // 2], samples[-max(1, len(samples) // 4) :]
    told = []
    more = median(each.resident for each in late) - median(each.resident for each in early)
    if more > _MOST_WAVERING:
        told.append(f"memory grew by {more:.0f} KiB")
    if late[-1].descriptors > early[0].descriptors:
        told.append(f"{late[-1].descriptors - early[0].descriptors} descriptors more are open")
    first, last = early[0].objects, late[-1].objects
    if first is not None and last is not None and last - first > _MOST_OBJECTS:
        told.append(f"{last - first} objects more")
    told += [f"{each.ports} ports are leased after {each.calls} calls" for each in samples if each.ports]
    return told
