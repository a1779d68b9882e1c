"""A phone's own address comes back as that phone writes it, with or without port, from wherever it sends."""

import pytest

from gateway.engine import Settings
from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import sip


@pytest.fixture
def flow() -> Flow:
    """A router that needs port 5060 itself, so that no phone keeps its number."""
    return Flow(Settings(taken_ports=frozenset({5060})))


def message(*headers: str, start: str = "OPTIONS sip:bob@example.org SIP/2.0") -> bytes:
    return sip(start, [*headers, "Call-ID: 1@10.0.0.11", "CSeq: 1 OPTIONS"])


def test_without_a_port_there_and_back(flow: Flow, alice: Party, provider: Party) -> None:
    alice.sends(
        message(
            "Via: SIP/2.0/UDP 10.0.0.11;branch=z9hG4bK1",
            "From: <sip:alice@10.0.0.11>;tag=a",
            "To: <sip:bob@example.org>",
            "Contact: <sip:alice@10.0.0.11>",
        )
    ).leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5062;branch=z9hG4bK1",
        "From: <sip:alice@203.0.113.1:5062>;tag=a",
        "Contact: <sip:alice@203.0.113.1:5062>",
    )
    provider.answers("200 OK", tag="b").leaves_with(
        "Via: SIP/2.0/UDP 10.0.0.11;branch=z9hG4bK1", "From: <sip:alice@10.0.0.11>;tag=a"
    )
    provider.asks("OPTIONS", "sip:alice@203.0.113.1:5062", to="<sip:alice@203.0.113.1:5062>").leaves_with(
        "OPTIONS sip:alice@10.0.0.11 SIP/2.0", "To: <sip:alice@10.0.0.11>"
    )


def test_with_a_port_in_one_place_and_none_in_the_other(flow: Flow, alice: Party, provider: Party) -> None:
    alice.sends(
        message(
            "Via: SIP/2.0/UDP 10.0.0.11:5060;branch=z9hG4bK1",
            "From: <sip:alice@10.0.0.11>;tag=a",
            "To: <sip:bob@example.org>",
            "Contact: <sip:alice@10.0.0.11:5060>",
        )
    )
    provider.answers("200 OK", tag="b").leaves_with(
        "Via: SIP/2.0/UDP 10.0.0.11:5060;branch=z9hG4bK1", "From: <sip:alice@10.0.0.11>;tag=a"
    )
    provider.asks("OPTIONS", "sip:alice@203.0.113.1:5062").leaves_with("OPTIONS sip:alice@10.0.0.11:5060 SIP/2.0")


def test_a_phone_that_listens_elsewhere_than_it_sends_from(flow: Flow, provider: Party) -> None:
    alice = flow.phone("alice", "10.0.0.11", 34567, contact="<sip:alice@10.0.0.11:5080>")
    flow.phone("alice", "10.0.0.11", 5080)
    alice.asks("OPTIONS", via="10.0.0.11:5080").leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5080;branch=z9hG4bKcall-1-1OPTIONS", "Contact: <sip:alice@203.0.113.1:5080>"
    )
    assert flow.sip_ports == {"10.0.0.11:5080": 5080, "10.0.0.11:34567": 34567}
    provider.asks("OPTIONS", "sip:alice@203.0.113.1:5080").leaves_with("OPTIONS sip:alice@10.0.0.11:5080 SIP/2.0")


def test_where_the_router_saw_the_request_come_from_is_shown_as_the_phone_knows_it(
    flow: Flow, alice: Party, provider: Party
) -> None:
    alice.asks("OPTIONS")
    seen = provider.inbox[-1].replace(b";rport;", b";received=203.0.113.1;rport=5062;")
    provider.inbox.append(seen)
    arrived = provider.answers("200 OK").text
    assert "Via: SIP/2.0/UDP 10.0.0.11:5060;received=10.0.0.11;rport=5060;branch=" in arrived


def test_maddr_is_an_address_without_a_port(flow: Flow, alice: Party) -> None:
    alice.asks("OPTIONS", contact="<sip:alice@phone.example.org;maddr=10.0.0.11>").leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5062;rport;branch=z9hG4bKcall-1-1OPTIONS",
        "Contact: <sip:alice@phone.example.org;maddr=203.0.113.1>",
    )


def test_what_only_looks_like_an_address_stays(flow: Flow, alice: Party) -> None:
    alice.sends(
        message(
            "Via: SIP/2.0/UDP 10.0.0.11:5060;branch=z9hG4bK10.0.0.11",
            'From: "10.0.0.11 <sip:x@10.0.0.11>" <sip:10.0.0.11@example.org>;tag=10.0.0.11',
            "To: <tel:+49-10.0.0.11>",
            "Contact: <sip:10.0.0.11:pw@10.0.0.11>, <mailto:a@10.0.0.11>",
            "Subject: sip:alice@10.0.0.11",
            'Authorization: Digest uri="sip:10.0.0.11"',
        )
    ).leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5062;branch=z9hG4bK10.0.0.11",
        "Contact: <sip:10.0.0.11:pw@203.0.113.1:5062>, <mailto:a@10.0.0.11>",
    )
