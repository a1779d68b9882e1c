"""One call as one phone has it: its legs, the media in use through them, and who may speak for it.

A call that passes the router twice, between two inside phones, is two of these with one Call-ID.
"""

from dataclasses import dataclass, field
from hashlib import blake2s
from typing import NamedTuple

from gateway.calls.bindings import Holder, HolderKind, MediaAddress
from gateway.calls.dialog import DialogId, DialogState, InviteState, Side, TransactionId
from gateway.calls.legs import Legs
from gateway.calls.media import Described, FarHost
from gateway.calls.parties import Parties
from gateway.errors import NotUnderstoodError
from gateway.sip.message import Message
from rules.model import Endpoint

_MOST_HOSTS = 64  # that a far side can make a call keep: a fork of four with all their candidates

# Packets that are more than the connectivity checks of ICE: 100 pairs, each asked seven times (RFC 8445 section
# 6.1.2.5, RFC 8489 section 6.2.1)
_MORE_THAN_CHECKS = 1000


class CallId(NamedTuple):
    """A call's name: its Call-ID and the address of the inside phone."""

    call_id: bytes
    phone: str

    @property
    def label(self) -> str:
        """The short name that rules and logs carry."""
        return blake2s(self.call_id, digest_size=4).hexdigest()

    @property
    def holder(self) -> Holder:
        """What keeps the bindings of the call."""
        return Holder.of(HolderKind.CALL, f"{self.label} {self.phone}")


@dataclass(slots=True)
class Call:
    """The state of one call.

    `packets` were counted last, and `counted` is when they last were others; `heard` is when it last was not silent,
    or had a reason to be. `label` is the short name that rules and logs carry, `holder` what keeps its bindings,
    `phones` the SIP addresses among them, `met` the media that they were last made for, `has_another_way` whether ICE
    may lead its packets past them.
    """

    id: CallId
    phone: Endpoint
    caller: Side
    peer: str
    since: float
    heard: float = 0.0
    packets: int = 0
    counted: float = 0.0
    was_answered: bool = False
    has_another_way: bool = False
    legs: Legs = field(default_factory=Legs)
    parties: Parties = field(default_factory=Parties)
    phones: set[Endpoint] = field(default_factory=set)
    met: tuple[frozenset[MediaAddress], frozenset[str] | None] | None = None
    label: str = field(init=False)
    holder: Holder = field(init=False)

    def __post_init__(self) -> None:
        self.label = self.id.label
        self.holder = self.id.holder

    @property
    def state(self) -> str:
        """The one word for people: how far the furthest dialog or transaction has come."""
        for state in (DialogState.CONFIRMED, DialogState.ENDING, DialogState.EARLY):
            if any(dialog.state is state for dialog in self.legs.dialogs.values()):
                return str(state)
        return str(next((invite.state for invite in self.legs.invites.values()), InviteState.OVER))

    @property
    def is_up(self) -> bool:
        """Whether it has been answered and not yet ended."""
        return DialogState.CONFIRMED in [dialog.state for dialog in self.legs.dialogs.values()]

    @property
    def is_missed(self) -> bool:
        """Whether it came in and nobody has answered it."""
        return self.caller is Side.OUTSIDE and not self.was_answered

    @property
    def is_on_hold(self) -> bool:
        """Whether some party asked for silence."""
        return any(dialog.is_on_hold for dialog in self.legs.dialogs.values())

    @property
    def media(self) -> tuple[frozenset[MediaAddress], frozenset[str] | None]:
        """Every address where the phone may receive just now, and every host that may send to it.

        The hosts are None when one of them was named before this gateway was there.
        """
        local = set()
        hosts = set()
        for media in self.legs.media():
            for each in media:
                if isinstance(each, MediaAddress):
                    local.add(each)
                else:
                    hosts.add(each.host)
        known = frozenset([host for host in hosts if host is not None])
        return frozenset(local), known if len(known) == len(hosts) else None

    @property
    def has_silence(self) -> bool:
        """Whether silence would mean something: it is up, not on hold, and its packets come by here.

        Those of phones that meet on the LAN do not, nor those of a call that only its signalling takes through here,
        and where ICE knows another way, only those that did.
        """
        if self.has_another_way and self.packets < _MORE_THAN_CHECKS:
            return False
        local, hosts = self.media
        return bool(local) and hosts != frozenset() and self.is_up and not self.is_on_hold

    def goes_elsewhere(self, now: float) -> bool:
        """Whether its parties have met inside and no request of theirs comes by here any more, not even the BYE."""
        return not self.is_on_hold and self.media[1] == frozenset() and self.legs.goes_elsewhere(now)

    def admits(self, message: Message, host: str, now: float) -> bool:
        """Whether a message from outside may come from that address: a party's, or one that begins a branch."""
        if host in self.parties:
            return True
        request = TransactionId.of(message, Side.OUTSIDE)
        if _is_first_invite(message) and not self.legs.knows(request, now):
            return self.parties.has_room
        dialog = self.legs.dialogs.get(DialogId.of(message, Side.OUTSIDE))
        return self.parties.is_guest(host, request, *(() if dialog is None else (dialog.invite,)))

    def check(self, message: Message, sender: Side, described: Described | None) -> None:
        """Raises NotUnderstoodError, before anything is changed, for what would be more than any call has."""
        if message.is_request:
            self.legs.check(message, sender, described)
        known = None if self.met is None else self.met[1]
        if described is not None and sender is Side.OUTSIDE and known is not None:
            hosts = known.union([each.host for each in described.media if isinstance(each, FarHost)])
            if len(hosts) > _MOST_HOSTS:
                raise NotUnderstoodError(f"more than {_MOST_HOSTS} media hosts in one call")

    def meet(self, message: Message, sender: Side, host: str) -> None:
        """Remember whom a message came from or went to; what the phone answers goes where it was asked from."""
        if sender is Side.INSIDE:
            if message.is_request:
                self.parties.meet(host)
        elif not self.parties.hear(message, host) and _is_first_invite(message):
            self.parties.invite(TransactionId.of(message, sender), host)

    def observe(self, packets: int, now: float) -> None:
        """Take note of how many packets were counted so far."""
        if packets != self.packets:
            self.packets = packets
            self.counted = self.heard = now
            self.legs.ring_on(now)
        elif not self.has_silence:
            self.heard = now


def _is_first_invite(message: Message) -> bool:
    return message.is_request and message.method == b"INVITE" and not message.to_tag
