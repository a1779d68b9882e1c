"""CPU of the gateway for a datagram that goes through the real queue and changes no rules."""

import time
from collections.abc import Callable, Iterator

from tests.bench.measure import Figure, Stopwatch, cpu_clock
from tests.bench.parties import Parties, parties
from tests.lab.lab import lab

_ROUNDS = 7
_DATAGRAMS = 200  # of each kind in each round
_BURST = 50
_SETTLED = 2.5  # seconds after the last change of the rules until they are not read back any more
_GOAL = "at most 150"

Way = Callable[[], None]


def measure() -> Iterator[Figure]:
    """Each kind in turn, round by round."""
    with lab() as it:
        gateway = it.gateway()
        clock = cpu_clock(gateway.process.pid)
        with parties(it.net) as pair:
            ways = _ways(pair)
            samples: dict[str, list[float]] = {name: [] for name in ways}
            time.sleep(_SETTLED)
            for _ in range(_ROUNDS):
                for name, way in ways.items():
                    with Stopwatch(clock) as watch:
                        way()
                    samples[name].append(watch.seconds / _DATAGRAMS * 1e6)
    for name, seen in samples.items():
        yield Figure(f"{name}, CPU of the gateway", seen, "us", _GOAL)


def _ways(pair: Parties) -> dict[str, Way]:
    """A call is up; what is sent again changes nothing in it."""
    invite = pair.invite(1)
    (arrived, public), = pair.outward([invite])  # fmt: skip
    ok = pair.ok(arrived)
    pair.inward([ok], public)
    pair.outward([pair.caller.ack(1, pair.provider)])
    options = pair.caller.options(1)
    return {
        "OPTIONS, one by one": lambda: _each(lambda: pair.outward([options])),
        f"OPTIONS, {_BURST} at once": lambda: _bursts(lambda: pair.outward([options] * _BURST)),
        "INVITE sent again, one by one": lambda: _each(lambda: pair.outward([invite])),
        "200 with SDP sent again, one by one": lambda: _each(lambda: pair.inward([ok], public)),
        "REGISTER and its 200, each, one by one": lambda: _each(pair.register, of=2),
    }


def _each(send: Callable[[], object], of: int = 1) -> None:
    for _ in range(_DATAGRAMS // of):
        send()


def _bursts(send: Callable[[], object]) -> None:
    for _ in range(_DATAGRAMS // _BURST):
        send()
