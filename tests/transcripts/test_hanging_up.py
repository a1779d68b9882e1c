"""BYE in all its fortunes, and calls that fall silent without one."""

import pytest

from rules.model import Endpoint, Traffic
from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio

UP = {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
RTP = Endpoint("10.0.0.11", 16384)


@pytest.fixture(autouse=True)
def call(flow: Flow, alice: Party, provider: Party) -> None:
    """A call that is up."""
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    alice.asks("ACK")


def test_a_challenged_bye_leaves_the_call_up(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("BYE")
    provider.answers("407 Proxy Authentication Required", to=b"BYE")
    flow.wait(40)
    assert flow.rtp == UP
    alice.asks("BYE")
    provider.answers("200 OK", to=b"BYE")
    assert flow.open == set()


@pytest.mark.parametrize("status", ["481 Call/Transaction Does Not Exist", "408 Request Timeout", "500 Oops"])
def test_a_bye_that_fails_ends_the_call_all_the_same(flow: Flow, alice: Party, provider: Party, status: str) -> None:
    alice.asks("BYE")
    provider.answers(status, to=b"BYE")
    assert flow.open == set()


def test_a_bye_without_an_answer_ends_the_call_after_32_seconds(flow: Flow, alice: Party) -> None:
    alice.asks("BYE")
    flow.wait(31)
    assert flow.rtp == UP
    flow.wait(2)
    assert flow.open == set()


@pytest.mark.parametrize("far_tag", ["mallory", "", "alice-tag"])
def test_a_bye_with_other_tags_changes_nothing(flow: Flow, alice: Party, provider: Party, far_tag: str) -> None:
    alice.asks("BYE", far_tag=far_tag)
    provider.answers("200 OK", to=b"BYE")
    flow.wait(100)
    assert flow.rtp == UP
    assert flow.calls == 1


def test_a_bye_of_another_call_changes_nothing(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("BYE", call="call-2", far_tag="bob")
    provider.answers("200 OK", to=b"BYE")
    assert flow.rtp == UP


def test_a_bye_ends_a_call_whose_change_nobody_has_answered(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 17000))
    provider.answers("100 Trying", to=b"INVITE")
    alice.asks("BYE")
    provider.answers("200 OK", to=b"BYE")
    assert (flow.open, flow.calls) == (set(), 0)
    provider.answers("487 Request Terminated", tag="bob", to=b"INVITE")
    assert (flow.open, flow.calls) == (set(), 0)


def test_silence_both_ways_ends_a_call(flow: Flow) -> None:
    for packets in range(10):
        flow.count({RTP: Traffic(50 * packets, 50 * packets)})
        flow.wait(30)
    flow.wait(260)
    flow.count({RTP: Traffic(450, 450)})
    assert flow.rtp == UP
    flow.wait(41)
    flow.count({RTP: Traffic(450, 450)})
    assert flow.open == set()
    assert flow.notices[-1].endswith("no media here for 300 s")


def test_sound_one_way_is_not_silence(flow: Flow) -> None:
    for packets in range(50):
        flow.count({RTP: Traffic(0, packets)})
        flow.wait(60)
    assert flow.rtp == UP


def test_a_call_on_hold_may_be_silent(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, "a=inactive"))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000, "a=inactive"))
    for _ in range(20):
        flow.wait(60)
        flow.count({RTP: Traffic(0, 0)})
    assert flow.rtp == UP
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    flow.wait(301)
    flow.count({RTP: Traffic(0, 0)})
    assert flow.open == set()


def test_a_call_that_only_rings_is_not_silent(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("BYE")
    provider.answers("200 OK", to=b"BYE")
    alice.asks("INVITE", call="call-2", far_tag="", sdp=audio("10.0.0.11", 16384))
    for _ in range(4):
        provider.answers("180 Ringing", tag="carol", to=b"INVITE")
        flow.wait(200)
        flow.count({})
    assert flow.calls == 1
