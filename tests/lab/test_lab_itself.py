"""The lab tells good from bad: calls work where they must, and die where only the gateway could save them."""

import socket
import struct
import time
from pathlib import Path

import pytest

from rules.model import Endpoint
from tests.lab import lab as labs
from tests.lab.conftest import LabMaker
from tests.lab.gateway import conntrack, router_state
from tests.lab.lab import Lab
from tests.lab.registrar import PORT
from tests.lab.talk import connect
from tests.lab.topology import PROVIDER, ROUTER_OUTSIDE
from tests.support.journal import MissedError
from tests.support.netns import Namespace
from tests.support.process import Process

pytestmark = [pytest.mark.root, pytest.mark.lab]


def test_two_phones_of_the_provider_hear_each_other(make_lab: LabMaker) -> None:
    lab = make_lab(phones=0, far=2)
    lab.registrar(auth=True)
    alice, bob = lab.far_phone("alice"), lab.far_phone("bob")
    wire = lab.capture(lab.net.far[0], "eth0")
    alice.register()
    bob.register()
    out, incoming = connect(alice, bob)
    out.wait_audio()
    incoming.wait_audio()
    wire.wait_rtp(25, destination=alice.address)
    wire.wait_rtp(25, source=alice.address)
    out.hangup()
    assert min(*out.counts(), *incoming.counts()) >= 24
    assert all(datagram.checksum_ok for datagram in wire.datagrams)
    assert lab.net.leaks() == 0


def test_a_phone_can_be_given_one_port_for_its_audio(make_lab: LabMaker) -> None:
    lab = make_lab(phones=0, far=2)
    lab.registrar()
    alice = lab.far_phone("alice", rtp_ports=(16384, 16385))
    bob = lab.far_phone("bob", rtp_ports=(16384, 16385), auto_answer=True)
    wire = lab.capture(lab.net.far[0], "eth0")
    bob.register()
    alice.register()
    alice.dial("bob").wait_audio()
    assert "m=audio 16384 " in wire.wait_sip("INVITE").text
    assert "m=audio 16384 " in wire.wait_sip("SIP/2.0 200", after=len(wire.sip("REGISTER")) * 2).text


def test_a_held_call_comes_back(make_lab: LabMaker) -> None:
    lab = make_lab(phones=0, far=2)
    lab.registrar()
    alice, bob = lab.far_phone("alice"), lab.far_phone("bob", auto_answer=True)
    wire = lab.capture(lab.net.far[0], "eth0")
    alice.register()
    bob.register()
    call = alice.dial("bob")
    call.wait_established()
    for change, direction in ((call.hold, "a=sendonly"), (call.resume, "a=sendrecv")):
        seen = len(wire.datagrams)
        change()
        assert direction in wire.wait_sip("INVITE", after=seen).text
        wire.wait_sip("ACK", after=seen)
    wire.wait_rtp(5, after=len(wire.datagrams))


def test_behind_a_plain_router_a_call_out_stays_silent(lab: Lab) -> None:
    lab.net.masquerade()
    lab.registrar()
    alice, bob = lab.phone("alice"), lab.far_phone("bob", auto_answer=True)
    bob.register()
    alice.register()
    wire = lab.capture(lab.net.far[0], "eth0")
    call = alice.dial("bob")
    call.wait_established()
    wire.wait_rtp(10, source=bob.address)
    # bob's audio goes to the address in alice's SDP, which exists only in her house
    assert {datagram.destination.ip for datagram in wire.rtp(source=bob.address)} == {alice.address}
    assert lab.net.leaks() > 0
    with pytest.raises(MissedError):
        call.wait_audio(timeout=0.5)


def test_behind_a_plain_router_a_phone_cannot_be_called(lab: Lab) -> None:
    lab.net.masquerade()
    registrar = lab.registrar()
    alice, bob = lab.phone("alice"), lab.far_phone("bob")
    alice.register()
    bob.register()
    assert alice.address in registrar.contacts("alice")[0]
    bob.dial("alice")
    with pytest.raises(MissedError):
        alice.wait_incoming(timeout=1)
    assert lab.net.leaks() > 0


def test_the_registrar_wants_credentials_and_forgets_who_leaves(make_lab: LabMaker) -> None:
    lab = make_lab(phones=0, far=1)
    registrar = lab.registrar(auth=True)
    wire = lab.capture(lab.net.provider, "eth0")
    alice = lab.far_phone("alice")
    alice.register()
    assert [message.text.split(" ")[1] for message in wire.sip("SIP/2.0")] == ["401", "200"]
    assert len(registrar.contacts("alice")) == 1
    seen = len(wire.datagrams)
    alice.unregister()
    wire.wait_sip("SIP/2.0 200", after=seen)
    assert registrar.contacts("alice") == []


@pytest.mark.parametrize(("rport", "port"), [(True, 7000), (False, PORT)])
def test_the_registrar_can_ignore_rport(lab: Lab, rport: bool, port: int) -> None:
    lab.net.masquerade()
    to_port = ("-p", "udp", "-j", "MASQUERADE", "--to-ports", "7000")
    lab.net.router.run("iptables-legacy", "-w", "-t", "nat", "-I", "POSTROUTING", *to_port)
    lab.registrar(rport=rport)
    wire = lab.capture(lab.net.router, "wan0")
    lab.sipp(lab.net.phones[0], lab.net.phone_address(0), "register", user="alice")
    assert wire.wait_sip("SIP/2.0 200").destination == Endpoint(ROUTER_OUTSIDE, port)


@pytest.mark.parametrize("size", [None, 1460, 9000])
def test_sipp_calls_sipp_with_an_invite_of_any_size(make_lab: LabMaker, size: int | None) -> None:
    lab = make_lab(phones=0, far=2)
    lab.registrar()
    (caller, called), here, there = lab.net.far, lab.net.far_address(0), lab.net.far_address(1)
    wire = lab.capture(caller, "eth0")
    lab.sipp(called, there, "register", user="bob").wait()
    answering = lab.sipp(called, there, "answer", user="bob", calls=3)
    calling = lab.sipp(caller, here, "invite", user="alice", calls=3, size=size)
    calling.wait()
    answering.wait()
    assert (calling.successful, calling.failed, answering.successful) == (3, 0, 3)
    invites = wire.sip("INVITE")
    assert len(invites) == len(answering.received("INVITE")) == 3
    if size is not None:
        assert {len(invite.payload) for invite in invites} == {size}
        assert {invite.fragments > 1 for invite in invites} == {size > 1472}


@pytest.mark.parametrize(("caller", "called"), [("cancel", "ring"), ("refused", "busy")])
def test_sipp_calls_that_come_to_nothing(make_lab: LabMaker, caller: str, called: str) -> None:
    lab = make_lab(phones=0, far=2)
    lab.registrar()
    lab.sipp(lab.net.far[1], lab.net.far_address(1), "register", user="bob").wait()
    other = lab.sipp(lab.net.far[1], lab.net.far_address(1), called, user="bob")
    lab.sipp(lab.net.far[0], lab.net.far_address(0), caller, user="alice").wait()
    other.wait()


def test_rtp_endpoints_say_who_reached_them(lab: Lab) -> None:
    lab.net.masquerade()
    inside = lab.rtp(lab.net.phones[0], lab.net.phone_address(0), 16384)
    outside = lab.rtp(lab.net.far[0], lab.net.far_address(0), 30000)
    inside.send(outside.address, 3)
    heard = outside.hear(3)
    assert [packet.number for packet in heard] == [1, 2, 3]
    assert {packet.source for packet in heard} == {Endpoint(ROUTER_OUTSIDE, 16384)}
    assert len(conntrack(lab.net.router, "-p", "udp", "--dport", "30000")) == 1
    outside.send(inside.address)
    assert inside.hears_nothing()
    assert lab.net.leaks() == 1


def test_a_wrong_checksum_is_seen_and_not_delivered(lab: Lab) -> None:
    wire = lab.capture(lab.net.internet, "provider")
    receiver = lab.rtp(lab.net.provider, PROVIDER, 9)
    payload = struct.pack("!BBHII", 0x80, 0, 1, 0, 0)
    datagram = struct.pack("!HHHH", 9, 9, 8 + len(payload), 0x1234) + payload
    with lab.net.internet.open_socket(kind=socket.SOCK_RAW, proto=socket.IPPROTO_UDP) as raw:
        raw.sendto(datagram, (PROVIDER, 0))
    wire.wait_rtp(1)
    assert [packet.checksum_ok for packet in wire.datagrams] == [False]
    assert receiver.hears_nothing()


def test_the_routers_address_changes(lab: Lab) -> None:
    lab.net.masquerade()
    lab.net.firewall()
    before = router_state(lab.net.router)
    lab.net.change_outside_address("198.51.100.2")
    inside = lab.rtp(lab.net.phones[0], lab.net.phone_address(0), 16384)
    outside = lab.rtp(lab.net.far[0], lab.net.far_address(0), 30000)
    inside.send(outside.address)
    assert outside.hear(1)[0].source == Endpoint("198.51.100.2", 16384)
    assert router_state(lab.net.router) == before


def test_everything_ends_with_the_lab_however_it_ends(tmp_path: Path) -> None:
    programs: list[Process] = []
    hosts: list[Namespace] = []

    def fail() -> None:
        with labs.lab(directory=tmp_path) as lab:
            programs.extend((lab.registrar().process, lab.phone("alice").program.process))
            hosts.extend((lab.net.router, lab.net.provider, *lab.net.phones))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not any(program.running for program in programs)
    assert not any(Path("/run/netns", host.name).exists() for host in hosts)


def test_a_captured_call_can_be_looked_at_later(lab: Lab) -> None:
    wire = lab.capture(lab.net.provider, "eth0")
    started = time.time()
    lab.registrar()
    lab.rtp(lab.net.far[0], lab.net.far_address(0)).send(Endpoint(PROVIDER, 9))
    assert wire.wait_rtp(1)[0].time >= started
    wire.save(lab.directory / "wire.pcap")
    assert (lab.directory / "wire.pcap").stat().st_size > 24
