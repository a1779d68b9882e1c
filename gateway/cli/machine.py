"""What the command line does to the machine itself, with or without a running gateway."""

import asyncio
from dataclasses import asdict
from typing import TypedDict

from gateway.config import Config
from gateway.daemon.resolver import resolve
from gateway.errors import ResolveError
from rules.kernel.choice import every_variant
from rules.kernel.claim import is_claimed
from rules.kernel.forwarding import set_forwarding
from rules.kernel.links import LinkWatch
from rules.kernel.netfilter import Netfilter
from rules.kernel.survey import Finding, Severity, survey
from rules.reconcile import Cleaned, Reconciler


class Clean(TypedDict):
    """What a clean-up did, or whether it did nothing because a gateway runs; one that runs makes its rules again."""

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
        media_ports=config.media.ports,
        queue=sip.queue,
        backend=config.rules.backend,
    )
    if config.outside.host:
        findings.append(asyncio.run(_look_up(config.outside.host)))
    return [asdict(finding) for finding in findings]


def clean(*, if_stopped: bool = False) -> Clean:
    """Take away everything of ours in this network namespace; forwarding goes off if it was we who turned it on.

    With `if_stopped` nothing is touched where a gateway runs.
    """
    if if_stopped and is_claimed():
        return Clean(removed=[], forwarding_turned_off=False, running=True, skipped=True)
    cleaned = asyncio.run(_clean())
    return Clean(
        removed=list(cleaned.removed),
        forwarding_turned_off=cleaned.forwarding_was_off,
        running=is_claimed(),
        skipped=False,
    )


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
