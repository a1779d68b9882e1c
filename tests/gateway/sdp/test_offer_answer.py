from gateway.sdp.offer_answer import Description, Terms

OLD, NEW, NEWER = [Terms(frozenset({thing})) for thing in ("old", "new", "newer")]
IN_FORCE = Description(OLD)


def test_what_is_announced_is_in_force_at_once() -> None:
    assert IN_FORCE.announce(NEW).everything == {"new"}


def test_a_proposal_stands_beside_what_is_in_force() -> None:
    assert IN_FORCE.propose(2, NEW).everything == {"old", "new"}


def test_agreed_it_takes_its_place() -> None:
    assert IN_FORCE.propose(2, NEW).agree(2) == Description(NEW)


def test_withdrawn_it_never_was() -> None:
    assert IN_FORCE.propose(2, NEW).withdraw(2) == IN_FORCE


def test_another_request_decides_nothing() -> None:
    proposed = IN_FORCE.propose(2, NEW)
    assert proposed.agree(3) == proposed
    assert proposed.withdraw(3) == proposed


def test_a_repeated_request_proposes_once() -> None:
    assert IN_FORCE.propose(2, NEW).propose(2, NEWER).everything == {"old", "newer"}


def test_an_announcement_leaves_proposals_standing() -> None:
    assert IN_FORCE.propose(2, NEW).announce(NEWER).everything == {"new", "newer"}


def test_on_hold_is_agreed_or_withdrawn_like_the_rest() -> None:
    proposed = IN_FORCE.propose(2, OLD._replace(on_hold=True))
    assert not proposed.current.on_hold
    assert proposed.agree(2).current.on_hold
    assert not proposed.withdraw(2).current.on_hold


def test_a_proposal_lasts_until_its_time_and_repeating_it_prolongs_nothing() -> None:
    proposed = IN_FORCE.propose(2, NEW, 32.0).propose(3, NEWER).propose(2, NEW, 40.0)
    assert proposed.expire(31.9) == proposed
    assert proposed.expire(32.0) == IN_FORCE.propose(3, NEWER)
