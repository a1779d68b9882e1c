"""CPU for an RTP packet on its way through the router, beside the same packet through one static rule each way.

A packet crosses all the lab's virtual links while its sender waits in the kernel, so the sender's CPU time is that of
the whole way. All but the router's part of it is the same in both labs.
"""

import contextlib
import os
import re
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from rules.model import Endpoint
from tests.bench.measure import Figure
from tests.bench.parties import FAR_MEDIA, Line, Parties, media, parties
from tests.lab.lab import Lab, lab

_ROUNDS = 15
_PACKETS = 2000  # each way in a round
_BURST = 200  # before they are counted
_STATIC_PORT = 20000
_STATIC = "a static rule"
_LAST_PACKET = 7  # the column of the last packet's number
_CALL = 1
_PACKET = struct.pack("!BBHII", 0x80, 0, 1, 160, 1) + b"\xff" * 160
_M_LINE = re.compile(rb"m=audio ([0-9]+) ")


@dataclass
class _Way:
    """One direction of the media in one lab."""

    name: str
    source: Line
    target: Line
    to: Endpoint
    samples: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """Send a round of packets; all of them must arrive."""
        spent = 0
        for _ in range(_PACKETS // _BURST):
            started = time.thread_time_ns()
            for _ in range(_BURST):
                self.source.send(_PACKET, self.to)
            spent += time.thread_time_ns() - started
            heard = self.target.count_waiting()
            assert heard == _BURST, f"{heard} of {_BURST} packets arrived: {self.name}"
        self.samples.append(spent / _PACKETS / 1000)


def measure() -> Iterator[Figure]:
    """Both labs in turn, round by round, on one processor: what is done on another would be paid for there."""
    processors = os.sched_getaffinity(0)
    with lab() as ours, lab() as static, contextlib.ExitStack() as stack:
        ours.gateway()
        port = _call(stack.enter_context(parties(ours.net)))
        _forward(static)
        ways = [
            *_ways(ours, port, "the gateway's rules", stack),
            *_ways(static, _STATIC_PORT, _STATIC, stack),
        ]
        before = _queued(ours)
        try:
            os.sched_setaffinity(0, {min(processors)})
            for _ in range(_ROUNDS):
                for way in ways:
                    way.measure()
        finally:
            os.sched_setaffinity(0, processors)
        queued = _queued(ours) - before
    for way in ways:
        yield Figure(f"RTP packet {way.name}, CPU of its whole way", way.samples, "us")
    for ruled, static_one in zip(ways[:2], ways[2:], strict=True):
        ratios = [one / other for one, other in zip(ruled.samples, static_one.samples, strict=True)]
        yield Figure(f"the one {ruled.name} to the one by {_STATIC}", ratios, "ratio", "about 1")
    yield Figure(f"of {_ROUNDS * _PACKETS * 2} RTP packets in the queue", [queued], "packets", "0")


def _call(pair: Parties) -> int:
    """Set up a call; the public port of its media."""
    ((invite, public),) = pair.outward([pair.invite(_CALL)])
    pair.inward([pair.ok(invite)], public)
    pair.outward([pair.caller.ack(_CALL, pair.provider)])
    named = _M_LINE.search(invite)
    assert named is not None, f"no media in {invite!r}"
    return int(named[1])


def _forward(it: Lab) -> None:
    """What people wrote by hand before: one port, forwarded for ever."""
    inside = media(it.net.phone_address(0), _CALL)
    outside = Endpoint(it.net.outside_address, _STATIC_PORT)
    it.net.masquerade()
    nat = ("iptables-legacy", "-t", "nat", "-I")
    it.net.router.run(
        *nat, "PREROUTING", "-i", "wan0", "-p", "udp", "-d", outside.ip, "--dport", str(outside.port),
        "-j", "DNAT", "--to-destination", str(inside),
    )  # fmt: skip
    it.net.router.run(
        *nat, "POSTROUTING", "-o", "wan0", "-p", "udp", "-s", inside.ip, "--sport", str(inside.port),
        "-j", "SNAT", "--to-source", str(outside),
    )  # fmt: skip


def _ways(it: Lab, port: int, rules: str, stack: contextlib.ExitStack) -> list[_Way]:
    """Outward and inward."""
    inside = media(it.net.phone_address(0), _CALL)
    phone = stack.enter_context(Line(it.net.phones[0], inside))
    far = stack.enter_context(Line(it.net.provider, FAR_MEDIA))
    return [
        _Way(f"outward by {rules}", phone, far, FAR_MEDIA),
        _Way(f"inward by {rules}", far, phone, Endpoint(it.net.outside_address, port)),
    ]


def _queued(it: Lab) -> int:
    """How many packets its router has ever handed to a queue; the kernel numbers them."""
    table = it.net.router.run("cat", "/proc/net/netfilter/nfnetlink_queue")
    return sum(int(line.split()[_LAST_PACKET]) for line in table.splitlines())
