"""Public ports to lease. What was given back last is leased last, so that stragglers find no new call."""

from collections import OrderedDict
from collections.abc import Container, Iterable, Sequence

from gateway.errors import NoPortLeftError


class MediaPorts:
    """Pairs of an even port for RTP and the odd one above it for RTCP (RFC 3550 section 11)."""

    def __init__(self, low: int, high: int, leased: Container[int] = ()) -> None:
        self._pool = range(low + low % 2, high, 2)
        free = [port for port in self._pool if port not in leased and port + 1 not in leased]
        self._free = OrderedDict.fromkeys(free)  # the first came back first
        self._map = bytearray(len(self._pool))  # by place in the pool, 1 for a free pair
        for port in free:
            self._map[self._pool.index(port)] = 1
        self._setting = f"media.ports ({low}-{high})"

    def __len__(self) -> int:
        return len(self._free)

    def lease(self) -> int:
        """The even port of a free pair; NoPortLeftError when there is none."""
        if not self._free:
            raise NoPortLeftError(f"every port of {self._setting} is in use; widen that range")
        port, _ = self._free.popitem(last=False)
        self._map[self._pool.index(port)] = 0
        return port

    def find_runs(self, lengths: Sequence[int]) -> list[int]:
        """The even port that begins a run of so many free pairs, for each length; nothing is leased yet.

        The search begins at the pair that has been free for longest and goes on from run to run, so it costs no more
        than a few rounds through the pool. NoPortLeftError when there is no such run.
        """
        free = self._map.copy()
        place = self._pool.index(next(iter(self._free))) if self._free else 0
        found = []
        for length in lengths:
            run = b"\1" * length
            place = free.find(run, place)
            if place < 0:
                place = free.find(run)
            if place < 0:
                raise NoPortLeftError(f"no {length} pairs of ports in a row are free in {self._setting}; widen it")
            free[place : place + length] = bytes(length)
            found.append(self._pool[place])
        return found

    def lease_run(self, port: int, length: int) -> None:
        """Take a run that `find_runs` found."""
        for each in range(port, port + 2 * length, 2):
            del self._free[each]
            self._map[self._pool.index(each)] = 0

    def give_back(self, port: int) -> None:
        """Return the pair whose even port this is; one of an earlier range is simply forgotten."""
        if port in self._pool:
            self._free[port] = None
            self._map[self._pool.index(port)] = 1


class SignallingPorts:
    """Single ports; a phone keeps its own number where it can, since some providers insist on 5060."""

    def __init__(self, low: int, high: int, forbidden: frozenset[int], leased: Iterable[int] = ()) -> None:
        self._leased = set(leased)
        candidates = (port for port in range(low, high + 1) if port not in forbidden and port not in self._leased)
        self._free = dict.fromkeys(candidates)  # an ordered set: the first came back first
        self._pool = range(low, high + 1)
        self._forbidden = forbidden

    def lease(self, wish: int) -> int:
        """The wished port when it is 1024 or more, free and not forbidden, else one of the pool.

        NoPortLeftError when there is none.
        """
        free = wish >= 1024 and wish not in self._leased and wish not in self._forbidden
        port = wish if free else next(iter(self._free), None)
        if port is None:
            pool = f"{self._pool.start}-{self._pool.stop - 1}"
            raise NoPortLeftError(f"every port of sip.public_ports ({pool}) is in use; widen that range")
        self._free.pop(port, None)
        self._leased.add(port)
        return port

    def give_back(self, port: int) -> None:
        """Return a leased port."""
        self._leased.discard(port)
        if port in self._pool and port not in self._forbidden:
            self._free[port] = None
