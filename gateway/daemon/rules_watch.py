"""Finds out what others do to our rules, and has it mended.

Nobody is told of a change in the tables of iptables or in ipsets. So a cheap look is taken about every second, and
only when somebody else was there, or a burst of our own commits is over, everything is read back and compared.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gateway.daemon.pipeline import Pipeline
from rules.diff import Drift
from rules.errors import KernelError
from rules.reconcile import Reconciler

log = logging.getLogger("sipmasq")

_LOOK_EVERY = 0.8  # seconds; with reading back and mending, what is broken is whole again within two
_VERIFY_EVERY = 30.0  # for what a look does not see: one entry of a set in the place of another
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0


class Standoff:
    """Two that both want to be first in a chain must not push each other aside for ever.

    Each time our jump is displaced again soon, it is left there for twice as long. `round` counts how often it was
    moved back in this dispute. Times are seconds on one clock.
    """

    def __init__(self) -> None:
        self.round = 0
        self.until = 0.0
        self._pause = 0.0

    def may_move_back(self, now: float) -> bool:
        """Our jump was found displaced: whether to move it now, or else not before `until`."""
        if now < self.until:
            return False
        again = now < self.until + self._pause
        self.round = self.round + 1 if again else 1
        self._pause = min(self._pause * 2, _LONGEST_PAUSE) if again else _FIRST_PAUSE
        self.until = now + self._pause
        return True


class RulesWatch:
    """Looks, compares, and calls `mend` where the kernel differs from what was last applied."""

    def __init__(self, reconciler: Reconciler, pipeline: Pipeline, mend: Callable[[], Awaitable[None]]) -> None:
        self._reconciler = reconciler
        self._pipeline = pipeline
        self._mend = mend
        self._loop = asyncio.get_running_loop()
        self._standoff = Standoff()
        self._disturbances = -1
        self._commits = self._verified = 0
        self._verify_at = 0.0
        self._said = ""

    async def watch_forever(self) -> None:
        """Have it mended within two seconds, unless it is a dispute or the kernel refuses."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            try:
                await self._look()
            except KernelError as error:
                self._say(f"the rules could not be read back: {error}", logging.ERROR)

    async def _look(self) -> None:
        commits, before = self._pipeline.commits, self._commits
        self._commits = commits
        disturbances = await self._reconciler.disturbances()
        now = self._loop.time()
        settled = commits == before != self._verified
        if disturbances == self._disturbances and not settled and now < self._verify_at:
            return
        drift = await self._reconciler.verify()
        self._verified, self._verify_at = commits, now + _VERIFY_EVERY
        if not drift:
            self._disturbances, self._said = disturbances, ""
        elif self._pipeline.is_refused:
            pass  # it tries again by itself
        elif drift.missing or drift.surplus or self._standoff.may_move_back(now):
            self._tell(drift)
            await self._mend()
            if not self._pipeline.is_refused:
                self._said = ""
        else:
            self._disturbances, self._verify_at = disturbances, min(self._verify_at, self._standoff.until)

    def _tell(self, drift: Drift) -> None:
        disputed = not (drift.missing or drift.surplus)
        if disputed and self._standoff.round == 2:
            self._say(
                "another program insists on its place in a chain: ours is moved back with growing pauses, up to"
                f" {_LONGEST_PAUSE:g} s; have only one of them be first: {drift}"
            )
        elif not disputed or self._standoff.round == 1:
            self._say(f"the rules were not as they should be, mending them: {drift}")

    def _say(self, what: str, level: int = logging.WARNING) -> None:
        """Once, until it is mended."""
        if what != self._said:
            log.log(level, "%s", what)
            self._said = what
