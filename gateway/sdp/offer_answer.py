"""What one side of a call has described, through offers and answers (RFC 3264 section 5, RFC 3261 section 13).

A description sent in a request may still be refused, so it stands beside the one in force until the request's
final response: agreed, it replaces it; refused, it never was (RFC 3261 section 14.1). So does one in a provisional
response to a re-INVITE. One sent in any other response or an ACK is in force at once.
"""

from collections.abc import Hashable
from typing import Any, Generic, NamedTuple, TypeVar

_FOREVER = float("inf")

Thing = TypeVar("Thing")


class Terms(NamedTuple, Generic[Thing]):
    """What one description says: the things that may be used, and whether its sender asks for silence."""

    things: frozenset[Thing] = frozenset()
    on_hold: bool = False


_NOTHING: Terms[Any] = Terms()


class Proposal(NamedTuple, Generic[Thing]):
    """Terms that are decided with a request, named in any way; after `until` no answer is waited for."""

    request: Hashable
    terms: Terms[Thing]
    until: float = _FOREVER


class Description(NamedTuple, Generic[Thing]):
    """What is in force, and what is proposed."""

    current: Terms[Thing] = _NOTHING
    proposed: tuple[Proposal[Thing], ...] = ()

    @property
    def everything(self) -> frozenset[Thing]:
        """All that may be used just now."""
        things = self.current.things
        return things.union(*[offer.terms.things for offer in self.proposed]) if self.proposed else things

    def awaits(self, request: Hashable) -> bool:
        """Whether something is decided with that request."""
        return True in [offer.request == request for offer in self.proposed]

    def announce(self, terms: Terms[Thing]) -> "Description[Thing]":
        """Sent in a response or an ACK."""
        return Description(terms, self.proposed)

    def propose(self, request: Hashable, terms: Terms[Thing], until: float = _FOREVER) -> "Description[Thing]":
        """Sent in a request; repeating it prolongs nothing."""
        if not self.proposed:
            return Description(self.current, (Proposal(request, terms, until),))
        until = min([until, *[offer.until for offer in self.proposed if offer.request == request]])
        return Description(self.current, (*self.withdraw(request).proposed, Proposal(request, terms, until)))

    def agree(self, request: Hashable) -> "Description[Thing]":
        """That request was accepted; what was proposed before it is out of date (an INVITE's, by an UPDATE's)."""
        for index, offer in enumerate(self.proposed):
            if offer.request == request:
                return Description(offer.terms, self.proposed[index + 1 :])
        return self

    def withdraw(self, request: Hashable) -> "Description[Thing]":
        """That request was refused, or nothing came of it."""
        return Description(self.current, tuple(offer for offer in self.proposed if offer.request != request))

    def expire(self, now: float) -> "Description[Thing]":
        """Nobody answered what was proposed to be answered by now."""
        return Description(self.current, tuple(offer for offer in self.proposed if offer.until > now))
