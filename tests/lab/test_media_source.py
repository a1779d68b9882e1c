"""Who reaches a phone's audio port from outside, and when."""

from typing import NamedTuple

import pytest

from rules.model import Endpoint
from tests.lab.agent import Agent, connect, hang_up
from tests.lab.conftest import LabMaker
from tests.lab.gateway import conntrack
from tests.lab.lab import Lab
from tests.lab.rtp import RtpEndpoint
from tests.lab.sdp import audio
from tests.lab.talk import traces_of_calls
from tests.lab.topology import ROUTER_OUTSIDE
from tests.support.until import until_none

pytestmark = [pytest.mark.root, pytest.mark.lab]


class Parties(NamedTuple):
    """Signalling and audio of one at home and one far away, and a stranger."""

    lab: Lab
    home: Agent
    far: Agent
    ear: RtpEndpoint
    mouth: RtpEndpoint
    stranger: RtpEndpoint

    def connect(self) -> Endpoint:
        """A call out; where the far side was told to send."""
        return connect(self.home, self.far, self.far.address, self.ear.address, self.mouth.address)[1]

    def heard_from(self, count: int) -> set[Endpoint]:
        """Who has sent the next `count` packets that the phone hears, and no more than those."""
        heard = self.ear.hear(count)
        assert len(heard) == count
        assert self.ear.hears_nothing(0.1)
        return {packet.source for packet in heard}


@pytest.fixture
def parties(make_lab: LabMaker) -> Parties:
    lab = make_lab(phones=1, far=2)
    phone, (far, other) = lab.net.phones[0], lab.net.far
    return Parties(
        lab,
        home=lab.agent(phone, lab.net.phone_address(0), user="home"),
        far=lab.agent(far, lab.net.far_address(0), user="far"),
        ear=lab.rtp(phone, lab.net.phone_address(0), 16384),
        mouth=lab.rtp(far, lab.net.far_address(0), 30000),
        stranger=lab.rtp(other, lab.net.far_address(1), 30000),
    )


def test_audio_passes_both_ways_from_the_announced_ports(parties: Parties) -> None:
    parties.lab.gateway()
    public = parties.connect()
    assert public == Endpoint(ROUTER_OUTSIDE, 20000)
    parties.mouth.send(public, 3)
    assert parties.heard_from(3) == {parties.mouth.address}
    # what leaves comes from the port that was announced, or the far side's firewall would not know it
    parties.ear.send(parties.mouth.address, 3)
    assert {packet.source for packet in parties.mouth.hear(3)} == {public}


def test_audio_comes_from_another_host_than_signalling(parties: Parties) -> None:
    """A provider has its media gateways beside its proxy."""
    parties.lab.gateway()
    elsewhere = parties.stranger
    _, public = connect(parties.home, parties.far, parties.far.address, parties.ear.address, audio(elsewhere.address))
    elsewhere.send(public, 2)
    assert parties.heard_from(2) == {elsewhere.address}
    parties.ear.send(elsewhere.address, 2)
    assert {packet.source for packet in elsewhere.hear(2)} == {public}
    # who only signals does not get in
    parties.mouth.send(public, 3)
    assert parties.ear.hears_nothing()


def test_who_is_known_by_name_alone_may_answer_the_phone(parties: Parties) -> None:
    """The phone looks the name up, nobody else does."""
    gateway = parties.lab.gateway()
    named = audio(parties.mouth.address, host="media.example.com")
    parties.home.invite(parties.far.address, parties.ear.address)
    public = parties.far.wait("INVITE").media
    parties.far.answer("200 OK", named)
    assert "c=IN IP4 media.example.com\r\n" in parties.home.wait("SIP/2.0 200").text
    parties.home.ack()
    parties.far.wait("ACK")
    parties.mouth.send(public, 2)
    assert parties.ear.hears_nothing()
    parties.ear.send(parties.mouth.address, 2)
    assert {packet.source for packet in parties.mouth.hear(2)} == {public}
    parties.stranger.send(public, 3)
    parties.mouth.send(public, 2)
    assert parties.heard_from(2) == {parties.mouth.address}
    [rtp, _] = gateway.ask("calls")[0]["media"]
    assert (rtp["packets_in"], rtp["packets_out"]) == (2, 2)


@pytest.mark.usefixtures("each_backend")
def test_only_who_is_signalled_gets_in(parties: Parties) -> None:
    parties.lab.gateway()
    public = parties.connect()
    parties.stranger.send(public, 3)
    parties.mouth.send(public, 2)
    assert parties.heard_from(2) == {parties.mouth.address}


@pytest.mark.usefixtures("each_backend")
def test_everybody_gets_in_where_the_operator_wants_it(parties: Parties) -> None:
    parties.lab.gateway({"media.source": "any"})
    public = parties.connect()
    parties.stranger.send(public, 3)
    assert parties.heard_from(3) == {parties.stranger.address}
    parties.mouth.send(public, 2)
    assert parties.heard_from(2) == {parties.mouth.address}


def test_the_signalled_address_gets_in_from_any_port(parties: Parties) -> None:
    """The far side may sit behind a NAT as well, which changes its ports."""
    parties.lab.gateway()
    public = parties.connect()
    other = parties.lab.rtp(parties.lab.net.far[0], parties.mouth.address.ip, 40404)
    other.send(public, 3)
    assert parties.heard_from(3) == {other.address}


@pytest.mark.usefixtures("each_backend")
def test_nobody_gets_in_before_the_far_side_has_said_from_where(parties: Parties) -> None:
    parties.lab.gateway()
    parties.home.invite(parties.far.address, media=parties.ear.address)
    public = parties.far.wait("INVITE").media
    parties.mouth.send(public, 3)
    parties.stranger.send(public, 3)
    assert parties.ear.hears_nothing()
    # what came too early pins nothing: once it is said, the same flow gets in
    parties.far.answer("200 OK", media=parties.mouth.address)
    parties.home.wait("SIP/2.0 200")
    parties.mouth.send(public, 2)
    assert parties.heard_from(2) == {parties.mouth.address}


@pytest.mark.usefixtures("each_backend")
def test_audio_that_overtakes_its_rules_pins_nothing(parties: Parties) -> None:
    """It arrives at the public port when nobody has it yet, and goes on arriving from the same flow."""
    parties.lab.gateway()
    parties.mouth.send(Endpoint(ROUTER_OUTSIDE, 20000), 3)
    # and from the phone's side: towards where the far side will be
    parties.ear.send(parties.mouth.address, 1)
    assert [packet.source.ip for packet in parties.mouth.hear(1)] == [ROUTER_OUTSIDE]
    public = parties.connect()
    assert public.port == 20000
    parties.mouth.send(public, 2)
    assert parties.heard_from(2) == {parties.mouth.address}
    parties.ear.send(parties.mouth.address, 2)
    assert {packet.source for packet in parties.mouth.hear(2)} == {public}


def test_a_phone_that_speaks_before_it_has_answered_keeps_no_other_port(parties: Parties) -> None:
    """It knows from the INVITE where to, and its own port is leased with its answer."""
    parties.lab.gateway()
    parties.home.register(parties.far.address)
    sip = parties.far.wait("REGISTER").source
    parties.far.invite(sip, parties.mouth.address)
    parties.home.wait("INVITE")
    parties.ear.send(parties.mouth.address, 2)
    assert {packet.source.ip for packet in parties.mouth.hear(2)} == {ROUTER_OUTSIDE}
    parties.home.answer("200 OK", parties.ear.address)
    public = parties.far.wait("SIP/2.0 200").media
    parties.ear.send(parties.mouth.address, 2)
    assert {packet.source for packet in parties.mouth.hear(2)} == {public}
    parties.mouth.send(public, 2)
    assert parties.heard_from(2) == {parties.mouth.address}


@pytest.mark.parametrize("phone_first", [True, False])
def test_long_silence_keeps_the_ports(parties: Parties, phone_first: bool) -> None:
    """The kernel has forgotten the flow when they speak again: for it that takes 30 seconds to 3 minutes."""
    parties.lab.gateway()
    public = parties.connect()
    ends = [(parties.ear, parties.mouth.address), (parties.mouth, public)]
    for _ in range(2):
        for speaker, to in ends if phone_first else reversed(ends):
            speaker.send(to, 2)
            if speaker is parties.ear:
                assert {packet.source for packet in parties.mouth.hear(2)} == {public}
            else:
                assert parties.heard_from(2) == {parties.mouth.address}
        assert " sport=16384 " in parties.lab.net.router.run("conntrack", "-D", "-p", "udp")


def test_each_branch_of_a_fork_adds_its_own_source(parties: Parties) -> None:
    """Two phones answer one INVITE with early audio each (RFC 3261 section 12.1)."""
    parties.lab.gateway()
    parties.home.invite(parties.far.address, media=parties.ear.address)
    asked = parties.far.wait("INVITE")
    parties.far.answer("183 Session Progress", media=parties.mouth.address)
    parties.home.wait("SIP/2.0 183")
    parties.stranger.send(asked.media, 3)
    parties.mouth.send(asked.media, 1)
    assert parties.heard_from(1) == {parties.mouth.address}
    # the second branch answers through the same proxy: from the same address, with a tag of its own
    parties.far.answer("183 Session Progress", media=parties.stranger.address, tag="other")
    parties.home.wait("SIP/2.0 183")
    parties.stranger.send(asked.media, 1)
    parties.mouth.send(asked.media, 1)
    assert parties.heard_from(2) == {parties.mouth.address, parties.stranger.address}
    # one of them answers the call, and the other is out
    parties.far.answer("200 OK", media=parties.mouth.address)
    parties.home.wait("SIP/2.0 200")
    parties.home.ack()
    parties.far.wait("ACK")
    parties.stranger.send(asked.media, 3)
    parties.mouth.send(asked.media, 1)
    assert parties.heard_from(1) == {parties.mouth.address}


@pytest.mark.usefixtures("each_backend")
def test_after_the_call_nobody_gets_in(parties: Parties) -> None:
    """The far side goes on sending, so that its flow in the kernel would never end by itself."""
    parties.lab.gateway()
    public = parties.connect()
    parties.mouth.send(public, 3)
    assert parties.heard_from(3) == {parties.mouth.address}
    hang_up(parties.home, parties.far)
    parties.mouth.send(public, 1)
    until_none("a trace of the call", lambda: traces_of_calls(parties.lab.net.router), timeout=1)
    parties.ear.hear(1, timeout=0.1)
    parties.mouth.send(public, 20)
    assert parties.ear.hears_nothing()
    assert not conntrack(parties.lab.net.router, "-p", "udp", "--dport", str(public.port))


@pytest.mark.usefixtures("each_backend")
def test_the_next_call_between_the_same_ports_does_not_ride_on_the_flow_of_the_last_one(parties: Parties) -> None:
    """It follows at once, and has a public port of its own."""
    parties.lab.gateway()
    for port in (20000, 20002, 20004):
        public = parties.connect()
        assert public.port == port
        parties.mouth.send(public, 2)
        assert len(parties.ear.hear(2)) == 2
        parties.ear.send(parties.mouth.address, 2)
        assert {packet.source for packet in parties.mouth.hear(2)} == {public}
        hang_up(parties.home, parties.far)


@pytest.mark.usefixtures("each_backend")
def test_a_port_that_another_phone_gets_at_once_carries_only_its_audio(make_lab: LabMaker) -> None:
    """One pair of ports for all; the far side speaks on, from the same port to the same port."""
    lab = make_lab(phones=2, far=1)
    lab.gateway({"media.ports": "20000-20001"})
    far = lab.agent(lab.net.far[0], lab.net.far_address(0), user="far")
    mouth = lab.rtp(lab.net.far[0], far.address.ip, 30000)
    homes = [lab.agent(host, lab.net.phone_address(index)) for index, host in enumerate(lab.net.phones)]
    ears = [lab.rtp(host, lab.net.phone_address(index), 16384) for index, host in enumerate(lab.net.phones)]
    for home, ear in zip(homes * 2, ears * 2, strict=True):
        _, public = connect(home, far, far.address, ear.address, mouth.address)
        assert public == Endpoint(ROUTER_OUTSIDE, 20000)
        mouth.send(public, 3)
        ear.send(mouth.address, 3)
        assert len(ear.hear(3)) == 3
        assert {packet.source for packet in mouth.hear(3)} == {public}
        assert all(other.hears_nothing(0.05) for other in ears)
        hang_up(home, far)


def test_a_phone_cannot_open_a_port_of_somebody_else(parties: Parties) -> None:
    """It says that another host of the house wants to hear: no rule, and the message as it came."""
    lab = parties.lab
    gateway = lab.gateway()
    router = Endpoint("10.0.0.1", 16384)
    parties.home.invite(parties.far.address, media=router)
    message = parties.far.wait("INVITE")
    assert message.media == router
    assert traces_of_calls(lab.net.router) == []
    assert any(
        name.startswith("passed: ") and count == 1 for name, count in gateway.ask("status")["counters"].items()
    )
    gateway.wait_log("10.0.0.1, an inside address that is not its own")
