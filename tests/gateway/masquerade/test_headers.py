import pytest

from gateway.masquerade.headers import header_edits
from gateway.masquerade.inward import Inward
from gateway.masquerade.outward import Outward
from gateway.sip.message import parse, splice
from tests.gateway.masquerade.pairs import ALICE, PUBLIC, Table

REST = "From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"


def rewritten(line: str, direction: Outward | Inward, start: str = "OPTIONS sip:bob@example.org SIP/2.0") -> str:
    """What becomes of one header line (and the start line, when it changes)."""
    via = "" if line.startswith("Via") else "Via: SIP/2.0/UDP 198.51.100.9\r\n"
    data = f"{start}\r\n{line}\r\n{via}{REST}".encode()
    message = parse(data)
    first, changed = splice(data, header_edits(message, direction)).decode().split("\r\n")[:2]
    return changed if first == start else first


@pytest.fixture
def outward() -> Outward:
    return Outward(Table(), PUBLIC, ALICE, b"10.0.0.")


@pytest.fixture
def inward() -> Inward:
    return Inward(Table(), PUBLIC, ALICE)


@pytest.mark.parametrize(
    "name",
    [
        "Contact",
        "m",
        "Route",
        "Record-Route",
        "Path",
        "Service-Route",
        "Refer-To",
        "r",
        "From",
        "To",
        "Reply-To",
        "Referred-By",
        "b",
        "P-Asserted-Identity",
        "P-Preferred-Identity",
        "Remote-Party-ID",
        "Diversion",
        "History-Info",
    ],
)
def test_headers_that_carry_addresses(outward: Outward, name: str) -> None:
    if name in ("From", "To"):
        data = f"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP x\r\n{REST}".replace(
            f"{name}: <sip:{'a@b' if name == 'From' else 'b@c'}>", f"{name}: <sip:x@10.0.0.11:5060>"
        ).encode()
        assert b"<sip:x@203.0.113.1:5062>" in splice(data, header_edits(parse(data), outward))
        return
    assert rewritten(f"{name}: <sip:x@10.0.0.11:5060>;p", outward) == f"{name}: <sip:x@203.0.113.1:5062>;p"


@pytest.mark.parametrize("name", ["Subject", "User-Agent", "Warning", "Authorization", "X-Contact", "Call-Info"])
def test_headers_that_do_not(outward: Outward, name: str) -> None:
    assert rewritten(f"{name}: <sip:x@10.0.0.11:5060>", outward) == f"{name}: <sip:x@10.0.0.11:5060>"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("SIP/2.0/UDP 10.0.0.11:5060;rport;branch=1", "SIP/2.0/UDP 203.0.113.1:5062;rport;branch=1"),
        ("SIP/2.0/UDP 10.0.0.11;branch=10.0.0.11", "SIP/2.0/UDP 203.0.113.1:5062;branch=10.0.0.11"),
        ("SIP/2.0/UDP 10.0.0.12 , SIP/2.0/UDP 10.0.0.11", "SIP/2.0/UDP 203.0.113.1 , SIP/2.0/UDP 203.0.113.1:5062"),
        ("SIP/2.0/UDP 10.0.0.11;maddr=10.0.0.11", "SIP/2.0/UDP 203.0.113.1:5062;maddr=203.0.113.1"),
        ("SIP/2.0/UDP h;received=10.0.0.11;rport=5060", "SIP/2.0/UDP h;received=203.0.113.1;rport=5062"),
        ("SIP/2.0/UDP 198.51.100.1;received=10.0.0.13", "SIP/2.0/UDP 198.51.100.1;received=10.0.0.13"),
    ],
)
def test_via_outward(outward: Outward, before: str, after: str) -> None:
    assert rewritten(f"Via: {before}", outward) == f"Via: {after}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("SIP/2.0/UDP 203.0.113.1:5062;rport", "SIP/2.0/UDP 10.0.0.11:5060;rport"),
        (
            "SIP/2.0/UDP 203.0.113.1:5062;received=203.0.113.1;rport=5062",
            "SIP/2.0/UDP 10.0.0.11:5060;received=10.0.0.11;rport=5060",
        ),
        ("SIP/2.0/UDP 203.0.113.1:5062;received=203.0.113.1", "SIP/2.0/UDP 10.0.0.11:5060;received=10.0.0.11"),
        ("SIP/2.0/UDP 203.0.113.1:5999;rport=x", "SIP/2.0/UDP 10.0.0.11:5060;rport=x"),
        ("SIP/2.0/UDP 198.51.100.1:5062", "SIP/2.0/UDP 198.51.100.1:5062"),
    ],
)
def test_via_inward(inward: Inward, before: str, after: str) -> None:
    assert rewritten(f"Via: {before}", inward) == f"Via: {after}"


def test_the_request_uri(inward: Inward) -> None:
    before = "OPTIONS sip:alice@203.0.113.1:5062;transport=udp SIP/2.0"
    assert rewritten("X: y", inward, before) == "OPTIONS sip:alice@10.0.0.11:5060;transport=udp SIP/2.0"


def test_the_reason_phrase_is_no_uri(inward: Inward) -> None:
    before = "SIP/2.0 302 sip:alice@203.0.113.1:5062 SIP/2.0"
    assert rewritten("X: y", inward, before) == "X: y"
