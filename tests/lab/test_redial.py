"""The line goes down and comes back with another address, as with PPPoE each night and DHCP now and then."""

import re
from collections.abc import Callable

import pytest

from rules.model import Endpoint
from tests.lab.agent import Agent, hang_up
from tests.lab.agent import connect as dial
from tests.lab.gateway import conntrack, router_state
from tests.lab.lab import Lab
from tests.lab.talk import connect, converse, hear, traces_of_calls
from tests.lab.topology import ROUTER_OUTSIDE
from tests.support.netns import Namespace
from tests.support.until import until, until_none

pytestmark = [pytest.mark.root, pytest.mark.lab]

NEW = "198.51.100.2"
_SERVICE = 8080


def down_and_up(lab: Lab) -> None:
    """The interface stays, its address goes while it is down."""
    lab.net.router.run("ip", "link", "set", "wan0", "down")
    lab.net.router.run("ip", "addr", "flush", "dev", "wan0")
    lab.net.router.run("ip", "link", "set", "wan0", "up")
    lab.net.reconnect(NEW)


def gone_and_back(lab: Lab) -> None:
    """The interface goes, and another one of its name comes."""
    lab.net.unplug_outside()
    lab.net.plug_outside()
    lab.net.reconnect(NEW)


@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize("redial", [down_and_up, gone_and_back])
def test_a_redial_in_a_call(lab: Lab, redial: Callable[[Lab], None]) -> None:
    registrar = lab.registrar()
    gateway = lab.gateway({"sip.max_expires": 10})
    alice, bob = lab.phone("alice"), lab.far_phone("bob")
    bob.register()
    alice.register()
    out, incoming = connect(alice, bob)
    hear(out, incoming)
    begin_foreign_flows(lab)
    foreign = foreign_flows(lab.net.router)
    assert len(foreign) == 2
    assert conntrack(lab.net.router, "-p", "udp", "--reply-dst", ROUTER_OUTSIDE)
    at_bob = lab.capture(bob.host, "eth0")

    redial(lab)

    gateway.wait_log(f"announcing {NEW}")
    # what leaves the house goes on, from the new address and the same port
    [packet, *_] = at_bob.wait_rtp(10, source=NEW)
    assert packet.source.port == 20000
    state = router_state(lab.net.router)
    ours = [rule for rule in state.rules if "sipmasq" in rule] + state.nftables.splitlines()
    assert any(re.search(rf"\b{NEW}\b.* call ", rule) for rule in ours)
    assert not [rule for rule in ours if re.search(rf"\b{ROUTER_OUTSIDE}\b", rule)]
    until(
        "no flow is translated to the old address",
        lambda: not conntrack(lab.net.router, "-p", "udp", "--reply-dst", ROUTER_OUTSIDE),
    )
    assert foreign_flows(lab.net.router) == foreign
    # granted for an hour, the phone was told of ten seconds: nobody has to do anything
    until(
        "the phone has registered with its new address",
        lambda: any(contact.endswith(f"@{NEW}:5060") for contact in registrar.contacts("alice")),
        timeout=12,
    )
    out.hangup()
    incoming.wait_closed()
    converse(bob, alice)
    until_none("something left of the calls", lambda: traces_but_of_misled(lab.net.router))
    assert lab.net.leaks() == 0


def traces_but_of_misled(router: Namespace) -> list[str]:
    """What calls have left, but for what the far side went on sending to the old address: nobody's any more."""
    return [trace for trace in traces_of_calls(router) if f" dst={ROUTER_OUTSIDE} " not in trace]


def begin_foreign_flows(lab: Lab) -> None:
    """A service inside that the operator has forwarded, used from far, and one of the router that the phone uses."""
    router, phone, far = lab.net.router, lab.net.phones[0], lab.net.far[0]
    router.run(
        "iptables-legacy", "-w", "-t", "nat", "-A", "PREROUTING", "-d", ROUTER_OUTSIDE, "-p", "udp",
        "--dport", str(_SERVICE), "-j", "DNAT", "--to-destination", lab.net.phone_address(0),
    )  # fmt: skip
    with phone.open_socket() as service, far.open_socket() as user:
        service.bind((lab.net.phone_address(0), _SERVICE))
        service.settimeout(3)
        user.sendto(b"hello", (ROUTER_OUTSIDE, _SERVICE))
        service.recv(100)
        service.sendto(b"hello", ("10.0.0.1", _SERVICE))


def foreign_flows(router: Namespace) -> set[str]:
    """The addresses of the flows that are none of the gateway's, both directions."""
    lines = conntrack(router, "-p", "udp", "--orig-port-dst", str(_SERVICE))
    return {" ".join(word for word in line.split() if word[:3] in ("src", "dst", "spo", "dpo")) for line in lines}


def test_a_line_that_is_renamed_is_waited_for(lab: Lab) -> None:
    """Rules match interfaces by name: by another one it is none of ours, and what it had is over."""
    gateway = lab.gateway()
    home = lab.agent(lab.net.phones[0], lab.net.phone_address(0), user="home")
    far = lab.agent(lab.net.far[0], lab.net.far_address(0), user="far")
    ear = lab.rtp(lab.net.phones[0], home.address.ip, 16384)
    mouth = lab.rtp(lab.net.far[0], far.address.ip, 30000)
    talk_to(home, far, ear.address, mouth.address)
    hang_up(home, far)
    router = lab.net.router
    for name in ("wan0", "lan0"):
        seen = len(gateway.log)
        rename(router, name, "other0")
        gateway.wait_log(f"interface {name} does not exist; waiting for it", after=seen)
        seen = len(gateway.log)
        rename(router, "other0", name)
        gateway.wait_log(f"interface {name} is back", after=seen)
        if name == "wan0":
            lab.net.restore_default_route()
        public = talk_to(home, far, ear.address, mouth.address)
        mouth.send(public, 3)
        assert len(ear.hear(3)) == 3
        hang_up(home, far)
    assert lab.net.leaks() == 0


def rename(router: Namespace, name: str, other: str) -> None:
    """As udev does it: it needs the interface down, and its addresses stay."""
    router.run("ip", "link", "set", name, "down")
    router.run("ip", "link", "set", name, "name", other)
    router.run("ip", "link", "set", other, "up")


def talk_to(home: Agent, far: Agent, mine: Endpoint, theirs: Endpoint) -> Endpoint:
    """Begin a call; where the far side was told to send."""
    _, public = dial(home, far, far.address, mine, theirs)
    return public
