import asyncio
import contextlib
import gc
import weakref
from collections.abc import Callable

import pytest

from gateway.daemon.memory import tidy_forever
from tests.gateway.daemon.clock import play


class Cycle:
    def __init__(self) -> None:
        self.itself = self


@pytest.mark.parametrize("is_old", [False, True])
def test_cycles_are_collected_and_the_old_ones_once_no_call_is_known(is_old: bool) -> None:
    idle = False

    async def call(function: Callable[[], int]) -> int:
        return function()

    async def story() -> None:
        nonlocal idle
        gc.collect()
        gc.disable()
        cycle = Cycle()
        seen = weakref.ref(cycle)
        if is_old:
            gc.collect()
        del cycle
        task = asyncio.create_task(tidy_forever(call, lambda: idle))
        try:
            await asyncio.sleep(5)
            assert (seen() is not None) is is_old
            idle = True
            await asyncio.sleep(5)
            assert seen() is None
        finally:
            gc.enable()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    play(story())
