"""The way of a kind of packet through other people's chains."""

from collections.abc import Iterable, Iterator
from enum import Enum

from rules.kernel.survey.foreign import (
    Action,
    Condition,
    ForeignChain,
    ForeignRule,
    ForeignTable,
    Hook,
    Passage,
    leaves_open,
)


class _End(Enum):
    """How a chain is left by a packet for certain."""

    THROUGH = "through"  # past its last rule, or by RETURN
    DECIDED = "decided"


_FINAL = (Action.ACCEPT, Action.DROP, Action.REJECT, Action.SOURCE_NAT, Action.DESTINATION_NAT)

Step = tuple[ForeignRule, tuple[Condition, ...]]


def base_chains(tables: Iterable[ForeignTable], hook: Hook) -> Iterator[tuple[ForeignTable, ForeignChain]]:
    """The chains that the kernel calls at `hook`."""
    for table in tables:
        for chain in table.chains.values():
            if chain.hook is hook:
                yield table, chain


def steps(table: ForeignTable, chain: ForeignChain, passage: Passage) -> tuple[list[Step], bool]:
    """The rules that may match the passage, in order, each with the conditions it does not settle.

    The second value tells whether the chain's policy is reached: not after a rule that decides for certain.
    """
    found: list[Step] = []
    end = _follow(table, chain, passage, found, frozenset())
    return found, end is _End.THROUGH


def _follow(
    table: ForeignTable, chain: ForeignChain, passage: Passage, found: list[Step], within: frozenset[str]
) -> _End:
    for rule in chain.rules:
        rest = leaves_open(rule, passage)
        if rest is None:
            continue
        target = table.chains.get(rule.target)
        if rule.action in (Action.JUMP, Action.GOTO) and target is not None and target.name not in within:
            before = len(found)
            end = _follow(table, target, passage, found, within | {chain.name})
            # what holds in a chain holds only under the conditions of the jump into it
            found[before:] = [(step, inner + rest) for step, inner in found[before:]]
            if not rest and (end is _End.DECIDED or rule.action is Action.GOTO):
                return end
            continue
        found.append((rule, rest))
        if not rest and rule.action is Action.RETURN:
            return _End.THROUGH
        if not rest and rule.action in _FINAL:
            return _End.DECIDED
    return _End.THROUGH
