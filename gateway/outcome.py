"""What becomes of a datagram."""

from dataclasses import dataclass
from typing import NamedTuple

from rules.model import Endpoint


class Release(NamedTuple):
    """Let the datagram go on, with another payload or, for None, as it came."""

    payload: bytes | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """The datagram ends here; SIP repeats what matters."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The datagram ends here, and its sender gets an answer from the address that it wrote to."""

    source: Endpoint
    destination: Endpoint
    payload: bytes


Outcome = Release | Drop | Refuse
