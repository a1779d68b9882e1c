from gateway.sdp.offer_answer import Description

OLD, NEW, NEWER = frozenset({"old"}), frozenset({"new"}), frozenset({"newer"})
IN_FORCE = Description(OLD)


def test_what_is_announced_is_in_force_at_once() -> None:
    assert IN_FORCE.announce(NEW).everything == NEW


def test_a_proposal_stands_beside_what_is_in_force() -> None:
    assert IN_FORCE.propose(2, NEW).everything == OLD | NEW


def test_agreed_it_takes_its_place() -> None:
    assert IN_FORCE.propose(2, NEW).agree(2) == Description(NEW)


def test_withdrawn_it_never_was() -> None:
    assert IN_FORCE.propose(2, NEW).withdraw(2) == IN_FORCE


def test_another_request_decides_nothing() -> None:
    proposed = IN_FORCE.propose(2, NEW)
    assert proposed.agree(3) == proposed
    assert proposed.withdraw(3) == proposed


def test_a_repeated_request_proposes_once() -> None:
    assert IN_FORCE.propose(2, NEW).propose(2, NEWER).everything == OLD | NEWER


def test_an_announcement_leaves_proposals_standing() -> None:
    assert IN_FORCE.propose(2, NEW).announce(NEWER).everything == NEW | NEWER
