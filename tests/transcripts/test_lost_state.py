"""The state was lost while people talked: all that is left of their call is what the kernel forwards."""

import pytest

from gateway.engine import Engine
from gateway.networks import Networks
from rules.model import Endpoint, Traffic
from tests.transcripts.flow import LAN, PUBLIC, Flow, Party
from tests.transcripts.messages import audio

OPEN = {
    "20000 -> 10.0.0.11:16384 rtp from 198.51.100.20",
    "20001 -> 10.0.0.11:16385 rtcp from 198.51.100.20",
}
RTP = Endpoint("10.0.0.11", 16384)


@pytest.fixture(autouse=True)
def lost(flow: Flow, alice: Party, provider: Party) -> None:
    """A call that is up, and a gateway that has only its forwards."""
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="b", sdp=audio("198.51.100.20", 40000))
    alice.asks("ACK")
    kernel = dict(flow.kernel)
    flow.engine, flow.written = Engine(flow.settings), {}
    flow.engine.orphans.adopt(kernel.values(), (), flow.now)
    flow.engine.place(Networks([LAN]), PUBLIC, PUBLIC)
    flow.commit()
    assert flow.kernel == kernel
    assert flow.open == OPEN


def test_no_port_is_leased_twice(flow: Flow, provider: Party) -> None:
    carol = flow.phone("carol", "10.0.0.12")
    carol.asks("INVITE", call="other", sdp=audio("10.0.0.12", 16384))
    assert flow.open - OPEN == {"20002 -> 10.0.0.12:16384 rtp closed", "20003 -> 10.0.0.12:16385 rtcp closed"}
    assert flow.sip_ports == {"10.0.0.11:5060": 5060, "10.0.0.12:5060": 5062}


def test_it_stays_while_somebody_is_heard(flow: Flow) -> None:
    for packets in range(1, 6):
        flow.wait(200)
        flow.count({RTP: Traffic(packets, 0)})
        assert flow.open == OPEN
    flow.wait(300)
    flow.count({RTP: Traffic(5, 0)})
    assert flow.open == set()


@pytest.mark.parametrize("who", ["alice", "provider"])
def test_a_bye_ends_it(flow: Flow, alice: Party, provider: Party, who: str) -> None:
    if who == "alice":
        alice.asks("BYE")
        assert flow.open == OPEN
        provider.answers("407 Proxy Authentication Required")
        assert flow.open == OPEN
        alice.asks("BYE")
        provider.answers("200 OK")
    else:
        provider.asks("BYE", "sip:alice@203.0.113.1:5060")
        assert flow.open == OPEN
        alice.answers("200 OK")
    assert flow.open == set()


def test_a_bye_of_a_call_that_nobody_has_ends_nothing(flow: Flow, provider: Party) -> None:
    provider.asks("BYE", "sip:alice@203.0.113.1:5060", call="other").is_dropped()
    assert flow.open == OPEN


def test_a_bye_that_the_phone_refuses_ends_nothing(flow: Flow, alice: Party, provider: Party) -> None:
    """Who knows the Call-ID need not know the tags; then the phone knows no such call."""
    provider.asks("BYE", "sip:alice@203.0.113.1:5060")
    alice.answers("481 Call/Transaction Does Not Exist")
    assert flow.open == OPEN


def test_an_answer_to_a_bye_that_the_phone_never_sent_ends_nothing(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("OPTIONS")
    provider.inbox[-1] = provider.inbox[-1].replace(b"OPTIONS", b"BYE")
    provider.answers("200 OK")
    assert b"CSeq: 2 BYE" in provider.sent
    assert flow.open == OPEN


def test_a_new_offer_makes_it_a_call_again(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="b", sdp=audio("198.51.100.30", 40000))
    alice.asks("ACK")
    assert flow.calls == 1
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.30"}
    flow.wait(200)
    flow.count({RTP: Traffic(0, 1)})
    assert list(flow.engine.orphans) == []
    alice.asks("BYE")
    provider.answers("200 OK")
    assert flow.open == set()


def test_it_outlives_another_restart(flow: Flow) -> None:
    flow.restart()
    flow.count({RTP: Traffic(5, 5)})
    flow.restart()
    assert flow.open == OPEN
    flow.wait(300)
    flow.count({RTP: Traffic(5, 5)})
    assert flow.open == set()


def test_what_the_state_knows_is_not_taken_from_the_rules(flow: Flow, alice: Party, provider: Party) -> None:
    """It is written before the rules are made or go: those of a call that ended a moment before a kill go."""
    alice.asks("INVITE", call="short", sdp=audio("10.0.0.11", 16388))
    left = dict(flow.kernel)
    provider.answers("486 Busy Here")
    alice.asks("ACK", call="short")
    assert flow.open == OPEN
    ended = [name.holder for name in flow.engine.calls.names]
    assert flow.engine.orphans.adopt(left.values(), ended, flow.now) == 0
    flow.commit()
    assert flow.open == OPEN
    assert flow.engine.orphans.adopt(left.values(), (), flow.now) == 2
