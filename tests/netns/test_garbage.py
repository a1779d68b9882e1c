"""What is done for every call leaves no garbage in cycles: looking for that holds up messages."""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from rules.kernel.netfilter import Netfilter
from rules.reconcile import Reconciler
from tests.netns.stage import RTP, SETUP, VARIANTS, Stage, stage

pytestmark = pytest.mark.root


@pytest.fixture
def wired() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.mark.parametrize("variant", VARIANTS)
def test_rules_that_come_and_go_and_looks_at_packets_and_flows(wired: Stage, variant: str) -> None:
    async def come_and_go(reconciler: Reconciler) -> None:
        for wanted in (RTP, RTP._replace(sources=None), None):
            reconciler.want({RTP.inside: wanted})
            await reconciler.apply()
            await reconciler.cut_stale()
        await reconciler.disturbances()
        await reconciler.counters()

    async def story() -> int:
        reconciler = Reconciler(Netfilter(VARIANTS[variant]()))
        await reconciler.configure(SETUP)
        await come_and_go(reconciler)
        gc.collect()
        gc.disable()
        for _ in range(3):
            await come_and_go(reconciler)
        garbage = gc.collect()
        await reconciler.close()
        return garbage

    assert wired.router.call(lambda: asyncio.run(story())) == 0
