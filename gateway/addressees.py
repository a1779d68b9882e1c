"""Whom the inside has written to lately: the acquaintances of phones that register nowhere."""

_MOST_HOSTS = 4096
_MOST_ADDRESSES = 64  # of one inside host


class Addressees:
    """For each inside host, the outside addresses it has written to and when; the oldest make room for new ones."""

    def __init__(self) -> None:
        self._written: dict[str, dict[str, float]] = {}

    def note(self, host: str, address: str, now: float) -> None:
        """An inside host writes to an outside address."""
        written = self._written.pop(host, None)
        if written is None:
            written = {}
            if len(self._written) >= _MOST_HOSTS:
                del self._written[next(iter(self._written))]
        # put at the end again: insertion order is order in time
        self._written[host] = written
        written.pop(address, None)
        if len(written) >= _MOST_ADDRESSES:
            del written[next(iter(written))]
        written[address] = now

    def last(self, host: str, address: str) -> float | None:
        """When it last wrote there; None if that is not known."""
        written = self._written.get(host)
        return None if written is None else written.get(address)
