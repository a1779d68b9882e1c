"""Several phones at once: same port numbers, each other on the line, one address for two accounts."""

from tests.transcripts.flow import PUBLIC, Flow, Party
from tests.transcripts.messages import audio, reply
from tests.transcripts.test_incoming_call import register


def test_same_sip_port_and_same_rtp_port(flow: Flow, alice: Party, provider: Party) -> None:
    carol = flow.phone("carol", "10.0.0.12")
    alice.asks("INVITE", call="a", sdp=audio("10.0.0.11", 16384))
    carol.asks("INVITE", call="c", sdp=audio("10.0.0.12", 16384)).leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5062;rport;branch=z9hG4bKc-1INVITE",
        "Contact: <sip:carol@203.0.113.1:5062>",
        "Content-Length: 92",
        "o=- 7 1 IN IP4 203.0.113.1",
        "c=IN IP4 203.0.113.1",
        "m=audio 20002 RTP/AVP 0",
    )
    provider.answers("200 OK", tag="dave", sdp=audio("198.51.100.20", 40000)).leaves_with(
        "Via: SIP/2.0/UDP 10.0.0.12:5060;rport;branch=z9hG4bKc-1INVITE"
    )
    assert flow.sip_ports == {"10.0.0.11:5060": 5060, "10.0.0.12:5060": 5062}
    assert flow.rtp == {
        "20000 -> 10.0.0.11:16384 rtp closed",
        "20002 -> 10.0.0.12:16384 rtp from 198.51.100.20",
    }


def test_the_same_call_id_at_two_phones_is_two_calls(flow: Flow, alice: Party, provider: Party) -> None:
    carol = flow.phone("carol", "10.0.0.12")
    alice.asks("INVITE", call="same", sdp=audio("10.0.0.11", 16384))
    carol.asks("INVITE", call="same", sdp=audio("10.0.0.12", 16384))
    provider.answers("486 Busy Here", tag="x")
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}


def call_over_the_provider(alice: Party, carol: Party, provider: Party) -> None:
    """Alice calls carol, and the provider is a proxy between them."""
    register(carol, provider)
    alice.asks("INVITE", call="x", sdp=audio("10.0.0.11", 16384))
    asked = provider.inbox[-1]
    assert b"m=audio 20000 " in asked
    assert b"Contact: <sip:alice@203.0.113.1:5062>" in asked
    # the provider is a proxy here: its own Via on top, the public address of carol as Request-URI
    forwarded = asked.replace(b"\r\n", b"\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKproxy\r\n", 1)
    forwarded = forwarded.replace(b"sip:service@example.org SIP", b"sip:carol@203.0.113.1:5060 SIP")
    provider.sends(forwarded, "sip:carol@203.0.113.1:5060")
    heard = carol.inbox[-1]
    assert b"c=IN IP4 10.0.0.11\r\n" in heard
    assert b"m=audio 16384 " in heard
    assert b"Contact: <sip:alice@10.0.0.11:5060>" in heard
    assert PUBLIC.encode() not in heard

    carol.answers("200 OK", sdp=audio("10.0.0.12", 16384))
    answered = provider.inbox[-1].replace(b"Via: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKproxy\r\n", b"")
    assert b"c=IN IP4 203.0.113.1\r\n" in answered
    provider.sends(answered)
    assert b"c=IN IP4 10.0.0.12\r\n" in alice.inbox[-1]
    assert b"m=audio 16384 " in alice.inbox[-1]


def test_phones_that_call_each_other_over_the_provider_meet_on_the_lan(
    flow: Flow, alice: Party, provider: Party
) -> None:
    carol = flow.phone("carol", "10.0.0.12")
    call_over_the_provider(alice, carol, provider)
    # media goes straight from phone to phone, so nobody outside may send
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed", "20002 -> 10.0.0.12:16384 rtp closed"}

    alice.asks("BYE", call="x")
    bye = provider.inbox[-1].replace(b"\r\n", b"\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKproxy2\r\n", 1)
    provider.sends(bye, "sip:carol@203.0.113.1:5060")
    carol.sends(reply(carol.inbox[-1], "200 OK"))
    provider.sends(provider.inbox[-1].replace(b"Via: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKproxy2\r\n", b""))
    assert flow.open == set()
    assert flow.calls == 0


def test_two_calls_on_one_rtp_port_share_it(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", call="first", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    alice.asks("INVITE", call="second", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="dave", sdp=audio("198.51.100.30", 41000))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20 198.51.100.30"}
    alice.asks("BYE", call="first")
    provider.answers("200 OK", to=b"BYE")
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.30"}
