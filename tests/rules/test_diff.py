from dataclasses import replace

import pytest

from rules import text
from rules.diff import Actual, Place, compare
from rules.plan import plan
from rules.ruleset import Ruleset
from tests.rules.cases import PHONE, RTP, SETUP, held

WANTED = plan(SETUP, (PHONE, RTP))
NOTHING = Actual({}, {}, frozenset(), {})


def test_what_is_there_needs_nothing() -> None:
    drift = compare(WANTED, held(WANTED))
    assert not drift
    assert drift.missing == drift.surplus == ()
    assert str(drift) == "none"


def test_everything_is_made_with_sets_before_rules_and_interception_last() -> None:
    delta = compare(WANTED, NOTHING).delta
    assert delta.create == WANTED.sets
    assert delta.add == WANTED.entries
    assert [table.table for table in delta.tables] == ["filter", "nat", "mangle"]
    assert not delta.drop
    assert not delta.destroy


def test_everything_is_taken_away_with_interception_first() -> None:
    delta = compare(Ruleset(), held(WANTED)).delta
    assert [table.table for table in delta.tables] == ["mangle", "nat", "filter"]
    assert delta.destroy == tuple(sorted(spec.name for spec in WANTED.sets))
    assert not delta.drop  # they go with their set


def test_the_order_counts_where_the_first_match_decides() -> None:
    actual = held(WANTED)
    place = Place("filter", "SIPMASQ-FORWARD")
    drift = compare(WANTED, replace(actual, chains=actual.chains | {place: actual.chains[place][::-1]}))
    assert [chain.name for table in drift.delta.tables for chain in table.replace] == ["SIPMASQ-FORWARD"]
    assert drift.misplaced == ("rule filter SIPMASQ-FORWARD: not in order",)


def test_the_order_of_forwards_does_not_count() -> None:
    actual = held(WANTED)
    place = Place("nat", "SIPMASQ-PREROUTING")
    assert not compare(WANTED, replace(actual, chains=actual.chains | {place: actual.chains[place][::-1]}))


def test_drift_says_what_is_missing_and_what_is_too_much() -> None:
    actual = held(WANTED)
    place = Place("nat", "SIPMASQ-PREROUTING")
    marks = actual.chains[place]
    element = WANTED.entries[0].element
    drift = compare(
        WANTED,
        replace(
            actual,
            chains=actual.chains | {place: (marks[0], ""), Place("nat", "SIPMASQ-OLD"): ()},
            jumps={key: value for key, value in actual.jumps.items() if key != Place("nat", "PREROUTING")},
            entries={key: note for key, note in actual.entries.items() if key != element},
        ),
    )
    assert set(drift.missing) == {
        f"rule nat SIPMASQ-PREROUTING: {marks[1]}",
        "jump nat PREROUTING -> SIPMASQ-PREROUTING",
        f"entry {element.set} {text.element(element)}",
    }
    assert str(drift).startswith("missing: ")
    assert "; too much: " in str(drift)
    assert set(drift.surplus) == {"rule nat SIPMASQ-PREROUTING: not ours", "chain nat SIPMASQ-OLD"}


def test_a_jump_that_is_there_twice_is_one_too_many() -> None:
    actual = held(WANTED)
    place = Place("filter", "FORWARD")
    mark = actual.jumps[place][0]
    drift = compare(WANTED, replace(actual, jumps=actual.jumps | {place: (mark, "", mark)}))
    assert drift.surplus == ("jump filter FORWARD -> SIPMASQ-FORWARD",)
    assert [table.unjump for table in drift.delta.tables] == [(("FORWARD", mark), ("FORWARD", mark))]
    assert [jump.rule.chain for table in drift.delta.tables for jump in table.jump] == ["FORWARD"]


@pytest.mark.parametrize(
    ("chain", "lines", "said"),
    [
        ("PREROUTING", ("", "SIPMASQ-PREROUTING"), "jump nat PREROUTING -> SIPMASQ-PREROUTING not first"),
        (
            "POSTROUTING",
            ("SIPMASQ-POSTROUTING", "SIPMASQ-MASQUERADE", ""),
            "jump nat POSTROUTING -> SIPMASQ-MASQUERADE not last",
        ),
    ],
)
def test_a_jump_that_is_not_at_its_end_of_the_chain_is_moved(chain: str, lines: tuple[str, ...], said: str) -> None:
    marks = {jump.rule.target: text.mark(jump.rule) for jump in WANTED.jumps if jump.rule.table == "nat"}
    actual = held(WANTED)
    place = Place("nat", chain)
    drift = compare(
        WANTED, replace(actual, jumps=actual.jumps | {place: tuple(marks.get(line, "") for line in lines)})
    )
    assert drift.misplaced == (said,)
    assert not drift.missing
    assert not drift.surplus
    [table] = drift.delta.tables
    assert [(jump.rule.chain, text.mark(jump.rule)) for jump in table.jump] == list(table.unjump)
    assert not table.replace


def test_a_log_line_names_the_first_of_many_differences() -> None:
    said = str(compare(WANTED, NOTHING))
    assert said.startswith("missing: chain filter SIPMASQ-FORWARD; missing: rule filter SIPMASQ-FORWARD: sipmasq ")
    assert said.count("; ") == 8
    assert said.endswith(" more")
