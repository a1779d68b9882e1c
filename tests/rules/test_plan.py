import os

import pytest
from hypothesis import given

from rules import owner, text
from rules.model import Endpoint, Forward
from rules.plan import parts, plan
from tests.rules.cases import CASES, GOLDEN, PHONE, RTP, SETUP
from tests.rules.strategies import forward_tables


@pytest.mark.parametrize("name", CASES)
def test_rules_are_as_written_down(name: str) -> None:
    printed = text.ruleset(plan(*CASES[name]))
    golden = GOLDEN / f"{name}.txt"
    if "WRITE_GOLDEN" in os.environ:
        golden.write_text(printed)
    assert printed == golden.read_text()


@given(forward_tables())
def test_the_order_of_forwards_does_not_count(table: dict[Endpoint, Forward]) -> None:
    forwards = list(table.values())
    assert plan(SETUP, forwards) == plan(SETUP, reversed(forwards))


def test_a_port_for_two_is_refused() -> None:
    with pytest.raises(ValueError, match="port 20000 is forwarded to both"):
        plan(SETUP, (RTP, RTP._replace(inside=Endpoint("10.0.0.9", 4000))))


def test_parts_are_what_the_plan_is_made_of() -> None:
    whole = plan(SETUP, (PHONE, RTP))
    part = parts(SETUP, RTP)
    rules = {rule for chain in whole.chains for rule in chain.rules}
    assert set(part.rules) <= rules
    assert set(part.entries) <= set(whole.entries)


def test_every_chain_and_set_is_ours_and_every_rule_marked() -> None:
    for setup, forwards in CASES.values():
        rules = plan(setup, forwards)
        assert all(owner.is_chain(chain.name) for chain in rules.chains)
        assert all(owner.is_set(spec.name) for spec in rules.sets)
        marks = [text.mark(rule) for chain in rules.chains for rule in chain.rules]
        assert all(map(owner.is_mark, marks))
        assert len(set(marks)) == len(marks)
