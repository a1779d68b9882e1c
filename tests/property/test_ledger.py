"""The table stays a bijection, whatever is held and released in whatever order, and every port comes home."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.calls.bindings import Holder, HolderKind, MediaAddress
from gateway.calls.ledger import Ledger
from gateway.errors import ForeignAddressError, NoPortLeftError, NotUnderstoodError
from rules.model import Endpoint, Forward, Purpose

HOLDERS = st.sampled_from([Holder.of(kind, name) for kind in HolderKind for name in ("one", "two")])
ENDPOINTS = st.builds(Endpoint, st.sampled_from(["10.0.0.11", "10.0.0.12"]), st.integers(5059, 5064))
PURPOSES = st.sampled_from([Purpose.RTP, Purpose.UDPTL])
STREAMS = st.builds(MediaAddress, ENDPOINTS, st.none() | ENDPOINTS, PURPOSES, st.none(), st.booleans()).filter(
    lambda stream: stream.rtp != stream.rtcp
)


def run(first: Endpoint, count: int, purpose: Purpose) -> list[MediaAddress]:
    """What one m-line with a count describes."""
    step = 2 if purpose is Purpose.RTP else 1
    ports = range(first.port, first.port + step * count, step)
    rtcp = [Endpoint(first.ip, port + 1) if purpose is Purpose.RTP else None for port in ports]
    return [
        MediaAddress(Endpoint(first.ip, port), beside, purpose, first)
        for port, beside in zip(ports, rtcp, strict=True)
    ]


RUNS = st.builds(run, ENDPOINTS, st.integers(2, 3), PURPOSES)
DESCRIBED = st.lists(st.builds(lambda stream: [stream], STREAMS) | RUNS, max_size=3).map(
    lambda parts: frozenset(stream for part in parts for stream in part)
)
SOURCES = st.none() | st.frozensets(st.sampled_from(["198.51.100.20", "198.51.100.30"]))
RANGES = st.sampled_from([(20000, 20005), (20000, 20011), (20004, 20009), (5060, 5063)])


class LedgerMachine(RuleBasedStateMachine):
    """Holds, releases, waits and moves ranges at random."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger((20000, 20005), (5062, 5064), frozenset())
        self.kernel: dict[Endpoint, Forward] = {}
        self.now = 0.0
        self.range = (20000, 20005)

    @rule(holder=HOLDERS, inside=ENDPOINTS, seconds=st.sampled_from([1.0, 5.0, float("inf")]))
    def hold_signalling(self, holder: Holder, inside: Endpoint, seconds: float) -> None:
        try:
            self.ledger.hold_signalling(inside, holder, self.now + seconds, self.now)
        except (NoPortLeftError, ForeignAddressError):
            return
        assert inside in self.ledger.of_holder(holder)

    @rule(holder=HOLDERS, streams=DESCRIBED, sources=SOURCES)
    def hold_media(self, holder: Holder, streams: frozenset[MediaAddress], sources: frozenset[str] | None) -> None:
        before = {row.inside: row.port for row in self.ledger}
        refused = self.why_not(streams)
        if refused is not None:
            with pytest.raises(refused):
                self.ledger.hold_media(streams, sources, holder, self.now)
            assert {row.inside: row.port for row in self.ledger} == before
            return
        self.ledger.hold_media(streams, sources, holder, self.now)
        held = self.ledger.of_holder(holder)
        for stream in streams:
            if stream.is_candidate and not self.ledger.has(stream):
                continue
            row = self.ledger.of_inside(stream.rtp)
            assert row is not None
            if not row.purpose.is_media:
                assert stream.is_candidate
                continue
            assert stream.rtp in held
            assert row.holds[holder].sources == sources
            self.is_in_its_run(stream, row.port)
            self.has_its_rtcp(stream, held)

    def why_not(self, streams: frozenset[MediaAddress]) -> type[Exception] | None:
        """What the ledger says before anything is held."""
        try:
            self.ledger.check_media(streams)
        except (NoPortLeftError, ForeignAddressError, NotUnderstoodError) as error:
            return type(error)
        return None

    def has_its_rtcp(self, stream: MediaAddress, held: frozenset[Endpoint]) -> None:
        """What may be announced has a row; only RTCP that is named nowhere may be without one of its own."""
        if stream.rtcp is None or stream.rtcp in held:
            return
        row = self.ledger.of_inside(stream.rtcp)
        assert row is not None
        assert stream.is_candidate or (not row.purpose.is_media and stream.rtcp.port == stream.rtp.port + 1)

    def is_in_its_run(self, stream: MediaAddress, port: int) -> None:
        """Its public ports are as far from those of the first in its run as its own are."""
        if stream.run is None:
            return
        first = self.ledger.of_inside(stream.run)
        assert first is not None
        assert port - first.port == stream.rtp.port - stream.run.port
        if stream.rtcp is not None:
            rtcp = self.ledger.of_inside(stream.rtcp)
            assert rtcp is not None
            assert rtcp.port == port + 1

    @rule(holder=HOLDERS, inside=st.none() | st.frozensets(ENDPOINTS))
    def release(self, holder: Holder, inside: frozenset[Endpoint] | None) -> None:
        self.ledger.release(holder, inside)
        assert not self.ledger.of_holder(holder) & (inside or frozenset())
        assert inside is not None or not self.ledger.of_holder(holder)

    @rule(seconds=st.sampled_from([0.5, 3.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.ledger.expire(self.now)
        deadline = self.ledger.next_deadline()
        assert deadline is None or deadline > self.now

    @rule(media=RANGES)
    def move(self, media: tuple[int, int]) -> None:
        self.range = media
        self.ledger.use_ports(media, (5062, 5064), frozenset({5061}))

    @invariant()
    def it_is_a_bijection(self) -> None:
        rows = list(self.ledger)
        assert len({row.port for row in rows}) == len({row.inside for row in rows}) == len(rows)
        for row in rows:
            assert self.ledger.of_port(row.port) is row
            assert self.ledger.of_inside(row.inside) is row

    @invariant()
    def holders_and_rows_agree(self) -> None:
        for row in self.ledger:
            assert row.holds
            for holder in row.holds:
                assert row.inside in self.ledger.of_holder(holder)

    @invariant()
    def the_journal_is_enough(self) -> None:
        for inside, forward in self.ledger.take_changes().items():
            if forward is None:
                self.kernel.pop(inside, None)
            else:
                self.kernel[inside] = forward
        rows = {
            row.inside: (row.port, row.purpose, row.sources if row.purpose.is_media else None) for row in self.ledger
        }
        assert {inside: (row.port, row.purpose, row.sources) for inside, row in self.kernel.items()} == rows

    def teardown(self) -> None:
        for kind in HolderKind:
            for name in ("one", "two"):
                self.ledger.release(Holder.of(kind, name))
        assert list(self.ledger) == []
        pairs = range(self.range[0], self.range[1], 2)
        assert self.ledger.media_pairs_left == len(pairs)


LedgerMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30)
TestLedger = LedgerMachine.TestCase
