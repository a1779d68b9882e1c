"""A PBX inside: many calls on one SIP port, and calls from outside that it passes on to the outside."""

import re

import pytest

from rules.model import Endpoint
from tests.lab.agent import Agent, connect, hang_up
from tests.lab.conftest import LabMaker
from tests.lab.gateway import router_state
from tests.lab.lab import Lab
from tests.lab.proxy import Proxy
from tests.lab.talk import traces_of_calls
from tests.lab.topology import ROUTER_OUTSIDE
from tests.support.until import until, until_none

pytestmark = [pytest.mark.root, pytest.mark.lab]

PUBLIC = Endpoint(ROUTER_OUTSIDE, 5060)


@pytest.fixture
def lab(make_lab: LabMaker) -> Lab:
    """One host inside, two far away."""
    return make_lab(phones=1, far=2)


def parties(lab: Lab) -> tuple[Agent, Agent, Agent]:
    """The PBX, known to the gateway by its first request, and two far away."""
    pbx = lab.agent(lab.net.phones[0], lab.net.phone_address(0), user="pbx")
    one, two = (lab.agent(host, lab.net.far_address(index), user="far") for index, host in enumerate(lab.net.far))
    pbx.register(one.address)
    assert one.wait("REGISTER").source == PUBLIC
    one.answer("200 OK")
    pbx.wait("SIP/2.0 200")
    return pbx, one, two


def test_one_that_anchors_media_has_a_call_to_each_side(lab: Lab) -> None:
    """Two calls with a port each (RFC 7092): what comes in by one goes out by the other."""
    lab.gateway()
    pbx, one, two = parties(lab)
    inner, outer = (lab.rtp(lab.net.phones[0], pbx.address.ip, port) for port in (16384, 16386))
    at_one, at_two = (lab.rtp(host, lab.net.far_address(index), 30000) for index, host in enumerate(lab.net.far))
    onward = pbx.another()
    one.invite(PUBLIC, at_one.address)
    assert pbx.wait("INVITE").media == at_one.address
    onward.invite(two.address, outer.address)
    of_onward = two.wait("INVITE").media
    two.answer("200 OK", at_two.address)
    assert onward.wait("SIP/2.0 200").media == at_two.address
    onward.ack()
    two.wait("ACK")
    pbx.answer("200 OK", inner.address)
    of_pbx = one.wait("SIP/2.0 200").media
    one.ack()
    pbx.wait("ACK")
    assert sorted((of_pbx, of_onward)) == [Endpoint(ROUTER_OUTSIDE, 20000), Endpoint(ROUTER_OUTSIDE, 20002)]
    for speaker, public, enters, leaves, appears, listener in (
        (at_one, of_pbx, inner, outer, of_onward, at_two),
        (at_two, of_onward, outer, inner, of_pbx, at_one),
    ):
        speaker.send(public, 2)
        assert [packet.source for packet in enters.hear(2)] == [speaker.address] * 2
        leaves.send(listener.address, 2)
        assert [packet.source for packet in listener.hear(2)] == [appears] * 2
    # one call ends before the other
    hang_up(one, pbx)
    at_two.send(of_onward, 2)
    assert len(outer.hear(2)) == 2
    hang_up(onward, two)
    until_none("a trace of the calls", lambda: traces_of_calls(lab.net.router))
    assert lab.net.leaks() == 0


@pytest.mark.parametrize("caller_hangs_up", [True, False])
def test_one_that_only_passes_signalling_on_opens_nothing(lab: Lab, caller_hangs_up: bool) -> None:
    """The Call-ID goes in and out again; both sides' media are outside and find each other there."""
    lab.gateway()
    pbx, one, two = parties(lab)
    proxy = Proxy(pbx)
    at_one, at_two = Endpoint(one.address.ip, 30000), Endpoint(two.address.ip, 30000)
    one.invite(PUBLIC, at_one)
    proxy.pass_request(two.address)
    asked = two.wait("INVITE")
    assert asked.source == asked.sent_by == PUBLIC
    assert asked.headers("Record-Route") == [f"<sip:{PUBLIC};lr>"]
    assert asked.headers("Contact") == [f"<{one.uri}>"]
    assert asked.media == at_one
    assert traces_of_calls(lab.net.router) == []
    two.answer("200 OK", at_two)
    proxy.pass_response()
    answer = one.wait("SIP/2.0 200")
    assert (answer.media, answer.source) == (at_two, PUBLIC)
    assert answer.headers("Contact") == [f"<{two.uri}>"]
    one.ack()
    proxy.pass_request(two.address)
    two.wait("ACK")
    assert traces_of_calls(lab.net.router) == []
    goes, stays = (one, two) if caller_hangs_up else (two, one)
    goes.bye()
    proxy.pass_request(stays.address)
    assert stays.wait("BYE").source == PUBLIC
    stays.answer("200 OK")
    proxy.pass_response()
    goes.wait("SIP/2.0 200")
    assert traces_of_calls(lab.net.router) == []
    assert lab.net.leaks() == 0


def test_of_30_calls_on_one_port_each_takes_only_its_own_ports_along(lab: Lab) -> None:
    lab.gateway({"media.ports": "20000-20059"})
    pbx, far, _ = parties(lab)
    ears = [Endpoint(pbx.address.ip, 16384 + 2 * number) for number in range(30)]
    lines = [(pbx.another(), far.another()) for _ in ears]
    heard_at = [
        connect(*line, far.address, ear, Endpoint(far.address.ip, 30000 + 2 * number))[1]
        for number, (line, ear) in enumerate(zip(lines, ears, strict=True))
    ]
    assert {public.port for public in heard_at} == set(range(20000, 20060, 2))
    assert leased(lab) == {port for ear in ears for port in (ear.port, ear.port + 1)}
    over = 7
    hang_up(*lines[over])
    left = leased(lab) - {ears[over].port, ears[over].port + 1}
    until("the end of one call's ports", lambda: leased(lab) == left, timeout=1)
    assert len(left) == 58
    for number in (over - 1, over, over + 1, 29):
        ear = lab.rtp(lab.net.phones[0], *ears[number])
        mouth = lab.rtp(lab.net.far[0], far.address.ip, 30000 + 2 * number)
        mouth.send(heard_at[number], 2)
        assert len(ear.hear(2, timeout=0.3 if number == over else 2)) == (0 if number == over else 2)
    # the far side may be the one to hang up
    hang_up(*reversed(lines[0]))
    until("the end of another one's", lambda: len(leased(lab)) == 56, timeout=1)


def leased(lab: Lab) -> set[int]:
    """The ports inside that are leased for media just now."""
    sets = router_state(lab.net.router).sets
    return {int(port) for port in re.findall(r"^add sipmasq-out [0-9.]+,udp:(\d+) ", sets, re.MULTILINE)}
