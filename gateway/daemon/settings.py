"""What a configuration means to the parts of the gateway."""

import msgspec

from gateway.calls.dialog import Side
from gateway.config import Config
from gateway.limits import Limits
from gateway.settings import Settings
from rules.kernel.survey.machine import listening_ports


def settings_of(config: Config) -> Settings:
    """What the engine is told; the ports in use are those of this moment."""
    return Settings(
        media_ports=config.media.ports,
        media_source=config.media.source,
        media_silence=config.media.silence,
        media_longest=config.media.longest,
        public_ports=config.sip.public_ports,
        idle=config.sip.idle,
        max_expires=config.sip.max_expires,
        callers=config.sip.callers,
        media_hosts=config.inside.media_hosts,
        phones=None if config.inside.phones == "all" else config.inside.phones,
        bans_after=config.bans.after,
        bans_window=config.bans.window,
        bans_seconds=config.bans.seconds,
        limits=Limits(**msgspec.structs.asdict(config.limits)),
        taken_ports=frozenset(listening_ports()),
    )


def sides_of(config: Config) -> dict[str, Side]:
    """On which side each interface is."""
    return {**dict.fromkeys(config.inside.interface, Side.INSIDE), config.outside.interface: Side.OUTSIDE}
