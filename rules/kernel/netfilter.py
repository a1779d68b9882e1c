"""Rules and connections of this network namespace, owned by one thread behind an asynchronous face.

libiptc is not thread-safe and its calls take milliseconds; in a thread of their own they hold up no packet.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rules.diff import Actual, Delta
from rules.flows import Flow, Search
from rules.kernel.conntrack import Conntrack
from rules.kernel.variant import Variant
from rules.kernel.xtables import Xtables
from rules.ruleset import Element

T = TypeVar("T")
_AT_ONCE = 0.25  # seconds


class Netfilter:
    """The real Backend, with iptables and ipsets if nothing else is given. The namespace is that of its maker."""

    def __init__(self, variant: Variant | None = None) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="netfilter")
        self._rules = variant or Xtables()
        self._conntrack = Conntrack()
        self._flooded = 0

    async def call(self, function: Callable[[], T]) -> T:
        """Run something else that uses python-iptables in the one thread that may."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    async def read(self) -> Actual:
        """See Backend."""
        return await self.call(self._rules.read)

    async def commit(self, delta: Delta) -> None:
        """See Backend."""
        await self.call(lambda: self._commit(delta))

    async def disturbances(self) -> int:
        """See Backend."""
        return await self.call(self._rules.look)

    async def packets(self) -> Mapping[Element, int]:
        """See Backend."""
        return await self.call(self._rules.packets)

    async def flooded(self) -> int:
        """Packets dropped before they reached the queue, for there were too many.

        While a commit waits for another program's lock, the number of the time before.
        """
        with contextlib.suppress(TimeoutError):
            self._flooded = await asyncio.wait_for(self.call(self._rules.flooded), _AT_ONCE)
        return self._flooded

    async def ban(self, seconds: Mapping[str, int | None]) -> None:
        """Have the SIP of outside addresses dropped for so many seconds, None for not any more."""
        await self.call(lambda: self._rules.ban(seconds))

    async def forget_bans(self) -> None:
        """Have nobody banned."""
        await self.call(self._rules.forget_bans)

    async def flows(self, search: Search) -> Iterable[Flow]:
        """See Backend."""
        return await self.call(lambda: self._conntrack.flows(search))

    async def cut(self, flows: Iterable[Flow]) -> None:
        """See Backend."""
        await self.call(lambda: self._conntrack.cut(flows))

    async def close(self) -> None:
        """See Backend."""
        await asyncio.to_thread(self._thread.shutdown)
        self._rules.close()
        self._conntrack.close()

    def _commit(self, delta: Delta) -> None:
        self._rules.commit(delta)
        if any(change.replace for change in delta.tables):
            self._rules.sweep()  # once these hold, so that calls go on
