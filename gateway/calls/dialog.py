"""The two state machines of a call: its INVITE transactions and its dialogs. All transitions are in these tables.

A pair that is not in a table is not an error: nothing happens (a late or repeated message).
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import NamedTuple

from gateway.calls.media import Described, Media
from gateway.sdp.offer_answer import Description, Terms
from gateway.sip.grammar import LWS, TRANSACTION_SECONDS
from gateway.sip.message import Message

_MOST_TRICKLED = 16  # of one party in one dialog
# of a Via line, and so of its topmost via-parm; one from before RFC 3261 may have none
_BRANCH = re.compile(rb";" + LWS + rb"(?i:branch)" + LWS + rb"=" + LWS + rb"([^\s;,]++)")


class Side(StrEnum):
    """Who sent a message."""

    INSIDE = auto()
    OUTSIDE = auto()

    @property
    def other(self) -> "Side":
        """Who receives it."""
        return Side.OUTSIDE if self is Side.INSIDE else Side.INSIDE


class Event(StrEnum):
    """What a message means to a transaction or a dialog."""

    PROVISIONAL = auto()
    SUCCESS = auto()
    CHALLENGE = auto()
    FAILURE = auto()
    CANCEL = auto()
    BYE = auto()
    GONE = auto()
    EXPIRED = auto()
    TIMEOUT = auto()


class InviteState(StrEnum):
    """An INVITE transaction (RFC 3261 section 17.1.1, with the proxy's patience of section 16.8)."""

    TRYING = "trying"
    PROCEEDING = "ringing"
    CANCELLED = "cancelled"
    CHALLENGED = "challenged"
    ANSWERED = "answered"
    GIVEN_UP = "given up"
    OVER = "over"


class DialogState(StrEnum):
    """A dialog (RFC 3261 section 12)."""

    EARLY = "early"
    CONFIRMED = "up"
    ENDING = "ending"
    OVER = "over"


INVITE_TRANSITIONS: dict[tuple[InviteState, Event], InviteState] = {
    (InviteState.TRYING, Event.PROVISIONAL): InviteState.PROCEEDING,
    (InviteState.TRYING, Event.SUCCESS): InviteState.ANSWERED,
    (InviteState.TRYING, Event.CHALLENGE): InviteState.CHALLENGED,
    (InviteState.TRYING, Event.FAILURE): InviteState.OVER,
    (InviteState.TRYING, Event.CANCEL): InviteState.CANCELLED,
    (InviteState.TRYING, Event.TIMEOUT): InviteState.GIVEN_UP,
    (InviteState.PROCEEDING, Event.PROVISIONAL): InviteState.PROCEEDING,
    (InviteState.PROCEEDING, Event.SUCCESS): InviteState.ANSWERED,
    (InviteState.PROCEEDING, Event.CHALLENGE): InviteState.CHALLENGED,
    (InviteState.PROCEEDING, Event.FAILURE): InviteState.OVER,
    (InviteState.PROCEEDING, Event.CANCEL): InviteState.CANCELLED,
    (InviteState.PROCEEDING, Event.TIMEOUT): InviteState.GIVEN_UP,
    # a CANCEL may cross the answer on its way (section 9.1)
    (InviteState.CANCELLED, Event.SUCCESS): InviteState.ANSWERED,
    (InviteState.CANCELLED, Event.CHALLENGE): InviteState.OVER,
    (InviteState.CANCELLED, Event.FAILURE): InviteState.OVER,
    (InviteState.CANCELLED, Event.TIMEOUT): InviteState.GIVEN_UP,
    (InviteState.CHALLENGED, Event.TIMEOUT): InviteState.OVER,
    (InviteState.ANSWERED, Event.TIMEOUT): InviteState.OVER,
    # only here: its parties may be more patient
    (InviteState.GIVEN_UP, Event.PROVISIONAL): InviteState.PROCEEDING,
    (InviteState.GIVEN_UP, Event.SUCCESS): InviteState.ANSWERED,
}

DIALOG_TRANSITIONS: dict[tuple[DialogState, Event], DialogState] = {
    (DialogState.EARLY, Event.SUCCESS): DialogState.CONFIRMED,
    (DialogState.EARLY, Event.FAILURE): DialogState.OVER,
    (DialogState.EARLY, Event.BYE): DialogState.ENDING,
    (DialogState.CONFIRMED, Event.BYE): DialogState.ENDING,
    (DialogState.CONFIRMED, Event.EXPIRED): DialogState.OVER,
    # a challenged BYE comes again with credentials; until then the call stands
    (DialogState.ENDING, Event.CHALLENGE): DialogState.CONFIRMED,
    (DialogState.ENDING, Event.GONE): DialogState.OVER,
    (DialogState.ENDING, Event.TIMEOUT): DialogState.OVER,
}

# Seconds in a state before TIMEOUT. Section 16.6 (11) has proxies wait more than 3 minutes when ringing; queues ring
# for longer, and not everybody says so again. A challenged INVITE is sent again at once, and finds its ports still
# there if it is.
_FOREVER = float("inf")
INVITE_PATIENCE = {
    InviteState.TRYING: TRANSACTION_SECONDS,
    InviteState.PROCEEDING: 900.0,
    InviteState.CANCELLED: TRANSACTION_SECONDS,
    InviteState.CHALLENGED: 0.5,
    InviteState.ANSWERED: TRANSACTION_SECONDS,
    InviteState.GIVEN_UP: _FOREVER,
    InviteState.OVER: _FOREVER,
}
DIALOG_PATIENCE = {
    DialogState.EARLY: _FOREVER,  # its INVITE has the timer
    DialogState.CONFIRMED: _FOREVER,
    DialogState.ENDING: TRANSACTION_SECONDS,
    DialogState.OVER: _FOREVER,
}


class DialogId(NamedTuple):
    """The tags of the inside and of the outside party; with the Call-ID they are the dialog's name."""

    inside: bytes
    outside: bytes

    @classmethod
    def of(cls, message: Message, sender: Side) -> "DialogId":
        """The dialog a message belongs to; the other party's tag is empty before there is one."""
        from_tag, to_tag = message.from_tag, message.to_tag
        caller = sender if message.is_request else sender.other
        return cls(from_tag, to_tag) if caller is Side.INSIDE else cls(to_tag, from_tag)


class TransactionId(NamedTuple):
    """A request and its responses within a call: who asks, the CSeq number, and the branch of the topmost Via.

    One Call-ID may pass the same host with the same CSeq more than once, through a proxy there or from a fork: only
    the branch tells such requests apart (RFC 3261 section 17.1.3).
    """

    caller: Side
    cseq: int
    branch: bytes

    @classmethod
    def of(cls, message: Message, sender: Side) -> "TransactionId":
        """The transaction of a request or response; the ACK of a 2xx has one of its own."""
        found = _BRANCH.search(message.first[b"via"])
        caller = sender if message.is_request else sender.other
        return cls(caller, message.cseq, b"" if found is None else found[1])


@dataclass(slots=True)
class Invite:
    """One INVITE transaction.

    `tag` is its caller's, `offer` what its request described, if anything, `dialog` the one it was sent in, `gone`
    the dialogs that it made and that are over, with whether they were answered: a late copy of what was said in them
    revives none. `early` are its early dialogs while it is given up.
    """

    id: TransactionId
    tag: bytes
    deadline: float
    offer: Terms[Media] | None = None
    state: InviteState = InviteState.TRYING
    dialog: DialogId | None = None
    gone: dict[DialogId, bool] = field(default_factory=dict)
    early: "dict[DialogId, Dialog]" = field(default_factory=dict)

    @classmethod
    def begin(cls, name: TransactionId, tag: bytes, now: float, offer: Terms[Media] | None = None) -> "Invite":
        """A request that has just been sent."""
        return cls(name, tag, now + INVITE_PATIENCE[InviteState.TRYING], offer)

    @property
    def is_pending(self) -> bool:
        """Whether its offer may still be answered."""
        return self.state not in (InviteState.ANSWERED, InviteState.OVER)

    def happens(self, event: Event, now: float) -> bool:
        """Take the transition for an event; whether there was one."""
        state = INVITE_TRANSITIONS.get((self.state, event))
        if state is None:
            return False
        self.state = state
        self.deadline = now + INVITE_PATIENCE[state]
        return True


@dataclass(slots=True)
class Dialog:
    """One dialog and what each party described in it; `invite` names the transaction that made it.

    `expiry` is when its session is over unless it is refreshed (RFC 4028), `ack_by` when its first 2xx
    is no more repeated, unless a request in it came by here. `accepted` and `settled` are, by party,
    the highest CSeq of its INVITEs with a 2xx and of its decided offers, `said` what it described last in a response
    to an INVITE or in an ACK: by these an old message is known that comes late or again. `trickled` are the
    candidates that a party named after its description, the latest first.
    """

    id: DialogId
    invite: TransactionId
    media: dict[Side, Description[Media]]
    state: DialogState = DialogState.EARLY
    deadline: float = _FOREVER
    expiry: float = _FOREVER
    ack_by: float = _FOREVER
    accepted: dict[Side, int] = field(default_factory=dict)
    settled: dict[Side, int] = field(default_factory=dict)
    said: dict[Side, tuple[Side, int, Described]] = field(default_factory=dict)
    trickled: dict[Side, tuple[Media, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, name: DialogId, invite: Invite) -> "Dialog":
        """A dialog begins with what its INVITE offered, still to be agreed."""
        dialog = cls(name, invite.id, {side: Description() for side in Side})
        if invite.offer is not None:
            caller = invite.id.caller
            dialog.media[caller] = dialog.media[caller].propose(invite.id, invite.offer)
        return dialog

    @property
    def next_deadline(self) -> float:
        """When it, or something that a party proposed in it, runs out of patience."""
        deadline = self.deadline
        for description in self.media.values():
            if description.proposed:
                deadline = min(deadline, *[offer.until for offer in description.proposed])
        return deadline

    @property
    def is_on_hold(self) -> bool:
        """Whether what is in force of either party asks for silence."""
        return True in [description.current.on_hold for description in self.media.values()]

    def happens(self, event: Event, now: float) -> bool:
        """Take the transition for an event; whether there was one."""
        state = DIALOG_TRANSITIONS.get((self.state, event))
        if state is None:
            return False
        self.state = state
        self.deadline = now + DIALOG_PATIENCE[state]
        return True

    def time_out(self, now: float) -> None:
        """Whatever nobody has answered by now is given up."""
        if self.deadline <= now:
            self.happens(Event.TIMEOUT, now)
        for side, description in self.media.items():
            self.media[side] = description.expire(now)

    def accept(self, request: TransactionId) -> bool:
        """An INVITE was answered by a 2xx; False if a newer one was before, or this one."""
        newest = self.accepted.get(request.caller, -1)
        self.accepted[request.caller] = max(newest, request.cseq)
        return request.cseq > newest

    def conclude(self, sender: Side, described: Described) -> None:
        """A party described its media in the 2xx of an UPDATE or PRACK; no offer of its own is open then."""
        self.media[sender] = Description(self._meant(sender, described))

    def answer(self, sender: Side, request: TransactionId, described: Described) -> None:
        """A party described its media in a response to an INVITE or in an ACK; a late or repeated one says nothing.

        A session moved on by UPDATE must not be thrown back by a copy of the response that began it.
        """
        newest = self.accepted.get(request.caller, -1)
        if sender is request.caller:  # an ACK, and offers of its sender may have been decided since
            newest = max(newest, self.settled.get(sender, -1))
        saying = request.caller, request.cseq, described
        if request.cseq >= newest and self.said.get(sender) != saying:
            self.said[sender] = saying
            self.media[sender] = self.media[sender].announce(self._meant(sender, described))

    def propose(self, sender: Side, request: TransactionId, described: Described, until: float = _FOREVER) -> None:
        """A party described its media in what may be refused with `request`, or be answered by nobody until then."""
        if request.cseq >= self.settled.get(request.caller, -1):
            self.media[sender] = self.media[sender].propose(request, self._meant(sender, described), until)

    def trickle(self, sender: Side, media: frozenset[Media]) -> None:
        """A party named candidates in an INFO request: all of them each time, or only new ones.

        RFC 8840 section 4.4 wants all; so when there are too many, the oldest are given up.
        """
        older = [each for each in self.trickled.get(sender, ()) if each not in media]
        self.trickled[sender] = (*sorted(media, key=str), *older)[:_MOST_TRICKLED]

    def agree(self, request: TransactionId) -> None:
        """The request was accepted."""
        for side, description in self.media.items():
            if description.awaits(request):
                self.media[side] = description.agree(request)
                self._settle(request)

    def withdraw(self, request: TransactionId) -> None:
        """The request was refused."""
        for side, description in self.media.items():
            if description.awaits(request):
                self.media[side] = description.withdraw(request)
                self._settle(request)

    def _settle(self, request: TransactionId) -> None:
        self.settled[request.caller] = max(self.settled.get(request.caller, -1), request.cseq)

    def _meant(self, sender: Side, described: Described) -> Terms[Media]:
        """On hold by an unspecified address, the media in force stay as they are for the way back."""
        before = self.media[sender].current.things if described.paused else frozenset[Media]()
        return Terms(described.media | before, described.on_hold)
