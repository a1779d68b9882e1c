"""Netlink's attributes and batches, as bytes; the socket itself is at work in tests/netns."""

import errno

import pytest

from rules.errors import KernelError, NotPermittedError
from rules.kernel.netlink import NESTED, NET_ORDER, Request, _batches, attribute, attributes, refusal


def test_an_attribute_is_padded_and_its_length_is_not() -> None:
    assert attribute(2, b"abcde") == b"\x09\0\x02\0abcde\0\0\0"


def test_attributes_are_found_again_without_their_flags() -> None:
    data = b"head" + attribute(1, b"") + attribute(7 | NESTED, b"abcde") + attribute(8 | NET_ORDER, b"1234")
    assert [(kind, data[start:end]) for kind, start, end in attributes(data, 4, len(data))] == [
        (1, b""),
        (7, b"abcde"),
        (8, b"1234"),
    ]


@pytest.mark.parametrize("broken", [b"\0\0\1\0", b"\3\0\1\0", b"\4\0"], ids=["no length", "too short", "cut"])
def test_what_is_no_attribute_ends_the_search(broken: bytes) -> None:
    data = attribute(1, b"abcd") + broken
    assert [kind for kind, _, _ in attributes(data, 0, len(data))] == [1]


@pytest.mark.parametrize(("size", "number", "batches"), [(4, 130, [64, 64, 2]), (30_000, 5, [2, 2, 1]), (4, 0, [])])
def test_requests_go_out_in_batches_that_fit_the_buffers(size: int, number: int, batches: list[int]) -> None:
    requests: list[Request] = [(index, 0, bytes(size)) for index in range(number)]
    made = list(_batches(requests))
    assert [len(batch) for batch in made] == batches
    assert [request for batch in made for request in batch] == requests


def test_a_refusal_says_what_and_why() -> None:
    assert str(refusal("set a", errno.EEXIST)) == "set a: File exists"
    assert str(refusal("set a", 4352, "the set is full")) == "set a: the set is full"
    assert type(refusal("set a", errno.EEXIST)) is KernelError
    assert isinstance(refusal("set a", errno.EPERM), NotPermittedError)
