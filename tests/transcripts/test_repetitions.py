"""UDP repeats and delays: whatever comes twice, or late, changes nothing."""

import pytest

from gateway.engine import Settings
from gateway.outcome import Release
from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio

ALICE = "sip:alice@203.0.113.1:5060"
RINGS = ("Require: 100rel", "RSeq: 1")
MOVED = {"20002 -> 10.0.0.11:17000 rtp from 198.51.100.30"}

Story = list[tuple[Party, bytes, str, set[str]]]


def plays(flow: Flow, alice: Party, provider: Party, copies: int = 1) -> Story:
    """A call with everything in it, each message so many times; who sent what, and what was open after it."""
    told: Story = []

    def tell(who: Party) -> None:
        told.append((who, who.sent, who.sent_to, flow.rtp))
        for _ in range(copies - 1):
            who.again()
            assert flow.rtp == told[-1][3], who.sent.split(b"\r\n")[0]

    def asks(who: Party, method: str, sdp: str = "") -> None:
        uri = ALICE if who is provider else ""
        who.asks(method, uri, sdp=sdp, far_tag="" if method == "CANCEL" else None)
        tell(who)

    def answers(who: Party, status: str, to: bytes, sdp: str = "", headers: tuple[str, ...] = ()) -> None:
        who.answers(status, to=to, sdp=sdp, headers=headers)
        tell(who)

    asks(alice, "INVITE", audio("10.0.0.11", 15000))
    answers(provider, "407 Proxy Authentication Required", b"INVITE")
    asks(alice, "ACK")
    alice.legs["call-1"].far_tag = ""
    asks(alice, "INVITE", audio("10.0.0.11", 16384))
    answers(provider, "183 Session Progress", b"INVITE", audio("198.51.100.20", 40000), RINGS)
    asks(alice, "PRACK")
    answers(provider, "200 OK", b"PRACK")
    asks(alice, "UPDATE", audio("10.0.0.11", 16390))
    answers(provider, "488 Not Acceptable Here", b"UPDATE")
    answers(provider, "200 OK", b"INVITE")
    asks(alice, "ACK")
    asks(provider, "INVITE")
    answers(alice, "200 OK", b"INVITE", audio("10.0.0.11", 16400))
    asks(provider, "ACK", audio("198.51.100.40", 42000))
    asks(provider, "INVITE", audio("198.51.100.50", 43000))
    answers(alice, "488 Not Acceptable Here", b"INVITE")
    asks(provider, "ACK")
    asks(alice, "UPDATE", audio("10.0.0.11", 16500))
    answers(provider, "200 OK", b"UPDATE", audio("198.51.100.60", 44000))
    asks(alice, "INVITE", audio("10.0.0.11", 17000))
    answers(provider, "200 OK", b"INVITE", audio("198.51.100.30", 45000))
    asks(alice, "ACK")
    return told


def media(rows: set[str]) -> set[str]:
    """Without the public ports: what a straggler may know is not leased again at once."""
    return {row.partition(" -> ")[2] for row in rows}


def test_every_message_of_a_call_sent_three_times(flow: Flow, alice: Party, provider: Party) -> None:
    once = Flow()
    expected = plays(once, once.phone("alice", "10.0.0.11"), once.provider)
    told = plays(flow, alice, provider, copies=3)
    assert [rows for *_, rows in told] == [rows for *_, rows in expected]
    assert media(flow.rtp) == media(MOVED)


@pytest.mark.parametrize("seconds", [0, 5, 31])
def test_every_message_of_a_call_once_more_at_its_end(
    flow: Flow, alice: Party, provider: Party, seconds: float
) -> None:
    told = plays(flow, alice, provider)
    before = flow.open
    flow.wait(seconds)
    for who, sent, uri, _ in told:
        assert isinstance(who.sends(sent, uri).outcome, Release)
        assert flow.open == before, sent.split(b"\r\n")[0]
    flow.wait(300)
    assert flow.open == before


@pytest.mark.parametrize("who", ["alice", "provider"])
@pytest.mark.parametrize("seconds", [0, 5, 31])
def test_every_message_of_a_call_once_more_after_it(
    flow: Flow, alice: Party, provider: Party, who: str, seconds: float
) -> None:
    told = plays(flow, alice, provider)
    one, other = (alice, provider) if who == "alice" else (provider, alice)
    one.asks("BYE", "" if one is alice else ALICE)
    told.append((one, one.sent, one.sent_to, set()))
    other.answers("200 OK", to=b"BYE")
    told.append((other, other.sent, other.sent_to, set()))
    flow.wait(seconds)
    for party, sent, uri, _ in told:
        copy = party.sends(sent, uri)
        assert (flow.open, flow.calls) == (set(), 0), sent.split(b"\r\n")[0]
        assert b"10.0.0.11:5060" not in (copy.arrived or b"") or party is provider
    flow.wait(33)
    assert (flow.open, flow.calls) == (set(), 0)


@pytest.mark.parametrize("status", ["404 Not Found", "486 Busy Here", "503 Service Unavailable", "603 Decline"])
def test_an_invite_repeated_after_its_refusal_begins_no_call(
    flow: Flow, alice: Party, provider: Party, status: str
) -> None:
    first = alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    sent = alice.sent
    provider.answers(status, tag="bob")
    flow.wait(20)
    flow.notices.clear()
    again = alice.sends(sent)
    assert (flow.open, flow.calls, flow.notices) == (set(), 0, [])
    # it is still the same transaction to its receiver, who may have no other way to learn that his answer was lost
    assert first.arrived is not None
    assert again.arrived is not None
    assert first.arrived.split(b"\r\n")[:7] == again.arrived.split(b"\r\n")[:7]

    provider.asks("INVITE", ALICE, call="in", sdp=audio("198.51.100.20", 40000))
    sent = provider.sent
    alice.answers(status, to=b"INVITE")
    flow.wait(20)
    flow.notices.clear()
    provider.sends(sent, ALICE).leaves_with("INVITE sip:alice@10.0.0.11:5060 SIP/2.0")
    assert (flow.open, flow.calls, flow.notices) == (set(), 0, [])


def test_the_next_try_of_a_refused_call_is_a_call(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 15000))
    first = alice.sent
    provider.answers("302 Moved Temporarily", tag="bob", headers=("Contact: <sip:bob@198.51.100.9>",))
    alice.asks("INVITE", "sip:bob@198.51.100.9", far_tag="", sdp=audio("10.0.0.11", 16384))
    again = flow.rtp
    assert again == {"20002 -> 10.0.0.11:16384 rtp closed"}
    alice.sends(first)
    assert flow.rtp == again
    moved = b"INVITE sip:bob@198.51.100.9"
    provider.answers("200 OK", tag="bob", to=moved, sdp=audio("198.51.100.20", 40000))
    flow.wait(40)
    assert flow.rtp == {"20002 -> 10.0.0.11:16384 rtp from 198.51.100.20"}


def test_an_old_ack_does_not_undo_what_was_agreed_since(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE")
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    alice.asks("ACK", sdp=audio("10.0.0.11", 16384))
    ack = alice.sent
    provider.asks("UPDATE", ALICE, sdp=audio("198.51.100.20", 40000))
    alice.answers("200 OK", to=b"UPDATE", sdp=audio("10.0.0.11", 17000))
    alice.sends(ack)
    assert media(flow.rtp) == {"10.0.0.11:17000 rtp from 198.51.100.20"}


def test_an_offer_of_long_ago_is_none(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    alice.asks("UPDATE", sdp=audio("10.0.0.11", 17000))
    update = alice.sent
    provider.answers("488 Not Acceptable Here", to=b"UPDATE")
    alice.asks("UPDATE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", to=b"UPDATE", sdp=audio("198.51.100.20", 40000))
    before = flow.open
    flow.wait(100)
    alice.sends(update)
    assert flow.open == before


def test_a_copy_of_what_is_over_is_not_refused_for_want_of_ports(flow: Flow, alice: Party, provider: Party) -> None:
    flow.engine.configure(Settings(media_ports=(20000, 20003)))
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    alice.asks("UPDATE", sdp=audio("10.0.0.11", 17000))
    update = alice.sent
    provider.answers("488 Not Acceptable Here", to=b"UPDATE")
    alice.asks("INVITE", call="call-2", sdp=audio("10.0.0.11", 18000))
    before = flow.rtp
    assert len(before) == 2
    assert alice.sends(update).arrived is not None
    assert flow.rtp == before
