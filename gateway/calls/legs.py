"""The legs of one call: its INVITE transactions and its dialogs, and which message does what to which of them.

A leg is a request that begins a dialog and what comes of it. There are several where a call is forked, on either
side, and where it passes the same host more than once, through a proxy there.
"""

from gateway.calls.dialog import Dialog, DialogId, DialogState, Event, Invite, InviteState, Side, TransactionId
from gateway.calls.finished import Finished
from gateway.calls.media import Described, Media
from gateway.calls.session_timer import FOREVER, session_interval
from gateway.errors import NotUnderstoodError
from gateway.sdp.offer_answer import Terms
from gateway.sip.grammar import TRANSACTION_SECONDS
from gateway.sip.message import Message

# What a far side can make a call keep; honest ones need a few of each.
_MOST_BRANCHES = 16
_MOST_INVITES = 16
_MOST_PROPOSALS = 16
_UPDATES = frozenset({b"UPDATE", b"PRACK"})  # with an offer or answer of their own


class Legs:
    """The one owner of a call's transactions and dialogs; `finished` are the requests that are over."""

    __slots__ = ("dialogs", "finished", "invites")

    def __init__(self) -> None:
        self.invites: dict[TransactionId, Invite] = {}
        self.dialogs: dict[DialogId, Dialog] = {}
        self.finished = Finished()

    @property
    def is_over(self) -> bool:
        """Whether nothing can come of the call any more."""
        return not self.dialogs and not self._pending()

    @property
    def deadline(self) -> float:
        """When the next transaction, proposal or dialog runs out of patience."""
        deadlines = [invite.deadline for invite in self.invites.values()]
        deadlines += [dialog.next_deadline for dialog in self.dialogs.values()]
        return min(deadlines, default=FOREVER)

    def media(self) -> list[frozenset[Media]]:
        """Whatever may be used just now."""
        everything = [invite.offer.things for invite in self._pending() if invite.offer is not None]
        for dialog in self.dialogs.values():
            everything += [description.everything for description in dialog.media.values()]
            if dialog.trickled:
                everything += map(frozenset, dialog.trickled.values())
        return everything

    def knows(self, request: TransactionId, now: float) -> bool:
        """Whether it was here already."""
        made = [dialog.invite for dialog in self.dialogs.values()]
        return request in self.invites or request in made or self.finished.has(request, now)

    def given_up(self, message: Message, sender: Side, described: Described | None, now: float) -> Invite | None:
        """The INVITE that was given up, and that a late response makes go on."""
        if not 200 <= message.status < 300 and (described is None or not 100 < message.status < 199):
            return None
        invite = self.finished.given_up(TransactionId.of(message, sender), now)
        return None if invite is None or invite.tag not in DialogId.of(message, sender) else invite

    def check(self, message: Message, sender: Side, described: Described | None) -> None:
        """Raises NotUnderstoodError, before anything is changed, for a request that is more than any call has."""
        if message.method != b"INVITE":
            dialog = self.dialogs.get(DialogId.of(message, sender))
            proposed = 0 if dialog is None or described is None else len(dialog.media[sender].proposed)
            if proposed >= _MOST_PROPOSALS:
                raise NotUnderstoodError(f"more than {_MOST_PROPOSALS} offers at once in one dialog")
        elif len(self.invites) >= _MOST_INVITES and TransactionId.of(message, sender) not in self.invites:
            raise NotUnderstoodError(f"more than {_MOST_INVITES} INVITEs at once in one call")

    def begin(self, invite: Invite) -> None:
        """An INVITE that went by before anybody here listened."""
        self.invites[invite.id] = invite

    def take(self, message: Message, sender: Side, described: Described | None, now: float) -> None:
        """Follow one message; a stray one changes nothing, nor does a copy of what is not yet `finished`."""
        if message.is_request:
            self._request(message, sender, described, now)
            return
        if message.method == b"INVITE":
            self._invite_response(message, sender, described, now)
        elif message.status >= 200:
            self._final_response(message, sender, described, now)
        self._drop_what_is_over(now)

    def trickle(self, message: Message, sender: Side, media: frozenset[Media]) -> None:
        """Candidates that come after their description belong to a dialog, and go with it."""
        dialog = self.dialogs.get(DialogId.of(message, sender))
        if dialog is not None:
            dialog.trickle(sender, media)

    def withdraw(self, message: Message, sender: Side, now: float) -> None:
        """Take a request back that is answered here and never reaches the other side."""
        request = TransactionId.of(message, sender)
        if message.method == b"INVITE":
            invite = self.invites.pop(request, None)
            if invite is not None:
                self._invite_failed(invite, now)
                self._drop_what_is_over(now)
        elif message.method in _UPDATES:
            dialog = self.dialogs.get(DialogId.of(message, sender))
            if dialog is not None:
                dialog.withdraw(request)

    def time_out(self, now: float) -> None:
        """Let everything go whose deadline has passed."""
        for invite in list(self.invites.values()):
            if invite.deadline <= now and invite.happens(Event.TIMEOUT, now):
                self._invite_failed(invite, now)
        for dialog in self.dialogs.values():
            dialog.time_out(now)
        self._drop_what_is_over(now)

    def expire(self, counted: float, now: float) -> bool:
        """End each dialog whose session nobody refreshed, unless packets were `counted` since: then look again.

        Whether one has ended.
        """
        ended = False
        for dialog in self.dialogs.values():
            if dialog.expiry + TRANSACTION_SECONDS <= now:
                if counted > dialog.expiry:
                    dialog.expiry = now
                else:
                    ended |= dialog.happens(Event.EXPIRED, now)
        if ended:
            self._drop_what_is_over(now)
        return ended

    def goes_elsewhere(self, now: float) -> bool:
        """Whether it is answered and its parties write to each other past here: of no dialog the ACK has come by."""
        return bool(self.dialogs) and not self._pending() and max(d.ack_by for d in self.dialogs.values()) <= now

    def ring_on(self, now: float) -> None:
        """Media flow, so what rings is alive, though nobody says so again."""
        for invite in self.invites.values():
            if invite.state is InviteState.PROCEEDING and invite.dialog is None:
                invite.happens(Event.PROVISIONAL, now)

    def hang_up(self, now: float) -> None:
        """End it here and now, whatever the parties think."""
        for request in self.invites:
            self.finished.add(request, now)
        self.invites.clear()
        self.dialogs.clear()

    def _request(self, message: Message, sender: Side, described: Described | None, now: float) -> None:
        dialog = self.dialogs.get(DialogId.of(message, sender)) if self.dialogs else None
        if message.method == b"INVITE":
            self._invite(message, sender, dialog, described, now)
        elif message.method == b"CANCEL":
            invite = self._cancelled(TransactionId.of(message, sender))
            if invite is not None and invite.tag == message.from_tag:
                invite.happens(Event.CANCEL, now)
        if dialog is None:
            return
        dialog.ack_by = FOREVER
        if message.method == b"BYE":
            dialog.happens(Event.BYE, now)
        elif described is not None and message.method == b"ACK":
            dialog.answer(sender, TransactionId.of(message, sender), described)
        elif described is not None and message.method in _UPDATES:
            dialog.propose(sender, TransactionId.of(message, sender), described, now + TRANSACTION_SECONDS)

    def _invite(
        self, message: Message, sender: Side, dialog: Dialog | None, described: Described | None, now: float
    ) -> None:
        request = TransactionId.of(message, sender)
        is_stray = dialog is None and message.to_tag and (self.dialogs or self.invites)
        if is_stray or self.knows(request, now):
            return
        invite = self.invites[request] = Invite.begin(request, message.from_tag, now)
        if dialog is not None:
            invite.dialog = dialog.id
            if described is not None:
                dialog.propose(sender, request, described)
        elif described is not None:
            invite.offer = Terms(described.media, described.on_hold)
        challenged = [old for old in self.invites.values() if old.state is InviteState.CHALLENGED]
        for old in challenged:
            if old.id.caller is sender:
                old.happens(Event.TIMEOUT, now)
                self._invite_failed(old, now)
        if challenged:
            self._drop_what_is_over(now)

    def _cancelled(self, request: TransactionId) -> Invite | None:
        """The INVITE that a CANCEL means; one from before RFC 3261 may have a branch of its own."""
        if request in self.invites:
            return self.invites[request]
        meant = [invite for invite in self.invites.values() if invite.id[:2] == request[:2]]
        return meant[0] if len(meant) == 1 else None

    def _invite_response(self, message: Message, sender: Side, described: Described | None, now: float) -> None:
        request = TransactionId.of(message, sender)
        name = DialogId.of(message, sender)
        invite = self.invites.get(request)
        dialog = self.dialogs.get(name)
        succeeds = 200 <= message.status < 300
        if invite is None:
            invite = self.given_up(message, sender, described, now)
            if invite is not None:
                self._go_on(invite)
                dialog = self.dialogs.get(name)
        if invite is None:
            if dialog is not None and described is not None and succeeds:
                dialog.answer(sender, request, described)
            return
        if invite.tag not in name or invite.dialog not in (None, name):
            return
        if message.status >= 300:
            if invite.happens(_failure(message.status), now):
                self._invite_failed(invite, now)
            return
        was_pending = invite.is_pending
        invite.happens(Event.SUCCESS if succeeds else Event.PROVISIONAL, now)
        # a 2xx makes a dialog without a tag too (section 12.1.2), a 1xx does not
        if message.status == 100 or not (succeeds or (was_pending and message.to_tag)):
            return
        was_answered = invite.gone.get(name)  # None if it is not gone
        if message.status == 199:
            self._branch_ends(invite, dialog, now)
            return
        if was_answered or (was_answered is False and not succeeds):
            return
        if dialog is None:
            if self._branches(invite, early=not succeeds) >= _MOST_BRANCHES:
                return
            dialog = self.dialogs[name] = Dialog.of(name, invite)
        if succeeds:
            self._answered(dialog, invite, message, now)
        if described is not None and (succeeds or invite.dialog is None):
            dialog.answer(sender, request, described)
        elif described is not None:
            dialog.propose(sender, request, described)

    def _answered(self, dialog: Dialog, invite: Invite, message: Message, now: float) -> None:
        if dialog.happens(Event.SUCCESS, now):
            dialog.ack_by = now + TRANSACTION_SECONDS
        if dialog.accept(invite.id):
            dialog.expiry = now + session_interval(message)
        dialog.agree(invite.id)
        self._drop_early(invite, now)

    def _final_response(self, message: Message, sender: Side, described: Described | None, now: float) -> None:
        dialog = self.dialogs.get(DialogId.of(message, sender))
        if dialog is None:
            return
        if message.method == b"BYE":
            challenged = _failure(message.status) is Event.CHALLENGE
            dialog.happens(Event.CHALLENGE if challenged else Event.GONE, now)
        elif message.method in _UPDATES:
            request = TransactionId.of(message, sender)
            if self.finished.has(request, now):
                return
            self.finished.add(request, now)
            if message.status >= 300:
                dialog.withdraw(request)
                return
            if message.method == b"UPDATE":
                dialog.expiry = now + session_interval(message)
            dialog.agree(request)
            if described is not None:
                dialog.conclude(sender, described)

    def _invite_failed(self, invite: Invite, now: float) -> None:
        """A first INVITE takes its early dialogs along; a later one leaves its dialog as it was before it.

        What a challenged one proposed there waits for the next try, like the offer of a first one.
        """
        dialog = None if invite.dialog is None else self.dialogs.get(invite.dialog)
        if dialog is None and invite.state is InviteState.GIVEN_UP:
            self._set_early_aside(invite)
        elif dialog is None:
            self._drop_early(invite, now)
        elif invite.state is not InviteState.CHALLENGED:
            dialog.withdraw(invite.id)

    def _branches(self, invite: Invite, *, early: bool) -> int:
        """How many dialogs an INVITE has made so far; the early ones make way for an answer."""
        states = [dialog.state for dialog in self.dialogs.values() if dialog.invite == invite.id]
        gone = len(invite.gone) if early else 0
        return gone + len([state for state in states if early or state is not DialogState.EARLY])

    def _branch_ends(self, invite: Invite, dialog: Dialog | None, now: float) -> None:
        """One early dialog is over before its INVITE (RFC 6228)."""
        if dialog is not None and dialog.invite == invite.id:
            dialog.happens(Event.FAILURE, now)

    def _drop_early(self, invite: Invite, now: float) -> None:
        """The other branches of a fork; one that answers after all makes its dialog anew (section 13.2.2.4)."""
        for dialog in self.dialogs.values():
            if dialog.state is DialogState.EARLY and dialog.invite == invite.id:
                dialog.happens(Event.FAILURE, now)

    def _set_early_aside(self, invite: Invite) -> None:
        for name, dialog in list(self.dialogs.items()):
            if dialog.state is DialogState.EARLY and dialog.invite == invite.id:
                invite.early[name] = self.dialogs.pop(name)

    def _go_on(self, invite: Invite) -> None:
        """It was given up too early, so all is as it was."""
        self.finished.go_on(invite)
        self.invites[invite.id] = invite
        self.dialogs.update(invite.early)
        invite.early.clear()

    def _pending(self) -> list[Invite]:
        return [invite for invite in self.invites.values() if invite.is_pending]

    def _drop_what_is_over(self, now: float) -> None:
        """A dialog takes the INVITEs along that were sent in it: nothing can come of them any more."""
        for name, dialog in list(self.dialogs.items()):
            if dialog.state is DialogState.OVER:
                del self.dialogs[name]
                made_by = self.invites.get(dialog.invite)
                if made_by is not None and len(made_by.gone) < _MOST_BRANCHES:
                    made_by.gone[name] = bool(dialog.accepted)
        for request, invite in list(self.invites.items()):
            orphaned = invite.dialog is not None and invite.dialog not in self.dialogs
            is_given_up = invite.state is InviteState.GIVEN_UP
            if not (orphaned or is_given_up or invite.state is InviteState.OVER):
                continue
            del self.invites[request]
            if is_given_up and invite.dialog is None:
                self.finished.give_up(invite, now)
            else:
                self.finished.add(request, now)


def _failure(status: int) -> Event:
    return Event.CHALLENGE if status in (401, 407) else Event.FAILURE
