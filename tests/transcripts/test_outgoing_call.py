"""A phone calls out: each message as it leaves, and the ports that are open after it."""

from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio


def test_from_invite_to_bye(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", "sip:bob@example.org", sdp=audio("10.0.0.11", 16384)).leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5060;rport;branch=z9hG4bKcall-1-1INVITE",
        "Contact: <sip:alice@203.0.113.1:5060>",
        "Content-Length: 92",
        "o=- 7 1 IN IP4 203.0.113.1",
        "c=IN IP4 203.0.113.1",
        "m=audio 20000 RTP/AVP 0",
    )
    assert flow.open == {"20000 -> 10.0.0.11:16384 rtp closed", "20001 -> 10.0.0.11:16385 rtcp closed"}

    provider.answers("100 Trying").leaves_with("Via: SIP/2.0/UDP 10.0.0.11:5060;rport;branch=z9hG4bKcall-1-1INVITE")
    provider.answers("180 Ringing", tag="bob")
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}

    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000)).leaves_with(
        "Via: SIP/2.0/UDP 10.0.0.11:5060;rport;branch=z9hG4bKcall-1-1INVITE"
    )
    assert flow.open == {
        "20000 -> 10.0.0.11:16384 rtp from 198.51.100.20",
        "20001 -> 10.0.0.11:16385 rtcp from 198.51.100.20",
    }
    alice.asks("ACK")
    flow.wait(120)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}

    alice.asks("BYE")
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
    provider.answers("200 OK", to=b"BYE")
    assert flow.open == set()
    assert flow.calls == 0
    story = [notice.partition(" with sip:service@example.org ")[2] for notice in flow.notices]
    assert story[-3:] == ["begins, outgoing", "answered after 0.0 s", "ended after 120.0 s: BYE 200"]


def test_the_response_shows_the_phone_as_it_sees_itself(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("OPTIONS")
    seen = provider.inbox[-1].replace(b";rport;", b";received=203.0.113.1;rport=5060;")
    provider.inbox.append(seen)
    arrived = provider.answers("200 OK").text
    assert "Via: SIP/2.0/UDP 10.0.0.11:5060;received=10.0.0.11;rport=5060;branch=" in arrived


def test_the_far_side_hangs_up(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="service-tag", sdp=audio("198.51.100.20", 40000))
    alice.asks("ACK")
    provider.asks("BYE", "sip:alice@203.0.113.1:5060", far_tag="alice-tag").leaves_with(
        "BYE sip:alice@10.0.0.11:5060 SIP/2.0"
    )
    alice.answers("200 OK", to=b"BYE")
    assert flow.open == set()


def test_repeated_messages_change_nothing(flow: Flow, alice: Party, provider: Party) -> None:
    first = alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    assert alice.again().arrived == first.arrived
    answer = provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    before = flow.open
    assert provider.again().arrived == answer.arrived
    alice.asks("ACK")
    assert flow.open == before
    assert flow.calls == 1


def test_the_next_call_gets_ports_that_no_straggler_knows(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("486 Busy Here", tag="bob")
    alice.asks("INVITE", call="call-2", sdp=audio("10.0.0.11", 16384))
    assert flow.rtp == {"20002 -> 10.0.0.11:16384 rtp closed"}
