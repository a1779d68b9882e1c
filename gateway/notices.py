"""What people should know, as values; whoever runs the engine writes them down."""

from enum import StrEnum
from typing import NamedTuple


class Subject(StrEnum):
    """What a notice is about."""

    CALL = "call"
    MISSED = "missed call"
    REGISTRATION = "registration"
    ADDRESS = "address"
    PASSED = "passed unchanged"
    REFUSED = "refused"
    DROPPED = "dropped"
    BANNED = "banned"


class Notice(NamedTuple):
    """One thing that happened. `key` groups repetitions, so that a flood of one kind is logged at a bounded rate."""

    subject: Subject
    key: str
    text: str
