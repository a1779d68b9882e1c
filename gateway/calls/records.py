"""A call as a plain value that can be written down, and the call that comes of it.

Why it is so: the state machines stay as they are for whoever reads them, and what is written has a form of its own,
whose types are checked when it is read. Fields are only ever added at the end, with a default.
"""

import msgspec

from gateway.calls.bindings import MediaAddress
from gateway.calls.call import Call, CallId
from gateway.calls.dialog import Dialog, DialogId, DialogState, Invite, InviteState, Side, TransactionId
from gateway.calls.finished import Finished
from gateway.calls.legs import Legs
from gateway.calls.media import Described, FarHost, Media
from gateway.calls.parties import Parties
from gateway.sdp.offer_answer import Description, Proposal, Terms
from gateway.sip.message import Header
from rules.model import Endpoint

_Medium = tuple[MediaAddress | None, str | None]  # one of the phone's, or a far host
_Terms = tuple[list[_Medium], bool]
_Described = tuple[list[_Medium], bool, bool, bool]
_Description = tuple[_Terms, list[tuple[TransactionId, _Terms, float]]]


class DialogRecord(msgspec.Struct, frozen=True, array_like=True):
    """A Dialog."""

    id: DialogId
    invite: TransactionId
    media: dict[Side, _Description]
    state: DialogState
    deadline: float
    expiry: float
    ack_by: float
    accepted: dict[Side, int]
    settled: dict[Side, int]
    said: dict[Side, tuple[Side, int, _Described]]
    trickled: dict[Side, list[_Medium]]


class InviteRecord(msgspec.Struct, frozen=True, array_like=True):
    """An Invite."""

    id: TransactionId
    tag: bytes
    deadline: float
    offer: _Terms | None
    state: InviteState
    dialog: DialogId | None
    gone: dict[DialogId, bool]
    early: list[DialogRecord]


class PartiesRecord(msgspec.Struct, frozen=True, array_like=True):
    """The Parties, and of the messages that name some the headers that do."""

    met: frozenset[str]
    named: dict[bytes, list[Header]]
    guests: dict[TransactionId, str]
    is_anywhere: bool


class CallRecord(msgspec.Struct, frozen=True, array_like=True):
    """A Call; `over_until` is set once it has ended: then only late copies of its messages are known by it."""

    id: CallId
    phone: Endpoint
    caller: Side
    peer: str
    since: float
    heard: float
    packets: int
    counted: float
    was_answered: bool
    has_another_way: bool
    phones: frozenset[Endpoint]
    met: tuple[frozenset[MediaAddress], frozenset[str] | None] | None
    invites: list[InviteRecord]
    dialogs: list[DialogRecord]
    finished: dict[TransactionId, float]
    given_up: list[InviteRecord]
    parties: PartiesRecord
    over_until: float | None = None


def record_of(call: Call, over_until: float | None) -> CallRecord:
    """What is to be written of a call."""
    legs = call.legs
    finished, given_up = legs.finished.to_values()
    return CallRecord(
        call.id, call.phone, call.caller, call.peer, call.since, call.heard, call.packets, call.counted,
        call.was_answered, call.has_another_way, frozenset(call.phones), call.met,
        [_of_invite(each) for each in legs.invites.values()],
        [_of_dialog(each) for each in legs.dialogs.values()],
        finished,
        [_of_invite(each) for each in given_up],
        PartiesRecord(*call.parties.to_values()),
        over_until,
    )  # fmt: skip


def call_of(record: CallRecord) -> Call:
    """The call that was written."""
    legs = Legs()
    legs.invites = {each.id: _invite(each) for each in record.invites}
    legs.dialogs = {each.id: _dialog(each) for each in record.dialogs}
    legs.finished = Finished.from_values(record.finished, [_invite(each) for each in record.given_up])
    parties = record.parties
    return Call(
        record.id, record.phone, record.caller, record.peer, record.since, record.heard, record.packets,
        record.counted, record.was_answered, record.has_another_way, legs,
        Parties.from_values(parties.met, parties.named, parties.guests, is_anywhere=parties.is_anywhere),
        set(record.phones), record.met,
    )  # fmt: skip


def _of_invite(invite: Invite) -> InviteRecord:
    early = [_of_dialog(each) for each in invite.early.values()]
    offer = None if invite.offer is None else _of_terms(invite.offer)
    return InviteRecord(
        invite.id, invite.tag, invite.deadline, offer, invite.state, invite.dialog, dict(invite.gone), early
    )


def _invite(record: InviteRecord) -> Invite:
    early = {each.id: _dialog(each) for each in record.early}
    offer = None if record.offer is None else _terms(record.offer)
    return Invite(
        record.id, record.tag, record.deadline, offer, record.state, record.dialog, dict(record.gone), early
    )


def _of_dialog(dialog: Dialog) -> DialogRecord:
    said = {
        side: (caller, cseq, ([_of_medium(each) for each in words.media], *words[1:]))
        for side, (caller, cseq, words) in dialog.said.items()
    }
    return DialogRecord(
        dialog.id, dialog.invite, {side: _of_description(each) for side, each in dialog.media.items()},
        dialog.state, dialog.deadline, dialog.expiry, dialog.ack_by, dict(dialog.accepted), dict(dialog.settled),
        said, {side: [_of_medium(each) for each in media] for side, media in dialog.trickled.items()},
    )  # fmt: skip


def _dialog(record: DialogRecord) -> Dialog:
    said = {
        side: (caller, cseq, Described(frozenset([_medium(each) for each in media]), *flags))
        for side, (caller, cseq, (media, *flags)) in record.said.items()
    }
    return Dialog(
        record.id, record.invite, {side: _description(each) for side, each in record.media.items()},
        record.state, record.deadline, record.expiry, record.ack_by, dict(record.accepted), dict(record.settled),
        said, {side: tuple([_medium(each) for each in media]) for side, media in record.trickled.items()},
    )  # fmt: skip


def _of_description(description: Description[Media]) -> _Description:
    proposed = []
    for offer in description.proposed:
        assert isinstance(offer.request, TransactionId)  # noqa: S101  # all that a dialog proposes with
        proposed.append((offer.request, _of_terms(offer.terms), offer.until))
    return _of_terms(description.current), proposed


def _description(plain: _Description) -> Description[Media]:
    current, proposed = plain
    offers = [Proposal(request, _terms(terms), until) for request, terms, until in proposed]
    return Description(_terms(current), tuple(offers))


def _of_terms(terms: Terms[Media]) -> _Terms:
    return [_of_medium(each) for each in terms.things], terms.on_hold


def _terms(plain: _Terms) -> Terms[Media]:
    return Terms(frozenset([_medium(each) for each in plain[0]]), plain[1])


def _of_medium(medium: Media) -> _Medium:
    return (medium, None) if isinstance(medium, MediaAddress) else (None, medium.host)


def _medium(plain: _Medium) -> Media:
    return FarHost(plain[1]) if plain[0] is None else plain[0]
