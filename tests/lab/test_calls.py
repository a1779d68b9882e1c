"""Real phones call each other through the gateway, and hear each other."""

import pytest

from tests.lab.conftest import LabMaker
from tests.lab.lab import Lab
from tests.lab.talk import connect, converse, hear, traces_of_calls
from tests.lab.topology import PROVIDER, ROUTER_OUTSIDE
from tests.support.capture import Capture, Datagram
from tests.support.until import until_none

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.usefixtures("each_backend")]

BYE_ANSWERED = 1.0
"""Seconds from the final response within which nothing of a call may be left."""


@pytest.mark.parametrize("auth", [False, True])
def test_a_call_out(lab: Lab, auth: bool) -> None:
    lab.gateway()
    alice, bob = lab.registered(auth=auth)
    converse(alice, bob)
    assert lab.net.leaks() == 0


def test_a_call_in(lab: Lab) -> None:
    lab.gateway()
    alice, bob = lab.registered()
    converse(bob, alice)
    assert lab.net.leaks() == 0


@pytest.mark.parametrize("each_backend", ["iptables"], indirect=True)
def test_calls_go_through_a_router_that_drops_what_it_forwards(lab: Lab) -> None:
    lab.net.router.run("iptables-legacy", "-w", "-P", "FORWARD", "DROP")
    lab.gateway()
    alice, bob = lab.registered()
    converse(alice, bob)
    converse(bob, alice)
    assert lab.net.leaks() == 0


@pytest.mark.parametrize("caller_hangs_up", [True, False])
def test_nothing_of_a_call_is_left_a_second_after_its_end(lab: Lab, caller_hangs_up: bool) -> None:
    lab.gateway()
    alice, bob = lab.registered()
    wire = lab.capture(lab.net.router, "wan0")
    out, incoming = connect(alice, bob)
    hear(out, incoming)
    # four rules and four entries for RTP and RTCP, and the flows
    assert len(traces_of_calls(lab.net.router)) > 8
    seen = len(wire.datagrams)
    (out if caller_hangs_up else incoming).hangup()
    wire.wait_sip("SIP/2.0 200", after=seen)
    until_none("a trace of the call", lambda: traces_of_calls(lab.net.router), timeout=BYE_ANSWERED)


def test_audio_never_comes_to_user_space(lab: Lab) -> None:
    gateway = lab.gateway()
    alice, bob = lab.registered()
    out, incoming = connect(alice, bob)
    hear(out, incoming, packets=1)
    before = gateway.ask("status")["queue"]
    assert before["received"] > 0
    hear(out, incoming, packets=50)
    assert gateway.ask("status")["queue"] == before


def test_two_phones_with_the_same_ports_call_at_the_same_time(make_lab: LabMaker) -> None:
    lab = make_lab(phones=2, far=2)
    lab.registrar()
    lab.gateway()
    same = {"sip_port": 5060, "rtp_ports": (16384, 16385)}
    alice, carol = lab.phone("alice", **same), lab.phone("carol", **same)
    bob, dave = lab.far_phone("bob", **same), lab.far_phone("dave", **same)
    for phone in (alice, carol, bob, dave):
        phone.register()
    with Capture(alice.host, "eth0") as at_alice, Capture(carol.host, "eth0") as at_carol:
        # one calls, the other is called
        calls = (*connect(alice, bob), *connect(dave, carol))
        hear(*calls)
        for wire, phone, peer in ((at_alice, alice, bob), (at_carol, carol, dave)):
            heard = wire.rtp(destination=phone.address)
            assert {datagram.source.ip for datagram in heard} == {peer.address}
            assert {datagram.destination.port for datagram in heard} == {16384}
    # the end of one call leaves the other as it is
    calls[0].hangup()
    calls[1].wait_closed()
    hear(*calls[2:])
    calls[2].hangup()
    for call in calls:
        assert call.counts().received >= 25
    assert lab.net.leaks() == 0


def test_two_phones_of_one_house_hear_each_other_directly(make_lab: LabMaker) -> None:
    lab = make_lab(phones=2, far=0)
    lab.registrar()
    lab.gateway()
    alice, carol = lab.phone("alice"), lab.phone("carol")
    alice.register()
    carol.register()
    outside, at_carol = lab.capture(lab.net.router, "wan0"), lab.capture(carol.host, "eth0")
    out, incoming = connect(alice, carol)
    hear(out, incoming)
    assert outside.sip("INVITE")
    assert {datagram.source.ip for datagram in at_carol.rtp(destination=carol.address)} == {alice.address}
    out.hangup()
    assert min(*out.counts(), *incoming.counts()) >= 25
    assert outside.rtp() == []
    until_none("a trace of the call", lambda: traces_of_calls(lab.net.router), timeout=BYE_ANSWERED)
    assert lab.net.leaks() == 0


def test_a_held_call_comes_back_on_the_same_ports(lab: Lab) -> None:
    lab.gateway()
    alice, bob = lab.registered()
    wire = lab.capture(bob.host, "eth0")
    out, incoming = connect(alice, bob)
    hear(out, incoming)
    for change, direction in ((out.hold, "a=sendonly"), (out.resume, "a=sendrecv")):
        seen = len(wire.datagrams)
        change()
        assert direction in wire.wait_sip("INVITE", after=seen).text
        wire.wait_sip("ACK", after=seen)
    hear(out, incoming)
    offers = {
        line for message in wire.sip("INVITE") for line in message.text.splitlines() if line[:2] in ("c=", "m=")
    }
    assert {line.split(" ")[1] for line in offers if line.startswith("m=")} == {"20000"}
    assert {datagram.destination.port for datagram in wire.rtp(source=bob.address)} == {20000}
    out.hangup()
    until_none("a trace of the call", lambda: traces_of_calls(lab.net.router))


def test_calls_between_the_same_ports_follow_one_another_at_once(lab: Lab) -> None:
    # what the last call left in the kernel must not bend the flows of the next
    lab.gateway()
    alice, bob = lab.registered()
    for _ in range(4):
        converse(alice, bob, packets=5)
        converse(bob, alice, packets=5)


def test_the_provider_never_reads_a_private_address(lab: Lab) -> None:
    lab.gateway()
    wire = lab.capture(lab.net.provider, "eth0")
    alice, bob = lab.registered(auth=True)
    converse(alice, bob)
    converse(bob, alice)
    alice.unregister()
    wire.wait_sip("SIP/2.0 200", after=len(wire.datagrams) - 1)
    ours = [datagram for datagram in wire.datagrams if datagram.is_sip and ROUTER_OUTSIDE in _ends(datagram)]
    assert {datagram.text.split(" ")[0] for datagram in ours} >= {"REGISTER", "INVITE", "ACK", "BYE", "SIP/2.0"}
    assert [datagram.text for datagram in ours if b"10.0.0." in datagram.payload] == []
    assert all(datagram.checksum_ok for datagram in wire.datagrams)
    assert PROVIDER in _ends(ours[0])


def _ends(datagram: Datagram) -> tuple[str, str]:
    return datagram.source.ip, datagram.destination.ip
