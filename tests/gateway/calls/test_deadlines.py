from gateway.calls.deadlines import Deadlines


def test_keys_come_up_in_order_and_once() -> None:
    deadlines = Deadlines[str]()
    deadlines.wake("late", 5.0)
    deadlines.wake("early", 3.0)
    assert deadlines.next() == 3.0
    assert deadlines.due(2.9) == []
    assert deadlines.due(5.0) == ["early", "late"]
    assert deadlines.due(9.0) == []
    assert deadlines.next() is None


def test_the_earlier_of_two_counts() -> None:
    deadlines = Deadlines[str]()
    deadlines.wake("a", 5.0)
    deadlines.wake("a", 9.0)
    assert deadlines.next() == 5.0
    deadlines.wake("a", 2.0)
    assert deadlines.due(3.0) == ["a"]
    assert deadlines.next() is None


def test_whoever_came_up_may_ask_again() -> None:
    deadlines = Deadlines[str]()
    deadlines.wake("a", 1.0)
    assert deadlines.due(1.0) == ["a"]
    deadlines.wake("a", 7.0)
    assert deadlines.next() == 7.0


def test_never_is_no_deadline() -> None:
    deadlines = Deadlines[str]()
    deadlines.wake("a", float("inf"))
    assert deadlines.next() is None


def test_keys_that_cannot_be_compared_may_share_a_time() -> None:
    deadlines = Deadlines[object]()
    keys = [object(), object(), object()]
    for key in keys:
        deadlines.wake(key, 1.0)
    assert deadlines.due(1.0) == keys


def test_what_is_forgotten_does_not_come_up_unless_it_asks_again() -> None:
    deadlines = Deadlines[str]()
    deadlines.wake("a", 5.0)
    deadlines.wake("b", 6.0)
    deadlines.forget("a")
    deadlines.forget("never asked")
    assert deadlines.next() == 6.0
    deadlines.wake("a", 5.0)
    assert deadlines.due(9.0) == ["a", "b"]


def test_what_is_forgotten_leaves_nothing_behind() -> None:
    deadlines = Deadlines[int]()
    for key in range(10_000):
        deadlines.wake(key, 86_400.0 + key)
        deadlines.forget(key)
        assert len(deadlines) <= 65


def test_a_key_that_asks_for_earlier_times_again_and_again_leaves_nothing_behind() -> None:
    deadlines = Deadlines[str]()
    for number in range(10_000):
        deadlines.wake("a", 86_400.0 - number)
        assert len(deadlines) <= 67
    assert deadlines.due(86_400.0) == ["a"]
