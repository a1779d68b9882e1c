"""The ledger: the only owner of bindings, and so of what the kernel is to do.

Every row has holders; a row lives exactly as long as it has one. Whatever changes a row leaves the Forward that the
kernel should have in `take_changes`, so that the rules follow the ledger without ever reading it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from gateway.calls.bindings import Binding, Hold, Holder, MediaAddress
from gateway.calls.deadlines import Deadlines
from gateway.calls.needs import Needs
from gateway.calls.ports import MediaPorts, SignallingPorts
from gateway.errors import ForeignAddressError, LimitError
from gateway.limits import Limits
from rules.model import Endpoint, Forward, Purpose

_FOREVER = float("inf")


class Ledger:
    """Leases public ports to inside addresses for holders; no clock, no I/O.

    `public` is the announced address (None while the router has none); changing it moves every row at once. Rows
    that were made, changed or ended are `touched`; of those only `prolonged` nothing but a hold's end has moved.
    Whoever writes them down empties both.
    """

    def __init__(self, media: tuple[int, int], signalling: tuple[int, int], taken: frozenset[int]) -> None:
        self.public: str | None = None
        self._by_inside: dict[Endpoint, Binding] = {}
        self._by_port: dict[int, Binding] = {}
        self._held: dict[Holder, set[Endpoint]] = {}
        self._phones: Counter[str] = Counter()
        self._pairs: Counter[str] = Counter()
        self._pair_of: dict[int, str] = {}  # by the even port, whoever had it first
        self._limits = Limits()
        self._deadlines = Deadlines[tuple[Endpoint, Holder]]()
        self._changes: dict[Endpoint, Forward | None] = {}
        self.touched: set[Endpoint] = set()
        self.prolonged: set[Endpoint] = set()
        self.use_ports(media, signalling, taken)

    def use_ports(self, media: tuple[int, int], signalling: tuple[int, int], taken: frozenset[int]) -> None:
        """Lease from these (inclusive) ranges from now on, never a taken port; what is leased stays as it is."""
        self._ranges = media, signalling, taken
        leased = self._by_port.keys()
        self._media = MediaPorts(*media, leased)
        forbidden = taken.union(range(media[0], media[1] + 1))
        self._signalling = SignallingPorts(*signalling, forbidden, leased)

    def limit(self, limits: Limits) -> None:
        """Bound each inside address so from now on; what it has beyond that it keeps."""
        self._limits = limits

    def __iter__(self) -> Iterator[Binding]:
        return iter(self._by_inside.values())

    def of_inside(self, inside: Endpoint) -> Binding | None:
        """The row of an inside address."""
        return self._by_inside.get(inside)

    def of_port(self, port: int) -> Binding | None:
        """The row of a public port."""
        return self._by_port.get(port)

    def of_holder(self, holder: Holder) -> frozenset[Endpoint]:
        """The inside addresses that a holder holds."""
        return frozenset(self._held.get(holder, ()))

    @property
    def media_pairs_left(self) -> int:
        """How many streams can still be leased."""
        return len(self._media)

    def pairs_for(self, host: str) -> int:
        """How many streams an inside address can still have."""
        return min(len(self._media), max(self._limits.ports - self._pairs[host], 0))

    def hold_signalling(self, inside: Endpoint, holder: Holder, until: float, now: float) -> None:
        """Lease a public port for SIP, or prolong a hold.

        NoPortLeftError when the pool is empty, LimitError when one host wants more than its share.
        """
        binding = self._by_inside.get(inside)
        if binding is None:
            if self._phones[inside.ip] >= self._limits.addresses:
                raise LimitError(
                    f"{inside.ip} has {self._phones[inside.ip]} SIP addresses already, the most for one host"
                    " (limits.addresses)"
                )
            binding = self._bind(inside, self._signalling.lease(inside.port), Purpose.SIGNALLING, now)
            self._phones[inside.ip] += 1
        elif binding.purpose.is_media:
            raise ForeignAddressError(f"{inside} sends SIP from an address that a call uses for media")
        self._hold(binding, holder, Hold(until))

    def hold_media(
        self, streams: Iterable[MediaAddress], sources: frozenset[str] | None, holder: Holder, now: float
    ) -> None:
        """Have a holder hold these streams and no others, leasing a pair of public ports for each new one.

        Candidates are held as far as there is room, and not at an address in use for SIP. Raises, before anything is
        changed, NoPortLeftError when the pool runs out, ForeignAddressError when an address is in use for SIP, and
        NotUnderstoodError for a run of ports of which a part is leased elsewhere.
        """
        hold = Hold(_FOREVER, sources)
        needs, found = self._needs(streams)
        # RTP first: where one stream's RTCP port is another's RTP port (multiplexed RTCP), RTP has it
        for port, run in zip(found, needs.runs, strict=True):
            self._media.lease_run(port, run.pairs)
            for rtp in dict.fromkeys([stream.rtp for stream in run.streams]):
                self._bind(rtp, port + rtp.port - run.first.port, needs.rtp.pop(rtp), now)
        for rtp, purpose in needs.rtp.items():
            self._bind(rtp, self._media.lease(), purpose, now)
        wanted: set[Endpoint | None] = set()
        for rtp, rtcp, _, _, _ in needs.streams:
            wanted.update((rtp, rtcp))
            self._hold(self._by_inside[rtp], holder, hold)
        gone = [inside for inside in self._held.get(holder, ()) if inside not in wanted and self._is_media(inside)]
        if gone:
            self.release(holder, gone)
        for rtp, rtcp, _, _, _ in needs.streams:
            if rtcp is not None:
                self._hold_rtcp(rtcp, self._by_inside[rtp], holder, hold)

    def check_media(self, streams: Iterable[MediaAddress]) -> None:
        """Raises what `hold_media` would raise."""
        self._needs(streams)

    def has(self, media: MediaAddress) -> bool:
        """Whether both its addresses have rows."""
        return media.rtp in self._by_inside and (media.rtcp is None or media.rtcp in self._by_inside)

    def release(self, holder: Holder, inside: Iterable[Endpoint] | None = None) -> None:
        """Give up some of a holder's addresses, or all of them; rows without a holder end."""
        mine = self._held.get(holder)
        if mine is None:
            return
        for address in list(mine) if inside is None else mine.intersection(inside):
            mine.discard(address)
            self.touched.add(address)
            binding = self._by_inside[address]
            before = _forward(binding)
            del binding.holds[holder]
            self._deadlines.forget((address, holder))
            if not binding.holds:
                self._unbind(binding)
            elif _forward(binding) != before:
                self._changes[address] = _forward(binding)
        if not mine:
            del self._held[holder]

    def next_deadline(self) -> float | None:
        """When `expire` should be called next."""
        return self._deadlines.next()

    def expire(self, now: float) -> list[tuple[Holder, Endpoint]]:
        """Release what is due; who lost which address."""
        lost = []
        for inside, holder in self._deadlines.due(now):
            binding = self._by_inside.get(inside)
            hold = None if binding is None else binding.holds.get(holder)
            if hold is None:
                continue
            if hold.until > now:
                self._deadlines.wake((inside, holder), hold.until)
                continue
            self.release(holder, (inside,))
            lost.append((holder, inside))
        return lost

    def take_changes(self) -> dict[Endpoint, Forward | None]:
        """What the kernel should have of each inside address changed since the last call; None: nothing."""
        changes, self._changes = self._changes, {}
        return changes

    def put_back(self, bindings: Iterable[Binding]) -> None:
        """Take rows that an earlier ledger had, before there are any; the kernel should have their forwards.

        ValueError when two are at one address or at one port.
        """
        given = list(bindings)
        for binding in given:
            if binding.inside in self._by_inside or binding.port in self._by_port:
                raise ValueError(f"{binding.inside} at port {binding.port} is there twice")
            self._by_inside[binding.inside] = self._by_port[binding.port] = binding
            self._phones[binding.inside.ip] += not binding.purpose.is_media
            self._changes[binding.inside] = _forward(binding)
            for holder, hold in binding.holds.items():
                self._held.setdefault(holder, set()).add(binding.inside)
                if hold.until != _FOREVER:
                    self._deadlines.wake((binding.inside, holder), hold.until)
        self._phones = +self._phones
        if given:
            self.use_ports(*self._ranges)

    def _needs(self, streams: Iterable[MediaAddress]) -> tuple[Needs, list[int]]:
        """What is to be leased, and the first public port of each run."""
        streams = list(streams)
        free = min([self.pairs_for(stream.rtp.ip) for stream in streams], default=0)
        needs = Needs(streams, self, free, "media.ports" if free == len(self._media) else "limits.ports")
        return needs, self._media.find_runs([run.pairs for run in needs.runs]) if needs.runs else []

    def _hold_rtcp(self, inside: Endpoint, rtp: Binding, holder: Holder, hold: Hold) -> None:
        """RTCP has the port beside its RTP; where something else has that, ``a=rtcp:`` can name any other."""
        binding = self._by_inside.get(inside)
        if binding is None:
            beside = rtp.port | 1
            port = beside if beside not in self._by_port else self._media.lease()
            binding = self._bind(inside, port, Purpose.RTCP, rtp.since)
        if binding.purpose.is_media:
            self._hold(binding, holder, hold)

    def _is_media(self, inside: Endpoint) -> bool:
        return self._by_inside[inside].purpose.is_media

    def _bind(self, inside: Endpoint, port: int, purpose: Purpose, now: float) -> Binding:
        binding = Binding(inside, port, purpose, now)
        self._by_inside[inside] = self._by_port[port] = binding
        if purpose.is_media and port & ~1 not in self._pair_of:
            self._pair_of[port & ~1] = inside.ip
            self._pairs[inside.ip] += 1
        return binding

    def _unbind(self, binding: Binding) -> None:
        del self._by_inside[binding.inside], self._by_port[binding.port]
        if not binding.purpose.is_media:
            self._phones[binding.inside.ip] -= 1
            if not self._phones[binding.inside.ip]:
                del self._phones[binding.inside.ip]
        self._changes[binding.inside] = None
        # each range knows its own; they may have moved since the port was leased
        self._signalling.give_back(binding.port)
        if binding.port ^ 1 not in self._by_port:
            self._media.give_back(binding.port & ~1)
            self._give_back_pair(binding.port & ~1)

    def _give_back_pair(self, pair: int) -> None:
        host = self._pair_of.pop(pair, None)
        if host is not None:
            self._pairs[host] -= 1
            if not self._pairs[host]:
                del self._pairs[host]

    def _hold(self, binding: Binding, holder: Holder, hold: Hold) -> None:
        before = binding.holds.get(holder)
        binding.holds[holder] = hold
        if before is None or before.sources != hold.sources:
            self.touched.add(binding.inside)
        elif before.until != hold.until:
            self.prolonged.add(binding.inside)
        if before is None:
            self._held.setdefault(holder, set()).add(binding.inside)
            changed = binding.purpose.is_media or len(binding.holds) == 1
        else:
            changed = binding.purpose.is_media and before.sources != hold.sources
        if changed:
            self._changes[binding.inside] = _forward(binding)
        if hold.until != _FOREVER:
            self._deadlines.wake((binding.inside, holder), hold.until)


def _forward(binding: Binding) -> Forward:
    sources = binding.sources if binding.purpose.is_media else None
    return Forward(binding.inside, binding.port, binding.purpose, sources, _reason(binding))


def _reason(binding: Binding) -> str:
    """What stands in the rule's comment; it must not change while the rule need not."""
    if not binding.purpose.is_media:
        return f"phone {binding.inside}"
    return next(iter(binding.holds), "media")
