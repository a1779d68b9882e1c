"""What others do to the rules is mended soon, and a dispute does not go on for ever."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable

import pytest

from gateway.daemon.rules_watch import RulesWatch, Standoff
from rules import owner
from rules.diff import Drift
from rules.errors import KernelError
from rules.fake import FakeBackend, Line
from rules.ruleset import Rule
from tests.gateway.daemon.clock import START, play, until
from tests.gateway.daemon.router import Router
from tests.gateway.daemon.talk import PUBLIC, invite

RIVAL = "-A FORWARD -j RIVAL"


class Watched:
    """A router whose rules are watched; counts how often they were read back and mended."""

    def __init__(self, router: Router) -> None:
        self.read = self.mended = 0
        self._router = router
        self._verify = router.reconciler.verify
        router.reconciler.verify = self._count  # type: ignore[method-assign]  # counts what passes
        self.watch = RulesWatch(router.reconciler, router.pipeline, self._mend)
        self.task = asyncio.create_task(self.watch.watch_forever())

    async def _count(self) -> Drift:
        self.read += 1
        return await self._verify()

    async def _mend(self) -> None:
        self.mended += 1
        with contextlib.suppress(KernelError):  # the pipeline tries again
            await self._router.move(PUBLIC)

    async def settle(self) -> None:
        """Let the looks pass that follow the start."""
        await asyncio.sleep(5)
        self.read = self.mended = 0


def forward(kernel: FakeBackend) -> list[Line]:
    return kernel.tables["filter"]["FORWARD"]


def is_first(kernel: FakeBackend) -> bool:
    first = forward(kernel)[0]
    return isinstance(first, Rule) and first.target == owner.FORWARD


def flush(kernel: FakeBackend) -> None:
    for chains in kernel.tables.values():
        for name in list(chains):
            if owner.is_chain(name):
                del chains[name]
            else:
                chains[name] = [line for line in chains[name] if isinstance(line, str)]


def displace(kernel: FakeBackend) -> None:
    lines = forward(kernel)
    if RIVAL in lines:
        lines.remove(RIVAL)
    lines.insert(0, RIVAL)


def seconds() -> float:
    return asyncio.get_running_loop().time() - START


@pytest.mark.parametrize("doing", [flush, lambda kernel: kernel.entries.clear(), displace])
def test_what_is_broken_is_whole_within_two_seconds(doing: Callable[[FakeBackend], object]) -> None:
    async def story() -> None:
        async with Router() as router:
            watched = Watched(router)
            router.outward(invite())
            for _ in range(3):
                await watched.settle()
                doing(router.kernel)
                assert await router.reconciler.verify()
                await asyncio.sleep(1.9)
                assert not await router.reconciler.verify()
                assert watched.mended == 1
            watched.task.cancel()

    play(story())


def test_while_nobody_touches_them_they_are_read_back_every_half_minute_only() -> None:
    async def story() -> None:
        async with Router() as router:
            watched = Watched(router)
            await watched.settle()
            await asyncio.sleep(300)
            assert 9 <= watched.read <= 11
            assert not watched.mended
            watched.task.cancel()

    play(story())


def test_what_others_do_to_their_own_is_looked_at_once() -> None:
    async def story() -> None:
        async with Router() as router:
            watched = Watched(router)
            await watched.settle()
            router.kernel.tables["filter"]["DOCKER"] = ["a rule"]
            await asyncio.sleep(10)
            assert (watched.read, watched.mended) == (1, 0)
            watched.task.cancel()

    play(story())


def test_a_dispute_over_the_first_place_is_given_growing_pauses_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        async with Router() as router:
            watched = Watched(router)
            await watched.settle()
            moved: list[float] = []

            async def rival() -> None:
                while True:
                    await asyncio.sleep(0.1)
                    if is_first(router.kernel):
                        moved.append(seconds())
                        displace(router.kernel)

            task = asyncio.create_task(rival())
            await asyncio.sleep(600)
            pauses = [later - earlier for earlier, later in itertools.pairwise(moved)]
            assert all(later > 1.4 * earlier for earlier, later in itertools.pairwise(pauses[1:7]))
            assert all(60 <= pause < 62 for pause in pauses[7:])
            assert watched.mended == len(moved) - 1 < 20
            assert watched.read < 3 * watched.mended + 600 / 30
            task.cancel()
            # what else breaks meanwhile does not wait, and it ends with the rival
            displace(router.kernel)
            flush(router.kernel)
            await asyncio.sleep(1.5)
            assert not await router.reconciler.verify()
            await asyncio.sleep(200)
            displace(router.kernel)
            await asyncio.sleep(1.5)
            assert is_first(router.kernel)
            watched.task.cancel()

    with caplog.at_level(logging.WARNING):
        play(story())
    said = [record.getMessage() for record in caplog.records]
    assert sum("insists on its place" in line for line in said) == 1
    assert sum("not as they should be" in line for line in said) == 3


def test_a_refusal_that_lasts_is_said_once_and_mended_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with Router() as router:
            watched = Watched(router)
            await watched.settle()
            router.kernel.fail_commit = "nat"
            flush(router.kernel)
            await asyncio.sleep(60)
            assert watched.mended == 1
            router.kernel.fail_commit = None
            await asyncio.sleep(2)
            assert not await router.reconciler.verify()
            watched.task.cancel()

    with caplog.at_level(logging.INFO):
        play(story())
    said = [record.getMessage() for record in caplog.records]
    assert said.count("the rules could not be set: table nat: refused on request") == 1
    assert said.count("the rules could be set again") == 1


def test_what_cannot_be_looked_at_is_said_once_and_looked_at_again(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with Router() as router:
            watched = Watched(router)
            await watched.settle()
            router.kernel.fail_read = True
            await asyncio.sleep(20)
            router.kernel.fail_read = False
            flush(router.kernel)
            await until(lambda: is_first(router.kernel) if forward(router.kernel) else False)
            watched.task.cancel()

    play(story())
    said = [record.getMessage() for record in caplog.records]
    assert said.count("the rules could not be read back: looking at the rules: refused on request") == 1


def test_a_standoff_that_is_over_is_forgotten() -> None:
    standoff = Standoff()
    assert standoff.may_move_back(10.0)
    assert not standoff.may_move_back(10.9)
    assert standoff.may_move_back(11.0)
    assert (standoff.round, standoff.until) == (2, 13.0)
    assert standoff.may_move_back(100.0)
    assert (standoff.round, standoff.until) == (1, 101.0)
