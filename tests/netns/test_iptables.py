"""What stands in the kernel's tables: as planned, marked, beside what others put there."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from rules import text
from rules.diff import TableDelta
from rules.errors import KernelError, NotPermittedError, UnsupportedError
from rules.kernel import iptables
from rules.kernel.blobs import Blobs, build
from rules.kernel.iptables import Tables
from rules.kernel.libraries import iptc
from rules.kernel.lock import xtables_lock
from rules.kernel.netfilter import Netfilter
from rules.plan import plan
from rules.reconcile import Cleaned, Reconciler
from rules.ruleset import Chain
from tests.netns.stage import RTP, SETUP, Scene, Stage, listing, other_phone, stage
from tests.rules.cases import CASES
from tests.support.netns import Namespace, hosts

pytestmark = pytest.mark.root

FOREIGN = """\
*nat
-A PREROUTING -i wan0 -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.0.0.80
-A POSTROUTING -s 10.0.0.0/24 -d 10.8.0.0/16 -o wan0 -m comment --comment "no masquerade for the tunnel" -j ACCEPT
COMMIT
*mangle
-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
*filter
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment "sipmasq is great" -j ACCEPT
-A DOCKER-USER -s 192.0.2.0/24 -j DROP
COMMIT
"""


@pytest.fixture
def router() -> Iterator[Namespace]:
    with hosts("router") as (host,):
        yield host


@pytest.fixture
def wired() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.mark.parametrize("name", CASES)
def test_the_kernel_lists_the_rules_as_the_plan_prints_them(router: Namespace, name: str) -> None:
    setup, forwards = CASES[name]

    async def story() -> None:
        rules = Reconciler(Netfilter())
        await rules.configure(setup)
        rules.want({forward.inside: forward for forward in forwards})
        await rules.apply()
        assert not await rules.verify()
        await rules.close()

    router.call(lambda: asyncio.run(story()))
    ruleset = plan(setup, forwards)
    saved = router.run("iptables-legacy-save").splitlines()
    ours = [line for line in saved if "SIPMASQ" in line and line.startswith("-A")]
    wanted = [jump.rule for jump in ruleset.jumps]
    wanted += [rule for chain in ruleset.chains for rule in chain.rules]
    assert sorted(ours) == sorted(map(text.line, wanted))
    for chain in ruleset.chains:
        if chain.ordered:
            lines = [text.line(rule) for rule in chain.rules]
            assert [line for line in ours if line in lines] == lines
    added = [line for line in text.ruleset(ruleset).splitlines() if line.startswith("add ")]
    held = [line.replace(" packets 0 bytes 0", "") for line in router.run("ipset", "save").splitlines()]
    assert sorted(line for line in held if line.startswith("add ")) == sorted(added)


def test_rules_of_others_stay_and_clean_leaves_the_router_as_found(wired: Stage) -> None:
    async def story(scene: Scene) -> None:
        scene.router.run("iptables-legacy-restore", stdin=FOREIGN)
        scene.router.run("ipset", "create", "f2b-sshd", "hash:ip")
        scene.router.run("ipset", "add", "f2b-sshd", "192.0.2.1")
        found = listing(scene.router)
        await scene.rules.configure(replace(SETUP, forwarding_was_off=True))
        await scene.put(RTP, other_phone(RTP, 20002))
        now = listing(scene.router).splitlines()
        assert [line for line in now if "SIPMASQ" not in line and "sipmasq-" not in line] == found.splitlines()
        masquerade = [line for line in now if line.startswith("-A POSTROUTING")]
        assert [line.split()[-1] for line in masquerade] == ["SIPMASQ-POSTROUTING", "ACCEPT", "SIPMASQ-MASQUERADE"]
        cleaned = await Reconciler(Netfilter()).clean()
        assert cleaned.forwarding_was_off
        assert listing(scene.router) == found
        assert await Reconciler(Netfilter()).clean() == Cleaned((), forwarding_was_off=False)
        assert listing(scene.router) == found

    wired.play(story)


def test_cleaning_a_router_without_tables_makes_none(router: Namespace) -> None:
    async def story() -> Cleaned:
        return await Reconciler(Netfilter()).clean()

    assert router.call(lambda: asyncio.run(story())) == Cleaned((), forwarding_was_off=False)
    assert router.run("cat", "/proc/net/ip_tables_names") == ""


def test_what_was_flushed_is_repaired(wired: Stage) -> None:
    async def story(scene: Scene) -> None:
        await scene.rules.configure(SETUP)
        await scene.put(RTP)
        found = listing(scene.router)
        scene.router.run("iptables-legacy", "-t", "nat", "-F")
        scene.router.run("iptables-legacy", "-F", "FORWARD")
        scene.router.run("ipset", "flush", "sipmasq-out")
        drift = await scene.rules.verify()
        assert f"rule nat SIPMASQ-PREROUTING: {text.mark(plan(SETUP, [RTP]).chains[0].rules[0])}" in drift.missing
        assert "jump filter FORWARD -> SIPMASQ-FORWARD" in drift.missing
        assert "entry sipmasq-out 10.0.0.5,udp:16384" in drift.missing
        await scene.rules.configure(SETUP)
        assert not await scene.rules.verify()
        assert sorted(listing(scene.router).splitlines()) == sorted(found.splitlines())

    wired.play(story)


def test_a_commit_that_another_program_overtakes_is_made_again(
    router: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def story() -> None:
        tables = Tables()
        change_once = tables._change
        met: list[int] = []

        def overtaken(table: object, change: TableDelta) -> None:
            change_once(table, change)
            if not met:
                met.append(1)
                environment = {**os.environ, "XTABLES_LOCKFILE": "/dev/null"}  # a program that takes no lock
                subprocess.run(["iptables-legacy", "-t", "nat", "-A", "OUTPUT"], check=True, env=environment)

        # between reading and commit there is no other way in
        monkeypatch.setattr(tables, "_change", overtaken)
        tables.commit(TableDelta("nat", replace=(Chain("nat", "SIPMASQ-PREROUTING", ()),)))
        assert met

    router.call(story)
    saved = router.run("iptables-legacy-save", "-t", "nat").splitlines()
    assert "-A OUTPUT" in saved
    assert ":SIPMASQ-PREROUTING - [0:0]" in saved


def test_a_chain_that_a_strangers_rule_leads_to_is_not_taken_from_under_it(wired: Stage) -> None:
    async def story(scene: Scene) -> None:
        await scene.rules.configure(SETUP)
        scene.router.run("iptables-legacy", "-A", "FORWARD", "-i", "tun0", "-j", "SIPMASQ-FORWARD")
        with pytest.raises(KernelError, match="a rule that is not ours leads into one of our chains"):
            await scene.rules.clean()
        scene.router.run("iptables-legacy", "-D", "FORWARD", "-i", "tun0", "-j", "SIPMASQ-FORWARD")
        await Reconciler(Netfilter()).clean()
        assert "SIPMASQ" not in listing(scene.router)

    wired.play(story)


def test_a_template_gives_the_bytes_that_python_iptables_gives(router: Namespace) -> None:
    def story() -> None:
        blobs = Blobs()
        for setup, forwards in CASES.values():
            for chain in plan(setup, forwards).chains[:2]:
                for rule in chain.rules:
                    assert blobs.build(rule) == build(rule)

    router.call(story)


def test_without_rights_it_says_so(router: Namespace) -> None:
    async def story() -> None:
        os.setgid(65534)
        os.setuid(65534)
        with pytest.raises(NotPermittedError, match="run as root"):
            await Reconciler(Netfilter()).configure(SETUP)

    router.call(lambda: asyncio.run(story()))


def test_without_legacy_tables_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_arguments: object, **_options: object) -> None:
        raise iptc.IPTCError("can't initialize nat: b'Table does not exist (do you need to insmod?)'")

    monkeypatch.setattr(iptc, "Table", missing)
    with pytest.raises(UnsupportedError, match="no legacy tables; load the module iptable_nat"):
        iptables._open("nat")


def test_a_target_that_the_kernel_lacks_is_said() -> None:
    error = iptables._refusal("mangle", iptc.IPTCError("can't commit: b'No chain/target/match by that name'"))
    assert isinstance(error, UnsupportedError)
    assert "xt_NFQUEUE" in str(error)
    assert "xt_string or set sip.any_port = false" in str(error)


def test_a_lock_that_is_not_let_go_is_named(router: Namespace) -> None:
    with (
        xtables_lock(),
        pytest.raises(KernelError, match=r"xtables\.lock: held by process \d+ "),
        xtables_lock(0.05),
    ):
        pass
