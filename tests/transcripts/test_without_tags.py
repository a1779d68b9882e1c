"""Parties from before RFC 3261, which write no tags: a missing one is a null one (sections 12.1.1 and 12.1.2)."""

import pytest

from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio, reply
from tests.transcripts.test_incoming_call import register

ALICE = "sip:alice@203.0.113.1:5060"
OURS, THEIRS = audio("10.0.0.11", 16384), audio("198.51.100.20", 40000)
UP = {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
CONTACT = ("Contact: <sip:b@198.51.100.1>",)


def test_an_answer_without_a_tag_is_one(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=OURS)
    provider.sends(reply(provider.inbox[-1], "200 OK", headers=CONTACT, body=THEIRS))
    alice.asks("ACK")
    flow.wait(300)
    assert flow.rtp == UP
    alice.asks("INVITE", sdp=audio("10.0.0.11", 17000))
    provider.sends(reply(provider.inbox[-1], "200 OK", headers=CONTACT, body=THEIRS))
    assert flow.rtp == {"20002 -> 10.0.0.11:17000 rtp from 198.51.100.20"}
    alice.asks("BYE")
    provider.sends(reply(provider.inbox[-1], "200 OK"))
    assert (flow.open, flow.calls) == (set(), 0)


def test_a_ringing_without_a_tag_makes_no_dialog(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=OURS)
    provider.sends(reply(provider.inbox[-1], "183 Session Progress", headers=CONTACT, body=THEIRS))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}


@pytest.mark.parametrize("status", ["183 Session Progress", "200 OK"])
def test_a_caller_without_a_tag_is_answered(flow: Flow, alice: Party, provider: Party, status: str) -> None:
    register(alice, provider)
    provider.asks("INVITE", ALICE, sdp=THEIRS)
    asked = provider.sent
    alice.inbox.clear()
    provider.sends(asked.replace(b";tag=service-tag", b"").replace(b"call-1", b"call-2"), ALICE)
    alice.answers(status, sdp=OURS)
    assert flow.rtp == UP
