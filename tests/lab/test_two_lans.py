"""Phones in different networks of one house: their audio crosses the router and never leaves the house."""

import pytest

from tests.lab.conftest import LabMaker
from tests.lab.lab import Lab
from tests.lab.talk import connect, converse, hear, traces_of_calls
from tests.support.until import until_none

pytestmark = [pytest.mark.root, pytest.mark.lab]


@pytest.fixture
def lab(make_lab: LabMaker) -> Lab:
    """Two phones inside, one in each LAN, behind a router that drops what it forwards."""
    lab = make_lab(phones=2, far=1, lans=2)
    lab.net.router.run("iptables-legacy", "-w", "-P", "FORWARD", "DROP")
    lab.registrar()
    return lab


def test_they_hear_each_other_across_the_router(lab: Lab) -> None:
    gateway = lab.gateway({"media.silence": 1})
    alice, carol = lab.phone("alice"), lab.phone("carol")
    for phone in (alice, carol):
        phone.register()
    outside = lab.capture(lab.net.router, "wan0")
    wires = {phone: lab.capture(phone.host, "eth0") for phone in (alice, carol)}
    out, incoming = connect(alice, carol)
    hear(out, incoming, packets=75)
    # that is longer than they might have been silent
    calls = gateway.ask("calls")
    assert {call["phone"].partition(":")[0] for call in calls} == {"10.0.0.11", "10.0.1.12"}
    for call in calls:
        rtp = call["media"][0]
        assert min(rtp["packets_in"], rtp["packets_out"]) >= 50
    out.hangup()
    assert min(*out.counts(), *incoming.counts()) >= 75
    for phone, peer in ((alice, carol), (carol, alice)):
        assert {datagram.source.ip for datagram in wires[phone].rtp(destination=phone.address)} == {peer.address}
    assert len(outside.sip("INVITE")) == 2
    assert outside.rtp() == []
    until_none("a trace of the call", lambda: traces_of_calls(lab.net.router))
    assert lab.net.leaks() == 0


def test_nothing_else_crosses_from_one_lan_to_the_other(lab: Lab) -> None:
    lab.gateway()
    alice, carol = (lab.phone(user, rtp_ports=(16384, 16385)) for user in ("alice", "carol"))
    for phone in (alice, carol):
        phone.register()
    out, incoming = connect(alice, carol)
    hear(out, incoming)
    [noise, listener] = [lab.rtp(phone.host, phone.address, 40000) for phone in (alice, carol)]
    noise.send(listener.address, 3)
    assert listener.hears_nothing()
    at_carol = lab.capture(carol.host, "eth0")
    noise.send(listener.address._replace(port=16384), 3)
    hear(incoming, packets=5)
    assert {datagram.source.port for datagram in at_carol.rtp(source=alice.address)} == {16384}


def test_each_lan_speaks_with_the_world(lab: Lab) -> None:
    lab.gateway()
    alice, carol, bob = lab.phone("alice"), lab.phone("carol"), lab.far_phone("bob")
    for phone in (alice, carol, bob):
        phone.register()
    for phone in (alice, carol):
        converse(phone, bob)
        converse(bob, phone)
    assert lab.net.leaks() == 0
