"""All of the plan in nftables, interception as well: its rates, its bans, and that nothing stands elsewhere.

The kernel may lack the `queue` expression, so what would be queued is let through.
"""

import asyncio
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from rules.diff import compare
from rules.kernel.nftables.variant import Nftables
from rules.model import Flood, Forward, Setup
from rules.plan import plan
from rules.ruleset import Rule, Ruleset
from tests.netns.stage import PEER, PHONE, PHONE_TOO, ROUTER, RTP, SETUP, STRANGER, Line, Scene, Stage, stage
from tests.netns.test_nftables import in_order
from tests.rules.cases import CASES, GOLDEN
from tests.rules.cases import PHONE as SIGNALLING
from tests.support.netns import Namespace, hosts

pytestmark = pytest.mark.root

FEW = replace(SETUP, flood=Flood(rate=1, burst=5, strangers=7))
ANSWERED = (5, 6)  # the burst, and what comes free while it is sent
Story = Callable[[Scene, Nftables], None]


@pytest.fixture(scope="module")
def wired() -> Iterator[Stage]:
    with stage("nftables") as made:
        yield made


@pytest.fixture
def fresh(wired: Stage) -> Iterator[Stage]:
    yield wired
    wired.router.run("nft", "flush", "ruleset")


@pytest.fixture
def router() -> Iterator[Namespace]:
    with hosts("router") as (host,):
        yield host


def without_queue(setup: Setup, *forwards: Forward) -> Ruleset:
    whole = plan(setup, forwards)

    def passed(rule: Rule) -> Rule:
        return replace(rule, target="ACCEPT", options=()) if rule.target == "NFQUEUE" else rule

    chains = tuple(replace(chain, rules=tuple(map(passed, chain.rules))) for chain in whole.chains)
    return replace(whole, chains=chains)


def keep(variant: Nftables, wanted: Ruleset) -> None:
    """Make it so, and see that it is read as it was planned."""
    variant.commit(compare(wanted, variant.read()).delta)
    assert not compare(wanted, variant.read()).delta


def play(made: Stage, story: Story) -> None:
    """With a rate of a few packets, and a phone that is reached from outside."""

    async def whole(scene: Scene) -> None:
        variant = Nftables(queue=True)
        try:
            keep(variant, without_queue(FEW, SIGNALLING))
            await asyncio.to_thread(story, scene, variant)
        finally:
            variant.close()

    made.play(whole)


def arrived(line: Line) -> list[str]:
    """The addresses of who sent what has come."""
    senders = []
    while sender := line.sender():
        senders.append(sender.ip)
    return senders


def test_all_of_it_stands_in_the_table_and_is_read_as_planned(router: Namespace) -> None:
    def story() -> None:
        variant = Nftables(queue=True)
        for setup, forwards in CASES.values():
            for flood in (Flood(), Flood(50, 100, 70)):
                keep(variant, wanted := without_queue(replace(setup, flood=flood), *forwards))
        variant.forget_bans()
        variant.ban({"198.51.100.7": 60})
        assert not compare(wanted, variant.read()).delta
        variant.close()

    router.call(story)
    table = router.run("nft", "--stateless", "list", "table", "ip", "sipmasq")
    assert sorted(re.findall(r"set sipmasq-rate-(\S+) ", table)) == [
        "all-70-70",
        "in-50-100",
        "new-50-100",
        "out-50-100",
    ]
    assert "SIPMASQ" not in router.run("iptables-legacy-save")
    assert router.run("ipset", "list", "-name") == ""


@pytest.mark.parametrize("name", CASES)
def test_the_table_is_listed_as_the_plan_says(router: Namespace, name: str) -> None:
    setup, forwards = CASES[name]

    def story() -> None:
        variant = Nftables(queue=True)
        keep(variant, without_queue(setup, *forwards))
        variant.close()

    router.call(story)
    table = in_order(router.run("nft", "--stateless", "list", "table", "ip", "sipmasq"))
    golden = GOLDEN.parent / "nftables-alone" / f"{name}.txt"
    if "WRITE_GOLDEN" in os.environ:
        golden.write_text(table)
    assert table == golden.read_text()


def test_all_of_it_goes_with_the_table(router: Namespace) -> None:
    def story() -> None:
        variant = Nftables(queue=True)
        keep(variant, without_queue(SETUP, RTP))
        variant.ban({"198.51.100.7": 60})
        keep(variant, Ruleset())
        variant.close()

    router.call(story)
    assert router.run("nft", "list", "ruleset") == ""


def test_each_stranger_has_a_share_and_all_have_one_together(fresh: Stage) -> None:
    def story(scene: Scene, variant: Nftables) -> None:
        phone = scene.phone_line(5060)
        for ip in (PEER, STRANGER):
            for n in range(20):
                scene.outside_line(9000 + n, ip).send(ROUTER, 5060)
        passed = Counter(arrived(phone))
        assert passed[PEER] in ANSWERED
        assert 0 < passed[STRANGER] < min(ANSWERED)
        assert variant.flooded() == 40 - passed.total()

    play(fresh, story)


def test_each_phone_has_a_share_of_its_own(fresh: Stage) -> None:
    def story(scene: Scene, variant: Nftables) -> None:
        peer = scene.outside_line(5060)
        passed = []
        for ip in (PHONE, PHONE_TOO):
            phone = scene.phone_line(6000, ip)
            for _ in range(20):
                phone.send(PEER, 5060)
            passed.append(len(arrived(peer)))
        assert set(passed) <= set(ANSWERED)
        assert variant.flooded() == 40 - sum(passed)

    play(fresh, story)


def test_what_answers_a_phone_is_known_by_the_port_that_the_phone_wrote_to(fresh: Stage) -> None:
    def story(scene: Scene, variant: Nftables) -> None:
        phone, peer = scene.phone_line(6000), scene.outside_line(5060)
        phone.send(PEER, 5060)
        writer = peer.sender()
        assert writer
        for _ in range(20):
            peer.send(*writer)
        passed = len(arrived(phone))
        assert passed in ANSWERED
        assert variant.flooded() == 20 - passed

    play(fresh, story)


def test_who_is_banned_is_dropped_until_his_time_is_over_or_he_is_forgiven(fresh: Stage) -> None:
    def story(scene: Scene, variant: Nftables) -> None:
        phone, peer = scene.phone_line(5060), scene.outside_line()

        def reaches() -> bool:
            peer.send(ROUTER, 5060)
            return phone.sender() is not None

        variant.look()
        variant.ban({PEER: 600, STRANGER: 600})
        quiet = variant.look()
        assert not reaches()
        variant.ban({PEER: 1})  # a new time takes the place of the old
        assert not reaches()
        time.sleep(1.1)
        assert reaches()
        variant.ban({PEER: 600})
        for _ in range(2):
            variant.ban({PEER: None})
        assert reaches()
        variant.ban({PEER: 600})
        variant.forget_bans()
        assert reaches()
        assert (variant.look(), variant.flooded()) == (quiet, 0)

    play(fresh, story)


def test_without_an_outside_address_nothing_leaves(fresh: Stage) -> None:
    def story(scene: Scene, variant: Nftables) -> None:
        peer = scene.outside_line()
        for setup, leaves in ((FEW, True), (replace(FEW, address=None), False)):
            keep(variant, without_queue(setup))
            scene.phone_line().send(PEER, 9000)
            assert (peer.sender() is not None) is leaves

    play(fresh, story)
