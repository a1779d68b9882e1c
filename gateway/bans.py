"""Who has knocked too often from outside is not listened to for a while (`bans`); off unless the operator wants it.

Why it is so: a source address can be forged, so a stranger may have somebody banned who did nothing. So nobody is
banned who matters here: a registrar, whom `sip.callers` names, a party of a call that is up; and whoever a phone
writes to is banned no longer. What is left to lose is that somebody who never called here cannot for some time.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

_MOST_OFFENDERS = 4096  # the one that came first is forgotten first: forged ones are without end
_MOST_BANS = 4096  # nobody more is banned then


class Ban(NamedTuple):
    """An outside address whose SIP is dropped from `since` until `until`, and for what."""

    address: str
    since: float
    until: float
    why: str


class Bans:
    """Counts the messages of strangers that were dropped, and bans after so many within a window of seconds.

    `is_known` says of an address whether it is never to be banned. With `after` 0 nobody is.
    """

    def __init__(self, is_known: Callable[[str], bool]) -> None:
        self._is_known = is_known
        self._offences: dict[str, deque[float]] = {}
        self._bans: dict[str, Ban] = {}
        self._changes: dict[str, Ban | None] = {}
        self.configure(0, 60.0, 3600.0)

    def configure(self, after: int, window: float, seconds: float) -> None:
        """Follow the operator's changed mind; bans stay as they are, unless there are to be none."""
        self._after, self._window, self._seconds = after, window, seconds
        self._offences.clear()
        if not after:
            for address in list(self._bans):
                self.lift(address)

    def __iter__(self) -> Iterator[Ban]:
        return iter(self._bans.values())

    def __len__(self) -> int:
        return len(self._bans)

    def offended(self, address: str, why: str, now: float) -> Ban | None:
        """A message from there was dropped for that reason; the ban if that was one too many."""
        if not self._after or address in self._bans:
            return None
        if address not in self._offences and len(self._offences) >= _MOST_OFFENDERS:
            del self._offences[next(iter(self._offences))]
        times = self._offences.setdefault(address, deque(maxlen=self._after))
        times.append(now)
        if len(times) < self._after or now - times[0] > self._window:
            return None
        del self._offences[address]
        if self._is_known(address) or len(self._bans) >= _MOST_BANS:
            return None
        ban = Ban(address, now, now + self._seconds, f"{self._after} times {why}")
        self._bans[address] = self._changes[address] = ban
        return ban

    def lift(self, address: str) -> bool:
        """End a ban before its time; whether there was one."""
        if self._bans.pop(address, None) is None:
            return False
        self._changes[address] = None
        return True

    def expire(self, now: float) -> None:
        """Forget the bans that are over."""
        for ban in list(self._bans.values()):
            if ban.until <= now:
                self.lift(ban.address)

    def renew(self) -> None:
        """Whatever the kernel has, it is to be told of all bans again."""
        self._changes |= self._bans

    def take_changes(self) -> dict[str, Ban | None]:
        """The bans that the kernel is to be told of, None for one that is over."""
        changes, self._changes = self._changes, {}
        return changes
