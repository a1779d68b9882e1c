"""Waiting for a state that nobody announces."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE = 0.02


def until(what: str, look: Callable[[], T], timeout: float = 5) -> T:
    """The first true value that `look` gives; AssertionError with the last one if there is none in time."""
    deadline = time.monotonic() + timeout
    while not (value := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{timeout:g} s passed before {what}; last seen: {value!r}")
        time.sleep(_PAUSE)
    return value


def until_none(what: str, look: Callable[[], list[str]], timeout: float = 5) -> None:
    """Wait until `look` gives nothing; AssertionError with what is left."""
    deadline = time.monotonic() + timeout
    while left := look():
        if time.monotonic() > deadline:
            raise AssertionError("\n".join((f"after {timeout:g} s there still is {what}:", *left)))
        time.sleep(_PAUSE)
