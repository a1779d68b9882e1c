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
    for stream in streams:
        if stream.run is None:
            alone.append(stream)
        else:
            members.setdefault(stream.run, []).append(stream)
    runs = [Run(first, tuple(found)) for first, found in members.items()]
    _check_apart(runs, alone)
    return [run for run in runs if not _is_leased(run, pairs)]


def _check_apart(runs: list[Run], alone: list[MediaAddress]) -> None:
    """A stream may be one of a run's and stand alone as well, but then as a whole."""
    run_of: dict[Endpoint, Endpoint] = {}
    parts: set[tuple[Endpoint, Endpoint | None]] = set()
    for run in runs:
        addresses = run.addresses
        if not addresses.isdisjoint(run_of):
            raise _overlaps(run.first)
        run_of.update(dict.fromkeys(addresses, run.first))
        parts |= run.parts
    for rtp, rtcp, _, _, _ in alone:
        first = run_of.get(rtp) or (run_of.get(rtcp) if rtcp is not None else None)
        if first is not None and (rtp, rtcp) not in parts:
            raise _overlaps(first)


def _overlaps(first: Endpoint) -> NotUnderstoodError:
    return NotUnderstoodError(f"the run of ports from {first} overlaps with other media")


def _is_leased(run: Run, pairs: Pairs) -> bool:
    bases: set[int | None] = set()
    for rtp, rtcp, _, _, _ in run.streams:
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
