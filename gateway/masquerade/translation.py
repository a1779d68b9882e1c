"""What rewriting asks of a direction: the partner of an address, as it is to be written."""

from enum import StrEnum, auto
from typing import NamedTuple, Protocol

from rules.model import Endpoint, Purpose


class Place(StrEnum):
    """Where an address is written; a phone spells its own address one way in each.

    VIA is a sent-by, RECEIVED what stands beside it, CONTACT also the Request-URI, ROUTE a proxy on the way,
    REFERENCE whom to turn to. IDENTITY (From and To) and NAME (other headers) say who somebody is. QUOTED is all that
    stands in a fragment.
    """

    VIA = auto()
    RECEIVED = auto()
    CONTACT = auto()
    ROUTE = auto()
    REFERENCE = auto()
    IDENTITY = auto()
    NAME = auto()
    QUOTED = auto()


class Spelling(NamedTuple):
    """An address as a message writes it; None is a port that is not written, meaning 5060."""

    host: str
    port: int | None


class Pair(Protocol):
    """One row of the bijection: an inside address and its port on the public one."""

    @property
    def inside(self) -> Endpoint:
        """The phone's transport address."""

    @property
    def port(self) -> int:
        """Its port on the public address."""

    @property
    def purpose(self) -> Purpose:
        """What it carries."""

    @property
    def unported(self) -> set[Place]:
        """The places where the phone writes this address without its port."""


class Pairs(Protocol):
    """The bijection itself, read-only. `public` is the announced address; None while there is none."""

    @property
    def public(self) -> str | None:
        """The address that the world sees."""

    def of_inside(self, inside: Endpoint) -> Pair | None:
        """The row of an inside address."""

    def of_port(self, port: int) -> Pair | None:
        """The row of a public port."""


class Translation(Protocol):
    """One direction of the bijection. Each method answers None where nothing is to be changed.

    A text without `hint` in it has no address that could be changed.
    """

    hint: bytes

    def signalling(self, place: Place, host: str, port: int | None) -> Spelling | None:
        """The partner of a SIP transport address."""

    def media(self, address: Endpoint) -> Endpoint | None:
        """The partner of a media transport address."""

    def unleased(self, address: Endpoint) -> Endpoint | None:
        """What stands for an address of the phone's own at which no media port is leased."""

    def host(self, host: str) -> str | None:
        """The partner of an address that is mentioned without a port."""


class Quoting:
    """A translation of what a message quotes: from how addresses are spelt there, nothing is learnt for others."""

    def __init__(self, translation: Translation) -> None:
        self.hint = translation.hint
        self._translation = translation

    def signalling(self, place: Place, host: str, port: int | None) -> Spelling | None:
        """The partner of a SIP transport address."""
        return self._translation.signalling(Place.QUOTED, host, port)

    def media(self, address: Endpoint) -> Endpoint | None:
        """The partner of a media transport address."""
        return self._translation.media(address)

    def unleased(self, address: Endpoint) -> Endpoint | None:
        """What stands for an address of the phone's own at which no media port is leased."""
        return self._translation.unleased(address)

    def host(self, host: str) -> str | None:
        """The partner of an address that is mentioned without a port."""
        return self._translation.host(host)
