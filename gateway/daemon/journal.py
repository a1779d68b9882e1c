"""Notices into the log, at a bounded rate where strangers could make them endless."""

import logging
from collections.abc import Iterable

from gateway.notices import Notice, Subject

log = logging.getLogger("sipmasq")

_LEVELS = {
    Subject.CALL: logging.INFO,
    Subject.REGISTRATION: logging.INFO,
    Subject.ADDRESS: logging.WARNING,
    Subject.PASSED: logging.WARNING,
    Subject.REFUSED: logging.WARNING,
}
_BOUNDED = frozenset({Subject.PASSED, Subject.REFUSED})
_QUIET_SECONDS = 10.0


class Journal:
    """Writes notices down. Of those that strangers cause, one of a kind every ten seconds, and how many more."""

    def __init__(self) -> None:
        self._quiet_until: dict[tuple[Subject, str], float] = {}
        self._withheld: dict[tuple[Subject, str], int] = {}

    def write(self, notices: Iterable[Notice], now: float) -> None:
        """Log what is due."""
        for subject, key, text in notices:
            kind = (subject, key)
            if subject in _BOUNDED:
                if now < self._quiet_until.get(kind, 0.0):
                    self._withheld[kind] = self._withheld.get(kind, 0) + 1
                    continue
                self._quiet_until[kind] = now + _QUIET_SECONDS
                more = self._withheld.pop(kind, 0)
                if more:
                    log.log(_LEVELS[subject], "%s: %d more like the last one", subject.value, more)
            log.log(_LEVELS[subject], "%s: %s", subject.value, text)
