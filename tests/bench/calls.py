"""Whole calls, as many as go through: with the gateway, and in turn with the kernel's own SIP helper.

The helper works inside the kernel, where its CPU time is that of whoever sends the packet. So beside the gateway's
own CPU time there is that of gateway and parties together, which can be compared.
"""

import contextlib
import csv
import itertools
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.measure import Figure, Stopwatch, cpu_clock
from tests.lab.lab import Lab, lab
from tests.lab.topology import PROVIDER
from tests.support.process import Process

_ROUNDS = 3
_CALLS = 500  # in a round
_WARM_UP = 50
_AT_ONCE = 20
_RATE = 20000  # calls per second that are tried, more than go through
_SIP_PORT = 5060
_MEDIA_PORT = 10000
_SCENARIO = Path(__file__).parent / "scenarios" / "caller.xml"
_runs = itertools.count(1)


@dataclass
class _Side:
    """A lab whose router does it one way, and what was seen there."""

    name: str
    lab: Lab
    clock: Callable[[], float] | None = None
    rate: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    together: list[float] = field(default_factory=list)

    def play(self, calls: int) -> None:
        """Have so many calls made and take down how it went."""
        cpu = self.clock or (lambda: 0.0)
        with Stopwatch(cpu) as own, Stopwatch(_cpu_of_children) as children:
            rate = play(self.lab, calls)
        self.rate.append(rate)
        self.cpu.append(own.seconds / calls * 1000)
        self.together.append((own.seconds + children.seconds) / calls * 1000)

    def forget(self) -> None:
        """What has been so far was for warming up."""
        for seen in (self.rate, self.cpu, self.together):
            seen.clear()


def measure() -> Iterator[Figure]:
    """Both in turn, round by round."""
    with lab() as ours, lab() as helped:
        gateway = ours.gateway()
        _help(helped)
        sides = (
            _Side("gateway", ours, cpu_clock(gateway.process.pid)),
            _Side("kernel's helper", helped),
        )
        for side in sides:
            _prove(side.lab)
            side.play(_WARM_UP)
            side.forget()
        for _ in range(_ROUNDS):
            for side in sides:
                side.play(_CALLS)
        for side in sides:
            yield Figure(f"calls through the {side.name}, {_AT_ONCE} at a time", side.rate, "1/s")
        yield Figure("CPU of the gateway for a call", sides[0].cpu, "ms")
        for side in sides:
            yield Figure(f"CPU of router and both parties for a call, {side.name}", side.together, "ms")


def _help(it: Lab) -> None:
    """An ordinary router whose kernel looks into the SIP that the inside sends."""
    it.net.masquerade()
    it.net.router.run(
        "iptables-legacy", "-t", "raw", "-A", "PREROUTING",
        "-i", "lan0", "-p", "udp", "--dport", str(_SIP_PORT), "-j", "CT", "--helper", "sip",
    )  # fmt: skip


def _prove(it: Lab) -> None:
    """One call, to see that its addresses are translated: a router that does nothing would be fast."""
    called = it.sipp(it.net.provider, PROVIDER, "answer")
    _wait_bound(it)
    with _caller(it, 1) as (caller, _):
        caller.wait()
    called.wait()
    (invite,) = called.received("INVITE")
    assert f"c=IN IP4 {it.net.outside_address}" in invite, f"this was not translated:\n{invite}"


def play(it: Lab, count: int) -> float:
    """Make calls, and return how many a second it were."""
    called = it.sipp(it.net.provider, PROVIDER, "answer", calls=count, trace=False)
    _wait_bound(it)
    with _caller(it, count) as (caller, statistics):
        code = caller.wait(timeout=60)
    assert code == 0, f"sipp exited {code}: not all calls went well"
    called.wait()
    with statistics.open(newline="") as handle:
        last = list(csv.DictReader(handle, delimiter=";"))[-1]
    assert last["Retransmissions(C)"] == "0", "messages had to be sent again, so the rate means nothing"
    return float(last["CallRate(C)"])


@contextlib.contextmanager
def _caller(it: Lab, count: int) -> Iterator[tuple[Process, Path]]:
    """sipp inside, and where it writes its statistics."""
    name = f"bench{next(_runs)}"
    statistics = it.directory / f"{name}.csv"
    caller = Process(
        it.net.phones[0], name,
        "sipp", "-sf", str(_SCENARIO), "-i", it.net.phone_address(0), "-p", str(_SIP_PORT), "-nostdin",
        "-m", str(count), "-l", str(_AT_ONCE), "-r", str(_RATE), "-timer_resol", "1", "-mp", str(_MEDIA_PORT),
        "-cid_str", f"%u-{name}@%s", "-trace_stat", "-stf", str(statistics), "-fd", "1",
        f"{PROVIDER}:{_SIP_PORT}", directory=it.directory,
    )  # fmt: skip
    try:
        yield caller, statistics
    finally:
        caller.kill()


def _wait_bound(it: Lab) -> None:
    """Wait until somebody on the provider listens; an INVITE sent earlier would come again half a second later."""
    bound = f":{_SIP_PORT:04X} "
    for _ in range(100):
        if bound in it.net.provider.run("cat", "/proc/net/udp"):
            return
        time.sleep(0.02)
    raise AssertionError("nobody listens for SIP on the provider")


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
