"""SIP on other ports than 5060, of providers and of phones; nothing is configured for it."""

import pytest

from rules.model import Endpoint
from tests.lab.agent import Agent, connect, hang_up
from tests.lab.lab import Lab
from tests.lab.sdp import audio
from tests.lab.talk import converse
from tests.lab.topology import ROUTER_OUTSIDE

pytestmark = [pytest.mark.root, pytest.mark.lab]


def test_a_provider_at_another_port_is_found_by_the_first_message(lab: Lab) -> None:
    registrar = lab.registrar(port=5080)
    lab.gateway()
    alice = lab.phone("alice", domain=registrar.domain)
    bob = lab.far_phone("bob", domain=registrar.domain)
    outside = lab.capture(lab.net.router, "wan0")
    for phone in (bob, alice):
        phone.register()
    [contact] = registrar.contacts("alice")
    assert contact.endswith(f"@{ROUTER_OUTSIDE}:5060")
    converse(alice, bob)
    converse(bob, alice)
    assert {datagram.destination.port for datagram in outside.sip("REGISTER")} == {5080}
    assert [datagram.text for datagram in outside.sip() if "10.0.0." in datagram.text] == []
    assert lab.net.leaks() == 0


def test_the_operator_may_want_the_named_ports_only(lab: Lab) -> None:
    registrar = lab.registrar(port=5080)
    lab.gateway({"sip.any_port": False})
    alice = lab.phone("alice", domain=registrar.domain)
    alice.register()
    assert alice.address in registrar.contacts("alice")[0]


def test_a_first_message_in_fragments_is_found_too(lab: Lab) -> None:
    lab.gateway()
    home = lab.agent(lab.net.phones[0], lab.net.phone_address(0))
    far = lab.agent(lab.net.far[0], lab.net.far_address(0), 5099)
    large = audio(Endpoint(home.address.ip, 16384), more=[f"a=x:{'x' * 200}"] * 100)
    assert len(large) > 20000
    home.invite(far.address, large)
    assert far.wait("INVITE").media == Endpoint(ROUTER_OUTSIDE, 20000)


def test_what_is_no_sip_is_left_alone(lab: Lab) -> None:
    """First packets of flows with a request line of something else, or of SIP where none can be."""
    gateway = lab.gateway()
    phone, far = lab.net.phones[0], lab.agent(lab.net.far[0], lab.net.far_address(0), 5099)
    taken = gateway.ask("status")["queue"]["received"]
    for port, payload in enumerate((b"GET / HTTP/1.1\r\n", bytes(700) + b" SIP/2.0\r\n", b""), 40000):
        home = lab.agent(phone, lab.net.phone_address(0), port)
        home.send(payload, far.address)
        assert far.receive() == (payload, Endpoint(ROUTER_OUTSIDE, port))
    assert gateway.ask("status")["queue"]["received"] == taken


@pytest.mark.parametrize("rport", [True, False])
def test_a_phone_that_sends_from_another_port_than_it_says(lab: Lab, rport: bool) -> None:
    """Its Via and Contact name the port where it listens; an answer goes there unless rport was asked for."""
    lab.gateway()
    address = lab.net.phone_address(0)
    listening = lab.agent(lab.net.phones[0], address, 5060)
    sending = lab.agent(lab.net.phones[0], address, 34567, says=listening.address, rport=rport)
    far = lab.agent(lab.net.far[0], lab.net.far_address(0), rport=rport)
    sending.register(far.address)
    asked = far.wait("REGISTER")
    assert asked.source == Endpoint(ROUTER_OUTSIDE, 34567)
    assert asked.sent_by == Endpoint(ROUTER_OUTSIDE, 5060)
    assert asked.headers("Contact") == [f"<sip:agent@{ROUTER_OUTSIDE}:5060>"]
    far.answer("200 OK")
    answer = (sending if rport else listening).wait("SIP/2.0 200")
    assert answer.sent_by == listening.address
    # it is called where it listens
    audible, _ = connect(
        far, listening, Endpoint(ROUTER_OUTSIDE, 5060), Endpoint(far.address.ip, 30000), Endpoint(address, 16384)
    )
    assert audible == Endpoint(ROUTER_OUTSIDE, 20000)
    hang_up(far, listening)
    assert lab.net.leaks() == 0


def test_a_phone_without_rport_at_an_odd_port_is_answered_and_called(lab: Lab) -> None:
    lab.gateway()
    home = lab.agent(lab.net.phones[0], lab.net.phone_address(0), 5083, rport=False)
    far = lab.agent(lab.net.far[0], lab.net.far_address(0), rport=False)
    mine, theirs = Endpoint(home.address.ip, 16384), Endpoint(far.address.ip, 30000)
    for caller, called, to in ((home, far, far.address), (far, home, Endpoint(ROUTER_OUTSIDE, 5083))):
        sdp = (mine, theirs) if caller is home else (theirs, mine)
        _connect_and_hang_up(caller, called, to, *sdp)
    assert lab.net.leaks() == 0


def _connect_and_hang_up(caller: Agent, called: Agent, to: Endpoint, mine: Endpoint, theirs: Endpoint) -> None:
    told = connect(caller, called, to, mine, theirs)
    assert ROUTER_OUTSIDE in {one.ip for one in told}
    hang_up(caller, called)
