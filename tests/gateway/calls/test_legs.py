"""Which transaction and dialog a message belongs to; whole flows are in tests/transcripts."""

import pytest

from gateway.calls.dialog import DialogId, DialogState, InviteState, Side
from gateway.calls.legs import Legs
from gateway.sip.message import parse


@pytest.fixture
def legs() -> Legs:
    return Legs()


def take(legs: Legs, start: str, *, branch: str = ";branch=z9hG4bK1", tag: str = "", cseq: int = 1) -> None:
    """A message of a call from inside."""
    method = "INVITE" if start.startswith("SIP") else start.split(maxsplit=1)[0]
    to = f"<sip:b>;tag={tag}" if tag else "<sip:b>"
    data = f"{start}\r\nv:SIP/2.0/UDP x{branch}\r\nf:<sip:a>;tag=a\r\nt:{to}\r\ni:1\r\nCSeq:{cseq} {method}\r\n\r\n"
    legs.take(parse(data.encode()), Side.OUTSIDE if start.startswith("SIP") else Side.INSIDE, None, 0.0)


def states(legs: Legs) -> list[InviteState]:
    return [invite.state for invite in legs.invites.values()]


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (";branch=z9hG4bK1", ";branch=z9hG4bK1;received=10.0.0.1;rport=5060"),
        (";rport ; Branch = z9hG4bK1", ";rport=5060;Branch=z9hG4bK1"),
        (";branch=z9hG4bK1, SIP/2.0/UDP y;branch=z9hG4bK2", ";branch=z9hG4bK1\r\nv:SIP/2.0/UDP y;branch=z9hG4bK2"),
        ("", ";received=10.0.0.1"),
    ],
)
def test_a_response_finds_its_request_by_the_branch(legs: Legs, asked: str, answered: str) -> None:
    take(legs, "INVITE sip:b SIP/2.0", branch=asked)
    take(legs, "SIP/2.0 180 Ringing", branch=answered, tag="b")
    assert states(legs) == [InviteState.PROCEEDING]


def test_one_of_another_branch_is_for_another_request(legs: Legs) -> None:
    take(legs, "INVITE sip:b SIP/2.0")
    take(legs, "INVITE sip:b SIP/2.0", branch=";branch=z9hG4bK2")
    take(legs, "SIP/2.0 486 Busy", branch=";branch=z9hG4bK2", tag="b")
    assert states(legs) == [InviteState.TRYING]
    assert next(iter(legs.invites)).branch == b"z9hG4bK1"


def test_a_cancel_finds_its_invite_by_the_branch(legs: Legs) -> None:
    take(legs, "INVITE sip:b SIP/2.0")
    take(legs, "INVITE sip:b SIP/2.0", branch=";branch=z9hG4bK2")
    take(legs, "CANCEL sip:b SIP/2.0", branch=";branch=z9hG4bK2")
    take(legs, "CANCEL sip:b SIP/2.0", branch=";branch=z9hG4bK3")
    assert states(legs) == [InviteState.TRYING, InviteState.CANCELLED]


def test_the_cancel_of_an_old_phone_means_the_only_one(legs: Legs) -> None:
    take(legs, "INVITE sip:b SIP/2.0")
    take(legs, "CANCEL sip:b SIP/2.0", branch=";branch=1")
    assert states(legs) == [InviteState.CANCELLED]


def test_a_request_that_is_over_is_known(legs: Legs) -> None:
    take(legs, "INVITE sip:b SIP/2.0")
    (request,) = legs.invites
    take(legs, "SIP/2.0 486 Busy", tag="b")
    assert legs.is_over
    assert legs.knows(request, 31.9)
    assert not legs.knows(request, 32.0)


def test_one_that_made_a_dialog_is_known_for_as_long_as_that(legs: Legs) -> None:
    take(legs, "INVITE sip:b SIP/2.0")
    (request,) = legs.invites
    take(legs, "SIP/2.0 200 OK", tag="b")
    legs.time_out(100.0)
    assert (legs.invites, legs.knows(request, 1000.0)) == ({}, True)
    take(legs, "INVITE sip:b SIP/2.0")
    assert legs.invites == {}
    assert [dialog.state for dialog in legs.dialogs.values()] == [DialogState.CONFIRMED]
    assert list(legs.dialogs) == [DialogId(b"a", b"b")]


def test_of_branches_that_come_and_go_sixteen_are_remembered(legs: Legs) -> None:
    take(legs, "INVITE sip:b SIP/2.0")
    for number in range(20):
        take(legs, "SIP/2.0 200 OK", tag=f"b{number}")
        legs.dialogs[DialogId(b"a", b"b%d" % number)].state = DialogState.OVER
    take(legs, "SIP/2.0 200 OK", tag="last")
    (invite,) = legs.invites.values()
    assert (len(invite.gone), len(legs.dialogs)) == (16, 1)
