"""What holds for every input holds for those that are kept."""

from pathlib import Path

import pytest

from gateway.calls.dialog import Side
from tests.fuzz.seeds import KEPT, seeds
from tests.fuzz.target import LONGEST, check, conversation, stretched


@pytest.mark.parametrize("path", seeds(), ids=lambda path: path.stem)
def test_a_kept_input(path: Path) -> None:
    check(path.read_bytes())


def test_what_is_kept_is_small() -> None:
    sizes = [path.stat().st_size for path in KEPT.iterdir()]
    assert sum(sizes) < 200_000


def test_an_input_is_a_conversation_or_one_datagram_from_each_side() -> None:
    assert conversation(b">>>\none\n<<<\r\ntwo\n\n>>>\nthree") == [
        (Side.INSIDE, b"one"),
        (Side.OUTSIDE, b"two\n"),
        (Side.INSIDE, b"three"),
    ]
    assert conversation(b"one") == [(Side.INSIDE, b"one"), (Side.OUTSIDE, b"one")]


def test_an_input_is_stretched_to_a_whole_datagram() -> None:
    assert LONGEST - 24 < len(stretched(b"INVITE sip:b@c SIP/2.0\r\n")) <= LONGEST
