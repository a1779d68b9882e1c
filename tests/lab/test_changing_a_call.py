"""Hold and fax: what a re-INVITE describes is what the kernel does, on the ports that the call had."""

from typing import NamedTuple

import pytest

from rules.model import Endpoint
from tests.lab.agent import Agent, change, connect, hang_up
from tests.lab.conftest import LabMaker
from tests.lab.lab import Lab
from tests.lab.rtp import RtpEndpoint
from tests.lab.sdp import UNSPECIFIED, audio, fax
from tests.lab.talk import traces_of_calls
from tests.lab.topology import ROUTER_OUTSIDE
from tests.support.until import until, until_none

pytestmark = [pytest.mark.root, pytest.mark.lab]


class Ends(NamedTuple):
    """Signalling of one at home and one far away, and where each of them hears."""

    lab: Lab
    home: Agent
    far: Agent
    ear: RtpEndpoint
    far_ear: RtpEndpoint

    def assert_heard_both_ways(self, public: Endpoint) -> None:
        """What the far side sends to the public address arrives, and what arrives there comes from it."""
        self.far_ear.send(public, 2)
        assert [packet.source for packet in self.ear.hear(2)] == [self.far_ear.address] * 2
        self.ear.send(self.far_ear.address, 2)
        assert [packet.source for packet in self.far_ear.hear(2)] == [public] * 2


@pytest.fixture
def ends(make_lab: LabMaker) -> Ends:
    """There is one more host far away."""
    lab = make_lab(phones=1, far=2)
    lab.gateway()
    phone, far = lab.net.phones[0], lab.net.far[0]
    return Ends(
        lab,
        home=lab.agent(phone, lab.net.phone_address(0), user="home"),
        far=lab.agent(far, lab.net.far_address(0), user="far"),
        ear=lab.rtp(phone, lab.net.phone_address(0), 16384),
        far_ear=lab.rtp(far, lab.net.far_address(0), 30000),
    )


def held(direction: str, media: Endpoint) -> tuple[str, str]:
    """What the one that holds a call offers, and what the answer says (RFC 3264 sections 6.1 and 8.4)."""
    if direction == UNSPECIFIED:
        return audio(media, host=UNSPECIFIED), "sendrecv"
    return audio(media, direction), {"sendonly": "recvonly", "inactive": "inactive"}[direction]


@pytest.mark.parametrize("by_home", [True, False])
def test_a_held_call_comes_back_on_the_same_ports(ends: Ends, by_home: bool) -> None:
    _, public = connect(ends.home, ends.far, ends.far.address, ends.ear.address, ends.far_ear.address)
    assert public == Endpoint(ROUTER_OUTSIDE, 20000)
    mine, theirs = ends.ear.address, ends.far_ear.address
    for direction in ("sendonly", "inactive", UNSPECIFIED, "sendonly"):
        if by_home:
            offer, answer = held(direction, mine)
            _, told = change(ends.home, ends.far, offer, audio(theirs, answer))
            assert told.ip == UNSPECIFIED if direction == UNSPECIFIED else told == public
            assert change(ends.home, ends.far, mine, theirs) == (theirs, public)
        else:
            offer, answer = held(direction, theirs)
            told, _ = change(ends.far, ends.home, offer, audio(mine, answer))
            assert told == public
            assert change(ends.far, ends.home, theirs, mine) == (public, theirs)
        ends.assert_heard_both_ways(public)
    hang_up(ends.home, ends.far)
    until_none("a trace of the call", lambda: traces_of_calls(ends.lab.net.router))
    assert ends.lab.net.leaks() == 0


def test_media_that_moves_to_another_host_comes_from_that_one_alone(ends: Ends) -> None:
    """The phone had begun to speak, and the former host may not even answer it any more."""
    _, public = connect(ends.home, ends.far, ends.far.address, ends.ear.address, ends.far_ear.address)
    ends.ear.send(ends.far_ear.address, 2)
    assert len(ends.far_ear.hear(2)) == 2
    ends.assert_heard_both_ways(public)
    moved = ends._replace(far_ear=ends.lab.rtp(ends.lab.net.far[1], ends.lab.net.far_address(1), 30000))
    change(ends.far, ends.home, moved.far_ear.address, ends.ear.address)
    moved.assert_heard_both_ways(public)

    def former_is_refused() -> bool:
        ends.far_ear.send(public)
        return ends.ear.hears_nothing(0.1)

    until("nothing of the former host", former_is_refused, timeout=2)
    moved.assert_heard_both_ways(public)


def test_a_call_becomes_a_fax_and_a_call_again(ends: Ends) -> None:
    """The machine at home hears the fax at another port than the voice, as most do (ITU-T T.38 annex D)."""
    _, voice = connect(ends.home, ends.far, ends.far.address, ends.ear.address, ends.far_ear.address)
    ends.assert_heard_both_ways(voice)
    machine = ends._replace(
        ear=ends.lab.rtp(ends.lab.net.phones[0], ends.home.address.ip, 17000),
        far_ear=ends.lab.rtp(ends.lab.net.far[0], ends.far.address.ip, 31000),
    )
    # it is the called one that hears the tone and asks for it
    public, told = change(ends.far, ends.home, fax(machine.far_ear.address), fax(machine.ear.address))
    assert told == machine.far_ear.address
    assert public == Endpoint(ROUTER_OUTSIDE, 20002)
    machine.assert_heard_both_ways(public)
    again, told = change(ends.far, ends.home, ends.far_ear.address, ends.ear.address)
    assert told == ends.far_ear.address
    assert again.ip == ROUTER_OUTSIDE
    ends.assert_heard_both_ways(again)
    hang_up(ends.home, ends.far)
    until_none("a trace of the call", lambda: traces_of_calls(ends.lab.net.router))
    assert ends.lab.net.leaks() == 0


def test_a_fax_at_the_port_of_the_voice_keeps_the_public_port(ends: Ends) -> None:
    _, public = connect(ends.home, ends.far, ends.far.address, ends.ear.address, ends.far_ear.address)
    for describe in (fax, audio):
        mine, theirs = describe(ends.ear.address), describe(ends.far_ear.address)
        assert change(ends.home, ends.far, mine, theirs) == (ends.far_ear.address, public)
        ends.assert_heard_both_ways(public)
