"""Whether somebody else's rule already hides the inside networks."""

from collections.abc import Sequence

from rules.kernel.survey.foreign import Action, Condition, ForeignTable, Hook, Passage, Subject, covers
from rules.kernel.survey.walk import base_chains, steps


def find_masquerade(
    tables: Sequence[ForeignTable], outside: str, networks: Sequence[str], inside: Sequence[str]
) -> str | None:
    """Where everything from `networks` that leaves by `outside` gets another source; None if not everything.

    Rules with conditions that are not understood do not count.
    """
    found: list[str] = []
    for network in networks or ("0.0.0.0/0",):
        for name in inside:
            where = _hidden_by(tables, Passage(name, outside, dnated=False), network)
            if where is None:
                return None
            if where not in found:
                found.append(where)
    return "; ".join(found) or None


def _hidden_by(tables: Sequence[ForeignTable], passage: Passage, network: str) -> str | None:
    for table, chain in base_chains(tables, Hook.POSTROUTING):
        if not chain.nat:
            continue
        for rule, rest in steps(table, chain, passage)[0]:
            if not all(_holds_outside(condition, network) for condition in rest):
                continue
            if rule.action is Action.SOURCE_NAT:
                return rule.where
            if rule.action in (Action.ACCEPT, Action.RETURN):
                break
    return None


def _holds_outside(condition: Condition, network: str) -> bool:
    """Whether packets from the network to the world at large meet the condition."""
    match condition.subject:
        case Subject.SOURCE:
            return covers(condition.values, network) is not condition.negated
        case Subject.DESTINATION:
            return condition.negated  # all but some private destination
        case Subject.OTHER:
            return condition.values == ("policy",)  # all but what IPsec takes
        case _:
            return False
