import asyncio

import pytest

from rules import owner
from rules.diff import Delta, TableDelta
from rules.errors import KernelError
from rules.fake import FakeBackend
from rules.model import Endpoint
from rules.plan import SETS, plan
from rules.ruleset import Chain, Element, Entry, Jump, Match, Rule
from tests.rules.cases import SETUP

WANTED = plan(SETUP, ())
IN_SET = Match("set", (("match-set", (owner.SET_OUT, "dst,dst")),))


def commit(kernel: FakeBackend, *deltas: Delta) -> None:
    for delta in deltas:
        asyncio.run(kernel.commit(delta))


def refused(kernel: FakeBackend, delta: Delta, because: str) -> None:
    before = {name: {chain: list(lines) for chain, lines in held.items()} for name, held in kernel.tables.items()}
    with pytest.raises(KernelError, match=because):
        commit(kernel, delta)
    assert kernel.tables == before


def test_a_rule_needs_its_chain_its_target_and_its_set() -> None:
    kernel = FakeBackend()
    rule = Rule("filter", "SIPMASQ-FORWARD", "ACCEPT", "why")
    refused(kernel, Delta(tables=(TableDelta("filter", append=(rule,)),)), "no chain SIPMASQ-FORWARD")
    jump = Jump(Rule("filter", "FORWARD", "SIPMASQ-FORWARD", "jump"))
    refused(kernel, Delta(tables=(TableDelta("filter", jump=(jump,)),)), "no target SIPMASQ-FORWARD")
    rule = Rule("filter", "SIPMASQ-FORWARD", "ACCEPT", "why", matches=(IN_SET,))
    chain = Chain("filter", "SIPMASQ-FORWARD", (rule,))
    refused(kernel, Delta(tables=(TableDelta("filter", replace=(chain,)),)), "set sipmasq-out does not exist")


def test_a_set_is_made_once_and_not_destroyed_in_use() -> None:
    kernel = FakeBackend()
    commit(kernel, Delta(create=SETS))
    refused(kernel, Delta(create=SETS[:1]), "exists already")
    rule = Rule("filter", "SIPMASQ-FORWARD", "ACCEPT", "why", matches=(IN_SET,))
    chain = Chain("filter", "SIPMASQ-FORWARD", (rule,))
    commit(kernel, Delta(tables=(TableDelta("filter", replace=(chain,)),)))
    refused(kernel, Delta(destroy=(owner.SET_OUT,)), "in use by filter SIPMASQ-FORWARD")


def test_an_entry_has_the_form_of_its_set() -> None:
    kernel = FakeBackend()
    commit(kernel, Delta(create=SETS))
    entry = Entry(Element(owner.SET_IN, Endpoint("10.0.0.5", 4000)), "why")
    refused(kernel, Delta(add=(entry,)), "is not hash:ip,port,ip")


def test_a_chain_that_is_led_to_is_not_deleted() -> None:
    kernel = FakeBackend()
    jump = Jump(Rule("filter", "FORWARD", "SIPMASQ-FORWARD", "jump"))
    change = TableDelta("filter", replace=(Chain("filter", "SIPMASQ-FORWARD", ()),), jump=(jump,))
    commit(kernel, Delta(tables=(change,)))
    refused(kernel, Delta(tables=(TableDelta("filter", delete=("SIPMASQ-FORWARD",)),)), "still referenced")


def test_a_table_changes_as_a_whole_or_not_at_all() -> None:
    kernel = FakeBackend()
    change = TableDelta(
        "nat",
        replace=(Chain("nat", "SIPMASQ-PREROUTING", ()),),
        remove=(Rule("nat", "SIPMASQ-PREROUTING", "ACCEPT", "never made"),),
    )
    refused(kernel, Delta(tables=(change,)), "no rule sipmasq never made")


def test_a_failure_lasts_as_long_as_it_is_asked_for() -> None:
    kernel = FakeBackend(fail_commit="nat")
    delta = Delta(tables=(TableDelta("nat", replace=(Chain("nat", "SIPMASQ-PREROUTING", ()),)),))
    refused(kernel, delta, "refused on request")
    refused(kernel, delta, "refused on request")
    kernel.fail_commit = None
    commit(kernel, delta)
