"""Which requests are over, so that a copy that comes late begins nothing."""

from gateway.calls.dialog import TransactionId
from gateway.sip.grammar import TRANSACTION_SECONDS

_MOST = 32  # of one call; the oldest makes way


class Finished:
    """Requests that have had their last response, each for as long as it may be repeated (RFC 3261 section 17)."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until: dict[TransactionId, float] = {}

    def add(self, request: TransactionId, now: float) -> None:
        """It is over from now on; a second time prolongs nothing."""
        if len(self._until) >= _MOST:
            del self._until[next(iter(self._until))]
        self._until.setdefault(request, now + TRANSACTION_SECONDS)

    def has(self, request: TransactionId, now: float) -> bool:
        """Whether it is over, and has been for no longer than it may be repeated."""
        return self._until.get(request, now) > now
