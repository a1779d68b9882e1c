"""Digest authentication: what is signed and what asks for it arrives byte for byte (RFC 3261 section 22)."""

import pytest

from gateway.engine import Settings
from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio

# a challenge and credentials as full of addresses as they can be
ASKED = (
    'Digest realm="203.0.113.1:5062", nonce="<sip:203.0.113.1:5062>", opaque="203.0.113.1", domain="sip:203.0.113.1"'
)
SIGNED = (
    'Digest username="alice@10.0.0.11", realm="203.0.113.1:5062", nonce="<sip:203.0.113.1:5062>", '
    'uri="sip:10.0.0.11:5060", response="7587245234b3434cc3412213e5f113a5", opaque="203.0.113.1", cnonce="10.0.0.11"'
)


@pytest.fixture
def flow() -> Flow:
    """A router that needs port 5060 itself, so that every address that may change does."""
    return Flow(Settings(taken_ports=frozenset({5060})))


def line(passage_text: str, name: str) -> list[str]:
    """The values of a header in what arrived."""
    return [text.removeprefix(f"{name}: ") for text in passage_text.split("\r\n") if text.startswith(f"{name}: ")]


def test_registering_with_credentials(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("REGISTER", headers=("Expires: 600",))
    refused = provider.answers("401 Unauthorized", headers=(f"WWW-Authenticate: {ASKED}",))
    refused.leaves_with("Via: SIP/2.0/UDP 10.0.0.11:5060;rport;branch=z9hG4bKcall-1-1REGISTER")
    alice.asks("REGISTER", headers=("Expires: 600", f"Authorization: {SIGNED}")).leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5062;rport;branch=z9hG4bKcall-1-2REGISTER",
        "Contact: <sip:alice@203.0.113.1:5062>",
    )
    provider.answers(
        "200 OK",
        headers=(
            'Authentication-Info: nextnonce="203.0.113.1:5062"',
            "Contact: <sip:alice@203.0.113.1:5062>;expires=600",
        ),
    ).leaves_with(
        "Via: SIP/2.0/UDP 10.0.0.11:5060;rport;branch=z9hG4bKcall-1-2REGISTER",
        "Contact: <sip:alice@10.0.0.11:5060>;expires=60",
    )
    flow.wait(599)
    assert flow.sip_ports == {"10.0.0.11:5060": 5062}


def test_calling_with_credentials(flow: Flow, alice: Party, provider: Party) -> None:
    offer = audio("10.0.0.11", 16384)
    alice.asks("INVITE", sdp=offer)
    arrived = provider.answers(
        "407 Proxy Authentication Required", tag="p", headers=(f"Proxy-Authenticate: {ASKED}",)
    )
    assert line(arrived.text, "Proxy-Authenticate") == [ASKED]
    assert line(arrived.text, "Via") == ["SIP/2.0/UDP 10.0.0.11:5060;rport;branch=z9hG4bKcall-1-1INVITE"]
    alice.asks("ACK", far_tag="p")
    again = alice.asks("INVITE", sdp=offer, far_tag="", headers=(f"Proxy-Authorization: {SIGNED}",))
    assert line(again.text, "Proxy-Authorization") == [SIGNED]
    assert line(again.text, "Contact") == ["<sip:alice@203.0.113.1:5062>"]
    assert "m=audio 20000 RTP/AVP 0" in again.text
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
