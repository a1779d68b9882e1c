"""One call as one phone has it: its INVITE transactions, its dialogs, and through them the media in use.

A call that passes the router twice, between two inside phones, is two of these with one Call-ID.
"""

from dataclasses import dataclass, field
from hashlib import blake2s
from typing import NamedTuple

from gateway.calls.bindings import Holder, HolderKind, MediaAddress
from gateway.calls.dialog import Dialog, DialogId, DialogState, Event, Invite, InviteState, Side
from gateway.calls.media import Described, FarHost
from gateway.errors import NotUnderstoodError
from gateway.sdp.offer_answer import Terms
from gateway.sip.grammar import TRANSACTION_SECONDS
from gateway.sip.message import Message
from rules.model import Endpoint

_FOREVER = float("inf")
# What a far side can make a call keep; honest ones need a few of each.
_MOST_HOSTS = 32
_MOST_BRANCHES = 16
_MOST_INVITES = 16
_MOST_PROPOSALS = 16


class CallId(NamedTuple):
    """A call's name: its Call-ID and the address of the inside phone."""

    call_id: bytes
    phone: str


@dataclass(slots=True)
class Call:
    """The state of one call. `heard` is when media was last seen or the call was answered.

    `label` is the short name that rules and logs carry, `holder` what keeps its bindings, `met` the media that they
    were last made for.
    """

    id: CallId
    phone: Endpoint
    caller: Side
    peer: str
    since: float
    heard: float = 0.0
    packets: int = 0
    was_answered: bool = False
    invites: dict[tuple[Side, int], Invite] = field(default_factory=dict)
    dialogs: dict[DialogId, Dialog] = field(default_factory=dict)
    met: tuple[frozenset[MediaAddress], frozenset[str] | None] | None = None
    label: str = field(init=False)
    holder: Holder = field(init=False)

    def __post_init__(self) -> None:
        self.label = blake2s(self.id.call_id, digest_size=4).hexdigest()
        self.holder = Holder.of(HolderKind.CALL, f"{self.label} {self.id.phone}")

    @property
    def state(self) -> str:
        """The one word for people: how far the furthest dialog or transaction has come."""
        for state in (DialogState.CONFIRMED, DialogState.ENDING, DialogState.EARLY):
            if any(dialog.state is state for dialog in self.dialogs.values()):
                return str(state)
        return str(next((invite.state for invite in self.invites.values()), InviteState.OVER))

    @property
    def is_up(self) -> bool:
        """Whether it has been answered and not yet ended."""
        return DialogState.CONFIRMED in [dialog.state for dialog in self.dialogs.values()]

    @property
    def is_missed(self) -> bool:
        """Whether it came in and nobody has answered it."""
        return self.caller is Side.OUTSIDE and not self.was_answered

    @property
    def is_over(self) -> bool:
        """Whether nothing can come of it any more."""
        return not self.dialogs and not self._pending()

    @property
    def is_on_hold(self) -> bool:
        """Whether some party asked for silence."""
        return any(dialog.is_on_hold for dialog in self.dialogs.values())

    @property
    def deadline(self) -> float:
        """When the next transaction, proposal or dialog runs out of patience."""
        deadlines = [invite.deadline for invite in self.invites.values()]
        deadlines += [dialog.next_deadline for dialog in self.dialogs.values()]
        return min(deadlines, default=_FOREVER)

    @property
    def media(self) -> tuple[frozenset[MediaAddress], frozenset[str] | None]:
        """Every address where the phone may receive just now, and every host that may send to it.

        The hosts are None when one of them was named before this gateway was there.
        """
        everything = [invite.offer.things for invite in self._pending() if invite.offer is not None]
        for dialog in self.dialogs.values():
            everything += [description.everything for description in dialog.media.values()]
        local = set()
        hosts = set()
        for media in everything:
            for each in media:
                if isinstance(each, MediaAddress):
                    local.add(each)
                else:
                    hosts.add(each.host)
        known = frozenset([host for host in hosts if host is not None])
        return frozenset(local), known if len(known) == len(hosts) else None

    def check(self, message: Message, sender: Side, described: Described | None) -> None:
        """Raises NotUnderstoodError, before anything is changed, for what would be more than any call has."""
        if message.is_request:
            if message.method != b"INVITE":
                dialog = self.dialogs.get(DialogId.of(message, sender))
                proposed = 0 if dialog is None or described is None else len(dialog.media[sender].proposed)
                if proposed >= _MOST_PROPOSALS:
                    raise NotUnderstoodError(f"more than {_MOST_PROPOSALS} offers at once in one dialog")
            elif len(self.invites) >= _MOST_INVITES and (sender, message.cseq) not in self.invites:
                raise NotUnderstoodError(f"more than {_MOST_INVITES} INVITEs at once in one call")
        known = None if self.met is None else self.met[1]
        if described is not None and sender is Side.OUTSIDE and known is not None:
            hosts = known.union([each.host for each in described.media if isinstance(each, FarHost)])
            if len(hosts) > _MOST_HOSTS:
                raise NotUnderstoodError(f"more than {_MOST_HOSTS} media hosts in one call")

    def take(self, message: Message, sender: Side, described: Described | None, now: float) -> None:
        """Follow one message; a repeated or stray one changes nothing."""
        if message.is_request:
            self._request(message, sender, described, now)
            return
        name = DialogId.of(message, sender)
        if message.method == b"INVITE":
            self._invite_response(message, sender, name, described, now)
        elif message.status >= 200:
            self._final_response(message, sender, name, described, now)
        self._drop_what_is_over()

    def withdraw(self, message: Message, sender: Side, now: float) -> None:
        """Take a request back that is answered here and never reaches the other side."""
        if message.method == b"INVITE":
            invite = self.invites.pop((sender, message.cseq), None)
            if invite is not None:
                self._invite_failed(invite, now)
                self._drop_what_is_over()
        elif message.method in (b"UPDATE", b"PRACK"):
            dialog = self.dialogs.get(DialogId.of(message, sender))
            if dialog is not None:
                dialog.withdraw(sender, message.cseq)

    def time_out(self, now: float) -> None:
        """Let everything go whose deadline has passed."""
        for invite in list(self.invites.values()):
            if invite.deadline <= now and invite.happens(Event.TIMEOUT, now):
                self._invite_failed(invite, now)
        for dialog in self.dialogs.values():
            dialog.time_out(now)
        self._drop_what_is_over()

    def hang_up(self) -> None:
        """End it here and now, whatever the parties think."""
        self.invites.clear()
        self.dialogs.clear()

    def _request(self, message: Message, sender: Side, described: Described | None, now: float) -> None:
        dialog = self.dialogs.get(DialogId.of(message, sender)) if self.dialogs else None
        if message.method == b"INVITE":
            self._invite(message, sender, dialog, described, now)
        elif message.method == b"CANCEL":
            invite = self.invites.get((sender, message.cseq))
            if invite is not None:
                invite.happens(Event.CANCEL, now)
        elif dialog is None:
            return
        elif message.method == b"BYE":
            dialog.happens(Event.BYE, now)
        elif described is not None and message.method == b"ACK":
            dialog.announce(sender, described)
        elif described is not None and message.method in (b"UPDATE", b"PRACK"):
            dialog.propose(sender, message.cseq, described, now + TRANSACTION_SECONDS)

    def _invite(
        self, message: Message, sender: Side, dialog: Dialog | None, described: Described | None, now: float
    ) -> None:
        key = (sender, message.cseq)
        if key in self.invites:
            return
        for old in list(self.invites):
            if self.invites[old].state is InviteState.CHALLENGED:
                del self.invites[old]
        invite = self.invites[key] = Invite.begin(sender, message.cseq, now)
        if dialog is not None:
            invite.dialog = dialog.id
            if described is not None:
                dialog.propose(sender, message.cseq, described)
        elif described is not None:
            invite.offer = Terms(described.media, described.on_hold)

    def _invite_response(
        self, message: Message, sender: Side, name: DialogId, described: Described | None, now: float
    ) -> None:
        invite = self.invites.get((sender.other, message.cseq))
        dialog = self.dialogs.get(name)
        if invite is None:
            if dialog is not None and described is not None and 200 <= message.status < 300:
                dialog.announce(sender, described)
            return
        if message.status >= 300:
            if invite.happens(_failure(message.status), now):
                self._invite_failed(invite, now)
            return
        succeeds = message.status >= 200
        was_pending = invite.is_pending
        invite.happens(Event.SUCCESS if succeeds else Event.PROVISIONAL, now)
        if message.status == 100 or not (name.inside and name.outside) or not (succeeds or was_pending):
            return
        if dialog is None:
            if self._branches(invite, early=not succeeds) >= _MOST_BRANCHES:
                return
            dialog = self.dialogs[name] = Dialog.of(name, invite)
        if succeeds:
            if dialog.happens(Event.SUCCESS, now):
                self.heard = now
            dialog.agree(sender.other, message.cseq)
        if described is not None:
            dialog.announce(sender, described)
        if succeeds:
            self._drop_early(invite, now)

    def _final_response(
        self, message: Message, sender: Side, name: DialogId, described: Described | None, now: float
    ) -> None:
        dialog = self.dialogs.get(name)
        if dialog is None:
            return
        if message.method == b"BYE":
            challenged = _failure(message.status) is Event.CHALLENGE
            dialog.happens(Event.CHALLENGE if challenged else Event.GONE, now)
        elif message.method in (b"UPDATE", b"PRACK"):
            if message.status >= 300:
                dialog.withdraw(sender.other, message.cseq)
                return
            dialog.agree(sender.other, message.cseq)
            if described is not None:
                dialog.announce(sender, described)

    def _invite_failed(self, invite: Invite, now: float) -> None:
        """A first INVITE takes its early dialogs along; a later one leaves its dialog as it was before it."""
        dialog = None if invite.dialog is None else self.dialogs.get(invite.dialog)
        if dialog is not None:
            dialog.withdraw(invite.caller, invite.cseq)
        else:
            self._drop_early(invite, now)

    def _branches(self, invite: Invite, *, early: bool) -> int:
        """How many dialogs an INVITE has made so far; the early ones make way for an answer."""
        states = [dialog.state for dialog in self.dialogs.values() if dialog.invite == invite.id]
        return len([state for state in states if early or state is not DialogState.EARLY])

    def _drop_early(self, invite: Invite, now: float) -> None:
        """The other branches of a fork; one that answers after all makes its dialog anew (section 13.2.2.4)."""
        for dialog in self.dialogs.values():
            if dialog.state is DialogState.EARLY and dialog.invite == invite.id:
                dialog.happens(Event.FAILURE, now)

    def _pending(self) -> list[Invite]:
        return [invite for invite in self.invites.values() if invite.is_pending]

    def _drop_what_is_over(self) -> None:
        """A dialog takes the INVITEs along that were sent in it: nothing can come of them any more."""
        for name, dialog in list(self.dialogs.items()):
            if dialog.state is DialogState.OVER:
                del self.dialogs[name]
        for key, invite in list(self.invites.items()):
            orphaned = invite.dialog is not None and invite.dialog not in self.dialogs
            if orphaned or invite.state is InviteState.OVER:
                del self.invites[key]


def _failure(status: int) -> Event:
    return Event.CHALLENGE if status in (401, 407) else Event.FAILURE
