"""Offers and answers before the call is answered: reliable responses (RFC 3262), PRACK, UPDATE (RFC 3311)."""

import pytest

from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio

ALICE = "sip:alice@203.0.113.1:5060"
RELIABLE = ("Require: 100rel", "RSeq: 1")
THEIRS, MOVED = audio("198.51.100.20", 40000), audio("198.51.100.30", 41000)


def test_offer_in_a_reliable_183_and_answer_in_the_prack(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE")
    provider.answers("183 Session Progress", tag="bob", sdp=THEIRS, headers=RELIABLE)
    assert flow.open == set()
    alice.asks("PRACK", sdp=audio("10.0.0.11", 16384), headers=("RAck: 1 1 INVITE",))
    early = {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
    assert flow.rtp == early
    provider.answers("200 OK", to=b"PRACK")
    provider.answers("200 OK", tag="bob", to=b"INVITE")
    alice.asks("ACK")
    flow.wait(100)
    assert flow.rtp == early


def test_the_phone_offers_in_its_183_and_the_caller_answers_in_the_prack(
    flow: Flow, alice: Party, provider: Party
) -> None:
    alice.asks("OPTIONS", call="hello")
    provider.asks("INVITE", ALICE)
    alice.answers("183 Session Progress", sdp=audio("10.0.0.11", 16384), headers=RELIABLE)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}
    provider.asks("PRACK", ALICE, far_tag="alice-tag", sdp=THEIRS)
    early = {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
    assert flow.rtp == early
    alice.answers("200 OK", to=b"PRACK")
    alice.answers("200 OK", to=b"INVITE")
    flow.wait(100)
    assert flow.rtp == early


@pytest.mark.parametrize("method", ["PRACK", "UPDATE"])
def test_a_refused_offer_before_the_answer_never_was(flow: Flow, alice: Party, provider: Party, method: str) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("183 Session Progress", tag="bob", sdp=THEIRS, headers=RELIABLE)
    early = flow.rtp
    alice.asks(method, sdp=audio("10.0.0.11", 17000))
    assert flow.rtp == early | {"20002 -> 10.0.0.11:17000 rtp from 198.51.100.20"}
    provider.answers("488 Not Acceptable Here", to=method.encode())
    assert flow.rtp == early
    provider.asks(method, ALICE, far_tag="alice-tag", sdp=MOVED)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20 198.51.100.30"}
    alice.answers("500 Server Internal Error", to=method.encode())
    assert flow.rtp == early
    provider.answers("200 OK", tag="bob", to=b"INVITE")
    assert flow.rtp == early


def test_what_was_updated_before_the_answer_is_not_undone_by_it(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("183 Session Progress", tag="bob", sdp=THEIRS, headers=RELIABLE)
    alice.asks("PRACK")
    provider.answers("200 OK", to=b"PRACK")
    alice.asks("UPDATE", sdp=audio("10.0.0.11", 17000))
    provider.answers("200 OK", to=b"UPDATE", sdp=MOVED)
    provider.answers("180 Ringing", tag="bob", to=b"INVITE", sdp=THEIRS)
    provider.answers("200 OK", tag="bob", to=b"INVITE", sdp=THEIRS)
    assert flow.rtp == {"20002 -> 10.0.0.11:17000 rtp from 198.51.100.30"}


def test_an_answer_that_says_something_new_is_believed(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("183 Session Progress", tag="bob", sdp=THEIRS)
    provider.answers("200 OK", tag="bob", sdp=MOVED)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.30"}


def test_the_far_side_updates_before_it_answers(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("183 Session Progress", tag="bob", sdp=THEIRS, headers=RELIABLE)
    provider.asks("UPDATE", ALICE, far_tag="alice-tag", sdp=MOVED)
    alice.answers("200 OK", to=b"UPDATE", sdp=audio("10.0.0.11", 17000))
    # the INVITE's own offer stands until it is answered: another branch may answer that
    assert flow.rtp == {
        "20000 -> 10.0.0.11:16384 rtp from 198.51.100.30",
        "20002 -> 10.0.0.11:17000 rtp from 198.51.100.30",
    }
    provider.answers("200 OK", tag="bob", to=b"INVITE")
    assert flow.rtp == {"20002 -> 10.0.0.11:17000 rtp from 198.51.100.30"}


def test_a_refusal_ends_what_was_updated_too(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("183 Session Progress", tag="bob", sdp=THEIRS, headers=RELIABLE)
    alice.asks("UPDATE", sdp=audio("10.0.0.11", 17000))
    provider.answers("200 OK", to=b"UPDATE", sdp=MOVED)
    provider.answers("486 Busy Here", tag="bob", to=b"INVITE")
    assert (flow.open, flow.calls) == (set(), 0)
