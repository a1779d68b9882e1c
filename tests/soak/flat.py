"""What is measured between two rounds, when nothing is going on, and what counts as flat.

Why it is so: everything that is remembered on purpose (transactions, ended calls, callers) has run out by then or is
bounded, so what is left is the same each time. One object more for each call shows as hundreds, one port that did not
come home as one. Memory and files are less exact: allocators and SQLite keep what they once had. So the first two
rounds are for warming up, then the median of the next quarter of all rounds is compared with that of the last one.
That may be more by 2 MiB, which is less than 3 % of the gateway's memory: half an object a call in 50 000 calls
would be more. The state may be more by 8 MiB, the log that SQLite keeps beside it; a row a call would be more.
"""

import functools
import gc
import re
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from statistics import median
from typing import NamedTuple

_WARMING_UP = 2  # rounds
_MOST_WAVERING = 2048  # KiB of memory
_MOST_WRITTEN = 8192  # KiB
_MOST_OBJECTS = 50  # a dict that grew, a lazily made table; far fewer than there are calls in a round


class Sample(NamedTuple):
    """One look. `resident` memory and what is `written` of the state are in KiB, ports are those for media.

    `objects` are None where they are not counted.
    """

    calls: int
    messages: int
    resident: int
    descriptors: int
    objects: int | None
    leased: int
    free: int
    written: int = 0

    def __str__(self) -> str:
        objects = "" if self.objects is None else f", {self.objects} objects"
        return (
            f"{self.messages} messages, {self.calls} calls: {self.resident} KiB, {self.descriptors} descriptors"
            f"{objects}, {self.written} KiB written, {self.leased} ports leased, {self.free} free"
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
    """What is not flat, in words."""
    quarter = max(1, len(samples) // 4)
    early, late = samples[_WARMING_UP : _WARMING_UP + quarter], samples[-quarter:]
    told = []
    for what, of, most in (("memory", "resident", _MOST_WAVERING), ("the state", "written", _MOST_WRITTEN)):
        more = median(map(attrgetter(of), late)) - median(map(attrgetter(of), early))
        if more > most:
            told.append(f"{what} grew by {more:.0f} KiB")
    if late[-1].descriptors > early[0].descriptors:
        told.append(f"{late[-1].descriptors - early[0].descriptors} descriptors more are open")
    first, last = early[0].objects, late[-1].objects
    if first is not None and last is not None and last - first > _MOST_OBJECTS:
        told.append(f"{last - first} objects more")
    told += [f"{each.leased} ports are leased after {each.calls} calls" for each in samples if each.leased]
    if late[-1].free < early[0].free:
        told.append(f"{early[0].free - late[-1].free} ports fewer are free")
    return told
