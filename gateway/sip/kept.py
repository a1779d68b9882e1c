"""What was read before: a phone says the same of itself in every message, and both parties in every one of a call."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

Found = TypeVar("Found")

_MOST = 4096
_LONGEST = 256  # bytes of a value that is kept


def kept(read: Callable[[bytes], Found]) -> Callable[[bytes], Found]:
    """A reader of header values that remembers what it found in the usual ones; nobody changes what it finds."""
    known = lru_cache(_MOST)(read)

    @wraps(read)
    def reader(value: bytes) -> Found:
        return known(value) if len(value) <= _LONGEST else read(value)

    return reader
