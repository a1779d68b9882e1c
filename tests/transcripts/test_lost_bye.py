"""Calls that end without a BYE: session timers (RFC 4028), the longest call, and what silence cannot tell."""

import pytest

from gateway.engine import Settings
from rules.model import Endpoint, Traffic
from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio
from tests.transcripts.test_two_phones import call_over_the_provider

ALICE = "sip:alice@203.0.113.1:5060"
RTP = Endpoint("10.0.0.11", 16384)
OURS, THEIRS = audio("10.0.0.11", 16384), audio("198.51.100.20", 40000)
UP = {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
TIMER = ("Session-Expires: 1800;refresher=uac",)


def calls(flow: Flow, alice: Party, provider: Party, *headers: str, ours: str = OURS) -> None:
    """A call that is up; `headers` are those of its answer."""
    alice.asks("INVITE", sdp=ours)
    provider.answers("200 OK", tag="bob", sdp=THEIRS, headers=headers)
    alice.asks("ACK")
    assert flow.rtp == UP


def silence(flow: Flow, seconds: float) -> None:
    """Time passes, with packets counted every quarter of a minute, and there are none."""
    until = flow.now + seconds
    while flow.now < until:
        flow.wait(min(15, until - flow.now))
        flow.count({RTP: Traffic(7, 7)})


@pytest.fixture
def flow() -> Flow:
    """Silence alone ends nothing here."""
    return Flow(Settings(media_silence=1e6))


@pytest.mark.parametrize(
    "header", ["Session-Expires: 1800;refresher=uac", "x: 1800", "SESSION-EXPIRES :\r\n 1800 ;a"]
)
def test_a_call_whose_session_nobody_refreshes_ends(flow: Flow, alice: Party, provider: Party, header: str) -> None:
    calls(flow, alice, provider, header)
    silence(flow, 1831)
    assert flow.rtp == UP
    silence(flow, 16)
    assert (flow.open, flow.calls) == (set(), 0)
    assert flow.notices[-1].endswith(" ended after 1846.0 s: its session was not refreshed")


@pytest.mark.parametrize("headers", [(), ("Session-Expires: soon",), ("Session-Expires: 18 00",)])
def test_a_call_without_a_session_timer_goes_on(
    flow: Flow, alice: Party, provider: Party, headers: tuple[str, ...]
) -> None:
    calls(flow, alice, provider, *headers)
    silence(flow, 7200)
    assert flow.rtp == UP


def test_no_session_is_shorter_than_the_least_that_may_be_agreed(flow: Flow, alice: Party, provider: Party) -> None:
    calls(flow, alice, provider, "Session-Expires: 1")
    silence(flow, 120)
    assert flow.rtp == UP
    silence(flow, 30)
    assert flow.open == set()


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("who", ["alice", "provider"])
def test_each_refresh_begins_it_anew(flow: Flow, alice: Party, provider: Party, method: str, who: str) -> None:
    calls(flow, alice, provider, *TIMER)
    one, other = (alice, provider) if who == "alice" else (provider, alice)
    for _ in range(3):
        silence(flow, 1500)
        one.asks(method, "" if one is alice else ALICE)
        other.answers("200 OK", to=method.encode(), headers=TIMER)
    silence(flow, 1800)
    assert flow.rtp == UP
    silence(flow, 60)
    assert flow.open == set()


def test_a_refused_refresh_is_none(flow: Flow, alice: Party, provider: Party) -> None:
    calls(flow, alice, provider, *TIMER)
    silence(flow, 1500)
    alice.asks("UPDATE")
    provider.answers("422 Session Interval Too Small", to=b"UPDATE", headers=("Min-SE: 3600", *TIMER))
    silence(flow, 360)
    assert flow.open == set()


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_refresh_without_an_interval_ends_the_timer(flow: Flow, alice: Party, provider: Party, method: str) -> None:
    calls(flow, alice, provider, *TIMER)
    first = provider.sent
    silence(flow, 10)
    alice.asks(method)
    provider.answers("200 OK", to=method.encode())
    provider.sends(first)
    silence(flow, 7200)
    assert flow.rtp == UP


def test_a_request_that_refreshes_nothing_leaves_the_timer(flow: Flow, alice: Party, provider: Party) -> None:
    calls(flow, alice, provider, *TIMER)
    for method in ("PRACK", "INFO", "OPTIONS"):
        alice.asks(method)
        provider.answers("200 OK", to=method.encode())
    silence(flow, 1850)
    assert flow.open == set()


def test_a_call_with_sound_is_not_cut_though_nobody_refreshes_it(flow: Flow, alice: Party, provider: Party) -> None:
    calls(flow, alice, provider, *TIMER)
    for packets in range(300):
        flow.wait(15)
        flow.count({RTP: Traffic(packets, 0)})
    assert flow.rtp == UP
    flow.wait(15)
    flow.count({RTP: Traffic(299, 0)})
    flow.wait(15)
    flow.count({RTP: Traffic(299, 0)})
    assert flow.rtp == UP
    flow.wait(30)
    flow.count({RTP: Traffic(299, 0)})
    assert flow.open == set()


def test_a_call_on_hold_has_a_session_too(flow: Flow, alice: Party, provider: Party) -> None:
    calls(flow, alice, provider, *TIMER, ours=audio("10.0.0.11", 16384, "a=sendonly"))
    silence(flow, 1850)
    assert flow.open == set()


def test_of_two_dialogs_the_one_that_is_not_refreshed_ends(flow: Flow, alice: Party, provider: Party) -> None:
    calls(flow, alice, provider, *TIMER)
    provider.answers("200 OK", tag="carol", to=b"INVITE", sdp=audio("198.51.100.30", 41000))
    silence(flow, 1850)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.30"}


@pytest.mark.parametrize("on_hold", [True, False])
def test_no_call_lasts_longer_than_the_longest(*, on_hold: bool) -> None:
    flow = Flow(Settings(media_longest=3600))
    alice = flow.phone("alice", "10.0.0.11")
    ours = audio("10.0.0.11", 16384, "a=inactive") if on_hold else OURS
    calls(flow, alice, flow.provider, "Session-Expires: 90000", ours=ours)
    for packets in range(239):
        flow.wait(15)
        flow.count({RTP: Traffic(packets, packets)})
    assert flow.rtp == UP
    flow.wait(15)
    assert (flow.open, flow.calls) == (set(), 0)
    assert flow.notices[-1].endswith(" ended after 3600.0 s: lasted for 3600 s (media.longest)")


def test_ringing_without_end_is_a_long_call_too(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=OURS)
    for _ in range(86400 // 200):
        provider.answers("180 Ringing", tag="bob", to=b"INVITE")
        flow.wait(200)
    assert flow.calls == 0


def test_a_call_that_has_ended_waits_for_nothing(flow: Flow, alice: Party, provider: Party) -> None:
    calls(flow, alice, provider)
    flow.wait(250)
    assert flow.engine.calls.next_timer() is not None  # for media.longest
    alice.asks("BYE")
    provider.answers("200 OK", to=b"BYE")
    assert flow.engine.calls.next_timer() is None


def test_a_changed_longest_holds_for_calls_that_are_up(flow: Flow, alice: Party, provider: Party) -> None:
    calls(flow, alice, provider)
    flow.wait(50)
    flow.engine.configure(Settings(media_longest=1000))
    flow.wait(949)
    assert flow.rtp == UP
    flow.wait(1)
    assert flow.open == set()


MET = {"20000 -> 10.0.0.11:16384 rtp closed", "20002 -> 10.0.0.12:16384 rtp closed"}


def acknowledges(alice: Party, provider: Party) -> None:
    """The ACK of a call between two phones inside, over a provider that stays in its way."""
    alice.asks("ACK", call="x")
    hop = b"\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKack\r\n"
    provider.sends(provider.inbox[-1].replace(b"\r\n", hop, 1), "sip:carol@203.0.113.1:5060")


def test_phones_that_write_to_each_other_on_the_lan_need_the_router_no_more() -> None:
    flow = Flow()
    alice, carol = flow.phone("alice", "10.0.0.11"), flow.phone("carol", "10.0.0.12")
    call_over_the_provider(alice, carol, flow.provider)
    silence_of_both(flow, 30)
    assert flow.rtp == MET
    silence_of_both(flow, 15)
    assert (flow.open, flow.calls) == (set(), 0)
    assert flow.notices[-1].endswith(" ended after 45.0 s: its phones go on by themselves")


def test_phones_that_write_to_each_other_need_the_router_while_their_audio_crosses_it() -> None:
    flow = Flow()
    alice, carol = flow.phone("alice", "10.0.0.11"), flow.phone("carol", "10.0.0.12")
    call_over_the_provider(alice, carol, flow.provider)
    for packets in range(40):
        flow.wait(15)
        flow.count({RTP: Traffic(packets, 0), Endpoint("10.0.0.12", 16384): Traffic(0, packets)})
    for _ in range(19):
        assert flow.rtp == MET
        flow.wait(15)
        flow.count({RTP: Traffic(39, 0), Endpoint("10.0.0.12", 16384): Traffic(0, 39)})
    flow.wait(15)
    flow.count({RTP: Traffic(39, 0), Endpoint("10.0.0.12", 16384): Traffic(0, 39)})
    assert (flow.open, flow.calls) == (set(), 0)


def silence_of_both(flow: Flow, seconds: int) -> None:
    for _ in range(seconds // 15):
        flow.wait(15)
        flow.count({RTP: Traffic(0, 0), Endpoint("10.0.0.12", 16384): Traffic(0, 0)})


def test_phones_that_meet_on_the_lan_are_not_silent() -> None:
    flow = Flow()
    alice, carol = flow.phone("alice", "10.0.0.11"), flow.phone("carol", "10.0.0.12")
    call_over_the_provider(alice, carol, flow.provider)
    acknowledges(alice, flow.provider)
    for _ in range(300):
        flow.wait(15)
        flow.count({RTP: Traffic(0, 0), Endpoint("10.0.0.12", 16384): Traffic(0, 0)})
    assert flow.rtp == MET
    flow.wait(86400)
    assert flow.open == set()


def test_a_call_that_comes_back_from_the_lan_may_be_silent_from_then_on() -> None:
    flow = Flow()
    alice, carol = flow.phone("alice", "10.0.0.11"), flow.phone("carol", "10.0.0.12")
    call_over_the_provider(alice, carol, flow.provider)
    acknowledges(alice, flow.provider)
    silence(flow, 3600)
    alice.asks("INVITE", call="x", sdp=OURS)
    flow.provider.answers("200 OK", to=b"INVITE", sdp=THEIRS)
    silence(flow, 285)
    assert flow.rtp > UP
    silence(flow, 30)
    assert flow.rtp == {"20002 -> 10.0.0.12:16384 rtp closed"}
