"""The whole gateway on a router, with calls as fast as they go through."""

from tests.bench.calls import play
from tests.lab.lab import lab
from tests.soak.flat import Sample, descriptors, resident
from tests.support.until import until

_ROUNDS = 20
_MESSAGES = 6  # of a call


def run(calls: int) -> list[Sample]:
    """So many calls, with a look at what is left after each of the rounds."""
    samples: list[Sample] = []
    with lab() as it:
        gateway = it.gateway({"media.silence": 30})
        pid = gateway.process.pid
        for number in range(1, _ROUNDS + 1):
            done = samples[-1].calls if samples else 0
            play(it, calls * number // _ROUNDS - done)
            until("the end of all calls", lambda: not gateway.ask("calls"), timeout=40)
            ports = sum(row["purpose"] != "sip" for row in gateway.ask("bindings"))
            count = calls * number // _ROUNDS
            samples.append(Sample(count, count * _MESSAGES, resident(pid), descriptors(pid), None, ports))
    return samples
