"""The rules as a table of nftables: what stands in it, beside what others put there, and what becomes of it."""

import asyncio
import errno
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from rules import text
from rules.diff import Delta, TableDelta
from rules.errors import KernelError, UnsupportedError
from rules.kernel.choice import choose, every_variant
from rules.kernel.links import LinkWatch
from rules.kernel.netfilter import Netfilter
from rules.kernel.netlink import Netlink
from rules.kernel.nftables.table import Table
from rules.kernel.nftables.variant import Nftables
from rules.kernel.survey import Severity, survey
from rules.kernel.variant import Variant
from rules.kernel.xtables import Xtables
from rules.model import Endpoint, Forward, Purpose
from rules.plan import plan
from rules.reconcile import Cleaned, Reconciler
from rules.ruleset import Element, Entry
from tests.netns.stage import PEER, PHONE, ROUTER, RTP, SETUP, VARIANTS, Scene, Stage, listing, other_phone, stage
from tests.rules.cases import CASES, GOLDEN
from tests.support.netns import Namespace, hosts

pytestmark = pytest.mark.root

PHONE_SIP = Forward(Endpoint(PHONE, 5060), 5060, Purpose.SIGNALLING, None, "registration")
FOREIGN = """\
table inet fw {
    set blocked { type ipv4_addr; elements = { 192.0.2.1 } }
    chain forward {
        type filter hook forward priority 0; policy accept;
        ip saddr @blocked drop
        ct state established accept comment "sipmasq is great"
    }
}
table ip nat {
    chain prerouting {
        type nat hook prerouting priority -100;
        iifname wan0 tcp dport 443 dnat to 10.0.0.80
    }
}
"""
DOINGS = {
    "all flushed": "flush ruleset",
    "our table deleted": "delete table ip sipmasq",
    "our rules flushed": "flush table ip sipmasq",
    "a chain emptied": "flush chain ip sipmasq nat-SIPMASQ-MASQUERADE",
    "a chain that translates emptied": "flush chain ip sipmasq nat-SIPMASQ-PREROUTING",
    "a chain deleted": "delete chain ip sipmasq filter-SIPMASQ-FORWARD",
    "a chain without its hook": "delete chain ip sipmasq nat-SIPMASQ-MASQUERADE;"
    " add chain ip sipmasq nat-SIPMASQ-MASQUERADE",
    "a foreign rule in our chain": "insert rule ip sipmasq filter-SIPMASQ-FORWARD drop",
    "a foreign chain in our table": "add chain ip sipmasq mine",
    "a translation deleted": f"delete element ip sipmasq sipmasq-dnat {{ wan0 . {ROUTER} . 20000 }}",
    "a foreign translation": f"add element ip sipmasq sipmasq-dnat {{ wan0 . {ROUTER} . 20009 : {PHONE} . 9 }}",
    "translations flushed": "flush map ip sipmasq sipmasq-snat",
    "an entry deleted": f"delete element ip sipmasq sipmasq-in {{ {PHONE} . 16384 . {PEER} }}",
    "a foreign entry": "add element ip sipmasq sipmasq-sip { 10.0.0.9 . 5060 }",
    "an entry of one of two sets deleted": f"delete element ip sipmasq sipmasq-to-uncounted {{ {PHONE} . 16384 }}",
}


@pytest.fixture(scope="module")
def wired() -> Iterator[Stage]:
    with stage("nftables") as made:
        yield made


@pytest.fixture
def fresh(wired: Stage) -> Iterator[Stage]:
    """With rules of others and none of ours."""
    wired.router.run("nft", "-f", "-", stdin=FOREIGN)
    yield wired
    wired.router.run("nft", "flush", "ruleset")
    for table in ("mangle", "filter", "nat"):
        for option in ("-F", "-X"):
            wired.router.run("iptables-legacy", "-t", table, option)
    wired.router.run("iptables-legacy", "-P", "FORWARD", "ACCEPT")
    wired.router.run("ipset", "destroy")


@pytest.fixture
def router() -> Iterator[Namespace]:
    with hosts("router") as (host,):
        yield host


def of_others(scene: Scene) -> str:
    return theirs(scene.router.run("nft", "--stateless", "list", "ruleset"))


def in_order(listed: str) -> str:
    """The listing of a table with the elements of each set, which the kernel hands out in any order, sorted."""

    def ordered(found: re.Match[str]) -> str:
        return "elements = {\n" + "".join(f"\t\t\t{each}\n" for each in sorted(re.split(r",\s+", found[1]))) + "\t\t}"

    return re.sub(r"elements = \{ (.*?) \}(?=\n)", ordered, listed, flags=re.DOTALL)


def theirs(rules: str) -> str:
    tables = re.findall(r"(?ms)^table .*?^}$", rules)
    return "\n".join(table for table in tables if not table.startswith("table ip sipmasq"))


def of_us(scene: Scene) -> list[str]:
    """In any order of lines, without the number that each new set rolls for itself."""
    legacy = listing(scene.router).partition("table ")[0]
    ours = scene.router.run("nft", "--stateless", "list", "table", "ip", "sipmasq")
    return sorted(line.partition(" initval ")[0].strip(" \t,{}") for line in (legacy + ours).splitlines())


@pytest.mark.parametrize("name", CASES)
def test_the_table_is_listed_as_the_plan_says_and_marked(router: Namespace, name: str) -> None:
    setup, forwards = CASES[name]

    async def story() -> None:
        rules = Reconciler(Netfilter(Nftables(queue=False)))
        await rules.configure(setup)
        rules.want({forward.inside: forward for forward in forwards})
        await rules.apply()
        assert not await rules.verify()
        await rules.close()

    router.call(lambda: asyncio.run(story()))
    table = in_order(router.run("nft", "list", "table", "ip", "sipmasq"))
    golden = GOLDEN.parent / "nftables" / f"{name}.txt"
    if "WRITE_GOLDEN" in os.environ:
        golden.write_text(table)
    assert table == golden.read_text()
    saved = router.run("iptables-legacy-save")
    for chain in plan(setup, forwards).chains:
        for rule in chain.rules:
            assert (saved if chain.table == "mangle" else table).count(f'"{text.mark(rule)}"') == 1


def test_rules_of_others_stay_and_clean_leaves_the_router_as_found(fresh: Stage) -> None:
    async def story(scene: Scene) -> None:
        scene.router.run("iptables-legacy", "-t", "mangle", "-S")
        found = listing(scene.router)
        await scene.rules.configure(replace(SETUP, forwarding_was_off=True))
        await scene.put(RTP, other_phone(RTP, 20002), PHONE_SIP)
        assert of_others(scene) == theirs(found)
        cleaned = await scene.successor().clean()
        assert cleaned.forwarding_was_off
        assert listing(scene.router) == found
        assert await scene.successor().clean() == Cleaned((), forwarding_was_off=False)

    fresh.play(story)


@pytest.mark.parametrize("doing", DOINGS)
def test_what_another_program_does_is_seen_and_mended(fresh: Stage, doing: str) -> None:
    async def story(scene: Scene) -> None:
        await scene.rules.configure(SETUP)
        await scene.put(RTP, PHONE_SIP)
        whole = of_us(scene)
        quiet = await scene.rules.disturbances()
        assert await scene.rules.disturbances() == quiet
        scene.router.run("nft", "-f", "-", stdin=DOINGS[doing].replace("; ", "\n"))
        others = of_others(scene)
        assert await scene.rules.disturbances() > quiet
        assert await scene.rules.verify()
        await scene.rules.configure(SETUP)
        assert not await scene.rules.verify()
        assert of_us(scene) == whole
        assert of_others(scene) == others
        mended = await scene.rules.disturbances()
        assert await scene.rules.disturbances() == mended

    fresh.play(story)


def test_our_own_commits_and_passing_packets_are_nobodys_doing(fresh: Stage) -> None:
    async def story(scene: Scene) -> None:
        await scene.rules.configure(SETUP)
        quiet = await scene.rules.disturbances()
        await scene.put(RTP, PHONE_SIP)
        scene.phone_line().send(PEER, 9000)
        await scene.end(RTP)
        assert await scene.rules.disturbances() == quiet

    fresh.play(story)


def test_the_next_call_repairs_a_table_that_was_taken_away(fresh: Stage) -> None:
    async def story(scene: Scene) -> None:
        await scene.rules.configure(SETUP)
        await scene.put(RTP)
        scene.router.run("nft", "delete", "table", "ip", "sipmasq")
        await scene.put(other_phone(RTP, 20002))
        assert not await scene.rules.verify()

    fresh.play(story)


def test_a_commit_is_one_batch_and_all_of_it_or_nothing(fresh: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(scene: Scene) -> None:
        await scene.rules.configure(SETUP)
        batches: list[int] = []
        transact = Netlink.transact

        def counted(*arguments: object, **options: object) -> object:
            batches.append(1)
            return transact(*arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(Netlink, "transact", counted)
        await scene.put(*(RTP._replace(inside=Endpoint(f"10.0.1.{n}", 16384), port=20000 + n) for n in range(200)))
        assert len(batches) == 1
        monkeypatch.undo()
        before = of_us(scene)
        table = Table()
        unknown = Entry(Element("sipmasq-unknown", RTP.inside), "no such set")
        with pytest.raises(KernelError):
            table.commit(Delta(add=(Entry(Element("sipmasq-out", RTP.inside), "a call"), unknown)))
        table.close()
        assert of_us(scene) == before

    fresh.play(story)


def test_a_call_costs_the_same_however_many_there_are(fresh: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """In messages to and from the kernel, and bytes of them."""

    async def story(scene: Scene) -> None:
        calls = [
            RTP._replace(inside=Endpoint(f"10.0.{1 + n // 200}.{n % 200 + 1}", 16384), port=20000 + n)
            for n in range(2001)
        ]
        traffic: list[int] = []
        send, receive = Netlink._sent, Netlink._receive

        def sent(netlink: Netlink, packet: bytes) -> AbstractContextManager[None]:
            traffic.append(len(packet))
            return send(netlink, packet)

        def received(netlink: Netlink) -> Iterator[tuple[int, bytes, int, int]]:
            parts = list(receive(netlink))
            traffic.extend(end - start for _kind, _data, start, end in parts)
            return iter(parts)

        monkeypatch.setattr(Netlink, "_sent", sent)
        monkeypatch.setattr(Netlink, "_receive", received)
        await scene.rules.configure(SETUP)
        costs = []
        for load in (10, 2000):
            await scene.put(*calls[:load])
            traffic.clear()
            scene.rules.want({forward.inside: forward for forward in calls[: load + 1]})
            await scene.rules.apply()
            costs.append((len(traffic), sum(traffic)))
        assert costs[0] == costs[1]
        assert 0 < costs[0][0] < 20

    fresh.play(story)


def test_entries_that_are_there_or_gone_already_are_no_error_and_take_the_new_comment(fresh: Stage) -> None:
    async def story(scene: Scene) -> None:
        await scene.rules.configure(SETUP)
        table = Table()
        element = Element("sipmasq-out", RTP.inside)
        for comment in ("one", "two"):
            table.commit(Delta(add=(Entry(element, comment),)))
            assert table.read().entries == {element: comment}
        for _ in range(2):
            table.commit(Delta(drop=(element,)))
            assert table.read().entries == {}
        table.close()

    fresh.play(story)


def test_a_first_message_of_sip_is_known_by_its_method(fresh: Stage) -> None:
    async def story(scene: Scene) -> None:
        whole = plan(SETUP, ())
        queued = [r for c in whole.chains for r in c.rules if r.target == "NFQUEUE"]
        first = next(r for r in queued if any(m.name == "string" for m in r.matches))
        chain = replace(whole.chains[4], rules=(replace(first, target="DROP", options=()),))
        table = Table()
        table.commit(Delta(tables=(TableDelta("mangle", replace=(chain,)),)))
        table.close()
        await scene.rules.configure(replace(SETUP, queue=5061))
        phone, peer = scene.phone_line(), scene.outside_line()
        for data, passes in ((b"INVITE sip:a@b SIP/2.0\r\n", False), (b"\x80audio", True)):
            phone.send(PEER, 9000, data)
            assert (peer.sender() is not None) is passes

    fresh.play(story)


def test_a_drop_by_others_holds_and_is_named(fresh: Stage) -> None:
    async def story(scene: Scene) -> None:
        scene.router.run("iptables-legacy", "-P", "FORWARD", "DROP")
        await scene.rules.configure(SETUP)
        await scene.put(RTP)
        peer = scene.outside_line()
        scene.phone_line().send(PEER, 9000)
        assert peer.sender() is None
        topology = await LinkWatch().snapshot(["lan0"], "wan0")
        said = survey(
            topology,
            sip_ports=(5060,),
            any_port=True,
            public_ports=(5062, 5999),
            media_ports=(20000, 29999),
            queue=5060,
            backend="nftables",
        )
        found = [finding.what for finding in said if finding.severity is Severity.WARNING]
        assert "the drop policy of chain FORWARD in iptables-legacy table filter drops calls" in found[0]

    fresh.play(story)


@pytest.mark.parametrize(("first", "then"), [("iptables", "nftables"), ("nftables", "iptables")])
def test_one_variant_takes_over_from_the_other(router: Namespace, first: str, then: str) -> None:
    async def story() -> None:
        for name in (first, then):
            rules = Reconciler(Netfilter(VARIANTS[name]()))
            await rules.configure(SETUP)
            rules.want({RTP.inside: RTP, PHONE_SIP.inside: PHONE_SIP})
            await rules.apply()
            assert not await rules.verify()
            await rules.close()

    router.call(lambda: asyncio.run(story()))
    legacy, table = listing(router).count("203.0.113.1"), router.run("nft", "list", "tables")
    assert (bool(legacy), table) == ((True, "") if then == "iptables" else (True, "table ip sipmasq\n"))
    assert ("SIPMASQ-PREROUTING" in router.run("iptables-legacy-save")) is (then == "iptables")
    assert router.run("ipset", "list", "-name").split().count("sipmasq-in") == (then == "iptables")


def test_a_kernel_without_nftables_has_nothing_left_of_it(router: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise OSError(errno.EINVAL, "no such subsystem")

    async def story() -> None:
        monkeypatch.setattr(Netlink, "dump", unknown)
        monkeypatch.setattr(Netlink, "ask", unknown)
        with pytest.raises(UnsupportedError, match="no nftables"):
            Table().read()
        Xtables().sweep()

    router.call(lambda: asyncio.run(story()))


def test_clean_removes_what_either_variant_left(router: Namespace) -> None:
    async def story() -> None:
        variants: tuple[Variant, ...] = (Xtables(), Nftables(queue=False))
        for variant in variants:
            variant.sweep = lambda: None  # type: ignore[method-assign]
            rules = Reconciler(Netfilter(variant))
            await rules.configure(SETUP)
            await rules.close()
        for variant in every_variant():
            rules = Reconciler(Netfilter(variant))
            await rules.clean()
            await rules.close()

    router.call(lambda: asyncio.run(story()))
    assert "sipmasq" not in listing(router).lower()


def test_a_missing_queue_expression_is_named_with_what_is_done_instead(wired: Stage) -> None:
    async def story(scene: Scene) -> None:
        topology = await LinkWatch().snapshot(["lan0"], "wan0")
        said = {
            finding.subject: finding.what
            for finding in survey(
                topology,
                sip_ports=(5060,),
                any_port=True,
                public_ports=(5062, 5999),
                media_ports=(20000, 29999),
                queue=5060,
                backend="nftables",
            )
        }
        assert said["rules.backend"].startswith("nftables: ")
        if "queue" in choose("auto").missing:
            assert said["interception"].startswith("this kernel's nftables has no `queue` expression: ")

    wired.play(story)
