"""Who rings a phone from outside: its provider, all machines of it that the DNS names, and no scanner."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rules.model import Endpoint
from tests.lab.agent import Agent
from tests.lab.conftest import LabMaker
from tests.lab.lab import Lab
from tests.lab.topology import PROVIDER, ROUTER_OUTSIDE
from tests.support.until import until
from tests.support.zone import zone

pytestmark = [pytest.mark.root, pytest.mark.lab]

PUBLIC = Endpoint(ROUTER_OUTSIDE, 5060)
GATE = "203.0.113.21"  # another machine of the provider, at the second far host
TABLE = {
    "_sip._udp.example.org SRV": "0 0 5060 gate.example.org.",
    "gate.example.org A": GATE,
    "example.org A": PROVIDER,
}


@pytest.fixture
def lab(make_lab: LabMaker) -> Iterator[Lab]:
    """A phone at home, a scanner and the provider's gate far away; the provider's host has the name server."""
    lab = make_lab(phones=1, far=2)
    # what `ip netns exec` puts in the place of the same file in /etc
    directory = Path("/etc/netns", lab.net.router.name)
    directory.mkdir(parents=True)
    directory.joinpath("resolv.conf").write_text(f"nameserver {PROVIDER}\n")
    where = lab.net.provider.open_socket()
    where.bind((PROVIDER, 53))
    try:
        with zone(where, TABLE):
            yield lab
    finally:
        shutil.rmtree(directory)


@pytest.fixture
def home(lab: Lab) -> Agent:
    return lab.agent(lab.net.phones[0], lab.net.phone_address(0), user="home")


@pytest.fixture
def scanner(lab: Lab) -> Agent:
    return lab.agent(lab.net.far[0], lab.net.far_address(0), user="100")


def register(lab: Lab, home: Agent) -> Agent:
    """The phone registers in the provider's domain; the registrar."""
    registrar = lab.agent(lab.net.provider, PROVIDER, user="registrar")
    registrar_address = Endpoint(PROVIDER, 5060)
    home.send(request("REGISTER", "sip:example.org", home), registrar_address)
    registrar.wait("REGISTER")
    registrar.answer("200 OK")
    home.wait("SIP/2.0 200")
    return registrar


def request(method: str, uri: str, sender: Agent) -> bytes:
    lines = (
        f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/UDP {sender.address};branch=z9hG4bK{method}{sender.tag};rport",
        f"From: <sip:home@example.org>;tag={sender.tag}", "To: <sip:home@example.org>",
        f"Call-ID: {method}-{sender.tag}", f"CSeq: 1 {method}", f"Contact: <{sender.uri}>",
        "Content-Length: 0", "", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode()


def test_a_scanner_does_not_ring_the_phone_and_is_told_nothing(lab: Lab, home: Agent, scanner: Agent) -> None:
    gateway = lab.gateway()
    registrar = register(lab, home)
    inside, outside = lab.capture(lab.net.phones[0], "eth0"), lab.capture(lab.net.far[0], "eth0")
    scanner.invite(PUBLIC, Endpoint(lab.net.far_address(0), 30000))
    scanner.send(request("OPTIONS", f"sip:100@{PUBLIC}", scanner), PUBLIC)
    until("both are dropped", lambda: gateway.ask("status")["counters"].get("dropped: caller") == 2)
    gateway.wait_log("INVITE of 203.0.113.20:5060 for 10.0.0.11:5060: .*sip.callers")
    registrar.invite(PUBLIC, Endpoint(PROVIDER, 30000))
    home.wait("INVITE")
    assert {message.text.split(" ")[0] for message in inside.sip()} == {"INVITE"}
    assert {message.source for message in inside.sip()} == {registrar.address}
    assert [message.source.ip for message in outside.sip()] == [lab.net.far_address(0)] * 2
    assert [call["peer"] for call in gateway.ask("calls")] == ["sip:registrar@198.51.100.10:5060"]


def test_the_providers_other_machine_rings_it_once_the_dns_has_named_it(lab: Lab, home: Agent) -> None:
    gateway = lab.gateway()
    gate = lab.agent(lab.net.far[1], GATE, user="gate")
    register(lab, home)
    known = {"domain": "example.org", "addresses": [PROVIDER, GATE]}
    until("the name server has been asked", lambda: known in gateway.ask("status")["registrars"])
    gate.invite(PUBLIC, Endpoint(GATE, 30000))
    home.wait("INVITE")
    assert f"registrar example.org   {PROVIDER}, {GATE}" in gateway.cli("status")


def test_everybody_may_when_the_operator_says_so(lab: Lab, home: Agent, scanner: Agent) -> None:
    gateway = lab.gateway()
    register(lab, home)
    asked = request("OPTIONS", f"sip:100@{PUBLIC}", scanner)
    scanner.send(asked, PUBLIC)
    until("it is dropped", lambda: gateway.ask("status")["counters"].get("dropped: caller") == 1)
    gateway.configure({"sip.callers": "any"})
    assert "read again" in gateway.reload()
    scanner.send(asked, PUBLIC)
    home.wait("OPTIONS")
    home.answer("200 OK")
    assert scanner.wait("SIP/2.0 200").source == PUBLIC
