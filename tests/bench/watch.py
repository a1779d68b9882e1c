"""What it costs to notice what others do to the rules, and how long it takes to mend them."""

import asyncio
import time
from collections.abc import Iterator
from typing import NamedTuple

from rules.kernel.netfilter import Netfilter
from rules.model import Endpoint, Forward, Purpose, Setup
from rules.reconcile import Reconciler
from tests.bench.measure import Figure, Stopwatch
from tests.netns.stage import VARIANTS
from tests.support.netns import Namespace, hosts

_LOADS = (0, 1000, 10000)
_LOOKS, _READS, _REPAIRS = 30, 5, 3
_FLUSH = {"iptables": ("iptables-legacy", "-t", "nat", "-F"), "nftables": ("nft", "flush", "table", "ip", "sipmasq")}
_SETUP = Setup(
    inside=("lan0",), outside="wan0", networks=("10.0.0.0/16",), address="203.0.113.1", sip_ports=(5060,),
    any_port=True, media_ports=(20000, 29999), queue=5060, on_failure="pass", masquerade=True,
)  # fmt: skip


class _Costs(NamedTuple):
    """CPU of a look and of reading everything back, and the time that a repair after a flush takes, in ms."""

    looks: list[float]
    reads: list[float]
    repairs: list[float]


def measure() -> Iterator[Figure]:
    """The look of each second, the comparison after it found something, and the repair."""
    seen: dict[str, _Costs] = {}
    for variant in VARIANTS:
        with hosts("router") as (router,):
            seen |= {f"{load} forwards, {variant}": router.call(_on_router, router, variant, load) for load in _LOADS}
    for of, costs in seen.items():
        yield Figure(f"CPU of a look, {of}", costs.looks, "ms")
    for of, costs in seen.items():
        yield Figure(f"CPU of reading back and comparing, {of}", costs.reads, "ms")
    for of, costs in seen.items():
        yield Figure(f"repair after a flush, {of}", costs.repairs, "ms")


def _on_router(router: Namespace, variant: str, load: int) -> _Costs:
    return asyncio.run(_measure(router, variant, load))


async def _measure(router: Namespace, variant: str, load: int) -> _Costs:
    rules = Reconciler(Netfilter(VARIANTS[variant]()))
    costs = _Costs([], [], [])
    try:
        await rules.configure(_SETUP)
        rules.want({forward.inside: forward for forward in map(_forward, range(load))})
        await rules.apply()
        quiet = await rules.disturbances()
        for _ in range(_LOOKS):
            with Stopwatch(time.process_time) as cpu:
                assert await rules.disturbances() == quiet
            costs.looks.append(cpu.seconds * 1000)
        for _ in range(_READS):
            with Stopwatch(time.process_time) as cpu:
                assert not await rules.verify()
            costs.reads.append(cpu.seconds * 1000)
        for _ in range(_REPAIRS):
            router.run(*_FLUSH[variant])
            with Stopwatch() as watch:
                await rules.configure(_SETUP)
            costs.repairs.append(watch.seconds * 1000)
    finally:
        await rules.clean()
        await rules.close()
    return costs


def _forward(number: int) -> Forward:
    inside = Endpoint(f"10.0.{number // 250}.{number % 250 + 1}", 16384)
    return Forward(inside, 20000 + number, Purpose.RTP, frozenset({"198.51.100.7"}), f"call {number:08x}")
