from gateway.calls.dialog import Side, TransactionId
from gateway.calls.finished import Finished


def request(cseq: int, branch: bytes = b"z9hG4bK1") -> TransactionId:
    return TransactionId(Side.INSIDE, cseq, branch)


def test_a_request_is_over_for_as_long_as_it_may_be_repeated() -> None:
    finished = Finished()
    assert not finished.has(request(1), 0.0)
    finished.add(request(1), 10.0)
    finished.add(request(1), 30.0)
    assert finished.has(request(1), 41.9)
    assert not finished.has(request(1), 42.0)


def test_another_branch_is_another_request() -> None:
    finished = Finished()
    finished.add(request(1), 0.0)
    assert not finished.has(request(1, b"z9hG4bK2"), 0.0)
    assert not finished.has(TransactionId(Side.OUTSIDE, 1, b"z9hG4bK1"), 0.0)


def test_of_many_the_oldest_makes_way() -> None:
    finished = Finished()
    for number in range(33):
        finished.add(request(number), 0.0)
    assert [number for number in range(33) if not finished.has(request(number), 0.0)] == [0]
