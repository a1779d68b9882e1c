"""The whole gateway on a router, with calls as fast as they go through.

Each look comes when what is remembered of ended calls has run out, and what was garbage is collected.
"""

import time

from gateway.sip.grammar import TRANSACTION_SECONDS
from tests.bench.calls import play
from tests.lab.lab import lab
from tests.soak.flat import Sample, descriptors, resident
from tests.support.until import until

_ROUNDS = 12
_FORGOTTEN = TRANSACTION_SECONDS + 10  # seconds: with media.silence 30 it is looked for every 3 s
_MESSAGES = 6  # of a call


def run(calls: int, wait: float = _FORGOTTEN) -> list[Sample]:
    """So many calls, with a look at what is left `wait` seconds after each of the rounds."""
    samples: list[Sample] = []
    with lab() as it:
        gateway = it.gateway({"media.silence": 30})
        pid = gateway.process.pid
        for number in range(1, _ROUNDS + 1):
            done = samples[-1].calls if samples else 0
            play(it, calls * number // _ROUNDS - done)
            until("the end of all calls", lambda: not gateway.ask("calls"), timeout=40)
            time.sleep(wait)
            ports = sum(row["purpose"] != "sip" for row in gateway.ask("bindings"))
            count = calls * number // _ROUNDS
            samples.append(Sample(count, count * _MESSAGES, resident(pid), descriptors(pid), None, ports))
    return samples
