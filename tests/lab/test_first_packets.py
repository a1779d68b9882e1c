"""What phones send before the router is ready for them leaves nothing behind that later packets would follow."""

import contextlib
import re
import threading
import time
from collections.abc import Iterator

import pytest

from rules.model import Endpoint
from tests.lab.agent import Agent, connect
from tests.lab.gateway import conntrack
from tests.lab.lab import Lab
from tests.lab.rtp import RtpEndpoint
from tests.lab.topology import ROUTER_INSIDE, ROUTER_OUTSIDE
from tests.support.capture import Datagram
from tests.support.netns import Namespace
from tests.support.until import until, until_none

pytestmark = [pytest.mark.root, pytest.mark.lab]

_KEEP_ALIVE_PORT = 5070
_EVERY = 0.01  # seconds


@contextlib.contextmanager
def talking(home: Agent, ear: RtpEndpoint, far: Endpoint, mouth: Endpoint) -> Iterator[None]:
    """For a block, a phone sends without a pause: it registers, keeps a connection alive, and sends audio."""
    over = threading.Event()

    def talk() -> None:
        while not over.wait(_EVERY):
            home.register(far)
            home.send(b"\r\n\r\n", far._replace(port=_KEEP_ALIVE_PORT))
            ear.send(mouth, 1)

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def translated(datagram: Datagram) -> Datagram | None:
    """SIP from the router's own address."""
    return datagram if datagram.source == Endpoint(ROUTER_OUTSIDE, 5060) else None


def untranslated(router: Namespace) -> list[str]:
    """The flows from an inside address whose replies go there as well, so that it is seen outside."""
    flow = re.compile(r"src=(10\.\S+) dst=(?!10\.).* dst=\1 ")
    return [line for line in conntrack(router, "-p", "udp") if flow.search(line)]


@pytest.mark.parametrize(
    ("each_backend", "forwards"),
    [("iptables", False), ("iptables", True), ("nftables", False)],  # no nft rule undoes that router's drop
    ids=["a router that waits for it", "a router that forwards", "a router that waits for it, nftables"],
    indirect=["each_backend"],
)
@pytest.mark.usefixtures("each_backend")
def test_a_phone_talks_while_the_gateway_starts(lab: Lab, forwards: bool) -> None:
    home = lab.agent(lab.net.phones[0], lab.net.phone_address(0), user="home")
    far = lab.agent(lab.net.far[0], lab.net.far_address(0), user="far")
    ear, mouth = (
        lab.rtp(lab.net.phones[0], home.address.ip, 16384),
        lab.rtp(lab.net.far[0], far.address.ip, 30000),
    )
    if forwards:
        lab.net.firewall()  # which tracks connections
        lab.net.router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    at_far = lab.capture(lab.net.far[0], "eth0")
    with talking(home, ear, far.address, mouth.address):
        if forwards:
            until("what leaks before there is a gateway", lambda: len(untranslated(lab.net.router)) == 3)
        lab.gateway()
        until_none("a flow untranslated", lambda: untranslated(lab.net.router))
        seen = len(at_far.datagrams)
        # what waited in the queue meanwhile is over when what came after it arrives
        at_far.datagrams.wait("a registration, translated", translated, after=seen)
        leaked = lab.net.leaks()
        at_far.datagrams.wait("thirty more", translated, after=seen, count=31)
        assert lab.net.leaks() == leaked
        assert leaked == 0 or forwards
        ends = {datagram.destination.port for datagram in list(at_far.datagrams)[seen:]}
        assert {5060, _KEEP_ALIVE_PORT, 30000} <= ends
    _call(home, far, ear, mouth)
    assert lab.net.leaks() == leaked


@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize("is_noticed", [True, False], ids=["for a while", "for a moment"])
def test_a_phone_talks_while_the_line_is_down(lab: Lab, is_noticed: bool) -> None:
    gateway = lab.gateway()
    home = lab.agent(lab.net.phones[0], lab.net.phone_address(0), user="home")
    far = lab.agent(lab.net.far[0], lab.net.far_address(0), user="far")
    ear, mouth = (
        lab.rtp(lab.net.phones[0], home.address.ip, 16384),
        lab.rtp(lab.net.far[0], far.address.ip, 30000),
    )
    at_far = lab.capture(lab.net.far[0], "eth0")
    with talking(home, ear, far.address, mouth.address):
        for address in ("198.51.100.2", "198.51.100.3"):
            seen = len(gateway.log)
            lab.net.unplug_outside()
            if is_noticed:
                gateway.wait_log("announcing None", after=seen)
                time.sleep(0.5)
            lab.net.plug_outside()
            # there is a way out, but no address yet to leave with
            lab.net.router.run("ip", "route", "add", "default", "dev", "wan0")
            time.sleep(0.2)
            lab.net.router.run("ip", "route", "del", "default")
            lab.net.reconnect(address)
            at_far.datagrams.wait(
                "a registration from the new address",
                lambda one, a=address: one if one.source == Endpoint(a, 5060) else None,  # type: ignore[misc]
            )
            until_none("a flow untranslated", lambda: untranslated(lab.net.router))
            until_none(
                "a flow with the address of another interface",
                lambda: conntrack(lab.net.router, "-p", "udp", "--reply-dst", ROUTER_INSIDE, "-d", far.address.ip),
            )
    leaked = lab.net.leaks()
    _call(home, far, ear, mouth)
    assert lab.net.leaks() == leaked
    assert leaked == 0 or not is_noticed


def _call(home: Agent, far: Agent, ear: RtpEndpoint, mouth: RtpEndpoint) -> None:
    """A call with audio both ways, at the address where the phone has sent from all the time."""
    _drain(home, far)
    _, public = connect(home, far, far.address, ear.address, mouth.address)
    mouth.hear(100_000, timeout=0.5)
    mouth.send(public, 3)
    assert len(ear.hear(3)) == 3
    ear.send(mouth.address, 3)
    assert {packet.source for packet in mouth.hear(3)} == {public}


def _drain(*agents: Agent) -> None:
    for agent in agents:
        with contextlib.suppress(AssertionError):
            while True:
                agent.receive(timeout=0.3)
