"""A flood ends in the kernel, and calls go on meanwhile."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from rules.model import Endpoint
from tests.lab.agent import Agent, connect, hang_up
from tests.lab.conftest import LabMaker
from tests.lab.gateway import Gateway
from tests.lab.lab import Lab
from tests.lab.topology import PROVIDER, ROUTER_OUTSIDE
from tests.support.netns import Namespace
from tests.support.until import until

pytestmark = [pytest.mark.root, pytest.mark.lab]

PUBLIC = Endpoint(ROUTER_OUTSIDE, 5060)
RATE, SECONDS = 20_000, 4
TREE = Path(__file__).parents[2]


@pytest.fixture
def lab(make_lab: LabMaker) -> Lab:
    """A phone at home, and a scanner far away."""
    lab = make_lab(phones=1, far=1)
    for name in ("all", "default", "wan0", "lan0"):
        lab.net.router.run("sysctl", "-qw", f"net.ipv4.conf.{name}.rp_filter=0")
    return lab


def flood(host: Namespace, to: Endpoint, network: str = "") -> "subprocess.Popen[bytes]":
    words = (to.ip, str(to.port), str(RATE), str(SECONDS), *filter(None, [network]))
    return host.start(sys.executable, "-m", "tests.lab.flood", *words, cwd=TREE, stdout=subprocess.PIPE)


def ended(flooding: "subprocess.Popen[bytes]") -> int:
    """How many it has sent."""
    said, _ = flooding.communicate(timeout=60)
    return int(said)


def register(lab: Lab) -> tuple[Agent, Agent]:
    """The phone and its provider."""
    home = lab.agent(lab.net.phones[0], lab.net.phone_address(0), user="home")
    provider = lab.agent(lab.net.provider, PROVIDER, user="provider")
    home.register(provider.address)
    provider.wait("REGISTER")
    provider.answer("200 OK")
    home.wait("SIP/2.0 200")
    return home, provider


def talk(lab: Lab, home: Agent, provider: Agent) -> float:
    """A call in is set up, heard both ways without loss, and ends; how long setting it up took."""
    ear, mouth = lab.rtp(lab.net.phones[0], home.address.ip, 16384), lab.rtp(lab.net.provider, PROVIDER, 30000)
    begun = time.monotonic()
    at_phone, at_provider = connect(provider, home, PUBLIC, mouth.address, ear.address)
    took = time.monotonic() - begun
    for _ in range(50):
        mouth.send(at_phone)
        ear.send(at_provider)
        time.sleep(0.02)
    assert len(ear.hear(50)) == len(mouth.hear(50)) == 50
    hang_up(provider, home)
    return took


def queued(gateway: Gateway) -> int:
    return int(gateway.ask("status")["queue"]["received"])


@pytest.mark.parametrize("network", ["", "198.18.0.0/15"], ids=["one scanner", "forged senders"])
def test_a_call_is_set_up_heard_and_ended_in_the_middle_of_a_flood(lab: Lab, network: str) -> None:
    gateway = lab.gateway()
    home, provider = register(lab)
    flooding = flood(lab.net.far[0], PUBLIC, network)
    until("the flood is there", lambda: gateway.ask("status")["flooded"] > RATE // 10)
    took = talk(lab, home, provider)
    assert flooding.poll() is None, "the flood was over before the call"
    sent = ended(flooding)
    status = gateway.ask("status")
    assert took < 0.5
    assert sent == RATE * SECONDS
    # all that came through: the share of a second each second, and a burst
    assert status["queue"]["received"] < 2000 + 2000 * (SECONDS + 4)
    assert status["flooded"] > sent * 0.7
    assert status["queue"]["dropped_full"] == status["queue"]["dropped_undelivered"] == 0
    assert "packets dropped before the queue" in gateway.cli("status")


def test_a_flood_from_inside_leaves_the_others_their_calls(make_lab: LabMaker) -> None:
    lab = make_lab(phones=2, far=1)
    gateway = lab.gateway()
    home, provider = register(lab)
    flooding = flood(lab.net.phones[1], Endpoint(lab.net.far_address(0), 5060))
    until("the flood is there", lambda: gateway.ask("status")["flooded"] > RATE // 10)
    assert talk(lab, home, provider) < 0.5
    sent = ended(flooding)
    assert gateway.ask("status")["flooded"] > sent * 0.7
    assert queued(gateway) < 2000 + 1000 * (SECONDS + 4)


def test_a_flood_in_the_providers_name_is_bounded_too(lab: Lab) -> None:
    """Whoever forges that address takes the provider's own share, and no more."""
    gateway = lab.gateway({"sip.flood": 100, "sip.flood_burst": 100})
    register(lab)
    sent = ended(flood(lab.net.far[0], PUBLIC, f"{PROVIDER}/32"))
    assert gateway.ask("status")["flooded"] > sent * 0.7
    assert queued(gateway) < 100 + 100 * (SECONDS + 4)


def test_another_rate_holds_at_once(lab: Lab) -> None:
    """The kernel keeps the rate of a table of sources as long as any rule names it."""
    gateway = lab.gateway()
    register(lab)
    gateway.configure({"sip.flood": 10, "sip.flood_burst": 10})
    assert "read again" in gateway.reload()
    before = queued(gateway)
    ended(flood(lab.net.far[0], PUBLIC))
    assert queued(gateway) - before < 10 + 10 * (SECONDS + 4)
