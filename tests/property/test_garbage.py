"""Whatever comes: a parser answers or raises its documented error, and the engine always has an outcome."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.calls.dialog import Side
from gateway.engine import Engine, Settings
from gateway.errors import MalformedError
from gateway.networks import Networks
from gateway.outcome import Drop, Refuse, Release
from gateway.sdp import session
from gateway.sip import message
from gateway.wire import Datagram, rebuild, split
from rules.model import Endpoint, Traffic
from tests.property.messages import GARBAGE, PHONE, PROVIDER

OTHER = Endpoint("10.0.0.12", 5060)
STEPS = st.lists(
    st.tuples(GARBAGE, st.sampled_from(Side), st.sampled_from([PHONE, OTHER]), st.sampled_from([0.0, 0.4, 40.0])),
    min_size=1,
    max_size=12,
)


@given(GARBAGE)
def test_message_parse_answers_or_says_malformed(data: bytes) -> None:
    try:
        parsed = message.parse(data)
    except MalformedError:
        return
    assert parsed.data is data
    assert 0 < parsed.body[0] <= parsed.body[1] <= len(data)
    for _, value, start in parsed.headers:
        assert 0 < start <= start + len(value) < parsed.body[0]
        assert data.startswith(value, start)


@given(GARBAGE, st.booleans())
def test_session_parse_answers_or_says_malformed(data: bytes, begins_well: bool) -> None:
    text = (b"v=0\r\n" if begins_well else b"") + data
    try:
        parsed = session.parse(text, 0, len(text))
    except MalformedError:
        return
    for stream in parsed.streams:
        assert text[slice(*stream.port_span)] == b"%d" % stream.port or text[slice(*stream.port_span)].startswith(
            b"0"
        )
        assert 0 <= stream.port <= 65535


@given(st.binary(max_size=80))
def test_split_answers_or_says_malformed(packet: bytes) -> None:
    try:
        datagram = split(packet)
    except MalformedError:
        return
    assert split(rebuild(packet, datagram.header_length, datagram.payload)).payload == datagram.payload


@settings(max_examples=300)
@given(STEPS)
def test_the_engine_never_raises_and_its_books_balance(steps: list[tuple[bytes, Side, Endpoint, float]]) -> None:
    engine = Engine(Settings(media_ports=(20000, 20005), public_ports=(5062, 5064), callers="any"))
    engine.place(Networks(["10.0.0.0/24"]), "203.0.113.1", "203.0.113.1")
    now = 0.0
    for data, side, phone, seconds in steps:
        source, destination = (phone, PROVIDER) if side is Side.INSIDE else (PROVIDER, phone)
        datagram = Datagram(source, destination, data, 20)
        outcome = engine.receive(datagram, side, now)
        assert isinstance(outcome, Release | Drop | Refuse)
        if seconds:
            engine.refuse(datagram, side, "for the test", now)
        for row in engine.ledger:
            assert engine.ledger.of_port(row.port) is row
            assert 1024 <= row.port <= 65535
            assert row.holds
        now += seconds
        engine.handle_timer(now)
        engine.observe({row.inside: Traffic(0, 0) for row in engine.ledger}, now)
    for _ in range(50):  # longer than the longest call
        now += 2000.0
        engine.handle_timer(now)
        engine.observe({}, now)
    assert len(engine.calls) == 0
    assert list(engine.ledger) == []
    assert engine.next_timer() is None
