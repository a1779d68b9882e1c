"""What streams need that has no port yet: worked out as a whole, before anything is leased."""

from collections.abc import Iterable

from gateway.calls.bindings import MediaAddress
from gateway.calls.runs import Run, fresh_runs
from gateway.errors import ForeignAddressError, NoPortLeftError
from gateway.masquerade.translation import Pairs
from rules.model import Endpoint, Purpose

_ANY = float("inf")


class Needs:
    """The needs of some streams, where `rows` are leased already and `free` pairs of ports are not, by that
    setting.

    `streams` are those to hold, in the order in which their RTCP is to be placed; a candidate that cannot be had is
    not among them, or without its RTCP. `rtp` are the addresses without a port, the members of `runs` too. So many
    `pairs` are enough for all. Raises what `Ledger.hold_media` raises.
    """

    __slots__ = ("_beside", "_placed", "_rows", "pairs", "rtp", "runs", "streams")

    def __init__(self, streams: Iterable[MediaAddress], rows: Pairs, free: int, setting: str) -> None:
        self.streams = list(streams)
        self.rtp: dict[Endpoint, Purpose] = {}
        self.runs: list[Run] = []
        self.pairs = 0
        self._rows = rows
        self._beside: set[Endpoint] = set()  # RTP addresses whose place for RTCP is taken
        self._placed: set[Endpoint] = set()  # RTCP addresses
        if len(self.streams) > 1:
            self.streams.sort(key=_order)
        elif self.streams and free and self._is_usual(*self.streams):
            return
        certain = [stream for stream in self.streams if not stream.is_candidate]
        self._count(certain)
        if self.pairs > free:
            raise NoPortLeftError(f"{self.pairs} more port pairs needed, {free} free: widen {setting}")
        if len(certain) < len(self.streams):
            candidates = self.streams[len(certain) :]
            self.streams = certain + [
                stream for each in candidates if (stream := self._admit(each, free)) is not None
            ]
            if not self.streams and not all(rows.of_inside(each.rtp) for each in candidates):
                raise NoPortLeftError(f"no port pair is free for any candidate: widen {setting}")

    def _is_usual(self, stream: MediaAddress) -> bool:
        """Whether this needs a pair of its own and nothing else, as most do; if so, that is its need."""
        rtp, rtcp, purpose, run, _ = stream
        of_inside = self._rows.of_inside
        if run is not None or of_inside(rtp) is not None or (rtcp is not None and of_inside(rtcp) is not None):
            return False
        self.rtp[rtp] = purpose
        self.pairs = 1
        return True

    def _count(self, streams: list[MediaAddress]) -> None:
        has_runs = False
        for rtp, _, purpose, run, _ in streams:
            row = self._rows.of_inside(rtp)
            if row is None:
                self.rtp.setdefault(rtp, purpose)
            elif not row.purpose.is_media:
                raise ForeignAddressError(f"{rtp} is offered for media and in use for SIP")
            if run is not None:
                has_runs = True
        self.pairs = len(self.rtp)
        if has_runs:
            self.runs = fresh_runs(streams, self._rows)
            self.pairs += sum(run.pairs - len({stream.rtp for stream in run.streams}) for run in self.runs)
        for rtp, rtcp, _, _, _ in streams:
            if rtcp is None:
                continue
            if not self._is_sip(rtcp):
                self._place(rtp, rtcp, _ANY)
            elif not _is_beside(rtp, rtcp):
                raise ForeignAddressError(f"{rtcp} is offered for RTCP and in use for SIP")
        # a run may fill the odd ports as well
        self._beside.update(stream.rtp for run in self.runs for stream in run.streams)

    def _admit(self, candidate: MediaAddress, free: int) -> MediaAddress | None:
        """As much of a candidate as can be had: it is one of several ways, and the call does without it."""
        rtp, rtcp = candidate.rtp, candidate.rtcp
        row = self._rows.of_inside(rtp)
        if row is not None:
            if not row.purpose.is_media:
                return None
        elif rtp not in self.rtp:
            if self.pairs >= free or rtp in self._placed:
                return None
            self.rtp[rtp] = candidate.purpose
            self.pairs += 1
        if rtcp is not None and (self._is_sip(rtcp) or not self._place(rtp, rtcp, free)):
            return candidate._replace(rtcp=None)
        return candidate

    def _place(self, rtp: Endpoint, rtcp: Endpoint, free: float) -> bool:
        """Find a port for RTCP: the one beside its RTP, or where that is taken a pair of its own, while one is free.

        What is leased, or also some stream's RTP (multiplexed RTCP), has its port.
        """
        if rtcp in self._placed or rtcp in self.rtp or self._rows.of_inside(rtcp) is not None:
            return True
        row = self._rows.of_inside(rtp)
        if rtp in self._beside or (row is not None and self._rows.of_port(row.port | 1) is not None):
            if self.pairs >= free:
                return False
            self.pairs += 1
        self._beside.add(rtp)
        self._placed.add(rtcp)
        return True

    def _is_sip(self, address: Endpoint) -> bool:
        row = self._rows.of_inside(address)
        return row is not None and not row.purpose.is_media


def _order(stream: MediaAddress) -> tuple[bool, Endpoint, bool, bool, Endpoint]:
    """Candidates last; speech before fax on its port; RTCP where it is unless named, before any other."""
    rtp, rtcp, purpose, _, is_candidate = stream
    away = rtcp is None or not _is_beside(rtp, rtcp)
    return is_candidate, rtp, purpose is not Purpose.RTP, away, rtcp or rtp


def _is_beside(rtp: Endpoint, rtcp: Endpoint) -> bool:
    """Whether RTCP is where it is without being named (RFC 3550 section 11)."""
    return rtcp == (rtp.ip, rtp.port + 1)
