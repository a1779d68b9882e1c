import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import owner
from rules.diff import Delta
from rules.errors import KernelError, LockedError
from rules.fake import FakeBackend
from rules.flows import Flow
from rules.model import Endpoint, Forward, Setup, Traffic
from rules.plan import SETS, plan
from rules.reconcile import Cleaned, Reconciler
from rules.ruleset import Element, Rule, SetSpec
from tests.rules.cases import CLOSED, OPEN, PHONE, RTCP, RTP, SETUP
from tests.rules.strategies import changes

T = TypeVar("T")
STEPS = len(SETS) + 3  # of a first commit: each set, and each table at once
PEER = Endpoint("198.51.100.7", 9000)
THERE = Endpoint("203.0.113.1", RTP.port)
RTP_FLOWS = (Flow(RTP.inside, PEER, PEER, THERE), Flow(PEER, THERE, RTP.inside, PEER))
OLD_RTP_FLOW = Flow(RTP.inside, PEER, PEER, Endpoint("203.0.113.1", 1024))


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


def table(*forwards: Forward) -> dict[Endpoint, Forward | None]:
    return {forward.inside: forward for forward in forwards}


def gone(*forwards: Forward) -> dict[Endpoint, Forward | None]:
    return dict.fromkeys(forward.inside for forward in forwards)


async def started(kernel: FakeBackend, *forwards: Forward, setup: Setup = SETUP) -> Reconciler:
    rules = Reconciler(kernel)
    await rules.configure(setup)
    rules.want(table(*forwards))
    await rules.apply()
    return rules


def holds(kernel: FakeBackend, setup: Setup, *forwards: Forward) -> bool:
    """Whether a fresh look finds exactly the plan for these."""
    wanted = plan(setup, forwards)
    ours = {(t, name): lines for t, held in kernel.tables.items() for name, lines in held.items()}
    chains = {(chain.table, chain.name): list(chain.rules) for chain in wanted.chains}
    return all(
        sorted(map(repr, ours[key])) == sorted(map(repr, rules)) for key, rules in chains.items()
    ) and kernel.entries == dict(wanted.entries)


def test_apply_makes_what_is_planned() -> None:
    async def story() -> None:
        kernel = FakeBackend()
        rules = await started(kernel, PHONE, RTP, RTCP, OPEN, CLOSED)
        assert holds(kernel, SETUP, PHONE, RTP, RTCP, OPEN, CLOSED)
        assert not await rules.verify()

    run(story())


def test_applying_and_configuring_twice_changes_nothing() -> None:
    async def story() -> None:
        kernel = FakeBackend()
        rules = await started(kernel, PHONE, RTP)
        asked = (kernel.commits, kernel.looks)
        await rules.apply()
        rules.want(table(PHONE, RTP))
        await rules.apply()
        await rules.configure(SETUP)
        assert (kernel.commits, kernel.looks) == asked

    run(story())


@given(st.lists(changes(), max_size=8))
def test_whatever_the_way_the_end_is_the_plan(batches: list[dict[Endpoint, Forward | None]]) -> None:
    async def story() -> None:
        kernel = FakeBackend()
        rules = await started(kernel)
        wanted: dict[Endpoint, Forward] = {}
        for batch in batches:
            try:
                rules.want(batch)
            except ValueError:
                continue
            await rules.apply()
            wanted = {k: v for k, v in {**wanted, **batch}.items() if v is not None}
            assert holds(kernel, SETUP, *wanted.values())
        assert not await rules.verify()

    run(story())


@given(st.lists(st.tuples(changes(), st.sampled_from(["", "nat", "sipmasq-in", "sipmasq-out", "flows"])), max_size=6))
def test_whatever_fails_on_the_way_the_end_is_the_plan(
    batches: list[tuple[dict[Endpoint, Forward | None], str]],
) -> None:
    async def story() -> None:
        kernel = FakeBackend()
        rules = await started(kernel)
        wanted: dict[Endpoint, Forward] = {}
        for batch, fault in batches:
            kernel.fail_commit = fault if fault == "nat" else None
            kernel.fail_set = fault if fault.startswith("sipmasq") else None
            kernel.fail_flows = fault == "flows"
            try:
                rules.want(batch)
            except ValueError:
                continue
            wanted = {k: v for k, v in {**wanted, **batch}.items() if v is not None}
            try:
                await rules.apply()
            except KernelError:
                continue
            assert holds(kernel, SETUP, *wanted.values())
        kernel.fail_commit = kernel.fail_set = None
        kernel.fail_flows = False
        await rules.apply()
        assert holds(kernel, SETUP, *wanted.values())

    run(story())


@pytest.mark.parametrize("step", range(STEPS))
def test_a_commit_that_ends_at_any_step_is_taken_up_again(step: int) -> None:
    async def story() -> None:
        kernel = FakeBackend(conntrack=[OLD_RTP_FLOW])
        rules = Reconciler(kernel)
        kernel.fail_step = step
        with pytest.raises(KernelError, match="refused on request"):
            await rules.configure(SETUP)
        kernel.fail_step = None
        rules.want(table(PHONE, RTP))
        await rules.apply()
        assert holds(kernel, SETUP, PHONE, RTP)
        assert OLD_RTP_FLOW not in kernel.conntrack
        rules.want(gone(RTP))
        kernel.fail_step = step
        with contextlib.suppress(KernelError):
            await rules.apply()
        kernel.fail_step = None
        await rules.apply()
        assert holds(kernel, SETUP, PHONE)

    run(story())


def test_there_is_no_step_beyond() -> None:
    async def story() -> None:
        await Reconciler(FakeBackend(fail_step=STEPS)).configure(SETUP)

    run(story())


def test_flows_that_could_not_be_ended_are_owed() -> None:
    async def story() -> None:
        kernel = FakeBackend(conntrack=[OLD_RTP_FLOW])
        rules = await started(kernel)
        kernel.fail_cut = True
        rules.want(table(RTP))
        with pytest.raises(KernelError, match="refused on request"):
            await rules.apply()
        kernel.fail_cut = False
        assert (await rules.apply()).cut == {RTP.inside}
        assert kernel.conntrack == []

    run(story())


@pytest.mark.parametrize("fault", ["fail_set", "fail_commit"])
def test_what_failed_and_was_taken_back_leaves_nothing(fault: str) -> None:
    async def story() -> None:
        kernel = FakeBackend()
        rules = await started(kernel, PHONE)
        kernel.fail_set = "sipmasq-out" if fault == "fail_set" else None
        kernel.fail_commit = "nat" if fault == "fail_commit" else None
        rules.want(table(RTP))
        with pytest.raises(KernelError, match="refused on request"):
            await rules.apply()
        kernel.fail_set = kernel.fail_commit = None
        rules.want(gone(RTP))
        await rules.apply()
        assert holds(kernel, SETUP, PHONE)

    run(story())


def test_a_failed_commit_is_made_up_for_by_the_next_apply() -> None:
    async def story() -> None:
        kernel = FakeBackend(conntrack=[OLD_RTP_FLOW])
        rules = await started(kernel)
        kernel.fail_commit = "nat"
        rules.want(table(RTP))
        with pytest.raises(KernelError):
            await rules.apply()
        kernel.fail_commit, kernel.fail_read = None, True
        with pytest.raises(KernelError):
            await rules.apply()
        kernel.fail_read = False
        assert (await rules.apply()).cut == {RTP.inside}
        assert holds(kernel, SETUP, RTP)

    run(story())


def test_a_firewall_reload_fails_no_call() -> None:
    async def story() -> None:
        kernel = FakeBackend()
        rules = await started(kernel, PHONE)
        for chains in kernel.tables.values():
            for name in list(chains):
                chains[name] = []
        kernel.tables["nat"].pop("SIPMASQ-PREROUTING")
        rules.want(table(RTP))
        await rules.apply()
        assert holds(kernel, SETUP, PHONE, RTP)
        assert not await rules.verify()
        kernel.tables["nat"]["SIPMASQ-PREROUTING"].clear()
        rules.want(gone(RTP))
        await rules.apply()
        assert holds(kernel, SETUP, PHONE)

    run(story())


def test_a_look_at_the_flows_that_failed_is_owed() -> None:
    async def story() -> None:
        kernel = FakeBackend(conntrack=[OLD_RTP_FLOW])
        rules = await started(kernel)
        kernel.fail_flows = True
        rules.want(table(RTP))
        with pytest.raises(KernelError, match="conntrack"):
            await rules.apply()
        kernel.fail_flows = False
        assert (await rules.apply()).cut == {RTP.inside}
        assert kernel.conntrack == []

    run(story())


def test_the_end_of_a_call_takes_its_flows_and_no_others() -> None:
    async def story() -> None:
        other = Flow(OPEN.inside, PEER, PEER, Endpoint("203.0.113.1", OPEN.port))
        kernel = FakeBackend(conntrack=[*RTP_FLOWS, other])
        rules = await started(kernel, RTP, OPEN)
        assert len(kernel.conntrack) == 3
        rules.want(gone(RTP))
        assert (await rules.apply()).cut == frozenset()
        assert len(kernel.conntrack) == 3  # nobody waits for that
        await rules.cut_stale()
        assert kernel.conntrack == [other]

    run(story())


def test_a_new_address_moves_every_forward_and_ends_the_old_flows() -> None:
    async def story() -> None:
        kernel = FakeBackend(conntrack=[*RTP_FLOWS])
        rules = await started(kernel, PHONE, RTP)
        moved = replace(SETUP, address="203.0.113.99")
        assert (await rules.configure(moved)).cut == {RTP.inside}
        assert holds(kernel, moved, PHONE, RTP)
        assert kernel.conntrack == []

    run(story())


def test_what_a_dead_predecessor_left_is_adopted_without_its_forwards() -> None:
    async def story() -> None:
        kernel = FakeBackend(conntrack=[*RTP_FLOWS])
        await started(kernel, PHONE, RTP, setup=replace(SETUP, forwarding_was_off=True))
        assert kernel.conntrack
        heir = Reconciler(kernel)
        await heir.configure(SETUP)
        assert holds(kernel, replace(SETUP, forwarding_was_off=True))
        assert kernel.conntrack == []
        await heir.configure(replace(SETUP, queue=7))
        assert (await heir.clean()).forwarding_was_off

    run(story())


def test_sets_of_another_version_are_made_anew() -> None:
    async def story() -> None:
        kernel = FakeBackend()
        await started(kernel, PHONE, RTP)
        kernel.sets[owner.SET_SIP] = SetSpec(owner.SET_SIP, "hash:ip", counters=False)
        await Reconciler(kernel).configure(SETUP)
        assert kernel.sets[owner.SET_SIP].type == "hash:ip,port"
        assert holds(kernel, SETUP)

    run(story())


def test_what_strangers_broke_is_repaired() -> None:
    async def story() -> None:
        kernel = FakeBackend()
        rules = await started(kernel, PHONE, RTP)
        kernel.tables["filter"]["FORWARD"].clear()
        kernel.tables["nat"]["SIPMASQ-PREROUTING"].pop()
        kernel.entries.popitem()
        drift = await rules.verify()
        assert len(drift.missing) == 3
        await rules.configure(SETUP)
        assert not await rules.verify()
        assert holds(kernel, SETUP, PHONE, RTP)

    run(story())


def test_what_is_wanted_and_not_applied_yet_is_no_drift() -> None:
    async def story() -> None:
        rules = await started(FakeBackend(), PHONE)
        rules.want(table(RTP))
        assert not await rules.verify()

    run(story())


def test_what_a_repair_cut_is_reported_once() -> None:
    async def story() -> None:
        rules = await started(FakeBackend(conntrack=[OLD_RTP_FLOW]), PHONE)
        rules.want(table(RTP))
        assert (await rules.configure(SETUP)).cut == {RTP.inside}
        assert (await rules.apply()).cut == frozenset()

    run(story())


def test_rules_of_others_stay_where_they_are() -> None:
    async def story() -> None:
        kernel = FakeBackend()
        for held in kernel.tables.values():
            for chain, lines in held.items():
                lines += [f"first of {chain}", f"second of {chain}"]
        kernel.tables["filter"]["DOCKER"] = ["a rule"]
        kernel.sets["f2b-sshd"] = SetSpec("f2b-sshd", "hash:ip,port", counters=False)
        kernel.entries[Element("f2b-sshd", PEER)] = ""
        before = {name: {chain: list(lines) for chain, lines in held.items()} for name, held in kernel.tables.items()}
        rules = await started(kernel, PHONE, RTP)
        postrouting = kernel.tables["nat"]["POSTROUTING"]
        assert [line.target if isinstance(line, Rule) else line for line in postrouting] == [
            owner.POSTROUTING,
            "first of POSTROUTING",
            "second of POSTROUTING",
            owner.MASQUERADE,
        ]
        await rules.clean()
        assert kernel.tables == before
        assert set(kernel.sets) == {"f2b-sshd"}
        assert set(kernel.entries) == {Element("f2b-sshd", PEER)}

    run(story())


def test_clean_needs_nothing_but_the_marks_and_may_be_repeated() -> None:
    async def story() -> None:
        kernel = FakeBackend(conntrack=[*RTP_FLOWS])
        await started(kernel, PHONE, RTP)
        cleaned = await Reconciler(kernel).clean()
        assert "set sipmasq-in" in cleaned.removed
        assert kernel.conntrack == []
        assert not kernel.sets
        assert await Reconciler(kernel).clean() == Cleaned((), forwarding_was_off=False)

    run(story())


def test_counters_add_up_the_sources_and_what_came_from_elsewhere() -> None:
    async def story() -> None:
        kernel = FakeBackend()
        rules = await started(kernel, PHONE, RTP, OPEN, CLOSED)
        kernel.counts[Element(owner.SET_IN, RTP.inside, "198.51.100.7")] = 3
        kernel.counts[Element(owner.SET_IN, RTP.inside, "198.51.100.8")] = 4
        kernel.counts[Element(owner.SET_OUT, RTP.inside)] = 5
        kernel.counts[Element(owner.SET_TO, RTP.inside)] = 20
        kernel.counts[Element(owner.SET_ANY, OPEN.inside)] = 6
        assert await rules.counters() == {
            RTP.inside: Traffic(27, 5),
            OPEN.inside: Traffic(6, 0),
            CLOSED.inside: Traffic(0, 0),
        }

    run(story())


def test_nothing_is_applied_before_there_is_a_setup() -> None:
    rules = Reconciler(FakeBackend())
    with pytest.raises(RuntimeError, match="before configure"):
        run(rules.apply())
    assert rules.ruleset().chains == ()


def test_only_what_others_do_counts_as_a_disturbance() -> None:
    async def story() -> None:
        kernel = FakeBackend()
        rules = await started(kernel, PHONE)
        quiet = await rules.disturbances()
        rules.want(table(RTP))
        await rules.apply()
        assert await rules.disturbances() == quiet
        kernel.entries.popitem()
        rules.want(gone(RTP))
        await rules.apply()
        assert await rules.disturbances() == quiet + 1
        kernel.tables["filter"]["FORWARD"].insert(0, "a stranger's")
        assert await rules.disturbances() == quiet + 2

    run(story())


def test_a_displaced_jump_is_moved_back_and_the_strangers_rules_stay_in_their_order() -> None:
    async def story() -> None:
        kernel = FakeBackend()
        rules = await started(kernel, PHONE, RTP)
        kernel.tables["filter"]["FORWARD"] = ["first", *kernel.tables["filter"]["FORWARD"], "second"]
        kernel.tables["nat"]["POSTROUTING"].append("third")
        drift = await rules.verify()
        assert drift.misplaced == (
            "jump filter FORWARD -> SIPMASQ-FORWARD not first",
            "jump nat POSTROUTING -> SIPMASQ-MASQUERADE not last",
        )
        await rules.configure(SETUP)
        assert not await rules.verify()
        targets = [
            line.target if isinstance(line, Rule) else line
            for chain in (kernel.tables["filter"]["FORWARD"], kernel.tables["nat"]["POSTROUTING"])
            for line in chain
        ]
        assert targets == [owner.FORWARD, "first", "second", owner.POSTROUTING, "third", owner.MASQUERADE]

    run(story())


def test_flows_that_began_without_the_rules_are_ended_when_these_are_mended() -> None:
    async def story() -> None:
        kernel = FakeBackend(conntrack=[*RTP_FLOWS])
        rules = await started(kernel, RTP)
        kernel.tables["nat"]["SIPMASQ-POSTROUTING"].clear()
        kernel.conntrack.append(OLD_RTP_FLOW)
        assert (await rules.configure(SETUP)).cut == {RTP.inside}
        assert kernel.conntrack == [*RTP_FLOWS]

    run(story())


def test_who_does_not_get_the_lock_is_not_kept_waiting_for_it_twice() -> None:
    class Locked(FakeBackend):
        async def commit(self, delta: Delta) -> None:
            self.commits += 1
            raise LockedError("held by another program")

    async def story() -> None:
        kernel = FakeBackend()
        rules = await started(kernel, PHONE)
        locked = Locked()
        rules._backend = locked
        rules.want(table(RTP))
        with pytest.raises(LockedError):
            await rules.apply()
        assert locked.commits == 1
        rules._backend = kernel
        await rules.apply()
        assert holds(kernel, SETUP, PHONE, RTP)

    run(story())


LEAKING = Flow(Endpoint("10.0.0.99", 4000), PEER, PEER, Endpoint("10.0.0.99", 4000))
BORROWED = Flow(Endpoint("10.0.0.98", 4000), PEER, PEER, Endpoint("10.0.0.1", 4000))
OTHER, EVERYBODY = Endpoint("10.0.0.99", 68), Endpoint("255.255.255.255", 67)
NOT_OURS = (
    Flow(PEER, Endpoint("203.0.113.1", 8080), Endpoint("10.0.0.99", 8080), PEER),
    Flow(OTHER, EVERYBODY, EVERYBODY, OTHER),
    Flow(Endpoint("10.0.0.99", 4001), PEER, PEER, Endpoint("192.0.2.1", 4001)),
    Flow(Endpoint("10.0.0.99", 53), Endpoint("10.0.0.1", 53), Endpoint("10.0.0.1", 53), Endpoint("10.0.0.99", 53)),
)  # fmt: skip


def test_what_left_before_there_was_a_masquerade_begins_anew() -> None:
    async def story() -> None:
        kernel = FakeBackend(conntrack=[LEAKING, *NOT_OURS])
        rules = await started(kernel, setup=replace(SETUP, masquerade=True))
        assert kernel.conntrack == list(NOT_OURS)
        # later, what the operator exempts from the masquerade is as he wants it
        kernel.conntrack.append(LEAKING)
        await rules.configure(replace(SETUP, masquerade=True, address="203.0.113.9"))
        assert kernel.conntrack == [*NOT_OURS, LEAKING]

    run(story())


def test_what_left_with_an_address_of_the_inside_begins_anew_when_there_is_one_outside() -> None:
    async def story() -> None:
        kernel = FakeBackend()
        rules = await started(kernel, setup=replace(SETUP, masquerade=True, address=None))
        kernel.conntrack = [BORROWED, *NOT_OURS]
        await rules.configure(replace(SETUP, masquerade=True))
        assert kernel.conntrack == list(NOT_OURS)

    run(story())


def test_a_masquerade_of_others_is_left_to_them() -> None:
    async def story() -> None:
        kernel = FakeBackend(conntrack=[LEAKING, BORROWED])
        rules = await started(kernel, setup=replace(SETUP, masquerade=False))
        await rules.configure(replace(SETUP, masquerade=False, address="203.0.113.9"))
        assert kernel.conntrack == [LEAKING, BORROWED]

    run(story())
