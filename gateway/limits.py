"""How much one phone may take: what is asked for beyond that gets a 503, and what the phone has goes on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of each inside address, as `limits` of the configuration has them.

    `calls` at a time, `ports` pairs of public media ports, `registrations`, and `addresses`, the transport addresses
    that it may use for SIP. The defaults are more than a switchboard has; a flood ends there.
    """

    calls: int = 2000
    ports: int = 4000
    registrations: int = 2000
    addresses: int = 64
