"""What the operator decides of the SIP side, as the engine takes it."""

from dataclasses import dataclass, field
from typing import Literal

from gateway.callers import Policy
from gateway.limits import Limits


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator decides of the SIP side. Ranges are inclusive, times in seconds.

    `max_expires` is the longest registration that a phone is told of, 0 for as long as the registrar says.
    `taken_ports` are UDP ports that the router uses itself; no phone gets one of them. `media_hosts` are the networks
    (``10.0.0.9/32``) whose addresses every phone may announce, `callers` says whose requests reach a phone.
    `phones` are the networks of those that may open anything: None for all inside. After
    `bans_after` dropped messages within `bans_window` an outside address is banned for `bans_seconds`; 0 for never.
    """

    media_ports: tuple[int, int] = (20000, 29999)
    media_source: Literal["signalled", "any"] = "signalled"
    media_silence: float = 300.0
    media_longest: float = 86400.0
    public_ports: tuple[int, int] = (5062, 5999)
    idle: float = 3600.0
    max_expires: int = 60
    taken_ports: frozenset[int] = frozenset()
    media_hosts: tuple[str, ...] = ()
    callers: Policy = "known"
    phones: tuple[str, ...] | None = None
    bans_after: int = 0
    bans_window: float = 60.0
    bans_seconds: float = 3600.0
    limits: Limits = field(default_factory=Limits)
