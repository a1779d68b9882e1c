"""What passes the gateway arrives whole: ours with other addresses in it, everything else byte for byte."""

import re
from pathlib import Path

import pytest

from rules.model import Endpoint
from tests.lab.agent import Agent
from tests.lab.conftest import LabMaker
from tests.lab.lab import Lab
from tests.lab.topology import ROUTER_OUTSIDE
from tests.support.capture import Datagram

pytestmark = [pytest.mark.root, pytest.mark.lab]

CORPUS = Path(__file__).parents[1] / "corpus" / "rfc4475"
PUBLIC = Endpoint(ROUTER_OUTSIDE, 5060)

KEEP_ALIVES = {
    "CR LF, RFC 5626": b"\r\n\r\n",
    "STUN, RFC 8489": bytes.fromhex("000100002112a442") + bytes(range(12)),
    "a zero byte": b"\0",
    "nothing at all": b"",
}
NOT_SIP = {
    "half a message": b"INVITE sip:bob@198.51.100.10 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.11:5060;bran",
    "too short for its Content-Length": b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.11;branch=z9hG4bK1\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 99\r\n\r\nshort",
    "no UTF-8": b"\xff\xfe 10.0.0.11 \x80\r\n\r\n",
    "as large as UDP can be": b"10.0.0.11 " * 6550,
}


@pytest.fixture
def ends(lab: Lab) -> tuple[Agent, Agent]:
    """One at home, known to the gateway by its first request, and one far away who may send it anything."""
    lab.gateway({"sip.callers": "any"})
    home = lab.agent(lab.net.phones[0], lab.net.phone_address(0))
    far = lab.agent(lab.net.far[0], lab.net.far_address(0))
    home.register(far.address)
    assert far.wait("REGISTER").source == PUBLIC
    return home, far


def assert_identical_both_ways(ends: tuple[Agent, Agent], payload: bytes) -> None:
    home, far = ends
    home.send(payload, far.address)
    assert far.receive() == (payload, PUBLIC)
    far.send(payload, PUBLIC)
    assert home.receive() == (payload, far.address)


def test_keep_alives_pass(ends: tuple[Agent, Agent]) -> None:
    for payload in KEEP_ALIVES.values():
        assert_identical_both_ways(ends, payload)


def test_what_is_no_sip_passes_as_it_came(ends: tuple[Agent, Agent]) -> None:
    for payload in NOT_SIP.values():
        assert_identical_both_ways(ends, payload)


def test_sip_that_speaks_of_others_passes_as_it_came(ends: tuple[Agent, Agent]) -> None:
    """The torture tests of RFC 4475, good ones and bad ones: none has an address of ours in it."""
    messages = sorted(CORPUS.glob("*.dat"))
    assert len(messages) == 49
    for message in messages:
        assert_identical_both_ways(ends, message.read_bytes())


@pytest.mark.parametrize(("size", "pieces"), [(1460, 1), (1461, 2), (21000, 15)])
def test_an_invite_arrives_whole_whatever_its_size(make_lab: LabMaker, size: int, pieces: int) -> None:
    """The public address makes it 12 bytes longer, and 28 are IP and UDP: 1461 no longer fit an MTU of 1500.

    Phones forbid fragments of what fits as they send it.
    """
    lab = make_lab(phones=1, far=1)
    lab.registrar()
    lab.gateway()
    phone, far = lab.net.phones[0], lab.net.far[0]
    inside, outside, at_far = (
        lab.capture(phone, "eth0"),
        lab.capture(lab.net.router, "wan0"),
        lab.capture(far, "eth0"),
    )
    lab.sipp(far, lab.net.far_address(0), "register", user="bob").wait()
    answering = lab.sipp(far, lab.net.far_address(0), "answer", user="bob")
    calling = lab.sipp(phone, lab.net.phone_address(0), "invite", user="alice", size=size)
    calling.wait()
    answering.wait()
    [sent], [left], [arrived] = (wire.sip("INVITE") for wire in (inside, outside, at_far))
    assert len(sent.payload) == size
    assert sent.fragments == (1 if size < 1473 else pieces)
    assert left.fragments == pieces
    assert description(left) == description(sent).replace("10.0.0.11", ROUTER_OUTSIDE).replace(" 30000 ", " 20000 ")
    assert description(arrived) == description(left)
    for message in (left, arrived):
        assert re.findall(r"^Content-Length: (\d+)\r$", message.text, re.M) == [str(len(description(message)))]
    assert all(datagram.checksum_ok for wire in (inside, outside, at_far) for datagram in wire.datagrams)
    assert lab.net.leaks() == 0


def test_a_large_invite_comes_in_whole(make_lab: LabMaker) -> None:
    lab = make_lab(phones=1, far=1)
    lab.registrar()
    lab.gateway()
    phone, far = lab.net.phones[0], lab.net.far[0]
    inside, at_far = lab.capture(phone, "eth0"), lab.capture(far, "eth0")
    lab.sipp(phone, lab.net.phone_address(0), "register", user="bob").wait()
    answering = lab.sipp(phone, lab.net.phone_address(0), "answer", user="bob")
    calling = lab.sipp(far, lab.net.far_address(0), "invite", user="alice", size=21000)
    calling.wait()
    answering.wait()
    [sent], [arrived] = at_far.sip("INVITE"), inside.sip("INVITE")
    assert arrived.text.split(" ")[1] == f"sip:bob@{lab.net.phone_address(0)}:5060"
    assert len(description(arrived)) > 20000
    assert description(arrived) == description(sent)
    assert arrived.fragments > 1
    assert all(datagram.checksum_ok for datagram in inside.datagrams)


def description(message: Datagram) -> str:
    return message.text.partition("\r\n\r\n")[2]
