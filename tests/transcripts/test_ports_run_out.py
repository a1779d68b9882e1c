"""No port left: a clear no to whoever asked, and nothing half open."""

import pytest

from gateway.engine import Settings
from gateway.networks import Networks
from gateway.sip import message
from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio, sdp


@pytest.fixture
def flow() -> Flow:
    """A router with one pair of media ports."""
    return Flow(Settings(media_ports=(20000, 20001)))


@pytest.fixture(autouse=True)
def taken(flow: Flow) -> Party:
    """Somebody else's call has the only pair."""
    dora = flow.phone("dora", "10.0.0.99")
    dora.asks("INVITE", call="dora", sdp=audio("10.0.0.99", 16384))
    flow.provider.answers("200 OK", tag="x", sdp=audio("198.51.100.20", 40000))
    dora.asks("ACK", call="dora")
    return dora


TAKEN = {"20000 -> 10.0.0.99:16384 rtp from 198.51.100.20"}


def test_the_phone_is_told(flow: Flow, alice: Party, provider: Party) -> None:
    refused = message.parse(alice.asks("INVITE", sdp=audio("10.0.0.11", 16384)).is_refused())
    assert refused.value(b"via").strip() == b"SIP/2.0/UDP 10.0.0.11:5060;rport;branch=z9hG4bKcall-1-1INVITE"
    assert flow.rtp == TAKEN
    assert flow.calls == 1
    alice.asks("ACK").is_dropped()
    assert not any(b"call-1" in heard for heard in provider.inbox)


def test_a_repeated_request_gets_the_same_answer(alice: Party) -> None:
    first = alice.asks("INVITE", sdp=audio("10.0.0.11", 16384)).is_refused()
    assert alice.again().is_refused() == first


def test_the_provider_is_told_before_the_phone_rings(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("OPTIONS")
    refused = provider.asks("INVITE", "sip:alice@203.0.113.1:5062", sdp=audio("198.51.100.20", 40000))
    first = refused.is_refused()
    assert provider.again().is_refused() == first
    provider.asks("ACK", "sip:alice@203.0.113.1:5062").is_dropped()
    assert alice.inbox == []
    assert flow.calls == 1


def bundle(*ports: int) -> str:
    """An offer of speech and pictures, as far as possible on one address (RFC 9143)."""
    streams = [f"m=audio {port} RTP/AVP 0\na=mid:{port}" for port in ports]
    return sdp("198.51.100.20", *streams).replace("t=0 0\r\n", "t=0 0\r\na=group:BUNDLE 0 1\r\n")


def test_a_bundle_that_comes_in_needs_one_pair(flow: Flow, alice: Party, provider: Party, taken: Party) -> None:
    alice.asks("OPTIONS")
    taken.asks("BYE", call="dora")
    provider.answers("200 OK", to=b"BYE")
    provider.asks("INVITE", "sip:alice@203.0.113.1:5062", sdp=bundle(40000, 40002)).is_refused()
    provider.asks("INVITE", "sip:alice@203.0.113.1:5062", call="call-2", sdp=bundle(9, 9))
    assert alice.inbox[-1].startswith(b"INVITE ")
    alice.answers("200 OK", sdp=sdp("10.0.0.11", "m=audio 16384 RTP/AVP 0", "m=audio 16384 RTP/AVP 0"))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}


def test_a_refused_request_stays_refused_when_a_port_comes_free(
    flow: Flow, alice: Party, provider: Party, taken: Party
) -> None:
    alice.asks("OPTIONS")
    refused = provider.asks("INVITE", "sip:alice@203.0.113.1:5062", sdp=audio("198.51.100.20", 40000))
    again = (provider.sent, provider.sent_to)
    taken.asks("BYE", call="dora")
    provider.answers("200 OK", to=b"BYE")
    assert flow.open == set()
    assert provider.sends(*again).is_refused() == refused.is_refused()


def test_changing_a_call_that_is_up_needs_no_new_ports(flow: Flow, provider: Party, taken: Party) -> None:
    provider.asks(
        "INVITE", "sip:dora@203.0.113.1:5060", call="dora", far_tag="dora-tag", sdp=audio("198.51.100.20", 40000)
    )
    assert taken.inbox[-1].startswith(b"INVITE ")


def test_a_second_stream_is_refused_and_the_call_goes_on(flow: Flow, provider: Party, taken: Party) -> None:
    more = sdp("10.0.0.99", "m=audio 16384 RTP/AVP 0", "m=video 18000 RTP/AVP 31")
    taken.asks("INVITE", call="dora", sdp=more).is_refused()
    assert flow.rtp == TAKEN
    taken.asks("BYE", call="dora")
    provider.answers("200 OK", to=b"BYE")
    assert flow.open == set()


def test_an_answer_without_ports_is_dropped_and_leaves_no_trace(
    flow: Flow, alice: Party, provider: Party, taken: Party
) -> None:
    alice.asks("OPTIONS")
    taken.asks("BYE", call="dora")
    provider.answers("200 OK", to=b"BYE")
    provider.asks("INVITE", "sip:alice@203.0.113.1:5062", sdp=audio("198.51.100.20", 40000))
    taken.asks("INVITE", call="dora-2", sdp=audio("10.0.0.99", 16384))
    alice.answers("200 OK", sdp=audio("10.0.0.11", 16384)).is_dropped()
    alice.again().is_dropped()
    assert len(flow.rtp) == 1
    flow.wait(33)
    assert flow.open == set()
    assert flow.calls == 0


def test_an_answer_repeated_after_a_port_came_free_goes_through(
    flow: Flow, alice: Party, provider: Party, taken: Party
) -> None:
    alice.asks("OPTIONS")
    taken.asks("BYE", call="dora")
    provider.answers("200 OK", to=b"BYE")
    provider.asks("INVITE", "sip:alice@203.0.113.1:5062", sdp=audio("198.51.100.20", 40000))
    taken.asks("INVITE", call="dora-2", sdp=audio("10.0.0.99", 16384))
    alice.answers("200 OK", sdp=audio("10.0.0.11", 16384)).is_dropped()
    answer = alice.sent
    provider.answers("486 Busy Here", tag="x", to=b"INVITE")
    alice.sends(answer)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}


def test_no_public_port_for_the_phone_itself(alice: Party) -> None:
    crowded = Flow(Settings(public_ports=(5062, 5062), taken_ports=frozenset({5060})))
    crowded.phone("alice", "10.0.0.11").asks("OPTIONS")
    crowded.phone("bob", "10.0.0.12").asks("OPTIONS").is_refused()
    assert crowded.sip_ports == {"10.0.0.11:5060": 5062}


def test_without_an_outside_address_the_phone_is_told(flow: Flow, alice: Party) -> None:
    flow.engine.place(Networks(["10.0.0.0/24"]), None, None)
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384)).is_refused()


def test_a_branch_that_is_refused_takes_no_ack_from_the_one_that_answers() -> None:
    flow = Flow(Settings(media_ports=(20000, 20001)))
    alice, bob, provider = flow.phone("alice", "10.0.0.11"), flow.phone("bob", "10.0.0.12"), flow.provider
    for phone in (alice, bob):
        phone.asks("OPTIONS", call=f"hello-{phone.name}")
    theirs = audio("198.51.100.20", 40000)
    provider.asks("INVITE", "sip:alice@203.0.113.1:5060", sdp=theirs, branch="to-alice")
    alice.answers("200 OK", to=b"INVITE", sdp=audio("10.0.0.11", 16384))
    leg = provider.legs["call-1"]
    leg.cseq = 0
    at_bob = f"sip:bob@203.0.113.1:{flow.sip_ports['10.0.0.12:5060']}"
    provider.asks("INVITE", at_bob, sdp=theirs, branch="to-bob", far_tag="").is_refused()
    provider.asks("ACK", at_bob, branch="to-bob", far_tag="").is_dropped()
    provider.asks("ACK", "sip:alice@203.0.113.1:5060", far_tag="alice-tag")
    assert alice.inbox[-1].startswith(b"ACK ")
