"""Who is a party; what becomes of others is in tests/transcripts/test_third_address.py."""

import pytest

from gateway.calls.dialog import Side, TransactionId
from gateway.calls.parties import Parties
from gateway.sip.message import Message, parse

HOST = "192.0.2.66"


def message(start: str = "INVITE sip:a SIP/2.0", *headers: str, contact: str = "<sip:b@198.51.100.1>") -> Message:
    method = start.split(maxsplit=1)[0] if not start.startswith("SIP") else "INVITE"
    lines = [start, "v:SIP/2.0/UDP 198.51.100.1", "f:<sip:b>;tag=b", "t:<sip:a>", "i:1", f"CSeq:1 {method}"]
    return parse("\r\n".join([*lines, f"Contact: {contact}", *headers, "", ""]).encode())


@pytest.fixture
def parties() -> Parties:
    made = Parties()
    made.meet("198.51.100.1")
    return made


def test_whoever_was_met(parties: Parties) -> None:
    assert "198.51.100.1" in parties
    assert HOST not in parties


@pytest.mark.parametrize(
    "header",
    [f"m:<sip:x@{HOST}:5070>", f"Record-Route:<sip:a.org>,<sip:{HOST};lr>", f"v:SIP/2.0/UDP x;received={HOST}"],
)
def test_whoever_is_named(parties: Parties, header: str) -> None:
    parties.hear(message("INVITE sip:a SIP/2.0", header), "198.51.100.1")
    assert HOST in parties


@pytest.mark.parametrize(
    "header",
    [
        f"From-Host: {HOST}",
        f"Route: <sip:{HOST}>",
        f'm:"{HOST}"<sip:x@a.org>',
        f"m:<sip:{HOST}@a.org>",
        f"m:<sip:1{HOST}>",
    ],
)
def test_whoever_is_only_mentioned_is_none(parties: Parties, header: str) -> None:
    parties.hear(message("INVITE sip:a SIP/2.0", header), "198.51.100.1")
    assert HOST not in parties


@pytest.mark.parametrize("start", ["SIP/2.0 100 Trying", "BYE sip:a SIP/2.0", "INFO sip:a SIP/2.0"])
def test_only_what_sets_the_way_of_the_next_request_names_anybody(parties: Parties, start: str) -> None:
    parties.hear(message(start, contact=f"<sip:b@{HOST}>"), "198.51.100.1")
    assert HOST not in parties


def test_of_many_contacts_eight_are_kept(parties: Parties) -> None:
    for number in range(20):
        parties.hear(message(contact=f"<sip:b@192.0.2.{number}>"), "198.51.100.1")
    assert [number for number in range(20) if f"192.0.2.{number}" in parties] == list(range(8))


def test_a_message_of_great_length_names_nobody(parties: Parties) -> None:
    parties.hear(message("INVITE sip:a SIP/2.0", "X: " + 8192 * "x", contact=f"<sip:b@{HOST}>"), "198.51.100.1")
    assert HOST not in parties


def test_a_guest_is_one_for_what_it_began(parties: Parties) -> None:
    own, other = TransactionId(Side.OUTSIDE, 1, b"x"), TransactionId(Side.OUTSIDE, 1, b"y")
    parties.invite(own, HOST)
    assert parties.is_guest(HOST, other, own)
    assert not parties.is_guest(HOST, other)
    assert not parties.is_guest("192.0.2.67", own)
    assert HOST not in parties


def test_there_are_so_many_guests(parties: Parties) -> None:
    requests = [TransactionId(Side.OUTSIDE, number, b"") for number in range(20)]
    for request in requests:
        parties.invite(request, HOST)
    assert len([request for request in requests if parties.is_guest(HOST, request)]) == 16
