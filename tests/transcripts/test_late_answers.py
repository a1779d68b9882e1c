"""Calls that were given up here and are answered after all: their parties may be more patient."""

import pytest

from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio, reply
from tests.transcripts.test_incoming_call import register

ALICE = "sip:alice@203.0.113.1:5060"
OURS, THEIRS = audio("10.0.0.11", 16384), audio("198.51.100.20", 40000)
UP = {"20002 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
IN = {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}


@pytest.mark.parametrize("seconds", [899, 901, 931])
def test_an_incoming_call_is_answered_late(flow: Flow, alice: Party, provider: Party, seconds: float) -> None:
    register(alice, provider)
    provider.asks("INVITE", ALICE, sdp=THEIRS)
    alice.answers("180 Ringing")
    flow.wait(seconds)
    alice.answers("200 OK", to=b"INVITE", sdp=OURS).leaves_with(
        "Contact: <sip:alice@203.0.113.1:5060>",
        "Content-Length: 92",
        "o=- 7 1 IN IP4 203.0.113.1",
        "c=IN IP4 203.0.113.1",
        "m=audio 20000 RTP/AVP 0",
    )
    assert (flow.rtp, flow.calls) == (IN, 1)
    provider.asks("ACK", ALICE)
    flow.wait(200)
    assert flow.rtp == IN
    assert flow.notices[-1].endswith(f" answered after {seconds}.0 s, incoming")


def test_a_phone_that_says_nothing_for_long_still_sends_early_media(
    flow: Flow, alice: Party, provider: Party
) -> None:
    register(alice, provider)
    provider.asks("INVITE", ALICE, sdp=THEIRS)
    flow.wait(33)
    assert flow.calls == 0
    alice.answers("183 Session Progress", to=b"INVITE", sdp=OURS)
    assert flow.rtp == IN


@pytest.mark.parametrize("answer", [THEIRS, ""], ids=["described", "as it rang"])
def test_an_outgoing_call_is_answered_late(flow: Flow, alice: Party, provider: Party, answer: str) -> None:
    alice.asks("INVITE", sdp=OURS)
    provider.answers("183 Session Progress", tag="bob", sdp=THEIRS)
    flow.wait(905)
    assert (flow.open, flow.calls) == (set(), 0)
    provider.answers("200 OK", to=b"INVITE", sdp=answer)
    assert (flow.rtp, flow.calls) == (UP, 1)
    alice.asks("ACK")
    provider.again()
    alice.asks("BYE")
    provider.answers("200 OK", to=b"BYE")
    assert (flow.open, flow.calls) == (set(), 0)
    provider.answers("200 OK", to=b"INVITE", sdp=answer)
    assert (flow.open, flow.calls) == (set(), 0)


def test_a_branch_that_was_given_up_beside_a_call_is_answered_late(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", branch="one", sdp=OURS)
    first = provider.inbox[-1]
    alice.legs["call-1"].cseq -= 1
    alice.asks("INVITE", branch="two", sdp=OURS)
    provider.sends(reply(provider.inbox[-1], "200 OK", "desk", body=THEIRS))
    flow.wait(40)
    provider.sends(reply(first, "200 OK", "mobile", body=audio("198.51.100.30", 41000)))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20 198.51.100.30"}


def test_no_stranger_answers_late(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=OURS)
    flow.wait(33)
    answer = reply(provider.inbox[-1], "200 OK", "bob", body=THEIRS)
    flow.outside("mallory", "198.51.100.66").sends(answer)
    assert (flow.open, flow.calls) == (set(), 0)
    provider.sends(answer.replace(b"alice-tag", b"carol-tag"))
    assert (flow.open, flow.calls) == (set(), 0)
    provider.sends(answer)
    assert flow.rtp == UP


def test_what_was_given_up_is_not_begun_by_its_copy_nor_by_ringing(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=OURS)
    flow.wait(33)
    alice.again()
    provider.answers("180 Ringing", tag="bob")
    assert (flow.open, flow.calls) == (set(), 0)


def test_what_was_refused_is_not_answered_late(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=OURS)
    provider.answers("486 Busy Here", tag="bob")
    provider.answers("200 OK", tag="bob", sdp=THEIRS)
    assert (flow.open, flow.calls) == (set(), 0)
