"""Which requests are over, so that a copy that comes late begins nothing."""

from collections.abc import Iterable, Mapping

from gateway.calls.dialog import Invite, TransactionId
from gateway.sip.grammar import TRANSACTION_SECONDS

_MOST = 32  # of one call; the oldest makes way


class Finished:
    """Requests that have had their last response, each for as long as it may be repeated (RFC 3261 section 17).

    Among them are INVITEs that were given up without one: a late response makes them go on.
    """

    __slots__ = ("_given_up", "_until")

    def __init__(self) -> None:
        self._until: dict[TransactionId, float] = {}
        self._given_up: dict[TransactionId, Invite] = {}

    def add(self, request: TransactionId, now: float) -> None:
        """It is over from now on; a second time prolongs nothing."""
        if len(self._until) >= _MOST:
            self._remove(next(iter(self._until)))
        self._until.setdefault(request, now + TRANSACTION_SECONDS)

    def give_up(self, invite: Invite, now: float) -> None:
        """Nobody has answered it; until it may no longer be repeated, somebody still can."""
        self._remove(invite.id)
        self.add(invite.id, now)
        self._given_up[invite.id] = invite

    def given_up(self, request: TransactionId, now: float) -> Invite | None:
        """The INVITE of that name, if it was given up and could still go on."""
        return self._given_up.get(request) if self.has(request, now) else None

    def go_on(self, invite: Invite) -> None:
        """It was answered after all."""
        self._remove(invite.id)

    def has(self, request: TransactionId, now: float) -> bool:
        """Whether it is over, and has been for no longer than it may be repeated."""
        return self._until.get(request, now) > now

    def to_values(self) -> tuple[dict[TransactionId, float], list[Invite]]:
        """All that it knows: until when what is over is remembered, and what was given up."""
        return dict(self._until), list(self._given_up.values())

    @classmethod
    def from_values(cls, until: Mapping[TransactionId, float], given_up: Iterable[Invite]) -> "Finished":
        """What was known, known again."""
        finished = cls()
        finished._until.update(until)
        finished._given_up.update({invite.id: invite for invite in given_up})
        return finished

    def _remove(self, request: TransactionId) -> None:
        self._until.pop(request, None)
        self._given_up.pop(request, None)
