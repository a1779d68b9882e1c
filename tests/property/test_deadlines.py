"""Whoever asked to be woken is, once and in time, whatever was forgotten meanwhile; and the heap stays small."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.calls.deadlines import Deadlines

KEYS = st.integers(0, 200)
SECONDS = st.sampled_from([0.0, 1.0, 2.0, 50.0, float("inf")])


class DeadlinesMachine(RuleBasedStateMachine):
    """Beside a table of who is to come up when."""

    def __init__(self) -> None:
        super().__init__()
        self.deadlines = Deadlines[int]()
        self.asked: dict[int, float] = {}
        self.now = 0.0

    @rule(keys=st.lists(KEYS, max_size=100, unique=True), seconds=SECONDS)
    def wake(self, keys: list[int], seconds: float) -> None:
        when = self.now + seconds
        for key in keys:
            self.deadlines.wake(key, when)
            if when < float("inf"):
                self.asked[key] = min(when, self.asked.get(key, when))

    @rule(keys=st.lists(KEYS, max_size=100, unique=True))
    def forget(self, keys: list[int]) -> None:
        for key in keys:
            self.deadlines.forget(key)
            self.asked.pop(key, None)

    @rule(seconds=st.sampled_from([1.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        due = self.deadlines.due(self.now)
        assert set(due) == {key for key, when in self.asked.items() if when <= self.now}
        times = [self.asked.pop(key) for key in due]
        assert times == sorted(times)

    @invariant()
    def the_first_is_next(self) -> None:
        assert self.deadlines.next() == min(self.asked.values(), default=None)

    @invariant()
    def the_heap_is_no_larger_than_it_need_be(self) -> None:
        assert len(self.deadlines) <= 64 + 2 * len(self.asked)


TestDeadlines = DeadlinesMachine.TestCase
