"""What a browser inside is made to send, so that a port is opened from outside to whatever listens there."""

import pytest

from rules.model import Endpoint
from tests.lab.agent import Agent
from tests.lab.conftest import LabMaker
from tests.lab.gateway import Gateway
from tests.lab.lab import Lab
from tests.lab.sdp import audio
from tests.lab.talk import traces_of_calls
from tests.lab.topology import ROUTER_OUTSIDE
from tests.support.until import until

pytestmark = [pytest.mark.root, pytest.mark.lab]

OTHER = "10.0.0.12"  # a host beside it
NO_PORTS = ((OTHER, 5060), (OTHER, 22), ("10.0.0.1", 5060), ("10.0.0.11", 22), ("10.0.0.11", 1023))


@pytest.fixture
def lab(make_lab: LabMaker) -> Lab:
    """A computer with a browser, what is to be reached beside it, and the site that the browser looks at."""
    return make_lab(phones=2, far=1)


@pytest.fixture
def browser(lab: Lab) -> Agent:
    return lab.agent(lab.net.phones[0], lab.net.phone_address(0), 45678, user="browser")


@pytest.fixture
def site(lab: Lab) -> Agent:
    return lab.agent(lab.net.far[0], lab.net.far_address(0), user="site")


def message(method: str, host: str, port: int, padding: int = 0, media: str = "") -> bytes:
    """As text in a form that the browser sends, at the beginning of a datagram of its own."""
    body = media
    lines = (
        f"{method} sip:203.0.113.20 SIP/2.0", f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bKslip{port}",
        f"From: <sip:slip@203.0.113.20>;tag={port}", "To: <sip:slip@203.0.113.20>", f"Call-ID: slip-{host}-{port}",
        f"CSeq: 1 {method}", f"Contact: <sip:slip@{host}:{port}>", "Expires: 3600", f"X-Padding: {'a' * padding}",
        *(("Content-Type: application/sdp",) if body else ()), f"Content-Length: {len(body)}", "", body,
    )  # fmt: skip
    return "\r\n".join(lines).encode()


def opened(gateway: Gateway) -> set[str]:
    """The inside addresses that anything is sent to from outside."""
    return {row["inside"] for row in gateway.ask("bindings")}


def send(gateway: Gateway, browser: Agent, site: Agent, payload: bytes) -> None:
    """It arrives, so it has been looked at; the site answers all that can be answered with a grant."""
    browser.send(payload, site.address)
    data, source = site.receive()
    if b" sip:203.0.113.20 SIP/2.0\r\n" in data[:60]:
        head = [
            line for line in data.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
            if line.startswith((b"Via", b"From", b"To", b"Call-ID", b"CSeq", b"Contact", b"Expires"))
        ]  # fmt: skip
        site.send(b"\r\n".join((b"SIP/2.0 200 OK", *head, b"Content-Length: 0", b"", b"")), source)
        browser.receive()
    until("it is done", lambda: gateway.ask("status")["queue"]["waiting"] == 0)


@pytest.mark.parametrize("padding", [0, 3000, 20000], ids=["short", "fragmented", "huge"])
@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "OPTIONS"])
def test_no_port_of_another_host_nor_a_low_one_is_opened(
    lab: Lab, browser: Agent, site: Agent, method: str, padding: int
) -> None:
    gateway = lab.gateway()
    for host, port in NO_PORTS:
        send(gateway, browser, site, message(method, host, port, padding))
        assert opened(gateway) <= {str(browser.address)}, (host, port)


@pytest.mark.parametrize("padding", [0, 20000], ids=["short", "huge"])
def test_nor_by_a_session_description(lab: Lab, browser: Agent, site: Agent, padding: int) -> None:
    gateway = lab.gateway()
    own = browser.address
    for host, port in NO_PORTS[1:]:
        media = audio(Endpoint(host, port))
        send(gateway, browser, site, message("INVITE", own.ip, own.port, padding, media))
    assert opened(gateway) <= {str(own)}
    assert traces_of_calls(lab.net.router) == []


def test_a_form_with_a_message_in_the_middle_opens_nothing(lab: Lab, browser: Agent, site: Agent) -> None:
    gateway = lab.gateway()
    inner = message("REGISTER", browser.address.ip, browser.address.port)
    form = b"POST / HTTP/1.1\r\nHost: 203.0.113.20:5060\r\nContent-Length: %d\r\n\r\n" % len(inner)
    for payload in (form + inner, b"name=" + inner, b"\r\n--boundary\r\n" + inner, inner[7:]):
        browser.send(payload, site.address)
        assert site.receive()[0] == payload
    assert opened(gateway) == set()


@pytest.mark.usefixtures("each_backend")
def test_nothing_from_outside_reaches_the_other_host(lab: Lab, browser: Agent, site: Agent) -> None:
    gateway = lab.gateway({"sip.callers": "any"})
    victim = lab.agent(lab.net.phones[1], lab.net.phone_address(1))
    assert victim.address == (OTHER, 5060)
    send(gateway, browser, site, message("REGISTER", *victim.address))
    inside = lab.capture(lab.net.phones[1], "eth0")
    for port in (22, 1023, *range(5060, 5070), *range(20000, 20010)):
        site.send(b"OPTIONS sip:x SIP/2.0\r\n\r\n", Endpoint(ROUTER_OUTSIDE, port))
    site.send(b"\r\n\r\n", Endpoint(ROUTER_OUTSIDE, 5060))
    until("all has come", lambda: gateway.ask("status")["queue"]["waiting"] == 0)
    assert inside.sip() == []


def test_a_host_that_is_no_phone_opens_not_even_its_own(lab: Lab, browser: Agent, site: Agent) -> None:
    gateway = lab.gateway({"inside.phones": [OTHER]})
    own = browser.address
    for number, payload in enumerate((
        message("REGISTER", *own), message("INVITE", *own, media=audio(Endpoint(own.ip, 16384))),
    )):  # fmt: skip
        browser.send(payload, site.address)
        assert site.receive()[0] == payload
        assert gateway.ask("status")["counters"]["passed: not a phone"] == number + 1
    assert opened(gateway) == set()
    assert traces_of_calls(lab.net.router) == []
    gateway.wait_log("10.0.0.11 is none of inside.phones")
    # who is one has its ports
    phone = lab.agent(lab.net.phones[1], OTHER)
    phone.invite(site.address, Endpoint(OTHER, 16384))
    assert site.wait("INVITE").media == Endpoint(ROUTER_OUTSIDE, 20000)
