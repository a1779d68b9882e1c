"""Transfer (RFC 3515, 3891, 5589) and redirection: a new call is one of its own, the old one stays until its BYE."""

import pytest

from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio

ALICE = "sip:alice@203.0.113.1:5060"
OLD = {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
NEW = {"20002 -> 10.0.0.11:17000 rtp from 198.51.100.30"}
REPLACES = "Replaces: call-1;to-tag=bob;from-tag=alice-tag"


@pytest.fixture(autouse=True)
def call(flow: Flow, alice: Party, provider: Party) -> None:
    """A call that is up."""
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    alice.asks("ACK")
    assert flow.rtp == OLD


def hangs_up(one: Party, other: Party, call: str) -> None:
    one.asks("BYE", "" if one.name == "alice" else ALICE, call=call)
    other.answers("200 OK", to=b"BYE")


@pytest.mark.parametrize("replaces", ["", "?Replaces=call-9%3Bto-tag%3Dx%3Bfrom-tag%3Dy"])
def test_the_phone_is_sent_elsewhere(flow: Flow, alice: Party, provider: Party, replaces: str) -> None:
    refer = (f"Refer-To: <sip:carol@198.51.100.9{replaces}>",)
    provider.asks("REFER", ALICE, headers=refer)
    alice.answers("202 Accepted", to=b"REFER")
    alice.asks("NOTIFY", headers=("Event: refer", "Subscription-State: active"))
    provider.answers("200 OK", to=b"NOTIFY")
    headers = ("Replaces: call-9;to-tag=x;from-tag=y",) if replaces else ()
    alice.asks("INVITE", "sip:carol@198.51.100.9", call="call-2", sdp=audio("10.0.0.11", 17000), headers=headers)
    provider.answers("200 OK", tag="carol", sdp=audio("198.51.100.30", 41000))
    alice.asks("ACK", call="call-2")
    assert (flow.rtp, flow.calls) == (OLD | NEW, 2)
    hangs_up(provider, alice, "call-1")
    assert (flow.rtp, flow.calls) == (NEW, 1)
    hangs_up(alice, provider, "call-2")
    assert flow.open == set()


def test_the_phone_sends_the_other_elsewhere(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("REFER", headers=("Refer-To: <sip:carol@example.org>",))
    provider.answers("202 Accepted", to=b"REFER")
    provider.asks("NOTIFY", ALICE, headers=("Event: refer", "Subscription-State: terminated"))
    alice.answers("200 OK", to=b"NOTIFY")
    assert (flow.rtp, flow.calls) == (OLD, 1)
    hangs_up(alice, provider, "call-1")
    assert (flow.open, flow.calls) == (set(), 0)


def test_the_phone_joins_its_two_calls(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, "a=sendonly"))
    provider.answers("200 OK", sdp=audio("198.51.100.20", 40000, "a=recvonly"))
    alice.asks("INVITE", call="call-2", sdp=audio("10.0.0.11", 17000))
    provider.answers("200 OK", tag="carol", sdp=audio("198.51.100.30", 41000))
    alice.asks("REFER", headers=("Refer-To: <sip:carol@example.org?Replaces=call-2%3Bto-tag%3Dcarol>",))
    provider.answers("202 Accepted", to=b"REFER")
    assert flow.rtp == OLD | NEW
    # bob's new call to carol has replaced hers
    hangs_up(provider, alice, "call-2")
    assert flow.rtp == OLD
    hangs_up(alice, provider, "call-1")
    assert flow.open == set()


def test_a_call_comes_in_that_replaces_the_old_one(flow: Flow, alice: Party, provider: Party) -> None:
    provider.asks("INVITE", ALICE, call="call-2", sdp=audio("198.51.100.30", 41000), headers=(REPLACES,))
    alice.answers("200 OK", to=b"INVITE", sdp=audio("10.0.0.11", 17000))
    assert (flow.rtp, flow.calls) == (OLD | NEW, 2)
    hangs_up(alice, provider, "call-1")
    assert flow.rtp == NEW
    hangs_up(provider, alice, "call-2")
    assert flow.open == set()


def test_the_call_that_replaces_takes_over_the_media_port(flow: Flow, alice: Party, provider: Party) -> None:
    provider.asks("INVITE", ALICE, call="call-2", sdp=audio("198.51.100.30", 41000), headers=(REPLACES,))
    alice.answers("200 OK", to=b"INVITE", sdp=audio("10.0.0.11", 16384))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20 198.51.100.30"}
    hangs_up(alice, provider, "call-1")
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.30"}


def test_a_call_in_is_redirected_by_the_phone(flow: Flow, alice: Party, provider: Party) -> None:
    provider.asks("INVITE", ALICE, call="call-2", sdp=audio("198.51.100.30", 41000))
    alice.answers("302 Moved Temporarily", to=b"INVITE").leaves_with("Contact: <sip:alice@203.0.113.1:5060>")
    provider.asks("ACK", ALICE, call="call-2")
    assert (flow.rtp, flow.calls) == (OLD, 1)
    provider.asks("INVITE", ALICE, call="call-2", far_tag="", sdp=audio("198.51.100.30", 41000))
    alice.answers("200 OK", to=b"INVITE", sdp=audio("10.0.0.11", 17000))
    assert (flow.rtp, flow.calls) == (OLD | NEW, 2)
