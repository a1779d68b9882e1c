"""A whole datagram of hostile text costs time in proportion to its length, whatever its shape."""

import gc
from collections.abc import Iterator
from time import thread_time

import pytest

from gateway.calls.dialog import Side
from gateway.engine import Engine, Settings
from gateway.networks import Networks
from gateway.wire import Datagram
from tests.property.hostile import shapes
from tests.property.messages import PHONE, PROVIDER

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


def cost(data: bytes, side: Side) -> float:
    """Of one such datagram to an engine that knows the phone."""
    engine = Engine(Settings())
    engine.place(Networks(["10.0.0.0/24"]), PUBLIC, PUBLIC)
    engine.receive(Datagram(PHONE, PROVIDER, OPTIONS, 20), Side.INSIDE, 0.0)
    ends = (PHONE, PROVIDER) if side is Side.INSIDE else (PROVIDER, PHONE)
    started = thread_time()
    engine.receive(Datagram(*ends, data, 20), side, 0.0)
    return thread_time() - started
