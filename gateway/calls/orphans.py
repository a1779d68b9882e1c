"""Media of calls that nothing is known of but their rules: the state was lost, and people go on talking.

Their ports stay leased while packets come by. A re-INVITE makes a call of them again, which holds them by the same
name; a BYE that is answered ends them.
"""

from collections.abc import Iterable, Iterator, Mapping

from gateway.calls.bindings import Binding, Hold, Holder, HolderKind
from gateway.calls.call import CallId
from gateway.calls.dialog import Side
from gateway.calls.ledger import Ledger
from gateway.sip.message import Message
from rules.model import Endpoint, Forward, Traffic

_FOREVER = float("inf")
_CHALLENGES = (401, 407)


class Orphans:
    """By the holder that their call had: the packets counted last, and when they last were others.

    A phone's SIP address is held for `idle` seconds, for its next message or registration to do so. Those that are
    known otherwise now are `touched`; whoever writes them down empties that.
    """

    def __init__(self, ledger: Ledger, idle: float) -> None:
        self._ledger = ledger
        self._idle = idle
        self._heard: dict[Holder, tuple[int, float]] = {}
        self._hanging_up: set[Holder] = set()
        self.touched: set[Holder] = set()

    def __iter__(self) -> Iterator[Holder]:
        return iter(self._heard)

    def adopt(self, forwards: Iterable[Forward], calls: Iterable[Holder], now: float) -> int:
        """Lease, before anything else is, what has forwards already: media to their calls, phones for a while.

        What is leased is known better, and so are the media of `calls`, live or over; how many ports were not.
        """
        known = {*calls, *self._heard}
        bindings = []
        for inside, port, purpose, sources, reason in forwards:
            if self._ledger.of_inside(inside) is not None or self._ledger.of_port(port) is not None:
                continue
            holder, hold = Holder.of(HolderKind.PEER, str(inside)), Hold(now + self._idle)
            if purpose.is_media:
                if not reason.startswith(f"{HolderKind.CALL} ") or reason in known:
                    continue
                holder, hold = Holder(reason), Hold(_FOREVER, sources)
                self.put_back(holder, 0, now)
                self.touched.add(holder)
            self._ledger.touched.add(inside)
            bindings.append(Binding(inside, port, purpose, now, {holder: hold}))
        self._ledger.put_back(bindings)
        return len(bindings)

    def put_back(self, holder: Holder, packets: int, heard: float) -> None:
        """Take one that was there before."""
        self._heard[holder] = packets, heard

    def kept(self, holder: Holder) -> tuple[int, float] | None:
        """What is known of one."""
        return self._heard.get(holder)

    def knows(self, message: Message, host: str) -> bool:
        """Whether a message for an inside host is of one of these calls: only its parties know the Call-ID."""
        return bool(self._heard) and CallId(message.call_id, host).holder in self._heard

    def take(self, message: Message, sender: Side, host: str) -> None:
        """A message that was let through; a BYE ends the call with its final response, unless that comes again.

        Only what the phone shows to believe counts: its own BYE, answered, and its consent to that of another.
        """
        if message.method != b"BYE" or not self.knows(message, host):
            return
        holder = CallId(message.call_id, host).holder
        if message.is_request:
            if sender is Side.INSIDE:
                self._hanging_up.add(holder)
        elif sender is Side.INSIDE:
            if 200 <= message.status < 300:
                self._end(holder)
        elif message.status >= 200 and message.status not in _CHALLENGES and holder in self._hanging_up:
            self._end(holder)

    def observe(
        self, traffic: Mapping[Endpoint, Traffic], calls: Iterable[Holder], silence: float, now: float
    ) -> None:
        """Let go of those that were silent for so many seconds; those that are `calls` again are no orphans."""
        for holder in self._heard.keys() & set(calls):
            del self._heard[holder]
            self._hanging_up.discard(holder)
            self.touched.add(holder)
        for holder, (before, heard) in list(self._heard.items()):
            seen = [traffic[inside] for inside in self._ledger.of_holder(holder) if inside in traffic]
            packets = sum(inward + outward for inward, outward in seen)
            if packets != before:
                self._heard[holder] = packets, now
                self.touched.add(holder)
            elif now - heard >= silence:
                self._end(holder)

    def _end(self, holder: Holder) -> None:
        del self._heard[holder]
        self._hanging_up.discard(holder)
        self.touched.add(holder)
        self._ledger.release(holder)
