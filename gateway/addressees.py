"""Whom or what the inside has written to lately: the acquaintances of phones that register nowhere, say."""

_MOST_HOSTS = 4096
_MOST_ADDRESSES = 64  # of one inside host


class Addressees:
    """For each inside host, the outside addresses (or other names) it has written to, and when it last did so."""

    def __init__(self) -> None:
        self._written: dict[str, dict[str, float]] = {}

    def note(self, host: str, address: str, now: float) -> None:
        """An inside host writes to an outside address.

        A new one takes the place of the address not written to for longest, or of the host known for longest.
        """
        written = self._written.get(host)
        if written is None:
            if len(self._written) >= _MOST_HOSTS:
                del self._written[next(iter(self._written))]
            written = self._written[host] = {}
        elif address not in written and len(written) >= _MOST_ADDRESSES:
            del written[min(written, key=written.__getitem__)]
        written[address] = now

    def last(self, host: str, address: str) -> float | None:
        """When it last wrote there; None if that is not known."""
        written = self._written.get(host)
        return None if written is None else written.get(address)
