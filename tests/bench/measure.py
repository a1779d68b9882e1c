"""What a measurement is, and the clocks that it is taken with.

CPU time is preferred to time passed: it is less disturbed by what else the machine does. It still differs from
round to round, so every figure is a median beside the least and the most that was seen.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: what was seen in each round; `goal` is empty where there is none."""

    name: str
    samples: Sequence[float]
    unit: str
    goal: str = ""

    def row(self) -> list[str]:
        """The cells under name, median, min, max, unit, goal."""
        numbers = (statistics.median(self.samples), min(self.samples), max(self.samples))
        return [self.name, *map(_written, numbers), self.unit, self.goal]


Subject = Callable[[], Iterator[Figure]]
"""Measures when it is iterated, and cleans up when that ends."""


def cpu_each(function: Callable[[T], object], items: Iterable[T]) -> float:
    """Microseconds of this thread's CPU time that `function` takes for one of the items."""
    items = list(items)
    gc.collect()
    started = time.thread_time_ns()
    for item in items:
        function(item)
    return (time.thread_time_ns() - started) / len(items) / 1000


class Stopwatch:
    """What passes by a clock in a block, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = 0.0
        self.seconds = 0.0

    def __enter__(self) -> "Stopwatch":
        self._started = self._clock()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = self._clock() - self._started


def cpu_clock(pid: int) -> Callable[[], float]:
    """The CPU clock of a whole process, all its threads together; clock_getcpuclockid(3) computes it so.

    It counts what the kernel does while the process runs, the forwarding of packets that it releases as well.
    """
    clock = ~pid << 3 | 2
    return lambda: time.clock_gettime(clock)


def _written(number: float) -> str:
    if number == int(number):
        return str(int(number))
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"
