from rules.kernel.survey.foreign import (
    Action,
    Condition,
    ForeignChain,
    ForeignRule,
    ForeignTable,
    Hook,
    Passage,
    Subject,
)
from rules.kernel.survey.walk import base_chains, steps

OUTWARD = Passage("lan0", "wan0", dnated=False)
INWARD = Passage("wan0", "lan0", dnated=True)
UNKNOWN = Condition(Subject.OTHER, ("mark",))


def rule(action: Action, *conditions: Condition, to: str = "") -> ForeignRule:
    return ForeignRule(f"{action} {to}".strip(), action, conditions, to)


def table(*base: ForeignRule, **others: tuple[ForeignRule, ...]) -> ForeignTable:
    chains = [ForeignChain("inet fw", "base", base, Hook.FORWARD)]
    chains += [ForeignChain("inet fw", name, rules) for name, rules in others.items()]
    return ForeignTable("inet fw", False, {chain.name: chain for chain in chains})


def walked(found: ForeignTable, passage: Passage = OUTWARD) -> tuple[list[tuple[str, int]], bool]:
    """The rules met, each with how many conditions are open, and whether the policy is reached."""
    path, reaches_policy = steps(found, found.chains["base"], passage)
    return [(step.where, len(rest)) for step, rest in path], reaches_policy


def test_only_chains_the_kernel_calls_begin_a_walk() -> None:
    found = table(sub=())
    assert [chain.name for _table, chain in base_chains([found], Hook.FORWARD)] == ["base"]
    assert list(base_chains([found], Hook.INPUT)) == []


def test_a_certain_verdict_ends_the_walk_and_an_uncertain_one_does_not() -> None:
    assert walked(table(rule(Action.ACCEPT), rule(Action.DROP))) == ([("accept", 0)], False)
    assert walked(table(rule(Action.ACCEPT, UNKNOWN), rule(Action.DROP))) == (
        [("accept", 1), ("drop", 0)], False,
    )  # fmt: skip
    assert walked(table(rule(Action.OTHER))) == ([("other", 0)], True)


def test_conditions_are_settled_by_the_passage() -> None:
    conditions = (
        Condition(Subject.IN_INTERFACE, ("lan+",)),
        Condition(Subject.OUT_INTERFACE, ("lan0",), negated=True),
        Condition(Subject.PROTOCOL, ("udp",)),
        Condition(Subject.FAMILY, ("ip",)),
        Condition(Subject.WAS_DNATED, negated=True),
    )
    found = table(rule(Action.DROP, *conditions))
    assert walked(found) == ([("drop", 0)], False)
    assert walked(found, INWARD) == ([], True)


def test_what_holds_in_a_chain_holds_under_the_conditions_of_the_jump() -> None:
    found = table(rule(Action.JUMP, UNKNOWN, to="sub"), rule(Action.REJECT), sub=(rule(Action.DROP),))
    assert walked(found) == ([("drop", 1), ("reject", 0)], False)


def test_a_decision_in_a_chain_jumped_to_for_certain_is_final() -> None:
    found = table(rule(Action.JUMP, to="sub"), rule(Action.REJECT), sub=(rule(Action.DROP),))
    assert walked(found) == ([("drop", 0)], False)


def test_after_a_jump_the_walk_comes_back_after_a_goto_it_does_not() -> None:
    for action, expected in ((Action.JUMP, [("reject", 0)]), (Action.GOTO, [])):
        found = table(
            rule(action, to="sub"),
            rule(Action.REJECT),
            sub=(rule(Action.DROP, Condition(Subject.PROTOCOL, ("tcp",))),),
        )
        assert walked(found) == (expected, action is Action.GOTO)


def test_a_return_leaves_its_chain_only() -> None:
    found = table(rule(Action.JUMP, to="sub"), rule(Action.REJECT), sub=(rule(Action.RETURN), rule(Action.DROP)))
    assert walked(found) == ([("return", 0), ("reject", 0)], False)
    assert walked(table(rule(Action.RETURN), rule(Action.DROP))) == ([("return", 0)], True)


def test_chains_that_call_each_other_end() -> None:
    found = table(rule(Action.JUMP, to="sub"), sub=(rule(Action.JUMP, to="sub"), rule(Action.JUMP, to="base")))
    assert walked(found)[1] is True
