"""Which variant is chosen on a machine, by what it holds."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from rules.errors import NotPermittedError
from rules.kernel.choice import choose
from rules.kernel.netfilter import Netfilter
from rules.reconcile import Reconciler
from tests.netns.stage import SETUP, VARIANTS
from tests.support.netns import Namespace, hosts

pytestmark = pytest.mark.root

UNUSED = ("nftables", "no legacy table filter or nat is in use here")


@pytest.fixture
def router() -> Iterator[Namespace]:
    with hosts("router") as (host,):
        yield host


@pytest.mark.parametrize(
    ("used", "chosen"),
    [
        ("", UNUSED),
        ("filter -S", UNUSED),  # which makes the table
        ("mangle -A FORWARD -j ACCEPT", UNUSED),
        ("filter -P INPUT DROP", ("iptables", "in use here: legacy table filter")),
        ("filter -N DOCKER", ("iptables", "in use here: legacy table filter")),
        ("nat -A PREROUTING -j ACCEPT", ("iptables", "in use here: legacy table nat")),
    ],
)
def test_auto_takes_what_the_machine_uses(router: Namespace, used: str, chosen: tuple[str, str]) -> None:
    if used:
        router.run("iptables-legacy", "-t", *used.split())
    choice = router.call(choose, "auto")
    assert choice[:2] == chosen
    assert router.run("nft", "list", "ruleset") == ""


@pytest.mark.parametrize("name", VARIANTS)
def test_auto_stays_with_what_holds_rules_of_an_earlier_run(router: Namespace, name: str) -> None:
    async def story() -> None:
        rules = Reconciler(Netfilter(VARIANTS[name]()))
        await rules.configure(SETUP)
        await rules.close()

    router.call(lambda: asyncio.run(story()))
    if name == "nftables":
        router.run("iptables-legacy", "-t", "filter", "-A", "FORWARD", "-j", "ACCEPT")
    assert router.call(choose, "auto")[:2] == (name, "it holds rules of sipmasq here")


def test_without_rights_it_says_so(router: Namespace) -> None:
    def story() -> None:
        os.setgid(65534)
        os.setuid(65534)
        with pytest.raises(NotPermittedError, match="run as root"):
            choose("auto")

    router.call(story)
