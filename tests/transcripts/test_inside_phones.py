"""Who is no phone opens nothing (`inside.phones`), whatever a browser there is made to send."""

import pytest

from gateway.engine import Settings
from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio


@pytest.fixture
def flow() -> Flow:
    return Flow(Settings(phones=("10.0.0.8/29",)))


@pytest.fixture
def desk(flow: Flow) -> Party:
    """A computer with a browser."""
    desk = flow.phone("desk", "10.0.0.66")
    flow.masquerades(desk)
    return desk


def test_its_call_passes_as_it_came_and_opens_no_port(flow: Flow, desk: Party, provider: Party) -> None:
    desk.asks("INVITE", sdp=audio("10.0.0.66", 4000)).passes()
    provider.answers("200 OK", tag="b", sdp=audio("198.51.100.20", 40000)).passes()
    assert (flow.kernel, flow.calls) == ({}, 0)
    assert flow.engine.counters["passed: not a phone"] == 2
    assert flow.notices[-1].endswith("10.0.0.66 is none of inside.phones")


def test_it_is_not_registered(flow: Flow, desk: Party, provider: Party) -> None:
    desk.asks("REGISTER", "sip:example.org", to="<sip:desk@example.org>").passes()
    provider.answers("200 OK", headers=("Expires: 600",)).passes()
    assert (flow.kernel, list(flow.engine.registrations)) == ({}, [])


def test_whom_it_wrote_to_may_ask_it_and_strangers_may_not(flow: Flow, desk: Party, provider: Party) -> None:
    desk.asks("REGISTER", "sip:example.org")
    provider.asks("OPTIONS", "sip:desk@203.0.113.1:5060", call="in").passes()
    flow.outside("scanner", "203.0.113.99").asks("OPTIONS", "sip:desk@203.0.113.1:5060", call="x").is_dropped()
    assert flow.kernel == {}


def test_a_phone_opens_nothing_for_it(flow: Flow, alice: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.66", 4000)).passes()
    assert flow.open == set()


def test_a_phone_has_its_ports(flow: Flow, alice: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 4000))
    assert flow.rtp == {"20000 -> 10.0.0.11:4000 rtp closed"}


def test_who_is_named_later_has_his_from_then_on(flow: Flow, desk: Party) -> None:
    flow.engine.configure(Settings(phones=("10.0.0.66/32",)))
    desk.asks("INVITE", sdp=audio("10.0.0.66", 4000))
    assert flow.rtp == {"20000 -> 10.0.0.66:4000 rtp closed"}
