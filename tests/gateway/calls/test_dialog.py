from itertools import product

import pytest

from gateway.calls.bindings import MediaAddress
from gateway.calls.dialog import (
    DIALOG_PATIENCE,
    DIALOG_TRANSITIONS,
    INVITE_PATIENCE,
    INVITE_TRANSITIONS,
    Dialog,
    DialogId,
    DialogState,
    Event,
    Invite,
    InviteState,
    Side,
    TransactionId,
)
from gateway.calls.media import Described, FarHost
from gateway.sdp.offer_answer import Terms
from gateway.sip.message import parse
from rules.model import Endpoint, Purpose

NAME = DialogId(b"a", b"b")
REQUEST = TransactionId(Side.INSIDE, 7, b"z9hG4bK1")
HERE = MediaAddress(Endpoint("10.0.0.11", 16384), None, Purpose.UDPTL)


def invite(state: InviteState = InviteState.TRYING) -> Invite:
    made = Invite.begin(REQUEST, b"a", 0.0)
    made.state = state
    return made


@pytest.mark.parametrize(("state", "event"), list(product(InviteState, Event)))
def test_an_invite_follows_its_table_and_nothing_else(state: InviteState, event: Event) -> None:
    transaction = invite(state)
    before = transaction.deadline
    to = INVITE_TRANSITIONS.get((state, event))
    assert transaction.happens(event, 100.0) is (to is not None)
    assert transaction.state is (to or state)
    assert transaction.deadline == (before if to is None else 100.0 + INVITE_PATIENCE[to])


@pytest.mark.parametrize(("state", "event"), list(product(DialogState, Event)))
def test_a_dialog_follows_its_table_and_nothing_else(state: DialogState, event: Event) -> None:
    dialog = Dialog.of(NAME, invite())
    dialog.state = state
    to = DIALOG_TRANSITIONS.get((state, event))
    assert dialog.happens(event, 100.0) is (to is not None)
    assert dialog.state is (to or state)
    if to is not None:
        assert dialog.deadline == 100.0 + DIALOG_PATIENCE[to]


def test_every_state_is_reached_from_the_first_one() -> None:
    for first, states, table in (
        (InviteState.TRYING, set(InviteState), INVITE_TRANSITIONS),
        (DialogState.EARLY, set(DialogState), DIALOG_TRANSITIONS),
    ):
        reached: set[object] = {first}
        for _ in states:
            reached |= {to for (state, _), to in table.items() if state in reached}
        assert reached == states


def test_nothing_leads_out_of_the_end() -> None:
    assert not any(state is InviteState.OVER for state, _ in INVITE_TRANSITIONS)
    assert not any(state is DialogState.OVER for state, _ in DIALOG_TRANSITIONS)


def test_whoever_waits_waits_for_something() -> None:
    """Each state either has a timer, or ends with somebody else's."""
    for state, seconds in INVITE_PATIENCE.items():
        assert ((state, Event.TIMEOUT) in INVITE_TRANSITIONS) is (seconds != float("inf"))
    for name, seconds in DIALOG_PATIENCE.items():
        assert ((name, Event.TIMEOUT) in DIALOG_TRANSITIONS) is (seconds != float("inf"))


@pytest.mark.parametrize(
    ("start", "sender", "expected"),
    [
        ("INVITE sip:x SIP/2.0", Side.INSIDE, (b"f", b"t")),
        ("INVITE sip:x SIP/2.0", Side.OUTSIDE, (b"t", b"f")),
        ("SIP/2.0 200 OK", Side.OUTSIDE, (b"f", b"t")),
        ("SIP/2.0 200 OK", Side.INSIDE, (b"t", b"f")),
    ],
)
def test_a_dialogs_name_is_the_same_in_all_its_messages(
    start: str, sender: Side, expected: tuple[bytes, bytes]
) -> None:
    data = f"{start}\r\nv:SIP/2.0/UDP x\r\nf:<sip:a>;tag=f\r\nt:<sip:b>;tag=t\r\ni:1\r\nCSeq:1 INVITE\r\n\r\n"
    assert DialogId.of(parse(data.encode()), sender) == expected


def test_a_dialog_begins_with_what_its_invite_offered() -> None:
    transaction = Invite.begin(REQUEST, b"a", 0.0, Terms(frozenset({HERE})))
    dialog = Dialog.of(NAME, transaction)
    assert dialog.media[Side.INSIDE].everything == {HERE}
    assert dialog.media[Side.INSIDE].current.things == frozenset()
    dialog.agree(REQUEST)
    assert dialog.media[Side.INSIDE].current.things == {HERE}
    assert dialog.media[Side.OUTSIDE].everything == frozenset()


def test_on_hold_is_said_by_each_party_for_itself() -> None:
    dialog = Dialog.of(NAME, invite())
    held = Described(frozenset({FarHost("198.51.100.20")}), on_hold=True, paused=False)
    dialog.conclude(Side.INSIDE, held)
    dialog.conclude(Side.OUTSIDE, held)
    dialog.conclude(Side.INSIDE, held._replace(on_hold=False))
    assert dialog.is_on_hold
    dialog.conclude(Side.OUTSIDE, held._replace(on_hold=False))
    assert not dialog.is_on_hold


def test_an_unspecified_address_keeps_what_is_in_force() -> None:
    dialog = Dialog.of(NAME, invite())
    dialog.conclude(Side.INSIDE, Described(frozenset({HERE}), on_hold=False, paused=False))
    dialog.conclude(Side.INSIDE, Described(frozenset(), on_hold=True, paused=True))
    assert dialog.media[Side.INSIDE].current.things == {HERE}
    dialog.conclude(Side.INSIDE, Described(frozenset(), on_hold=False, paused=False))
    assert dialog.media[Side.INSIDE].current.things == frozenset()
