import pytest

from gateway.calls.ports import MediaPorts, SignallingPorts
from gateway.errors import NoPortLeftError


@pytest.mark.parametrize(
    ("low", "high", "pairs"), [(20000, 20005, 3), (20001, 20006, 2), (20000, 20000, 0), (20000, 20001, 1)]
)
def test_pairs_are_whole_and_begin_even(low: int, high: int, pairs: int) -> None:
    ports = MediaPorts(low, high)
    assert len(ports) == pairs
    leased = [ports.lease() for _ in range(pairs)]
    assert all(port % 2 == 0 and low <= port < high for port in leased)
    assert len(set(leased)) == pairs
    with pytest.raises(NoPortLeftError, match=rf"media\.ports \({low}-{high}\).*widen"):
        ports.lease()


def test_what_came_back_last_is_leased_last() -> None:
    ports = MediaPorts(20000, 20005)
    first = ports.lease()
    ports.give_back(first)
    assert [ports.lease() for _ in range(3)] == [20002, 20004, 20000]


def test_a_pair_with_one_leased_port_is_not_free() -> None:
    assert len(MediaPorts(20000, 20005, {20003})) == 2


def test_a_pair_of_an_earlier_range_is_forgotten() -> None:
    ports = MediaPorts(20000, 20001)
    ports.give_back(30000)
    assert len(ports) == 1


def test_a_phone_keeps_its_number_where_it_can() -> None:
    ports = SignallingPorts(5062, 5064, frozenset({5070}))
    assert ports.lease(5060) == 5060
    assert ports.lease(5060) == 5062
    assert ports.lease(5070) == 5063
    assert ports.lease(1023) == 5064
    with pytest.raises(NoPortLeftError, match=r"sip\.public_ports \(5062-5064\).*widen"):
        ports.lease(5060)


def test_forbidden_and_leased_ports_are_never_given() -> None:
    ports = SignallingPorts(5062, 5065, frozenset({5062}), [5064])
    assert [ports.lease(5064), ports.lease(5062)] == [5063, 5065]
    with pytest.raises(NoPortLeftError):
        ports.lease(5064)


def test_a_number_leased_and_returned_often_stands_in_the_pool_once() -> None:
    ports = SignallingPorts(5062, 5063, frozenset())
    for _ in range(10):
        ports.give_back(ports.lease(5062))
    assert {ports.lease(1), ports.lease(1)} == {5062, 5063}
    with pytest.raises(NoPortLeftError):
        ports.lease(1)


def test_a_port_from_outside_the_pool_goes_back_to_nowhere() -> None:
    ports = SignallingPorts(5062, 5062, frozenset())
    ports.give_back(ports.lease(7000))
    assert ports.lease(1) == 5062
    assert ports.lease(7000) == 7000


def test_runs_are_found_before_they_are_leased() -> None:
    ports = MediaPorts(20000, 20011)
    ports.lease()
    assert ports.find_runs([2, 3]) == [20002, 20006]
    assert len(ports) == 5
    ports.lease_run(20006, 3)
    assert [ports.lease(), ports.lease()] == [20002, 20004]
    with pytest.raises(NoPortLeftError, match=r"no 2 pairs .* media\.ports \(20000-20011\); widen"):
        ports.find_runs([2])


def test_a_run_begins_at_what_has_been_free_for_longest() -> None:
    ports = MediaPorts(20000, 20009)
    ports.give_back(ports.lease())
    ports.give_back(ports.lease())
    assert ports.find_runs([2]) == [20004]
    assert ports.find_runs([2, 2]) == [20004, 20000]


def test_runs_are_found_where_others_came_and_went() -> None:
    ports = MediaPorts(20000, 20019)
    ports.lease_run(20004, 3)
    ports.give_back(20006)
    assert ports.find_runs([5]) == [20010]
    assert ports.find_runs([2, 2, 1]) == [20000, 20010, 20014]
    ports.give_back(20004)
    assert ports.find_runs([4]) == [20000]
    with pytest.raises(NoPortLeftError):
        ports.find_runs([4, 5, 1])
    assert [ports.lease() for _ in range(len(ports))] == [20000, 20002, *range(20010, 20020, 2), 20006, 20004]
    with pytest.raises(NoPortLeftError):
        ports.find_runs([1])
