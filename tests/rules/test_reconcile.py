import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import owner
from rules.errors import KernelError
from rules.fake import FakeBackend
from rules.flows import Flow
from rules.model import Endpoint, Forward, Traffic
from rules.plan import SETS
from rules.reconcile import Cleaned, Reconciler
from rules.ruleset import Element, SetSpec
from tests.rules.cases import CLOSED, OPEN, PHONE, RTCP, RTP, SETUP
from tests.rules.reconciling import OLD_RTP_FLOW, PEER, RTP_FLOWS, gone, holds, run, started, table
from tests.rules.strategies import changes

STEPS = len(SETS) + 3  # of a first commit: each set, and each table at once


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


LEAKING = Flow(Endpoint("10.0.0.99", 4000), PEER, PEER, Endpoint("10.0.0.99", 4000))
BORROWED = Flow(Endpoint("10.0.0.98", 4000), PEER, PEER, Endpoint("10.0.0.1", 4000))
DHCP_CLIENT, TO_ALL = Endpoint("10.0.0.99", 68), Endpoint("255.255.255.255", 67)
NOT_OURS = (
    Flow(PEER, Endpoint("203.0.113.1", 8080), Endpoint("10.0.0.99", 8080), PEER),
    Flow(DHCP_CLIENT, TO_ALL, TO_ALL, DHCP_CLIENT),
    Flow(Endpoint("10.0.0.99", 4001), PEER, PEER, Endpoint("192.0.2.1", 4001)),
    Flow(Endpoint("10.0.0.99", 53), Endpoint("10.0.0.1", 53), Endpoint("10.0.0.1", 53), Endpoint("10.0.0.99", 53)),
)


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
