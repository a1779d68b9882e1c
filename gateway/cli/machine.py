"""What the command line does to the machine itself, with or without a running gateway."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import asdict
from typing import TypedDict

from gateway.config import Config
from gateway.daemon.resolver import resolve
from gateway.errors import ConfigError, ResolveError
from gateway.state.keeper import forget_calls
from rules.kernel.choice import every_variant
from rules.kernel.claim import is_claimed
from rules.kernel.forwarding import set_forwarding
from rules.kernel.links import LinkWatch
from rules.kernel.netfilter import Netfilter
from rules.kernel.survey import Finding, Severity, survey
from rules.reconcile import Cleaned, Reconciler

_REFUSED = "78"  # of gateway.cli, for a configuration; systemd does not start it again then (sipmasq.service)


class Clean(TypedDict):
    """What a clean-up did; it is `skipped` where a gateway runs, or is to find its rules when it is started again.

    One that is running makes its rules again.
    """

    removed: list[str]
    forwarding_turned_off: bool
    running: bool
    skipped: bool


def look(config: Config) -> list[dict[str, str]]:
    """Everything worth knowing before the gateway runs here."""
    topology = asyncio.run(LinkWatch().snapshot(config.inside.interface, config.outside.interface))
    sip = config.sip
    findings = survey(
        topology,
        sip_ports=sip.ports,
        any_port=sip.any_port,
        public_ports=sip.public_ports,
        media_ports=config.media.ports,
        queue=sip.queue,
        backend=config.rules.backend,
    )
    if config.outside.host:
        findings.append(asyncio.run(_look_up(config.outside.host)))
    return [asdict(finding) for finding in findings]


def clean(load: Callable[[], Config], *, if_stopped: bool = False) -> Clean:
    """Take away everything of ours in this network namespace; forwarding goes off if it was we who turned it on.

    Where no gateway runs, calls are forgotten in the state that the configuration names, if that can be read. With
    `if_stopped` nothing is touched where a gateway runs, nor after one whose rules the next one is to find.
    """
    if if_stopped and (is_claimed() or _is_to_be_found(load)):
        return Clean(removed=[], forwarding_turned_off=False, running=is_claimed(), skipped=True)
    cleaned = asyncio.run(_clean())
    running = is_claimed()
    if not running:
        with contextlib.suppress(ConfigError):
            forget_calls(load().state.path)
    return Clean(
        removed=list(cleaned.removed),
        forwarding_turned_off=cleaned.forwarding_was_off,
        running=running,
        skipped=False,
    )


def _is_to_be_found(load: Callable[[], Config]) -> bool:
    """Whether systemd, which runs this when a gateway has ended (systemd.exec(5)), starts it again, or it is to keep.

    After a crash it does; with a configuration that is refused it does not.
    """
    result = os.environ.get("SERVICE_RESULT")
    if result is None or os.environ.get("EXIT_STATUS") == _REFUSED:
        return False
    return result != "success" or load().state.on_stop == "keep"


async def _clean() -> Cleaned:
    """What either variant left: one may have taken over from the other."""
    removed: list[str] = []
    forwarding_was_off = False
    for variant in every_variant():
        reconciler = Reconciler(Netfilter(variant))
        try:
            # before the masquerade goes: what would be forwarded in between leaks
            if await reconciler.forwarding_was_off():
                set_forwarding(on=False)
            cleaned = await reconciler.clean()
        finally:
            await reconciler.close()
        removed += cleaned.removed
        forwarding_was_off |= cleaned.forwarding_was_off
    return Cleaned(tuple(removed), forwarding_was_off)


async def _look_up(host: str) -> Finding:
    try:
        address = (await resolve(host)).address
    except ResolveError as error:
        advice = "correct outside.host or the name servers; the gateway announces nothing until it is known"
        return Finding(Severity.ERROR, "outside.host", str(error), advice)
    return Finding(Severity.OK, "outside.host", f"is {address}")
