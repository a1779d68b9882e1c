"""An event loop in which waiting costs nothing: when there is nothing to do, it is later at once."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")
START = 1000.0


class _Selector(selectors.DefaultSelector):
    """Turns the time that the loop would sleep into time that has passed, unless a thread is at work."""

    now = START
    in_threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0 or self.in_threads:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self.now += timeout
        return ready


class FastLoop(asyncio.SelectorEventLoop):
    """Its clock stands still while something runs and jumps to the next timer when nothing does."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now

    def run_in_executor(  # type: ignore[override]  # the stubs ask for a TypeVarTuple, which says no more here
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        self._clock.in_threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._out_of_thread)
        return future

    def _out_of_thread(self, _: asyncio.Future[Any]) -> None:
        self._clock.in_threads -= 1


def play(story: Coroutine[Any, Any, T]) -> T:
    """Run a story to its end, hours of it in no time."""
    with asyncio.Runner(loop_factory=FastLoop) as runner:
        return runner.run(story)


async def until(happened: Callable[[], object]) -> float:
    """Wait for something that nobody announces; the seconds since the story began."""
    loop = asyncio.get_running_loop()
    while not happened():  # noqa: ASYNC110  # there is no event, and time is free here
        await asyncio.sleep(0.01)
    return loop.time() - START
