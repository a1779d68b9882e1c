"""Notices into the log, at a bounded rate where strangers could make them endless, and as one line each."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.notices import Notice, Subject

log = logging.getLogger("sipmasq")

_LEVELS = {
    Subject.CALL: logging.INFO,
    Subject.MISSED: logging.INFO,
    Subject.REGISTRATION: logging.INFO,
    Subject.ADDRESS: logging.INFO,
    Subject.PASSED: logging.WARNING,
    Subject.REFUSED: logging.WARNING,
    Subject.DROPPED: logging.WARNING,
    Subject.BANNED: logging.WARNING,
}
_BOUNDED = frozenset({Subject.MISSED, Subject.PASSED, Subject.REFUSED, Subject.DROPPED, Subject.BANNED})
_QUIET_SECONDS = 10.0
_MOST_KINDS = 64  # keys are strangers' words; the kinds beyond count as one
_LONGEST_KEY = 32
_LONGEST = 400


@dataclass(slots=True)
class _Quiet:
    """A kind that was logged and is not again until then; how often it has happened meanwhile."""

    until: float
    withheld: int = 0


class Journal:
    """Writes notices down. Of those that strangers cause, one of a kind every ten seconds, and how many more.

    A record carries what it is made of as `fields`: subject, key, text and, for those left out, how many
    were withheld.
    """

    def __init__(self) -> None:
        self._quiet: dict[tuple[Subject, str], _Quiet] = {}

    def write(self, notices: Iterable[Notice], now: float) -> None:
        """Log what is due."""
        self._wake(now)
        for subject, key, text in notices:
            if subject not in _BOUNDED or self._is_due(subject, key, now):
                _log(subject, key, _one_line(text))

    def _is_due(self, subject: Subject, key: str, now: float) -> bool:
        kind = (subject, key[:_LONGEST_KEY])
        if kind not in self._quiet and len(self._quiet) >= _MOST_KINDS:
            kind = (subject, "others")
        quiet = self._quiet.get(kind)
        if quiet is None:
            self._quiet[kind] = _Quiet(now + _QUIET_SECONDS)
            return True
        quiet.withheld += 1
        return False

    def _wake(self, now: float) -> None:
        """Forget the kinds whose quiet time is over; they stand in the order in which it ends."""
        while self._quiet:
            kind, quiet = next(iter(self._quiet.items()))
            if quiet.until > now:
                return
            del self._quiet[kind]
            if quiet.withheld:
                subject, key = kind
                _log(subject, key, f"{quiet.withheld} more ({_one_line(key)})", withheld=quiet.withheld)


def _log(subject: Subject, key: str, text: str, **more: object) -> None:
    fields = {"subject": subject.value, "key": _one_line(key), "text": text, **more}
    log.log(_LEVELS[subject], "%s: %s", subject.value, text, extra={"fields": fields})


def _one_line(text: str) -> str:
    """What strangers wrote, without what could pass for a line of ours or steer a terminal."""
    plain = "".join(character if character.isprintable() else "?" for character in text[:_LONGEST])
    return plain if len(text) <= _LONGEST else plain + "..."
