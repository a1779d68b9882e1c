"""Garbage in cycles, which only a look through all objects finds.

Why it is so: python-iptables and netlink messages leave cycles behind, a few for each commit. A look holds up
messages for as long as it takes, so it goes through what is new alone, often, and in the thread that makes the
cycles: between two of its jobs none is in use, and none grows old. All is looked through when no call is known.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from functools import partial

_EVERY = 2.0  # seconds; a few thousand objects at hundreds of calls a second
_NEW, _ALL = 1, 2  # generations


def settle_memory() -> None:
    """What start-up made stays for good; looking through it again and again held up messages for 30 ms and more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 1_000_000)  # the oldest only when it is asked for


async def tidy_forever(call: Callable[[Callable[[], int]], Awaitable[int]], is_idle: Callable[[], bool]) -> None:
    """Have garbage collected; `call` runs something in the thread that makes the most of it."""
    was_idle = True
    while True:
        await asyncio.sleep(_EVERY)
        idle = is_idle()
        generation = _ALL if idle and not was_idle else _NEW
        was_idle = idle
        await call(partial(gc.collect, generation))
