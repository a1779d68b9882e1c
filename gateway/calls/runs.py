"""Runs of ports: streams that one m-line describes by a port and a count (RFC 8866 section 5.14)."""

from collections.abc import Iterable
from typing import NamedTuple

from gateway.calls.bindings import MediaAddress
from gateway.errors import NotUnderstoodError
from gateway.masquerade.translation import Pairs
from rules.model import Endpoint


class Run(NamedTuple):
    """Streams whose public ports must be as far from each other as their own are."""

    first: Endpoint
    streams: tuple[MediaAddress, ...]

    @property
    def pairs(self) -> int:
        """How many pairs of ports it covers."""
        return max(each.rtp.port - self.first.port for each in self.streams) // 2 + 1

    @property
    def parts(self) -> set[tuple[Endpoint, Endpoint | None]]:
        """RTP and RTCP of each stream."""
        return {(each.rtp, each.rtcp) for each in self.streams}

    @property
    def addresses(self) -> set[Endpoint]:
        """All that it is made of."""
        return {address for part in self.parts for address in part if address is not None}


def fresh_runs(streams: Iterable[MediaAddress], pairs: Pairs) -> list[Run]:
    """The runs among these streams that are not leased yet; a run is leased as a whole or not at all.

    NotUnderstoodError when a part of one is leased elsewhere already, or is a part of something else too.
    """
    members: dict[Endpoint, list[MediaAddress]] = {}
    alone = []
    for stream in sorted(streams, key=lambda stream: stream.rtp):
        if stream.run is None:
            alone.append(stream)
        else:
            members.setdefault(stream.run, []).append(stream)
    runs = [Run(first, tuple(found)) for first, found in members.items()]
    taken: set[Endpoint] = set()
    for run in runs:
        _check_apart(run, alone, taken)
        taken |= run.addresses
    return [run for run in runs if not _is_leased(run, pairs)]


def _check_apart(run: Run, alone: list[MediaAddress], taken: set[Endpoint]) -> None:
    """A stream may be one of a run's and stand alone as well, but then as a whole."""
    others = [each for each in alone if (each.rtp, each.rtcp) not in run.parts]
    if run.addresses & taken.union(*[{each.rtp, each.rtcp} for each in others]):
        raise NotUnderstoodError(f"the run of ports from {run.first} overlaps with other media")


def _is_leased(run: Run, pairs: Pairs) -> bool:
    bases: set[int | None] = set()
    for rtp, rtcp, _, _ in run.streams:
        row = pairs.of_inside(rtp)
        bases.add(None if row is None else row.port - rtp.port + run.first.port)
        beside = None if rtcp is None else pairs.of_inside(rtcp) or (row and pairs.of_port(row.port | 1))
        if rtcp is not None and beside is not None:
            bases.add(beside.port - rtcp.port + run.first.port if beside.inside == rtcp else None)
    if bases == {None}:
        return False
    base = bases.pop()
    if bases or base is None:
        raise NotUnderstoodError(f"a part of the run of ports from {run.first} is leased elsewhere already")
    return True
