"""What a change of the rules costs with few and with many calls up: to a call's INVITE, and to the rules alone."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from rules.kernel.netfilter import Netfilter
from rules.kernel.variant import Variant
from rules.model import Endpoint, Forward, Purpose, Setup
from rules.reconcile import Reconciler
from tests.bench.measure import Figure, Stopwatch
from tests.bench.parties import Parties, media, parties
from tests.bench.tap import Tap
from tests.lab.lab import lab
from tests.lab.topology import PROVIDER, ROUTER_OUTSIDE
from tests.netns.stage import VARIANTS
from tests.support.netns import Namespace

_LOADS = (0, 100, 1000)
_PROBES = 20
_COMMITS = 30
_TOGETHER = 50  # calls in one commit, of which there are some
_COMMITS_TOGETHER = 6
_PAUSE = 0.05  # seconds for the rules of the last probe to go
_FIRST_PROBE = 5000
_FIRST_PORT = 20000
_INSTALL_LOADS = (10, 1000, 10000)
_INSTALLS = 10
_SETUP = Setup(
    inside=("lan0",), outside="wan0", networks=("10.0.0.0/24",), address=ROUTER_OUTSIDE,
    sip_ports=(5060,), any_port=True, media_ports=(20000, 29999), queue=5060, on_failure="pass",
    masquerade=False,
)  # fmt: skip


def measure() -> Iterator[Figure]:
    """From INVITE in to INVITE out, then the rules by themselves, then in both variants with many calls."""
    yield from _invites()
    yield from _rules()
    yield from _installs()


def _invites() -> Iterator[Figure]:
    with lab() as it:
        it.gateway()
        router = it.net.router
        with parties(it.net) as pair, Tap(router, "lan0") as inside, Tap(router, "wan0") as outside:
            up = 0
            for load in _LOADS:
                pair.call(range(up, load))
                up = load
                time.sleep(_PAUSE)
                numbers = range(_FIRST_PROBE + load, _FIRST_PROBE + load + _PROBES)
                samples = [_probe(pair, number, inside, outside) for number in numbers]
                yield Figure(f"INVITE in to INVITE out, {load} calls up", samples, "ms")


def _probe(pair: Parties, number: int, inside: Tap, outside: Tap) -> float:
    invite = pair.invite(number)
    (arrived, public), = pair.outward([invite])  # fmt: skip
    # the branch is in this message only
    name = invite[invite.index(b"branch=") :].partition(b";")[0]
    passed = outside.first(name) - inside.first(name)
    pair.refuse(number, arrived, public)
    time.sleep(_PAUSE)
    return passed * 1000


class _Commits(NamedTuple):
    """What one load made: commits per second, and their CPU in ms; calls per second when many share a commit."""

    rate: list[float]
    cpu: list[float]
    together: list[float]


def _rules() -> Iterator[Figure]:
    with lab() as it:
        it.net.masquerade()
        seen = {load: _on_router(it.net.router, it.net.phone_address(0), load) for load in _LOADS}
    for load, commits in seen.items():
        yield Figure(f"rule commits, a call each, {load} calls up", commits.rate, "1/s")
    for load, commits in seen.items():
        yield Figure(f"CPU of a commit, {load} calls up", commits.cpu, "ms")
    for load, commits in seen.items():
        yield Figure(f"calls committed, {_TOGETHER} in a commit, {load} calls up", commits.together, "1/s")


def _on_router(router: Namespace, phone: str, load: int) -> _Commits:
    return router.call(lambda: asyncio.run(_commit(phone, load)))


def _installs() -> Iterator[Figure]:
    """How long the rules of one more call take, and those of a call that ends."""
    for name, variant in VARIANTS.items():
        for load in _INSTALL_LOADS:
            with lab() as it:
                up, down = it.net.router.call(_on_loop, variant, it.net.phone_address(0), load)
            yield Figure(f"install a call by {name}, {load} calls up", up, "ms")
            yield Figure(f"remove a call by {name}, {load} calls up", down, "ms")


def _on_loop(variant: Callable[[], Variant], phone: str, load: int) -> tuple[list[float], list[float]]:
    return asyncio.run(_install(variant, phone, load))


async def _install(variant: Callable[[], Variant], phone: str, load: int) -> tuple[list[float], list[float]]:
    rules = Reconciler(Netfilter(variant()))
    up: list[float] = []
    down: list[float] = []
    try:
        await rules.configure(_SETUP)
        await _apply(rules, phone, range(load))
        for number in range(load, load + _INSTALLS):
            for end, taken in ((False, up), (True, down)):
                with Stopwatch() as watch:
                    await _apply(rules, phone, (number,), end=end)
                taken.append(watch.seconds * 1000)
    finally:
        await rules.clean()
        await rules.close()
    return up, down


async def _commit(phone: str, load: int) -> _Commits:
    backend = Netfilter()
    rules = Reconciler(backend)
    made = _Commits([], [], [])
    try:
        await rules.configure(_SETUP)
        await _apply(rules, phone, range(load))
        for number in range(load, load + _COMMITS):
            with Stopwatch() as watch, Stopwatch(time.process_time) as cpu:
                await _apply(rules, phone, (number,))
            made.rate.append(1 / watch.seconds)
            made.cpu.append(cpu.seconds * 1000)
            await _apply(rules, phone, (number,), end=True)
        for number in range(load, load + _COMMITS_TOGETHER * _TOGETHER, _TOGETHER):
            fresh = range(number, number + _TOGETHER)
            with Stopwatch() as watch:
                await _apply(rules, phone, fresh)
            made.together.append(_TOGETHER / watch.seconds)
            await _apply(rules, phone, fresh, end=True)
    finally:
        await rules.clean()
        await rules.close()
    return made


async def _apply(rules: Reconciler, phone: str, calls: range | tuple[int, ...], *, end: bool = False) -> None:
    forwards = [forward for number in calls for forward in _forwards(phone, number)]
    rules.want({forward.inside: None if end else forward for forward in forwards})
    await rules.apply()


def _forwards(phone: str, number: int) -> tuple[Forward, Forward]:
    """RTP and RTCP of one call."""
    rtp, port, reason = media(phone, number), _FIRST_PORT + 2 * number, f"call {number:08x} {phone}"
    sources = frozenset({PROVIDER})
    return (
        Forward(rtp, port, Purpose.RTP, sources, reason),
        Forward(Endpoint(rtp.ip, rtp.port + 1), port + 1, Purpose.RTCP, sources, reason),
    )
