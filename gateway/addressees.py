"""Whom or what the inside has written to lately: the acquaintances of phones that register nowhere, say."""

from collections.abc import Iterator

_MOST_HOSTS = 4096
_MOST_ADDRESSES = 64  # of one inside host


class Addressees:
    """For each inside host, the outside addresses (or other names) it has written to, and when it last did so.

    Hosts of which something else is known now are `touched`; whoever writes that down empties it.
    """

    def __init__(self) -> None:
        self._written: dict[str, dict[str, float]] = {}
        self.touched: set[str] = set()

    def note(self, host: str, address: str, now: float) -> None:
        """An inside host writes to an outside address.

        A new one takes the place of the address not written to for longest, or of the host known for longest.
        """
        written = self._written.get(host)
        if written is None:
            if len(self._written) >= _MOST_HOSTS:
                oldest = next(iter(self._written))
                self.touched.add(oldest)
                del self._written[oldest]
            written = self._written[host] = {}
        elif address not in written and len(written) >= _MOST_ADDRESSES:
            del written[min(written, key=written.__getitem__)]
        written[address] = now
        self.touched.add(host)

    def __iter__(self) -> Iterator[str]:
        return iter(self._written)

    def kept(self, host: str) -> dict[str, float] | None:
        """All that is known of an inside host."""
        return self._written.get(host)

    def put_back(self, host: str, written: dict[str, float]) -> None:
        """Know again what was known of an inside host."""
        self._written[host] = written

    def last(self, host: str, address: str) -> float | None:
        """When it last wrote there; None if that is not known."""
        written = self._written.get(host)
        return None if written is None else written.get(address)
