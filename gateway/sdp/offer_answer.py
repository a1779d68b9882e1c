"""What one side of a call has described, through offers and answers (RFC 3264 section 5, RFC 3261 section 13).

A description sent in a request may still be refused, so it stands beside the one in force until the request's
final response: agreed, it replaces it; refused, it never was (RFC 3261 section 14.1). One sent in a response or
an ACK is in force at once.
"""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Description(Generic[Thing]):
    """What is in force, and what is proposed by the request of each CSeq number."""

    current: frozenset[Thing] = frozenset()
    proposed: tuple[tuple[int, frozenset[Thing]], ...] = field(default=())

    @property
    def everything(self) -> frozenset[Thing]:
        """All that may be used just now."""
        return self.current.union(*[things for _, things in self.proposed]) if self.proposed else self.current

    def announce(self, things: frozenset[Thing]) -> "Description[Thing]":
        """Sent in a response or an ACK."""
        return Description(things, self.proposed)

    def propose(self, cseq: int, things: frozenset[Thing]) -> "Description[Thing]":
        """Sent in a request."""
        others = tuple(offer for offer in self.proposed if offer[0] != cseq)
        return Description(self.current, (*others, (cseq, things)))

    def agree(self, cseq: int) -> "Description[Thing]":
        """That request was accepted."""
        agreed = [things for number, things in self.proposed if number == cseq]
        return Description(agreed[0], self.withdraw(cseq).proposed) if agreed else self

    def withdraw(self, cseq: int) -> "Description[Thing]":
        """That request was refused, or nothing came of it."""
        return Description(self.current, tuple(offer for offer in self.proposed if offer[0] != cseq))
