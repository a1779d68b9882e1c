"""What it takes to write down what a message tells of, with few and with many calls known."""

import asyncio
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from gateway.calls.dialog import Side
from gateway.engine import Engine, Settings
from gateway.networks import Networks
from gateway.state.keeper import Keeper
from gateway.wire import Datagram
from rules.model import Endpoint
from tests.bench.measure import Figure, Stopwatch
from tests.bench.messages import Caller

_LOADS = (0, 100, 1000)
_MESSAGES = 300
_TOGETHER = 50  # calls in one transaction, of which there are some
_TRANSACTIONS = 10
_PHONE = Endpoint("10.0.0.11", 5060)
_PUBLIC = "198.51.100.1"
_PROVIDER = Endpoint("198.51.100.10", 5060)
_FIRST_MEDIA_PORT = 10000


class _Written(NamedTuple):
    """How long the INVITE of a call took, and those of many in one transaction, in ms."""

    alone: list[float]
    together: list[float]


def measure() -> Iterator[Figure]:
    """The wait that a message has before its rules are made, in a file as the gateway's."""
    seen = {load: asyncio.run(_measure(load)) for load in _LOADS}
    for load, written in seen.items():
        yield Figure(f"state of an INVITE, {load} calls known", written.alone, "ms")
    for load, written in seen.items():
        yield Figure(f"state of {_TOGETHER} INVITEs at once, {load} calls known", written.together, "ms")


async def _measure(load: int) -> _Written:
    written = _Written([], [])
    with tempfile.TemporaryDirectory(prefix="sipmasq-bench-") as directory:
        keeper = Keeper(Path(directory) / "state.db")
        engine = keeper.restored(lambda: Engine(Settings()))
        try:
            engine.place(Networks(["10.0.0.0/24"]), _PUBLIC, _PUBLIC)
            await _invite(engine, keeper, range(load))
            for number in range(load, load + _MESSAGES):
                written.alone.append(await _invite(engine, keeper, (number,)))
            first = load + _MESSAGES
            for number in range(first, first + _TRANSACTIONS * _TOGETHER, _TOGETHER):
                written.together.append(await _invite(engine, keeper, range(number, number + _TOGETHER)))
            assert not keeper.trouble, keeper.trouble
        finally:
            keeper.close()
    return written


async def _invite(engine: Engine, keeper: Keeper, numbers: Iterable[int]) -> float:
    """Have the phone make these calls, and write them down; how long that took, in ms."""
    phone = Caller("alice", _PHONE, "bob", _PROVIDER.ip)
    for number in numbers:
        media = Endpoint(_PHONE.ip, _FIRST_MEDIA_PORT + 2 * number)
        engine.receive(Datagram(_PHONE, _PROVIDER, phone.invite(number, media), 20), Side.INSIDE, 0.0)
    engine.take_changes()
    engine.take_notices()
    with Stopwatch() as watch:
        await keeper.keep(engine)
    return watch.seconds * 1000
