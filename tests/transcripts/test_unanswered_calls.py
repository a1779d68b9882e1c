"""Calls that nobody answers: refused, challenged, cancelled, or met with silence."""

import pytest

from rules.model import Endpoint, Traffic
from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio, reply

OFFER = audio("10.0.0.11", 16384)
OPEN = {"20000 -> 10.0.0.11:16384 rtp closed"}


@pytest.mark.parametrize(
    "status", ["302 Moved Temporarily", "404 Not Found", "486 Busy Here", "500 Oops", "603 Decline"]
)
def test_a_final_error_closes_at_once(flow: Flow, alice: Party, provider: Party, status: str) -> None:
    alice.asks("INVITE", sdp=OFFER)
    provider.answers("180 Ringing", tag="bob")
    assert flow.rtp == OPEN
    provider.answers(status, tag="bob", to=b"INVITE")
    assert flow.open == set()
    assert flow.calls == 0
    alice.asks("ACK").leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5060;rport;branch=z9hG4bKcall-1-1ACK", "Contact: <sip:alice@203.0.113.1:5060>"
    )
    assert flow.calls == 0


@pytest.mark.parametrize("status", ["401 Unauthorized", "407 Proxy Authentication Required"])
def test_a_challenged_call_keeps_its_ports_for_the_second_try(
    flow: Flow, alice: Party, provider: Party, status: str
) -> None:
    alice.asks("INVITE", sdp=OFFER)
    provider.answers(status, tag="challenge")
    alice.asks("ACK", far_tag="challenge")
    assert flow.rtp == OPEN
    flow.wait(0.2)
    alice.asks("INVITE", far_tag="", sdp=OFFER)
    assert flow.rtp == OPEN
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}


@pytest.mark.parametrize("port", [5060, 5062])
def test_the_second_try_may_come_from_other_ports(flow: Flow, alice: Party, provider: Party, port: int) -> None:
    alice.asks("INVITE", sdp=OFFER)
    provider.answers("401 Unauthorized", tag="challenge")
    again = flow.phone("alice", "10.0.0.11", port)
    again.legs = alice.legs
    again.asks("INVITE", far_tag="", sdp=audio("10.0.0.11", 17000))
    assert flow.rtp == {"20002 -> 10.0.0.11:17000 rtp closed"}
    assert flow.calls == 1
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    flow.wait(7200)
    assert flow.rtp == {"20002 -> 10.0.0.11:17000 rtp from 198.51.100.20"}
    assert flow.sip_ports[f"10.0.0.11:{port}"] == port


@pytest.mark.parametrize("tag", ["mallory", "bob"])
def test_a_cancel_with_another_tag_cancels_nothing(flow: Flow, alice: Party, provider: Party, tag: str) -> None:
    alice.asks("INVITE", sdp=OFFER)
    provider.answers("180 Ringing", tag="bob")
    own, alice.legs["call-1"].own_tag = alice.legs["call-1"].own_tag, tag
    alice.asks("CANCEL", far_tag="")
    alice.legs["call-1"].own_tag = own
    flow.wait(100)
    assert flow.rtp == OPEN


def test_an_answer_to_another_caller_is_none(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=OFFER)
    refusal = reply(provider.inbox[-1], "486 Busy Here", "bob")
    provider.sends(refusal.replace(b";tag=alice-tag", b";tag=mallory"))
    assert flow.rtp == OPEN
    provider.sends(refusal)
    assert flow.open == set()


def test_a_challenge_that_the_phone_does_not_take_up_closes(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=OFFER)
    provider.answers("401 Unauthorized", tag="challenge")
    flow.wait(1)
    assert flow.open == set()
    assert flow.calls == 0


def test_cancel(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=OFFER)
    provider.answers("180 Ringing", tag="bob")
    alice.asks("CANCEL", far_tag="")
    provider.answers("200 OK", tag="bob", to=b"CANCEL")
    assert flow.rtp == OPEN
    provider.answers("487 Request Terminated", tag="bob", to=b"INVITE")
    assert flow.open == set()
    assert flow.calls == 0


def test_cancel_without_an_end_is_given_up(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=OFFER)
    alice.asks("CANCEL", far_tag="")
    flow.wait(31)
    assert flow.rtp == OPEN
    flow.wait(2)
    assert flow.open == set()


def test_cancel_that_crosses_the_answer_leaves_the_call_up(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=OFFER)
    alice.asks("CANCEL", far_tag="")
    provider.answers("200 OK", tag="bob", to=b"INVITE", sdp=audio("198.51.100.20", 40000))
    flow.wait(100)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}


def test_cancel_that_crosses_the_answers_of_two_branches_ends_neither(
    flow: Flow, alice: Party, provider: Party
) -> None:
    alice.asks("INVITE", sdp=OFFER)
    alice.asks("CANCEL", far_tag="")
    cancel = alice.sent
    provider.answers("200 OK", tag="desk", to=b"INVITE", sdp=audio("198.51.100.20", 40000))
    provider.answers("200 OK", tag="mobile", to=b"INVITE", sdp=audio("198.51.100.30", 41000))
    both = {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20 198.51.100.30"}
    assert flow.rtp == both
    alice.sends(cancel)
    flow.wait(100)
    assert flow.rtp == both


def test_the_caller_outside_cancels(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("OPTIONS")
    provider.asks("INVITE", "sip:alice@203.0.113.1:5060", sdp=audio("198.51.100.20", 40000))
    alice.answers("183 Session Progress", sdp=OFFER)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
    provider.asks("CANCEL", "sip:alice@203.0.113.1:5060", far_tag="")
    alice.answers("200 OK", to=b"CANCEL")
    alice.answers("487 Request Terminated", to=b"INVITE")
    assert flow.open == set()


def test_nobody_answers_at_all(flow: Flow, alice: Party) -> None:
    alice.asks("INVITE", sdp=OFFER)
    flow.wait(31.9)
    assert flow.rtp == OPEN
    flow.wait(0.2)
    assert flow.open == set()
    assert flow.notices[-1].endswith("ended after 32.0 s: no answer")


def test_a_repeated_invite_does_not_shorten_the_ringing(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=OFFER)
    provider.answers("180 Ringing", tag="bob")
    alice.again()
    flow.wait(200)
    assert flow.rtp == OPEN


def test_ringing_is_waited_for_a_quarter_of_an_hour_from_its_last_sign(
    flow: Flow, alice: Party, provider: Party
) -> None:
    alice.asks("INVITE", sdp=OFFER)
    provider.answers("180 Ringing", tag="bob")
    flow.wait(800)
    provider.again()
    flow.wait(899)
    assert flow.rtp == OPEN
    flow.wait(2)
    assert flow.open == set()


def test_a_queue_that_is_heard_is_waited_for_though_it_rings_but_once(
    flow: Flow, alice: Party, provider: Party
) -> None:
    alice.asks("INVITE", sdp=OFFER)
    provider.answers("183 Session Progress", tag="bob", sdp=audio("198.51.100.20", 40000))
    heard = {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
    for packets in range(500, 60500, 500):
        flow.wait(15)
        flow.count({Endpoint("10.0.0.11", 16384): Traffic(packets, packets)})
    assert flow.rtp == heard
    provider.answers("200 OK", tag="bob", to=b"INVITE", sdp=audio("198.51.100.20", 40000))
    alice.asks("ACK")
    assert (flow.rtp, flow.calls) == (heard, 1)


def test_a_queue_that_is_heard_no_more_is_given_up(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=OFFER)
    provider.answers("183 Session Progress", tag="bob", sdp=audio("198.51.100.20", 40000))
    flow.wait(600)
    for _ in range(60):
        flow.count({Endpoint("10.0.0.11", 16384): Traffic(500, 500)})
        flow.wait(15)
    assert (flow.open, flow.calls) == (set(), 0)
