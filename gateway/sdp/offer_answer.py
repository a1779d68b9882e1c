"""What one side of a call has described, through offers and answers (RFC 3264 section 5, RFC 3261 section 13).

A description sent in a request may still be refused, so it stands beside the one in force until the request's
final response: agreed, it replaces it; refused, it never was (RFC 3261 section 14.1). One sent in a response or
an ACK is in force at once.
"""

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

_FOREVER = float("inf")

Thing = TypeVar("Thing")


class Terms(NamedTuple, Generic[Thing]):
    """What one description says: the things that may be used, and whether its sender asks for silence."""

    things: frozenset[Thing] = frozenset()
    on_hold: bool = False


_NOTHING: Terms[Any] = Terms()


class Proposal(NamedTuple, Generic[Thing]):
    """Terms that the request of a CSeq number proposes; after `until` no answer is waited for."""

    cseq: int
    terms: Terms[Thing]
    until: float = _FOREVER


@dataclass(frozen=True, slots=True)
class Description(Generic[Thing]):
    """What is in force, and what is proposed."""

    current: Terms[Thing] = _NOTHING
    proposed: tuple[Proposal[Thing], ...] = ()

    @property
    def everything(self) -> frozenset[Thing]:
        """All that may be used just now."""
        things = self.current.things
        return things.union(*[offer.terms.things for offer in self.proposed]) if self.proposed else things

    def announce(self, terms: Terms[Thing]) -> "Description[Thing]":
        """Sent in a response or an ACK."""
        return Description(terms, self.proposed)

    def propose(self, cseq: int, terms: Terms[Thing], until: float = _FOREVER) -> "Description[Thing]":
        """Sent in a request; repeating it prolongs nothing."""
        if not self.proposed:
            return Description(self.current, (Proposal(cseq, terms, until),))
        until = min([until, *[offer.until for offer in self.proposed if offer.cseq == cseq]])
        return Description(self.current, (*self.withdraw(cseq).proposed, Proposal(cseq, terms, until)))

    def agree(self, cseq: int) -> "Description[Thing]":
        """That request was accepted."""
        agreed = [offer.terms for offer in self.proposed if offer.cseq == cseq]
        return Description(agreed[0], self.withdraw(cseq).proposed) if agreed else self

    def withdraw(self, cseq: int) -> "Description[Thing]":
        """That request was refused, or nothing came of it."""
        return Description(self.current, tuple(offer for offer in self.proposed if offer.cseq != cseq))

    def expire(self, now: float) -> "Description[Thing]":
        """Nobody answered what was proposed to be answered by now."""
        return Description(self.current, tuple(offer for offer in self.proposed if offer.until > now))
