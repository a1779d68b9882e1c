"""A table of forwards: each inside address once, each public port once."""

from collections.abc import Iterator, Mapping

from rules.model import Endpoint, Forward


class Forwards(Mapping[Endpoint, Forward]):
    """By inside address, and by public port through `at`."""

    def __init__(self) -> None:
        self._forwards: dict[Endpoint, Forward] = {}
        self._insides: dict[int, Endpoint] = {}

    def at(self, port: int) -> Forward | None:
        """The forward that holds a public port."""
        inside = self._insides.get(port)
        return None if inside is None else self._forwards[inside]

    def update(self, changes: Mapping[Endpoint, Forward | None]) -> None:
        """Put these in place of what was there, None for nothing.

        ValueError, and no change, when one port would have two holders.
        """
        ports: dict[int, Endpoint] = {}
        for inside, forward in changes.items():
            if forward is None:
                continue
            if forward.inside != inside:
                raise ValueError(f"the forward for {inside} is given as {forward.inside}")
            holder = ports.setdefault(forward.port, inside)
            held = self._insides.get(forward.port, inside)
            if holder != inside or (held != inside and held not in changes):
                other = holder if holder != inside else held
                raise ValueError(f"port {forward.port} is asked for {inside} but forwarded to {other}")
        for inside in changes:
            before = self._forwards.pop(inside, None)
            if before is not None:
                del self._insides[before.port]
        for inside, forward in changes.items():
            if forward is not None:
                self._forwards[inside] = forward
                self._insides[forward.port] = inside

    def clear(self) -> None:
        """Empty it."""
        self._forwards.clear()
        self._insides.clear()

    def __getitem__(self, inside: Endpoint) -> Forward:
        return self._forwards[inside]

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._forwards)

    def __len__(self) -> int:
        return len(self._forwards)
