"""What speaks of other people's addresses, or is not SIP, goes on byte for byte and opens nothing."""

import pytest

from gateway.calls.dialog import Side
from gateway.outcome import Release
from gateway.wire import Datagram
from rules.model import Endpoint
from tests.transcripts.flow import PROVIDER, Flow, Party
from tests.transcripts.messages import audio, sdp

STUN = bytes.fromhex("000100002112a442") + bytes(12)


@pytest.mark.parametrize(
    "description",
    [
        pytest.param(audio("10.0.0.12", 16384), id="another phone's address"),
        pytest.param(audio("10.0.0.11", 22), id="a port under 1024"),
        pytest.param(audio("10.0.0.11", 16384, "a=rtcp:53"), id="a low port for RTCP"),
        pytest.param(audio("10.0.0.11", 16384, "a=rtcp:16385 IN IP4 10.0.0.12"), id="RTCP to another phone"),
        pytest.param(audio("10.0.0.11", 16384, "a=rtcp:x"), id="RTCP attribute without a port"),
        pytest.param(sdp("10.0.0.11", "m=audio 16384/9 RTP/AVP 0"), id="too many ports in one line"),
        pytest.param(sdp("10.0.0.11", "m=audio 70000 RTP/AVP 0"), id="a port that does not exist"),
        pytest.param(audio("10.0.0.11", 16384, "X=1"), id="a line that is none"),
        pytest.param(sdp("10.0.0.11", *["m=audio 16384 RTP/AVP 0"] * 65), id="too many streams"),
        pytest.param(audio("10.0.0.11", 5060), id="media at its own SIP port"),
        pytest.param("v=0\r\ns=-\r\nt=0 0\r\nm=audio 16384 RTP/AVP 0\r\n", id="no connection"),
    ],
)
def test_a_description_that_is_not_the_senders(flow: Flow, alice: Party, description: str) -> None:
    alice.asks("INVITE", sdp=description).passes()
    assert flow.open == set()
    assert flow.calls == 0


def test_after_such_a_message_the_phone_can_call(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 5060)).passes()
    alice.asks("INVITE", call="call-2", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    flow.wait(100)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}


def test_a_foreign_description_in_a_call_leaves_the_call_as_it_was(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    alice.asks("INVITE", sdp=audio("10.0.0.11", 5060)).passes()
    flow.wait(100)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
    alice.asks("BYE")
    provider.answers("200 OK", to=b"BYE")
    assert flow.open == set()


def test_a_far_side_that_names_no_possible_address_changes_nothing(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.999", 40000)).passes()
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}


def test_a_far_side_that_only_dns_knows_opens_nothing(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=audio("media.example.org", 40000))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}


@pytest.mark.parametrize(
    "contact", ["<sip:alice@10.0.0.11:80>", "<sip:alice@10.0.0.11:99999>", "<sip:a@10.0.0.11:0>"]
)
def test_a_contact_that_nobody_may_have(flow: Flow, alice: Party, contact: str) -> None:
    alice.asks("OPTIONS", contact=contact).passes()
    assert flow.sip_ports == {}


def test_a_sender_that_is_not_inside(flow: Flow) -> None:
    stranger = flow.phone("eve", "172.16.0.9")
    stranger.asks("INVITE", sdp=audio("172.16.0.9", 16384)).passes()
    assert flow.open == set()
    assert flow.sip_ports == {}


def test_a_receiver_that_is_not_inside(flow: Flow) -> None:
    message = b"OPTIONS sip:203.0.113.1 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.1\r\nFrom: <sip:a@b>;tag=1\r\n"
    message += b"To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"
    to_dmz = Datagram(PROVIDER, Endpoint("172.16.0.9", 5060), message, 20)
    assert flow.engine.receive(to_dmz, Side.OUTSIDE, 0.0) == Release(None)


@pytest.mark.parametrize(
    "data", [b"\r\n\r\n", b"\r\n", b"\0", b"", STUN], ids=["ping", "pong", "nul", "empty", "STUN"]
)
def test_keepalives_pass_both_ways(flow: Flow, alice: Party, data: bytes) -> None:
    alice.sends(data).passes()
    inward = Datagram(PROVIDER, alice.address, data, 20)
    assert flow.engine.receive(inward, Side.OUTSIDE, 0.0) == Release(None)
    assert flow.sip_ports == {}
