"""What others did to the rules is made good, and theirs is left alone."""

import pytest

from rules import owner
from rules.diff import Delta
from rules.errors import LockedError
from rules.fake import FakeBackend
from rules.ruleset import Element, Rule, SetSpec
from tests.rules.cases import PHONE, RTP, SETUP
from tests.rules.reconciling import OLD_RTP_FLOW, PEER, RTP_FLOWS, gone, holds, run, started, table


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
