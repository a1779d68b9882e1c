"""Repeat offenders end in the kernel, and come back when the ban is lifted or over."""

import pytest

from rules.model import Endpoint
from tests.lab.agent import Agent, connect, hang_up
from tests.lab.conftest import LabMaker
from tests.lab.gateway import Gateway
from tests.lab.lab import Lab
from tests.lab.topology import PROVIDER, ROUTER_OUTSIDE
from tests.support.until import until

pytestmark = [pytest.mark.root, pytest.mark.lab]

PUBLIC = Endpoint(ROUTER_OUTSIDE, 5060)
BANNING = {"bans.after": 3, "bans.seconds": 600}


@pytest.fixture
def lab(make_lab: LabMaker) -> Lab:
    return make_lab(phones=1, far=1)


def register(lab: Lab) -> tuple[Agent, Agent]:
    home = lab.agent(lab.net.phones[0], lab.net.phone_address(0), user="home")
    provider = lab.agent(lab.net.provider, PROVIDER, user="provider")
    home.register(provider.address)
    provider.wait("REGISTER")
    provider.answer("200 OK")
    home.wait("SIP/2.0 200")
    return home, provider


def dropped(gateway: Gateway) -> int:
    return int(gateway.ask("status")["counters"].get("dropped: caller", 0))


def knock(gateway: Gateway, scanner: Agent) -> None:
    before = dropped(gateway)
    scanner.invite(PUBLIC)
    until("it is dropped", lambda: dropped(gateway) == before + 1)


def in_kernel(lab: Lab) -> str:
    listed = lab.net.router.run("ipset", "save", "sipmasq-banned").splitlines()
    return " ".join(line.split()[2] for line in listed if line.startswith("add"))


def test_an_offender_is_banned_until_it_is_lifted(lab: Lab) -> None:
    gateway = lab.gateway(BANNING)
    home, provider = register(lab)
    scanner = lab.agent(lab.net.far[0], lab.net.far_address(0), user="100")
    assert gateway.cli("bans") == "nobody is banned\n"
    for _ in range(3):
        knock(gateway, scanner)
    gateway.wait_log("banned: 203.0.113.20 for 600 s: dropped 3 times caller")
    until("the kernel has it", lambda: in_kernel(lab) == "203.0.113.20")
    queued = gateway.ask("status")["queue"]["received"]
    for _ in range(5):
        scanner.invite(PUBLIC)
    # calls go on; what the scanner sent before them has not come to the queue: three messages each for call and end
    far_ear, ear = Endpoint(PROVIDER, 30000), Endpoint(home.address.ip, 16384)
    connect(provider, home, PUBLIC, far_ear, ear)
    hang_up(provider, home)
    assert gateway.ask("status")["queue"]["received"] == queued + 5
    [ban] = gateway.cli("bans", "--json")
    assert (ban["address"], ban["why"]) == ("203.0.113.20", "3 times caller")
    assert 0 < ban["expires_in"] <= 600
    # it outlives a reload, and whoever empties the set
    assert "read again" in gateway.reload()
    lab.net.router.run("ipset", "flush", "sipmasq-banned")
    lab.net.router.run("iptables-legacy", "-w", "-t", "mangle", "-F")
    until("the rules are mended", lambda: gateway.ask("differences") == [])
    until("it is banned again", lambda: in_kernel(lab) == "203.0.113.20")
    assert gateway.cli("bans", "--lift", "203.0.113.20") == "nobody is banned\n"
    assert in_kernel(lab) == ""
    knock(gateway, scanner)
    assert gateway.run("bans", "--lift", "203.0.113.20").stderr == "sipmasq: 203.0.113.20 is not banned\n"
    assert gateway.stop() == 0
    assert "sipmasq" not in lab.net.router.run("ipset", "save")


def test_a_ban_ends_by_itself(lab: Lab) -> None:
    gateway = lab.gateway({"bans.after": 3, "bans.seconds": 1})
    register(lab)
    scanner = lab.agent(lab.net.far[0], lab.net.far_address(0), user="100")
    for _ in range(3):
        knock(gateway, scanner)
    until("it is banned", lambda: len(gateway.ask("bans")) == 1)
    until("it is over", lambda: gateway.ask("bans") == [] and in_kernel(lab) == "")
    knock(gateway, scanner)


def test_nobody_is_unless_the_operator_wants_it(lab: Lab) -> None:
    gateway = lab.gateway()
    register(lab)
    scanner = lab.agent(lab.net.far[0], lab.net.far_address(0), user="100")
    for _ in range(20):
        knock(gateway, scanner)
    assert (gateway.ask("bans"), in_kernel(lab)) == ([], "")
