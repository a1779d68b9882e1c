"""The kernel refuses, the gateway starts in the middle of a call, the address changes."""

import pytest

from gateway.calls.dialog import Side
from gateway.networks import Networks
from gateway.outcome import Drop, Outcome, Refuse, Release
from gateway.wire import Datagram
from tests.transcripts.flow import LAN, PROVIDER, Flow, Party
from tests.transcripts.messages import audio


def fails(flow: Flow, sender: Party, receiver: Party) -> Outcome:
    """The commit for what `sender` sent last has failed."""
    datagram = Datagram(sender.address, receiver.address, sender.sent, 20)
    outcome = flow.engine.refuse(datagram, sender.side, "the kernel says no", flow.now)
    flow.commit()
    return outcome


def test_a_failed_commit_refuses_the_call_and_leaves_nothing(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    outcome = fails(flow, alice, provider)
    assert isinstance(outcome, Refuse)
    assert outcome.source == PROVIDER
    assert outcome.destination == alice.address
    assert outcome.payload.startswith(b"SIP/2.0 503 ")
    assert flow.open == set()
    assert flow.calls == 0
    alice.hears(outcome.payload)
    alice.asks("ACK").is_dropped()


def test_a_failed_commit_of_a_change_leaves_the_call_as_it_was(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    alice.asks("INVITE", sdp=audio("10.0.0.11", 17000))
    fails(flow, alice, provider)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
    assert flow.calls == 1


def test_a_failed_commit_of_an_answer_waits_for_its_repetition(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    assert fails(flow, provider, alice) == Drop()
    provider.again()
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}


def test_a_cancel_that_fails_here_leaves_the_invite_ringing(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    alice.asks("CANCEL", far_tag="")
    assert isinstance(fails(flow, alice, provider), Refuse)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}


def test_a_failed_commit_does_not_hold_up_a_keepalive(flow: Flow, alice: Party, provider: Party) -> None:
    alice.sends(b"\r\n\r\n")
    assert fails(flow, alice, provider) == Release(None)


def test_the_answer_of_an_unknown_call_is_adopted(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("OPTIONS")
    before = Flow()
    old_alice = before.phone("alice", "10.0.0.11")
    old_alice.asks("OPTIONS")
    before.provider.asks("INVITE", "sip:alice@203.0.113.1:5060", sdp=audio("198.51.100.20", 40000))
    alice.inbox.append(old_alice.inbox[-1])

    alice.answers("200 OK", sdp=audio("10.0.0.11", 16384))
    # whoever asked did so before the gateway listened, so nobody can tell where the media will come from
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp open to all"}
    provider.legs.update(before.provider.legs)
    provider.asks("ACK", "sip:alice@203.0.113.1:5060", far_tag="alice-tag")
    provider.asks("BYE", "sip:alice@203.0.113.1:5060", far_tag="alice-tag")
    alice.answers("200 OK", to=b"BYE")
    assert flow.open == set()


@pytest.mark.parametrize("method", ["ACK", "PRACK", "UPDATE"])
def test_a_description_of_an_unknown_call_is_not_half_rewritten(flow: Flow, alice: Party, method: str) -> None:
    alice.asks(method, far_tag="bob", sdp=audio("10.0.0.11", 16384)).passes()
    assert flow.open == set()
    assert flow.notices[-1].endswith("media in a call that began before this gateway")


def test_an_answer_repeated_after_its_call_opens_nothing(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("OPTIONS")
    provider.asks("INVITE", "sip:alice@203.0.113.1:5060", sdp=audio("198.51.100.20", 40000))
    alice.answers("200 OK", sdp=audio("10.0.0.11", 16384))
    answer = alice.sent
    provider.asks("BYE", "sip:alice@203.0.113.1:5060", far_tag="alice-tag")
    alice.answers("200 OK", to=b"BYE")
    flow.wait(5)
    alice.sends(answer)
    assert (flow.open, flow.calls) == (set(), 0)
    flow.wait(32)
    alice.sends(answer)
    assert flow.calls == 1


def test_a_call_from_before_is_followed_again_from_its_next_invite(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", far_tag="bob", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}


def test_a_new_outside_address_is_announced_from_the_next_message_on(flow: Flow, alice: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    before = flow.open
    flow.engine.place(Networks([LAN]), "192.0.2.77", "192.0.2.77")
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384)).leaves_with(
        "Via: SIP/2.0/UDP 192.0.2.77:5060;rport;branch=z9hG4bKcall-1-2INVITE",
        "Contact: <sip:alice@192.0.2.77:5060>",
        "Content-Length: 90",
        "o=- 7 1 IN IP4 192.0.2.77",
        "c=IN IP4 192.0.2.77",
        "m=audio 20000 RTP/AVP 0",
    )
    assert flow.open == before
    assert flow.notices[-1] == "address: announcing 192.0.2.77, was 203.0.113.1"


def test_behind_another_nat_the_own_address_answers_and_the_announced_one_is_written(
    flow: Flow, alice: Party
) -> None:
    flow.engine.place(Networks([LAN]), "100.64.0.2", "203.0.113.9")
    assert b"Contact: <sip:alice@203.0.113.9:5060>" in (alice.asks("OPTIONS").arrived or b"")
    invite = Datagram(PROVIDER, alice.address, alice.sent.replace(b"OPTIONS", b"INVITE"), 20)
    outcome = flow.engine.refuse(invite, Side.OUTSIDE, "the kernel says no", flow.now)
    assert isinstance(outcome, Refuse)
    assert str(outcome.source) == "100.64.0.2:5060"
