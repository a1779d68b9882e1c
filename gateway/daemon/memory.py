"""Garbage in cycles, which only a look through all objects finds.

Why it is so: a look holds up messages for as long as it takes, 4 ms for 10 000 objects. So what is done for every
message, call and commit leaves no cycles, and what little there is (of errors, of other programs' rules that were
read, of a configuration read again) is looked for among what is new alone, often, and in the thread that makes the
most of it: between two of its jobs none is in use, and none grows old. All is looked through when no call is known.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from functools import partial

_EVERY = 0.5  # seconds; what hundreds of calls a second make in that time is looked through in a few milliseconds
_NEW, _ALL = 1, 2  # generations


def settle_memory() -> None:
    """What there is by now stays for good, or ends by itself; it is not looked through again.

    That takes 30 ms after the imports, and 300 ms with 22 000 calls known again; a second time only what is new.
    """
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
