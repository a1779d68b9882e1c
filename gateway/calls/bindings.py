"""The rows of the one table, and who holds each of them."""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from gateway.masquerade.translation import Place
from rules.model import Endpoint, Purpose

_PHONES_REMEMBERED = 4096


class HolderKind(StrEnum):
    """Why a binding exists."""

    REGISTRATION = "registration"
    CALL = "call"
    TRANSACTION = "transaction"
    PEER = "unregistered"


class Holder(str):
    """One reason to keep a binding: a registration of an address of record, a call, a request under way.

    A text, ``call 3f2a9c01 10.0.0.11``, since it is looked up several times for each message.
    """

    __slots__ = ()

    @classmethod
    def of(cls, kind: HolderKind, name: str) -> "Holder":
        """The holder of a kind with that name."""
        return cls(f"{kind} {name}")

    @classmethod
    @lru_cache(maxsize=_PHONES_REMEMBERED)  # it is asked for with each message, and spelling an address takes long
    def of_phone(cls, phone: Endpoint, kind: HolderKind) -> "Holder":
        """The one by which a phone's address holds its own port."""
        return cls.of(kind, str(phone))

    @property
    def kind(self) -> HolderKind:
        """Why it holds."""
        return HolderKind(self.partition(" ")[0])

    @property
    def name(self) -> str:
        """Which one of its kind it is."""
        return self.partition(" ")[2]


class MediaAddress(NamedTuple):
    """Where one stream of a phone receives: RTP, and RTCP where it has any.

    Several of them that were described by one port and a count are a `run` that begins at that address: their public
    ports are as far apart as their own. One that is there only as a candidate (RFC 8839) is one of several ways to
    the phone, which does without it where it cannot be had.
    """

    rtp: Endpoint
    rtcp: Endpoint | None
    purpose: Purpose
    run: Endpoint | None = None
    is_candidate: bool = False


class Hold(NamedTuple):
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
        if len(self.holds) == 1:
            return next(iter(self.holds.values())).sources
        all_sources = [hold.sources for hold in self.holds.values()]
        known = [sources for sources in all_sources if sources is not None]
        return frozenset[str]().union(*known) if len(known) == len(all_sources) else None
