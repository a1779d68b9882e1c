"""The engine's own business: counting, telling, timers, settings. What it does to calls is in tests/transcripts."""

from gateway.calls.dialog import Side
from gateway.engine import Engine, Settings
from gateway.networks import Networks
from gateway.outcome import Drop, Release
from gateway.wire import Datagram
from rules.model import Endpoint
from tests.transcripts.flow import PROVIDER, Flow
from tests.transcripts.messages import audio

PHONE = Endpoint("10.0.0.11", 5060)


def test_it_counts_what_passes_and_why(flow: Flow) -> None:
    alice = flow.phone("alice", "10.0.0.11")
    alice.sends(b"\r\n\r\n")
    alice.asks("INVITE", sdp=audio("10.0.0.12", 16384))
    alice.asks("INVITE", call="call-2", sdp=audio("10.0.0.11", 16384))
    flow.provider.answers("486 Busy Here", tag="x")
    assert flow.engine.counters == {
        "datagrams from inside": 3,
        "datagrams from outside": 1,
        "passed: malformed": 1,
        "passed: foreign address": 1,
    }


def test_a_notice_says_who_sent_what_was_not_believed(flow: Flow) -> None:
    flow.phone("alice", "10.0.0.11").asks("INVITE", sdp=audio("10.0.0.12", 16384))
    assert flow.notices[-1] == (
        "passed unchanged: 10.0.0.11:5060 to 198.51.100.1:5060: "
        "10.0.0.11 speaks for 10.0.0.12, an inside address that is not its own (inside.media_hosts)"
    )


def test_notices_are_taken_once(flow: Flow) -> None:
    flow.phone("alice", "10.0.0.11").asks("INVITE", sdp=audio("10.0.0.12", 16384))
    assert flow.engine.take_notices() == []


def test_with_nothing_to_do_it_has_no_timer() -> None:
    engine = Engine(Settings())
    assert engine.next_timer() is None
    engine.handle_timer(1000.0)
    assert engine.take_changes() == {}


def test_before_it_has_a_place_nothing_is_inside() -> None:
    engine = Engine(Settings())
    datagram = Datagram(
        PHONE, PROVIDER, b"OPTIONS sip:x SIP/2.0\r\nv:x\r\nf:x\r\nt:x\r\ni:x\r\nCSeq:1 OPTIONS\r\n\r\n", 20
    )
    assert engine.receive(datagram, Side.INSIDE, 0.0) == Release(None)


def test_any_source_is_let_in_when_the_operator_says_so() -> None:
    flow = Flow(Settings(media_source="any"))
    flow.phone("alice", "10.0.0.11").asks("INVITE", sdp=audio("10.0.0.11", 16384))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp open to all"}


def test_new_settings_count_from_the_next_message_on(flow: Flow) -> None:
    alice = flow.phone("alice", "10.0.0.11")
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    flow.engine.configure(Settings(media_ports=(30000, 30009), media_source="any"))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}
    flow.provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp open to all"}
    alice.asks("INVITE", call="call-2", sdp=audio("10.0.0.11", 17000))
    assert flow.rtp >= {"30000 -> 10.0.0.11:17000 rtp open to all"}


def test_the_router_without_address_lets_nothing_half_said_in(flow: Flow) -> None:
    alice = flow.phone("alice", "10.0.0.11")
    alice.asks("OPTIONS")
    flow.engine.place(Networks(["10.0.0.0/24"]), None, None)
    flow.provider.answers("200 OK").passes()


def test_a_refused_response_is_dropped(flow: Flow) -> None:
    alice = flow.phone("alice", "10.0.0.11")
    alice.asks("OPTIONS")
    response = Datagram(
        PROVIDER,
        PHONE,
        flow.provider.inbox[-1].replace(b"OPTIONS sip:service@example.org SIP/2.0", b"SIP/2.0 200 OK"),
        20,
    )
    assert flow.engine.refuse(response, Side.OUTSIDE, "for the test", flow.now) == Drop()
