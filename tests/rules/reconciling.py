"""A reconciler over the fake kernel, and what the tests of it ask of both."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from rules.fake import FakeBackend
from rules.flows import Flow
from rules.model import Endpoint, Forward, Setup
from rules.plan import plan
from rules.reconcile import Reconciler
from tests.rules.cases import RTP, SETUP

T = TypeVar("T")
PEER = Endpoint("198.51.100.7", 9000)
THERE = Endpoint("203.0.113.1", RTP.port)
RTP_FLOWS = (Flow(RTP.inside, PEER, PEER, THERE), Flow(PEER, THERE, RTP.inside, PEER))
OLD_RTP_FLOW = Flow(RTP.inside, PEER, PEER, Endpoint("203.0.113.1", 1024))


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


def table(*forwards: Forward) -> dict[Endpoint, Forward | None]:
    return {forward.inside: forward for forward in forwards}


def gone(*forwards: Forward) -> dict[Endpoint, Forward | None]:
    return dict.fromkeys(forward.inside for forward in forwards)


async def started(kernel: FakeBackend, *forwards: Forward, setup: Setup = SETUP) -> Reconciler:
    rules = Reconciler(kernel)
    await rules.configure(setup)
    rules.want(table(*forwards))
    await rules.apply()
    return rules


def holds(kernel: FakeBackend, setup: Setup, *forwards: Forward) -> bool:
    """Whether a fresh look finds exactly the plan for these."""
    wanted = plan(setup, forwards)
    ours = {(t, name): lines for t, held in kernel.tables.items() for name, lines in held.items()}
    chains = {(chain.table, chain.name): list(chain.rules) for chain in wanted.chains}
    return all(
        sorted(map(repr, ours[key])) == sorted(map(repr, rules)) for key, rules in chains.items()
    ) and kernel.entries == dict(wanted.entries)
