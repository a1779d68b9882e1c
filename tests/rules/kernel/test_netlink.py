"""Netlink's attributes and batches, as bytes; the socket itself is at work in tests/netns."""

import errno
import os
import socket
from collections.abc import Callable

import pytest

from rules.errors import KernelError, NotPermittedError
from rules.kernel import netlink
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


class _Full(socket.socket):
    """A socket whose buffer overflowed while the kernel answered."""

    def recv(self, *_: object) -> bytes:
        raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))


@pytest.mark.parametrize("ask", ["dump", "tell", "ask"])
def test_an_answer_lost_for_want_of_room_is_an_error_and_the_next_question_has_a_new_socket(
    ask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[socket.socket] = []

    def open_full() -> socket.socket:
        opened.append(_Full(socket.AF_UNIX, socket.SOCK_DGRAM))
        monkeypatch.setattr(opened[-1], "send", lambda _: None, raising=False)
        return opened[-1]

    monkeypatch.setattr(netlink, "_open", open_full)
    door = netlink.Netlink(1)
    questions: dict[str, Callable[[], object]] = {
        "dump": lambda: list(door.dump(1, b"")),
        "tell": lambda: door.tell([(1, 0, b"")]),
        "ask": lambda: door.ask(1, b""),
    }
    with pytest.raises(OSError, match="No buffer space") as caught:
        questions[ask]()
    assert caught.value.errno == errno.ENOBUFS
    # what the old one may still get answers nothing that is asked later
    first, second = opened
    assert first.fileno() == -1
    assert second.fileno() != -1
    door.close()
