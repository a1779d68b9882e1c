"""A phone becomes known to its provider at the public address, and can be called there as long as it wants to be."""

import re

import pytest

from rules.model import Endpoint
from tests.lab.conftest import LabMaker
from tests.lab.gateway import conntrack
from tests.lab.lab import Lab
from tests.lab.talk import converse, traces_of_phones
from tests.lab.topology import ROUTER_OUTSIDE
from tests.support.until import until_none

pytestmark = [pytest.mark.root, pytest.mark.lab]


@pytest.mark.parametrize("auth", [False, True])
def test_the_registrar_stores_the_public_address(lab: Lab, auth: bool) -> None:
    registrar = lab.registrar(auth=auth)
    lab.gateway()
    lab.phone("alice").register()
    [contact] = registrar.contacts("alice")
    assert contact.endswith(f"@{ROUTER_OUTSIDE}:5060")
    assert lab.net.leaks() == 0


@pytest.mark.parametrize("rport", [True, False])
def test_answers_find_the_phone_whether_or_not_the_registrar_knows_rport(lab: Lab, rport: bool) -> None:
    lab.registrar(rport=rport)
    lab.gateway()
    wire = lab.capture(lab.net.phones[0], "eth0")
    alice = lab.phone("alice", sip_port=5080)
    alice.register()
    answer = wire.wait_sip("SIP/2.0 200")
    assert answer.destination == Endpoint(alice.address, 5080)
    # the phone sees itself as it is, or it would take the router for another phone
    via = re.findall(r"^Via: (.*)\r$", answer.text, re.MULTILINE)
    assert len(via) == 1
    assert via[0].startswith(f"SIP/2.0/UDP {alice.address}:5080;")
    assert not re.search(rf"{re.escape(ROUTER_OUTSIDE)}\b", answer.text)


def test_a_phone_can_be_called_when_the_flow_of_its_registration_is_forgotten(lab: Lab) -> None:
    lab.net.firewall()
    lab.registrar()
    lab.gateway()
    alice, bob = lab.phone("alice"), lab.far_phone("bob")
    bob.register()
    alice.register()
    assert conntrack(lab.net.router, "-p", "udp", "--orig-port-dst", "5060")
    lab.net.router.run("conntrack", "-F")
    assert not conntrack(lab.net.router, "-p", "udp", "--orig-port-dst", "5060")
    converse(bob, alice)
    assert lab.net.leaks() == 0


def test_a_phone_that_signs_off_leaves_no_rule(lab: Lab) -> None:
    registrar = lab.registrar()
    lab.gateway()
    alice = lab.phone("alice")
    alice.register()
    assert traces_of_phones(lab.net.router)
    alice.unregister()
    until_none("a trace of the phone", lambda: traces_of_phones(lab.net.router))
    assert registrar.contacts("alice") == []


def test_two_phones_that_both_use_port_5060_have_ports_of_their_own(make_lab: LabMaker) -> None:
    lab = make_lab(phones=2, far=1)
    registrar = lab.registrar()
    lab.gateway()
    alice, carol, bob = lab.phone("alice"), lab.phone("carol"), lab.far_phone("bob")
    for phone in (alice, carol, bob):
        phone.register()
    assert registrar.contacts("alice")[0].endswith(f"@{ROUTER_OUTSIDE}:5060")
    assert registrar.contacts("carol")[0].endswith(f"@{ROUTER_OUTSIDE}:5062")
    # each is found by its own name
    for phone in (carol, alice):
        call = bob.dial(phone.user)
        phone.wait_incoming().hangup()
        assert call.wait_closed().startswith("486")
    # one that leaves does not take the other along
    alice.unregister()
    until_none(
        "a trace of alice's phone", lambda: [t for t in traces_of_phones(lab.net.router) if alice.address in t]
    )
    converse(bob, carol)


def test_a_flow_from_before_the_gateway_does_not_stand_in_the_way(lab: Lab) -> None:
    """The router masqueraded before, and its flow of the phone's SIP leads over another public port."""
    lab.net.masquerade()
    to_port = ("POSTROUTING", "-p", "udp", "-j", "MASQUERADE", "--to-ports", "7000")
    lab.net.router.run("iptables-legacy", "-w", "-t", "nat", "-I", *to_port)
    registrar = lab.registrar()
    alice = lab.phone("alice")
    alice.register()
    assert alice.address in registrar.contacts("alice")[0]
    lab.net.router.run("iptables-legacy", "-w", "-t", "nat", "-D", *to_port)

    lab.gateway()
    wire = lab.capture(lab.net.provider, "eth0")
    alice.register()
    asked = [message for message in wire.sip("REGISTER") if message.source.ip == ROUTER_OUTSIDE]
    assert {message.source.port for message in asked} == {5060}
    assert any(contact.endswith(f"@{ROUTER_OUTSIDE}:5060") for contact in registrar.contacts("alice"))
    assert not conntrack(lab.net.router, "-p", "udp", "--reply-port-dst", "7000")
