"""What a call tells people and rules of itself; its flows are in tests/transcripts."""

import pytest

from gateway.calls.bindings import Holder, HolderKind, MediaAddress
from gateway.calls.call import Call, CallId
from gateway.calls.dialog import Side
from gateway.calls.media import Described, FarHost
from gateway.sip.message import parse
from rules.model import Endpoint, Purpose

PHONE = Endpoint("10.0.0.11", 5060)
HERE = MediaAddress(Endpoint("10.0.0.11", 16384), None, Purpose.UDPTL)
OURS = Described(frozenset({HERE}), on_hold=False, paused=False)


def theirs(*hosts: str | None, on_hold: bool = False) -> Described:
    return Described(frozenset(FarHost(host) for host in hosts), on_hold=on_hold, paused=False)


@pytest.fixture
def call() -> Call:
    return Call(CallId(b"one", "10.0.0.11"), PHONE, Side.INSIDE, "sip:bob@example.org", 0.0)


def take(call: Call, start: str, described: Described | None = None, tag: str = "", cseq: str = "1 INVITE") -> None:
    to = f"t:<sip:b>;tag={tag}" if tag else "t:<sip:b>"
    data = f"{start}\r\nv:SIP/2.0/UDP x\r\nf:<sip:a>;tag=a\r\n{to}\r\ni:one\r\nCSeq:{cseq}\r\n\r\n".encode()
    call.legs.take(parse(data), Side.OUTSIDE if start.startswith("SIP") else Side.INSIDE, described, 0.0)


def test_its_name_for_rules_and_logs(call: Call) -> None:
    assert len(call.label) == 8
    assert int(call.label, 16)
    assert call.holder == Holder.of(HolderKind.CALL, f"{call.label} 10.0.0.11")
    assert (call.holder.kind, call.holder.name) == (HolderKind.CALL, f"{call.label} 10.0.0.11")


def test_its_state_is_that_of_its_furthest_part(call: Call) -> None:
    assert call.state == "over"
    take(call, "INVITE sip:b SIP/2.0", OURS)
    assert call.state == "trying"
    take(call, "SIP/2.0 100 Trying")
    assert call.state == "ringing"
    take(call, "SIP/2.0 183 x", theirs("198.51.100.20"), "desk")
    assert call.state == "early"
    take(call, "SIP/2.0 200 OK", theirs("198.51.100.20"), "desk")
    assert call.state == "up"
    assert call.is_up
    take(call, "BYE sip:b SIP/2.0", None, "desk", "2 BYE")
    assert call.state == "ending"
    assert not call.legs.is_over
    take(call, "SIP/2.0 200 OK", None, "desk", "2 BYE")
    assert call.legs.is_over


def test_media_of_both_sides(call: Call) -> None:
    take(call, "INVITE sip:b SIP/2.0", OURS)
    assert call.media == (frozenset({HERE}), frozenset())
    take(call, "SIP/2.0 200 OK", theirs("198.51.100.20", "198.51.100.21"), "desk")
    assert call.media == (frozenset({HERE}), frozenset({"198.51.100.20", "198.51.100.21"}))


def test_one_unknown_host_makes_all_unknown(call: Call) -> None:
    take(call, "INVITE sip:b SIP/2.0", OURS)
    take(call, "SIP/2.0 200 OK", theirs("198.51.100.20", None), "desk")
    assert call.media == (frozenset({HERE}), None)


def test_on_hold_when_one_party_says_so(call: Call) -> None:
    take(call, "INVITE sip:b SIP/2.0", OURS)
    take(call, "SIP/2.0 200 OK", theirs("198.51.100.20", on_hold=True), "desk")
    assert call.is_on_hold


def test_a_call_that_begins_on_hold_is_so_when_it_is_agreed(call: Call) -> None:
    take(call, "INVITE sip:b SIP/2.0", OURS._replace(on_hold=True))
    assert not call.is_on_hold
    take(call, "SIP/2.0 200 OK", theirs("198.51.100.20"), "desk")
    assert call.is_on_hold


def test_the_next_deadline(call: Call) -> None:
    assert call.legs.deadline == float("inf")
    take(call, "INVITE sip:b SIP/2.0", OURS)
    assert call.legs.deadline == 32.0
    take(call, "SIP/2.0 180 Ringing", None, "desk")
    assert call.legs.deadline == 900.0


def test_a_trying_says_nothing_of_a_dialog(call: Call) -> None:
    take(call, "INVITE sip:b SIP/2.0", OURS)
    take(call, "SIP/2.0 100 Trying", theirs("198.51.100.20"), "proxy")
    assert call.legs.dialogs == {}


def test_hanging_up_ends_everything(call: Call) -> None:
    take(call, "INVITE sip:b SIP/2.0", OURS)
    take(call, "SIP/2.0 200 OK", theirs("198.51.100.20"), "desk")
    call.legs.hang_up(0.0)
    assert call.legs.is_over
    assert call.media == (frozenset(), frozenset())
