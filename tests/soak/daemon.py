"""The whole gateway on a router, with calls as fast as they go through.

Each look comes when what is remembered of ended calls has run out, and what was garbage is collected.
"""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

from gateway.sip.grammar import TRANSACTION_SECONDS
from tests.bench.calls import play
from tests.lab.gateway import Gateway
from tests.lab.lab import lab
from tests.soak.counted import OBJECTS
from tests.soak.flat import Sample, descriptors, resident
from tests.support.until import until

_ROUNDS = 12
_FORGOTTEN = TRANSACTION_SECONDS + 10  # seconds: with media.silence 30 it is looked for every 3 s
_MESSAGES = 6  # of a call


def run(calls: int, wait: float = _FORGOTTEN) -> Iterator[Sample]:
    """So many calls, with a look at what is left `wait` seconds after each of the rounds.

    Objects are counted if by then the calls are forgotten.
    """
    with lab() as it:
        gateway = it.gateway({"media.silence": 30}, module="tests.soak.counted")
        pid = gateway.process.pid
        state = [it.directory / f"gateway.db{suffix}" for suffix in ("", "-wal")]
        done = 0
        for number in range(1, _ROUNDS + 1):
            count = calls * number // _ROUNDS
            play(it, count - done)
            done = count
            until("the end of all calls", lambda: not gateway.ask("calls"), timeout=40)
            time.sleep(wait)
            yield Sample(
                calls=count,
                messages=count * _MESSAGES,
                resident=resident(pid),
                descriptors=descriptors(pid),
                objects=_objects(gateway) if wait >= _FORGOTTEN else None,
                leased=sum(row["purpose"] != "sip" for row in gateway.ask("bindings")),
                free=gateway.ask("status")["free"]["media.ports"],
                written=_written(state),
            )


def _objects(gateway: Gateway) -> int:
    before = len(gateway.log)
    gateway.process.signal(signal.SIGUSR1)
    return int(gateway.wait_log(OBJECTS, after=before).removeprefix(OBJECTS))


def _written(paths: list[Path]) -> int:
    return sum(path.stat().st_size for path in paths) // 1024
