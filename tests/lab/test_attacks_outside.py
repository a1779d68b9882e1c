"""What somebody outside tries: to relay, to register, to listen, to speak, to end or to turn away a call."""

import threading
import time
from collections.abc import Callable

import pytest

from rules.model import Endpoint
from tests.lab.agent import Agent, Message, connect, hang_up
from tests.lab.conftest import LabMaker
from tests.lab.gateway import Gateway
from tests.lab.lab import Lab
from tests.lab.sdp import audio
from tests.lab.talk import traces_of_calls
from tests.lab.topology import PROVIDER, ROUTER_OUTSIDE
from tests.support.journal import MissedError
from tests.support.netns import Namespace
from tests.support.until import until, until_none

pytestmark = [pytest.mark.root, pytest.mark.lab]

PUBLIC = Endpoint(ROUTER_OUTSIDE, 5060)


@pytest.fixture
def lab(make_lab: LabMaker) -> Lab:
    """A phone, the one it speaks with, and an attacker."""
    return make_lab(phones=1, far=2)


@pytest.fixture
def home(lab: Lab) -> Agent:
    return lab.agent(lab.net.phones[0], lab.net.phone_address(0), user="home")


@pytest.fixture
def far(lab: Lab) -> Agent:
    return lab.agent(lab.net.far[0], lab.net.far_address(0), user="far")


@pytest.fixture
def attacker(lab: Lab) -> Agent:
    return lab.agent(lab.net.far[1], lab.net.far_address(1), user="attacker")


def register(lab: Lab, home: Agent) -> None:
    registrar = lab.agent(lab.net.provider, PROVIDER, user="registrar")
    home.register(registrar.address)
    registrar.wait("REGISTER")
    registrar.answer("200 OK")
    home.wait("SIP/2.0 200")


def hears_nothing(phone: Agent) -> bool:
    try:
        phone.receive(0.3)
    except MissedError:
        return True
    return False


def request(method: str, uri: str, sender: Agent, *headers: str) -> bytes:
    lines = (
        f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/UDP {sender.address};branch=z9hG4bK{method}{len(uri)};rport",
        f"From: <sip:x@{sender.address}>;tag=x", "To: <sip:home@example.org>",
        f"Call-ID: {method}-{len(uri)}", f"CSeq: 1 {method}", f"Contact: <{sender.uri}>", *headers,
        "Content-Length: 0", "", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("callers", ["known", "any"])
def test_no_request_from_outside_goes_on_to_outside(lab: Lab, home: Agent, attacker: Agent, callers: str) -> None:
    """Not for another's account, nor along a Route, nor after any number dialled: at most the phone gets it."""
    lab.gateway({"sip.callers": callers})
    register(lab, home)
    victim = Endpoint(lab.net.far_address(0), 5060)
    outside = lab.capture(lab.net.router, "wan0")
    for number, uri in enumerate((f"sip:00441234@{victim}", f"sip:00441234@{PUBLIC}", f"sip:a@{PROVIDER}")):
        attacker.send(request("INVITE", uri, attacker, f"Route: <sip:{victim};lr>"), PUBLIC)
        attacker.send(request("MESSAGE", uri, attacker), Endpoint(ROUTER_OUTSIDE, 5061 + number))
    time.sleep(0.3)
    seen = outside.sip()
    assert {message.source.ip for message in seen} == {attacker.address.ip}
    assert {message.destination.ip for message in seen} == {ROUTER_OUTSIDE}


@pytest.mark.usefixtures("each_backend")
def test_a_register_from_outside_reaches_nobody_and_changes_nothing(lab: Lab, home: Agent, attacker: Agent) -> None:
    gateway = lab.gateway()
    register(lab, home)
    before = gateway.ask("bindings")
    for uri in ("sip:example.org", f"sip:home@{PUBLIC}", f"sip:{PUBLIC}"):
        attacker.send(request("REGISTER", uri, attacker, "Expires: 3600"), PUBLIC)
    until("all are dropped", lambda: gateway.ask("status")["counters"].get("dropped: caller") == 3)
    assert hears_nothing(home)
    assert hears_nothing(attacker)
    assert gateway.ask("status")["registrations"] == 1
    assert [row["inside"] for row in gateway.ask("bindings")] == [row["inside"] for row in before]


def count_icmp(host: Namespace) -> Callable[[], bool]:
    """Whether the host is told of ports that nobody has."""
    host.run("nft", "add table ip probe")
    host.run("nft", "add chain ip probe in { type filter hook input priority 0; }")
    host.run("nft", "add rule ip probe in ip protocol icmp counter drop")
    return lambda: "packets 0 " not in host.run("nft", "list", "chain", "ip", "probe", "in")


def test_who_probes_all_the_time_hears_nothing_and_is_not_heard(lab: Lab, home: Agent, far: Agent) -> None:
    """From before the call until after it: neither RTP nor an ICMP error tells of it (RTPbleed)."""
    lab.gateway()
    ear, mouth = lab.rtp(lab.net.phones[0], home.address.ip, 16384), lab.rtp(lab.net.far[0], far.address.ip, 30000)
    probe = lab.rtp(lab.net.far[1], lab.net.far_address(1), 30000)
    is_told = count_icmp(lab.net.far[1])
    over = threading.Event()

    def probe_all_ports() -> None:
        while not over.wait(0.002):
            for port in range(20000, 20004):
                probe.send(Endpoint(ROUTER_OUTSIDE, port))

    probing = threading.Thread(target=probe_all_ports)
    probing.start()
    try:
        for _ in range(3):
            time.sleep(0.2)
            at_far, at_home = connect(home, far, far.address, ear.address, mouth.address)
            for _ in range(20):
                mouth.send(at_home)
                ear.send(at_far)
                time.sleep(0.01)
            heard = ear.hear(20)
            assert {packet.source for packet in heard} == {mouth.address}
            assert len(heard) == len(mouth.hear(20)) == 20
            hang_up(home, far)
        time.sleep(0.5)
    finally:
        over.set()
        probing.join()
    assert ear.hears_nothing()
    assert probe.hears_nothing()
    assert not is_told()
    until_none("a trace of a call", lambda: traces_of_calls(lab.net.router))


def forged(kind: str, asked: Message, tag: str, sender: Agent) -> bytes:
    """What the far side of a call could say, as seen in its INVITE, with media for the attacker."""
    mine, theirs = asked.headers("To")[0], asked.headers("From")[0]
    ids = (f"Call-ID: {asked.headers('Call-ID')[0]}", f"Contact: <{sender.uri}>")
    body = audio(Endpoint(sender.address.ip, 40000))
    tail = ("Content-Type: application/sdp", f"Content-Length: {len(body)}", "", body)
    if kind == "200":
        if tag == "guessed":  # one of the far side would be that of another branch
            theirs = theirs.replace("tag=", "tag=guessed")
        vias = [f"Via: {via}" for via in asked.headers("Via")]
        ends = (f"From: {theirs}", f"To: {mine};tag={tag}", f"CSeq: {asked.headers('CSeq')[0]}")
        head = ["SIP/2.0 200 OK", *vias, *ends]
    else:
        number = asked.headers("CSeq")[0].split()[0] if kind == "CANCEL" else "77"
        head = [
            f"{kind} sip:home@{asked.source} SIP/2.0", f"Via: SIP/2.0/UDP {sender.address};branch=z9hG4bKx{kind}",
            f"From: {mine};tag={tag}", f"To: {theirs}", f"CSeq: {number} {kind}",
        ]  # fmt: skip
    return "\r\n".join((*head, *ids, *tail)).encode()


def state(gateway: Gateway) -> list[tuple[str, str, list[tuple[str, str]]]]:
    return [
        (call["label"], call["state"], [(media["public"], str(media["sources"])) for media in call["media"]])
        for call in gateway.ask("calls")
    ]


@pytest.mark.parametrize("kind", ["BYE", "CANCEL", "200", "INVITE", "UPDATE"])
def test_what_is_forged_from_elsewhere_or_with_other_tags_changes_nothing(
    lab: Lab, home: Agent, far: Agent, attacker: Agent, kind: str
) -> None:
    gateway = lab.gateway()
    ear, mouth = lab.rtp(lab.net.phones[0], home.address.ip, 16384), lab.rtp(lab.net.far[0], far.address.ip, 30000)
    bleed = lab.rtp(lab.net.far[1], attacker.address.ip, 40000)
    home.invite(far.address, ear.address)
    asked = far.wait("INVITE")
    public = asked.media
    if kind in ("CANCEL", "200"):  # the most that they could do is before the answer
        attacker.send(forged(kind, asked, far.tag, attacker), asked.source)
        assert hears_nothing(home)
        bleed.send(public, 5)
        assert ear.hears_nothing()
    far.answer("200 OK", mouth.address)
    home.wait("SIP/2.0 200")
    home.ack()
    far.wait("ACK")
    before = state(gateway)
    assert len(before) == 1
    # with all that is right but the address: it does not arrive
    attacker.send(forged(kind, asked, far.tag, attacker), asked.source)
    assert hears_nothing(home)
    assert state(gateway) == before
    # with the address and without the tag: it is for the phone to refuse
    far.send(forged(kind, asked, "guessed", attacker), asked.source)
    hears_nothing(home)
    assert state(gateway) == before
    bleed.send(public, 5)
    mouth.send(public, 3)
    heard = ear.hear(3)
    assert (len(heard), {packet.source for packet in heard}) == (3, {mouth.address})
    assert ear.hears_nothing()
    hang_up(home, far)
    until_none("a trace of the call", lambda: traces_of_calls(lab.net.router))
