"""The rows of the one table, and who holds each of them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from gateway.masquerade.translation import Place
from rules.model import Endpoint, Purpose


class HolderKind(StrEnum):
    """Why a binding exists."""

    REGISTRATION = "registration"
    CALL = "call"
    TRANSACTION = "transaction"
    PEER = "unregistered"


class Holder(NamedTuple):
    """One reason to keep a binding: a registration of an address of record, a call, a request under way."""

    kind: HolderKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class MediaAddress(NamedTuple):
    """Where one stream of a phone receives: RTP, and RTCP where it has any."""

    rtp: Endpoint
    rtcp: Endpoint | None
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Hold:
    """What a holder wants of a binding: until when (seconds, the caller's clock), and open to whom."""

    until: float
    sources: frozenset[str] | None = None


@dataclass(slots=True)
class Binding:
    """An inside transport address and the public port that stands for it; gone when nobody holds it."""

    inside: Endpoint
    port: int
    purpose: Purpose
    since: float
    holds: dict[Holder, Hold] = field(default_factory=dict)
    unported: set[Place] = field(default_factory=set)

    @property
    def sources(self) -> frozenset[str] | None:
        """Who may send in: everybody as soon as one holder says so."""
        together: frozenset[str] = frozenset()
        for hold in self.holds.values():
            if hold.sources is None:
                return None
            together |= hold.sources
        return together
