"""When no ports are left, and when a call falls silent."""

from typing import NamedTuple

import pytest

from rules.model import Endpoint
from tests.lab.agent import Agent, change, connect, hang_up
from tests.lab.conftest import LabMaker
from tests.lab.lab import Lab
from tests.lab.sdp import audio
from tests.lab.talk import traces_of_calls
from tests.lab.topology import ROUTER_OUTSIDE
from tests.support.until import until, until_none

pytestmark = [pytest.mark.root, pytest.mark.lab]

TWO_PAIRS = {"media.ports": "20000-20003"}


class Couple(NamedTuple):
    """One at home and one far away who only call each other, and where they want to hear."""

    home: Agent
    far: Agent
    ear: Endpoint
    far_ear: Endpoint

    def connect(self) -> tuple[Endpoint, Endpoint]:
        """A call out; what each was told of the other's audio."""
        return connect(self.home, self.far, self.far.address, self.ear, self.far_ear)

    def hold(self) -> None:
        """The one at home holds the call."""
        change(self.home, self.far, audio(self.ear, "sendonly"), audio(self.far_ear, "recvonly"))


@pytest.fixture
def lab(make_lab: LabMaker) -> Lab:
    """One house, three hosts far away."""
    return make_lab(phones=1, far=3)


def couples(lab: Lab) -> list[Couple]:
    phone, address = lab.net.phones[0], lab.net.phone_address(0)
    return [
        Couple(
            home=lab.agent(phone, address, 5060 + 2 * index, f"home{index}"),
            far=lab.agent(host, lab.net.far_address(index), user=f"far{index}"),
            ear=Endpoint(address, 16384 + 2 * index),
            far_ear=Endpoint(lab.net.far_address(index), 30000),
        )
        for index, host in enumerate(lab.net.far)
    ]


def test_a_call_out_without_ports_is_refused_here(lab: Lab) -> None:
    lab.gateway(TWO_PAIRS)
    one, two, three = couples(lab)
    assert {one.connect()[1].port, two.connect()[1].port} == {20000, 20002}
    outside = lab.capture(lab.net.router, "wan0")
    via, target = str(three.far.address), f"sip:far@{three.far.address}"
    caller = lab.sipp(
        lab.net.phones[0], one.ear.ip, "refused", port=5090, status=503, via=via, target=target, media_port=17000
    )
    caller.wait()
    [refusal] = caller.received("SIP/2.0 503")
    assert "Retry-After: " in refusal
    assert outside.sip() == []
    # when somebody has hung up, there is room again
    hang_up(one.home, one.far)
    assert three.connect()[1].port == 20000
    assert lab.net.leaks() == 0


def test_a_call_in_without_ports_is_refused_here(lab: Lab) -> None:
    gateway = lab.gateway({**TWO_PAIRS, "sip.callers": "any"})
    one, two, three = couples(lab)
    one.connect()
    two.connect()
    inside = lab.capture(lab.net.router, "lan0")
    public = Endpoint(ROUTER_OUTSIDE, 5060)
    three.far.invite(public, three.far_ear)
    refusal = three.far.wait("SIP/2.0 503")
    assert refusal.source == public
    assert refusal.headers("Retry-After")
    three.far.ack()
    # the ACK of an answer that was ours is for nobody else
    until("the ACK", lambda: gateway.ask("status")["queue"]["dropped"] == 2)
    assert inside.sip() == []
    hang_up(two.home, two.far)
    inside_hears, _ = connect(three.far, one.home, public, three.far_ear, Endpoint(one.ear.ip, 18000))
    assert inside_hears == Endpoint(ROUTER_OUTSIDE, 20002)


def test_silence_ends_a_call_unless_it_is_held_or_one_still_speaks(lab: Lab) -> None:
    gateway = lab.gateway({"media.silence": 1})
    held, speaking, silent = couples(lab)
    held.connect()
    held.hold()
    _, public = speaking.connect()
    mouth = lab.rtp(lab.net.far[1], *speaking.far_ear)
    silent.connect()

    def phones_in_calls() -> set[str]:
        mouth.send(public)
        return {call["phone"] for call in gateway.ask("calls")}

    assert phones_in_calls() == {str(couple.home.address) for couple in (held, speaking, silent)}
    until("the end of the silent call", lambda: str(silent.home.address) not in phones_in_calls())
    gateway.wait_log(f"{silent.home.address.ip} with .* ended .*: no media here for 1 s")
    # the others are older and still there
    assert phones_in_calls() == {str(couple.home.address) for couple in (held, speaking)}
    assert not any(f"udp:{silent.ear.port}" in trace for trace in traces_of_calls(lab.net.router))
    assert any(f"udp:{held.ear.port}" in trace for trace in traces_of_calls(lab.net.router))
    # who hangs up at last is still understood
    hang_up(silent.home, silent.far)
    hang_up(held.home, held.far)
    hang_up(speaking.home, speaking.far)
    until_none("a trace of a call", lambda: traces_of_calls(lab.net.router))
