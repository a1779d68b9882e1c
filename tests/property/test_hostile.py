"""A whole datagram of hostile text costs time in proportion to its length, whatever its shape."""

import gc
from collections.abc import Iterator
from time import thread_time

import pytest

from gateway.calls.bindings import Holder, HolderKind, MediaAddress
from gateway.calls.dialog import Side
from gateway.engine import Engine, Settings
from gateway.networks import Networks
from gateway.outcome import Release
from gateway.wire import Datagram
from rules.model import Endpoint, Purpose
from tests.property.hostile import shapes
from tests.property.messages import PHONE, PROVIDER
from tests.transcripts.messages import sdp

PUBLIC = "203.0.113.1"
BOUND = 0.020  # seconds of CPU; a shape that is read quadratically takes tens of seconds
ROUNDS = 5  # the least of them counts: what else the machine does must not
OPTIONS = (
    b"OPTIONS sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.11\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\n"
    b"Call-ID: 0\r\nCSeq: 1 OPTIONS\r\n\r\n"
)


@pytest.fixture(autouse=True)
def no_collection() -> Iterator[None]:
    """Nothing that other tests left is counted here."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(
    ("data", "side"),
    [
        pytest.param(data, side, id=f"{name}, from {side.name.lower()}")
        for side, host in ((Side.INSIDE, PHONE.ip), (Side.OUTSIDE, PUBLIC))
        for name, data in shapes(host)
    ],
)
def test_a_whole_datagram_costs_at_most_20_ms(data: bytes, side: Side) -> None:
    assert 60000 < len(data) <= 65507
    seconds = min(cost(data, side) for _ in range(ROUNDS))
    print(f"{1000 * seconds:.1f} ms")  # noqa: T201  # shown by pytest -s
    assert seconds < BOUND


@pytest.mark.parametrize("media", [(20000, 29999), (6000, 65535)], ids=["the usual ports", "most ports"])
@pytest.mark.parametrize("count", [2, 8])
def test_rows_of_ports_cost_at_most_20_ms_where_the_free_ones_are_scattered(
    media: tuple[int, int], count: int
) -> None:
    streams = [f"m=audio {port}/{count} RTP/AVP 0" for port in range(20000, 20000 + 20 * (64 // count), 20)]
    body = sdp(PHONE.ip, *streams).encode()
    data = OPTIONS.replace(b"OPTIONS", b"INVITE").replace(b"\r\n\r\n", b"\r\nContent-Type: application/sdp\r\n\r\n")
    engine = with_scattered_ports(media, 64)
    started = thread_time()
    outcome = engine.receive(Datagram(PHONE, PROVIDER, data + body, 20), Side.INSIDE, 0.0)
    seconds = thread_time() - started
    print(f"{1000 * seconds:.1f} ms")  # noqa: T201  # shown by pytest -s
    assert seconds < BOUND
    assert isinstance(outcome, Release)
    assert b"m=audio %d/%d " % (media[1] - 2 * 64 + 1, count) in (outcome.payload or b"")


def with_scattered_ports(media: tuple[int, int], last: int) -> Engine:
    """An engine where of two pairs one is leased; the last ones are free in a row, but for the shortest time."""
    engine = Engine(Settings(media_ports=media))
    engine.place(Networks(["10.0.0.0/8"]), PUBLIC, PUBLIC)
    holders = [Holder.of(HolderKind.CALL, str(number)) for number in range(engine.ledger.media_pairs_left)]
    for number, holder in enumerate(holders):
        address = Endpoint(f"10.1.{number // 2000}.1", 2000 + number % 2000)
        engine.ledger.hold_media([MediaAddress(address, None, Purpose.UDPTL)], None, holder, 0.0)
    for holder in (*holders[:-last:2], *holders[-last:]):
        engine.ledger.release(holder)
    return engine


def cost(data: bytes, side: Side) -> float:
    """Of one such datagram to an engine that knows the phone."""
    engine = Engine(Settings())
    engine.place(Networks(["10.0.0.0/24"]), PUBLIC, PUBLIC)
    engine.receive(Datagram(PHONE, PROVIDER, OPTIONS, 20), Side.INSIDE, 0.0)
    ends = (PHONE, PROVIDER) if side is Side.INSIDE else (PROVIDER, PHONE)
    started = thread_time()
    engine.receive(Datagram(*ends, data, 20), side, 0.0)
    return thread_time() - started
