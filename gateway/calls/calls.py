"""All calls: which message belongs to which, and what the ledger holds for each."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Literal

from gateway.calls.bindings import MediaAddress
from gateway.calls.call import Call, CallId
from gateway.calls.deadlines import Deadlines
from gateway.calls.dialog import Invite, Side
from gateway.calls.ledger import Ledger
from gateway.calls.media import Described, FarHost, Media
from gateway.errors import LimitError
from gateway.sdp.offer_answer import Terms
from gateway.sip.grammar import TRANSACTION_SECONDS
from gateway.sip.message import Message
from gateway.sip.uri import address_of_record
from rules.model import Endpoint, Traffic

_MOST_CALLS = 2000  # of one phone address: more than a switchboard has; a flood from outside ends there


class Calls:
    """The owner of every call; each one's media are held in the ledger exactly while it lasts.

    `source` is "signalled" (only hosts that the far side's SDP names may send in) or "any"; `silence` the seconds
    without media after which an answered call that nobody holds is given up.
    """

    def __init__(self, ledger: Ledger, source: Literal["signalled", "any"], silence: float) -> None:
        self._ledger = ledger
        self._source = source
        self._silence = silence
        self._calls: dict[CallId, Call] = {}
        self._of_phone: Counter[str] = Counter()
        self._deadlines = Deadlines[CallId]()
        self._news: list[tuple[Call, str]] = []
        self._over: dict[CallId, float] = {}

    def configure(self, source: Literal["signalled", "any"], silence: float) -> None:
        """Follow the operator's changed mind; calls that are up take it over with their next message."""
        self._source = source
        self._silence = silence

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls.values())

    def __contains__(self, name: object) -> bool:
        return name in self._calls

    def __len__(self) -> int:
        return len(self._calls)

    def take(self, message: Message, sender: Side, phone: Endpoint, described: Described | None, now: float) -> None:
        """Follow one message of a call and hold what it needs.

        Raises, before anything is changed, LimitError when there is no port for what it describes or no room for
        another call of that phone, ForeignAddressError when an address is in use for SIP, and NotUnderstoodError when
        it brings more than any call has.
        """
        name = CallId(message.call_id, phone.ip)
        call = self._calls.get(name)
        if call is None:
            if not self._begins_call(name, message, sender, described, now):
                return
            if self._of_phone[phone.ip] >= _MOST_CALLS:
                raise LimitError(f"{phone.ip} has {_MOST_CALLS} calls already, the most for one phone")
            call = _call_of(name, message, sender, phone, now)
        elif described is not None or message.method == b"INVITE":
            call.check(message, sender, described)
        if described is not None:
            self._ledger.check_media(media for media in described.media if isinstance(media, MediaAddress))
        if call.met is None:
            self._ledger.hold_signalling(phone, call.holder, float("inf"), now)
            self._calls[name] = call
            self._of_phone[phone.ip] += 1
            # strangers can begin calls without end; of those that come in, people read when they are answered
            if call.caller is Side.INSIDE:
                self._news.append((call, "begins, outgoing"))
        call.take(message, sender, described, now)
        if not call.was_answered and call.is_up:
            call.was_answered = True
            incoming = ", incoming" if call.caller is Side.OUTSIDE else ""
            self._news.append((call, f"answered after {now - call.since:.1f} s{incoming}"))
        self._settle(call, _ending(message), now)

    def withdraw(self, message: Message, sender: Side, phone: Endpoint, now: float) -> None:
        """Take back a request that `take` followed and that never left."""
        call = self._calls.get(CallId(message.call_id, phone.ip))
        if call is not None:
            call.withdraw(message, sender, now)
            self._settle(call, "refused here", now)

    def next_timer(self) -> float | None:
        """When `handle_timer` should be called next."""
        return self._deadlines.next()

    def handle_timer(self, now: float) -> None:
        """Give up transactions and dialogs that nobody answered."""
        for name in self._deadlines.due(now):
            call = self._calls.get(name)
            if call is not None:
                call.time_out(now)
                self._settle(call, "no answer", now)

    def observe(self, traffic: Mapping[Endpoint, Traffic], now: float) -> None:
        """Take note of the packets counted at each media address; calls that fell silent both ways end."""
        for call in list(self._calls.values()):
            seen = [traffic[inside] for inside in self._ledger.of_holder(call.holder) if inside in traffic]
            packets = sum(inward + outward for inward, outward in seen)
            if packets != call.packets or call.is_on_hold or not call.is_up:
                call.packets = packets
                call.heard = now
            elif now - call.heard >= self._silence:
                call.hang_up()
                self._settle(call, f"no media here for {self._silence:.0f} s", now)

    def take_news(self) -> list[tuple[Call, str]]:
        """What became of calls since the last time, in words."""
        news, self._news = self._news, []
        return news

    def _settle(self, call: Call, why: str, now: float) -> None:
        """Make the ledger hold for a call exactly what it now needs."""
        holder = call.holder
        if call.is_over:
            self._forget(call, now)
            self._ledger.release(holder)
            self._news.append((call, f"ended after {now - call.since:.1f} s: {why}"))
            return
        self._deadlines.wake(call.id, call.deadline)
        streams, hosts = call.media
        needs = (streams, None if self._source == "any" else hosts)
        if needs == call.met:
            return
        self._ledger.hold_media(*needs, holder, now)
        call.met = needs

    def _begins_call(
        self, name: CallId, message: Message, sender: Side, described: Described | None, now: float
    ) -> bool:
        """An INVITE, or a phone's own description in a call that began before this gateway did.

        An answer that is repeated after its call has ended is neither.
        """
        if message.method != b"INVITE":
            return False
        if message.is_request:
            return True
        has_media = described is not None and bool(described.media)
        return sender is Side.INSIDE and has_media and self._over.get(name, 0.0) <= now

    def _forget(self, call: Call, now: float) -> None:
        """The call is over; only its name is kept for a while, since its last answer may be repeated."""
        del self._calls[call.id]
        self._of_phone[call.id.phone] -= 1
        if not self._of_phone[call.id.phone]:
            del self._of_phone[call.id.phone]
        for name, until in list(islice(self._over.items(), 2)):
            if until <= now:
                del self._over[name]
        self._over.pop(call.id, None)
        # for so long a 2xx without its ACK is repeated (RFC 3261 section 13.3.1.4)
        self._over[call.id] = now + TRANSACTION_SECONDS


def _call_of(name: CallId, message: Message, sender: Side, phone: Endpoint, now: float) -> Call:
    caller = sender if message.is_request else sender.other
    peer = message.value(b"to" if caller is Side.INSIDE else b"from")
    call = Call(name, phone, caller, address_of_record(peer), now, heard=now)
    if not message.is_request:
        # what the caller described went by before this gateway was there to read it
        unknown = Terms[Media](frozenset({FarHost(None)}))
        call.invites[caller, message.cseq] = Invite.begin(caller, message.cseq, now, unknown)
    return call


def _ending(message: Message) -> str:
    """What people read as the reason if this message ended the call."""
    return message.method.decode() if message.is_request else f"{message.method.decode()} {message.status}"
