"""A router that is fit for the gateway, ways to lay other people's rules on it, and what is then said of it."""

import asyncio
import contextlib
from collections.abc import Iterator

from rules.kernel.links import LinkWatch
from rules.kernel.survey import Finding, Severity, masquerade_present, survey
from tests.support.netns import Namespace, hosts, link

NETWORKS = ("10.0.0.0/24",)
QUEUE = 9


@contextlib.contextmanager
def fit_router() -> Iterator[Namespace]:
    """Between lan0 and wan0."""
    with hosts("router", "world") as (router, world):
        link(router, "lan0", world, "lan")
        link(router, "wan0", world, "wan")
        router.run("ip", "addr", "add", "10.0.0.1/24", "dev", "lan0")
        router.run("ip", "addr", "add", "198.51.100.1/24", "dev", "wan0")
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        yield router


def look(*, any_port: bool = True) -> list[Finding]:
    topology = asyncio.run(LinkWatch().snapshot(["lan0"], "wan0"))
    return survey(
        topology,
        sip_ports=(5060,),
        any_port=any_port,
        public_ports=(5062, 5999),
        media_ports=(20000, 29999),
        queue=QUEUE,
    )


def troubles(router: Namespace) -> list[Finding]:
    return [finding for finding in router.call(look) if finding.severity is not Severity.OK]


def masquerade(router: Namespace, *inside: str) -> str | None:
    return router.call(masquerade_present, "wan0", NETWORKS, inside or ("",))


def iptables(router: Namespace, rules: str) -> None:
    for rule in rules.strip().splitlines():
        router.run("iptables-legacy", *rule.split())


def nft(router: Namespace, ruleset: str) -> None:
    # nft wants each chain's end on a line of its own
    router.run("nft", "-f", "-", stdin=ruleset.replace("; }", "; }\n").replace("} }", "}\n}"))
