"""The router's addresses change under way, or are not those that the world knows it by."""

import pytest

from rules.model import Endpoint
from tests.lab.agent import Agent, connect
from tests.lab.gateway import conntrack, router_state
from tests.lab.lab import Lab
from tests.lab.talk import connect as call
from tests.lab.talk import converse, hear
from tests.lab.topology import ROUTER_OUTSIDE
from tests.support.until import until

pytestmark = [pytest.mark.root, pytest.mark.lab]

NEW = "198.51.100.2"


def agents(lab: Lab) -> tuple[Agent, Agent]:
    """One at home, one far away."""
    return (
        lab.agent(lab.net.phones[0], lab.net.phone_address(0), user="home"),
        lab.agent(lab.net.far[0], lab.net.far_address(0), user="far"),
    )


def test_a_new_outside_address_in_a_call(lab: Lab) -> None:
    registrar = lab.registrar()
    gateway = lab.gateway()
    alice, bob = lab.phone("alice"), lab.far_phone("bob")
    bob.register()
    alice.register()
    out, incoming = call(alice, bob)
    hear(out, incoming)
    at_bob = lab.capture(bob.host, "eth0")
    lab.net.change_outside_address(NEW)
    gateway.wait_log(f"announcing {NEW}")
    # what leaves the house goes on, from the new address and the same port
    [packet, *_] = at_bob.wait_rtp(10, source=NEW)
    assert packet.source.port == 20000
    rules = router_state(lab.net.router).rules
    assert any(f"-d {NEW}/32" in rule and " call " in rule for rule in rules)
    assert not [rule for rule in rules if f" {ROUTER_OUTSIDE}/32" in rule or f" {ROUTER_OUTSIDE}:" in rule]
    until(
        "no flow is translated to the old address",
        lambda: not conntrack(lab.net.router, "-p", "udp", "--reply-dst", ROUTER_OUTSIDE),
    )
    # who was called hears the good-bye as well
    out.hangup()
    incoming.wait_closed()
    alice.register_anew()
    assert registrar.contacts("alice")[-1].endswith(f"@{NEW}:5060")
    converse(alice, bob)
    converse(bob, alice)
    assert lab.net.leaks() == 0


def test_while_there_is_no_outside_address_nothing_half_translated_leaves(lab: Lab) -> None:
    gateway = lab.gateway()
    home, far = agents(lab)
    outside = lab.capture(lab.net.router, "wan0")
    lab.net.router.run("ip", "addr", "flush", "dev", "wan0")
    lab.net.router.run("ip", "route", "add", "default", "dev", "wan0")
    gateway.wait_log("announcing None")
    home.invite(far.address, media=Endpoint(home.address.ip, 16384))
    refusal = home.wait("SIP/2.0 503")
    assert refusal.headers("Retry-After")
    assert outside.sip() == []
    seen = len(gateway.log)
    lab.net.router.run("ip", "route", "del", "default")
    lab.net.router.run("ip", "addr", "add", f"{ROUTER_OUTSIDE}/24", "dev", "wan0")
    lab.net.router.run("ip", "route", "add", "default", "via", "198.51.100.254")
    gateway.wait_log(f"announcing {ROUTER_OUTSIDE}, was None", after=seen)
    connect(home, far, far.address, Endpoint(home.address.ip, 16384), Endpoint(far.address.ip, 30000))


def test_a_network_that_is_added_inside_is_served_too(lab: Lab) -> None:
    gateway = lab.gateway()
    _, far = agents(lab)
    lab.net.router.run("ip", "addr", "add", "10.0.1.1/24", "dev", "lan0")
    until("the new network", lambda: "10.0.1.0/24" in gateway.ask("status")["networks"])
    phone = lab.net.phones[0]
    phone.run("ip", "addr", "add", "10.0.1.11/24", "dev", "eth0")
    phone.run("ip", "route", "replace", "default", "via", "10.0.1.1")
    guest, ear = lab.agent(phone, "10.0.1.11", user="guest"), lab.rtp(phone, "10.0.1.11", 16384)
    mouth = lab.rtp(lab.net.far[0], far.address.ip, 30000)
    _, public = connect(guest, far, far.address, ear.address, mouth.address)
    mouth.send(public, 3)
    assert len(ear.hear(3)) == 3
    ear.send(mouth.address, 3)
    assert {packet.source for packet in mouth.hear(3)} == {public}
    assert lab.net.leaks() == 0


def test_behind_another_nat_the_address_of_that_one_is_announced(lab: Lab) -> None:
    known_as = "203.0.113.77"
    one_to_one_nat(lab, known_as)
    gateway = lab.gateway({"outside.host": known_as})
    assert gateway.ask("status")["announced"] == known_as
    home, far = agents(lab)
    at_far = lab.capture(lab.net.far[0], "eth0")
    ear, mouth = lab.rtp(lab.net.phones[0], home.address.ip, 16384), lab.rtp(lab.net.far[0], far.address.ip, 30000)
    for caller, called, to, mine, theirs in (
        (home, far, far.address, ear, mouth),
        (far, home, Endpoint(known_as, 5060), mouth, ear),
    ):
        told = connect(caller, called, to, mine.address, theirs.address)
        public = told[1] if caller is home else told[0]
        assert public.ip == known_as
        mouth.send(public, 3)
        assert len(ear.hear(3)) == 3
        ear.send(mouth.address, 3)
        assert {packet.source for packet in mouth.hear(3)} == {public}
        caller.bye()
        called.wait("BYE")
        called.answer("200 OK")
        caller.wait("SIP/2.0 200")
    for text in (message.text for message in at_far.sip()):
        assert "10.0.0." not in text
        assert f"{ROUTER_OUTSIDE}:" not in text
    assert lab.net.leaks() == 0


def one_to_one_nat(lab: Lab, address: str) -> None:
    """The provider's own NAT: the router is known on the far side by another address than its own."""
    nat = ("iptables-legacy", "-w", "-t", "nat", "-A")
    lab.net.internet.run("ip", "addr", "add", f"{address}/32", "dev", "far")
    lab.net.internet.run(*nat, "PREROUTING", "-d", address, "-j", "DNAT", "--to-destination", ROUTER_OUTSIDE)
    lab.net.internet.run(*nat, "POSTROUTING", "-o", "far", "-s", ROUTER_OUTSIDE, "-j", "SNAT", "--to-source", address)
