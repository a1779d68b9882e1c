"""All calls: which message belongs to which, and what the ledger holds for each."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Literal, NamedTuple

from gateway.calls.bindings import MediaAddress
from gateway.calls.call import Call, CallId
from gateway.calls.deadlines import Deadlines
from gateway.calls.dialog import Invite, Side, TransactionId
from gateway.calls.finished import Finished
from gateway.calls.ledger import Ledger
from gateway.calls.media import Described, FarHost, Media
from gateway.calls.parties import Parties
from gateway.errors import LimitError, NotUnderstoodError, PeerError
from gateway.limits import Limits
from gateway.sdp.offer_answer import Terms
from gateway.sip.grammar import TRANSACTION_SECONDS
from gateway.sip.message import Message
from gateway.sip.uri import address_of_record
from rules.model import Endpoint, Traffic

_FOREVER = float("inf")
_MOVING = frozenset({b"INVITE", b"ACK", b"CANCEL", b"BYE", b"PRACK", b"UPDATE"})  # what the state machines listen to


class _Over(NamedTuple):
    """A call that has ended, and for how long a party of it may repeat a request or answer one late."""

    until: float
    call: Call

    @property
    def finished(self) -> Finished:
        """Its requests that are over."""
        return self.call.legs.finished

    @property
    def parties(self) -> Parties:
        """Who had a part in it."""
        return self.call.parties

    def revived_by(
        self, message: Message, sender: Side, host: str, described: Described | None, now: float
    ) -> Call | None:
        """The call as it goes on if it was given up, and now a party of it answers."""
        may_answer = not message.is_request and (sender is Side.INSIDE or host in self.parties)
        if not may_answer or self.call.legs.given_up(message, sender, described, now) is None:
            return None
        return replace(self.call, heard=now, packets=0, phones=set(), met=None)


class Calls:
    """The owner of every call; each one's media are held in the ledger exactly while it lasts.

    `source` is "signalled" (only hosts that the far side's SDP names may send in) or "any"; `silence` the seconds
    without media after which an answered call that nobody holds is given up, `longest` those after which any is.
    Calls that began, changed or ended are `touched`, those only `refreshed` were heard of; whoever writes them down
    empties both.
    """

    def __init__(
        self, ledger: Ledger, source: Literal["signalled", "any"], silence: float, longest: float = _FOREVER
    ) -> None:
        self._ledger = ledger
        self._source = source
        self._silence = silence
        self._longest = longest
        self._calls: dict[tuple[bytes, str], Call] = {}  # by CallId
        self._elsewhere: dict[tuple[bytes, str], Call] = {}  # by Call-ID and an address that is not the phone's own
        self._of_phone: Counter[str] = Counter()
        self._limits = Limits()
        self._deadlines = Deadlines[CallId]()
        self._news: list[tuple[Call, str]] = []
        self._over: dict[CallId, _Over] = {}
        self.touched: set[CallId] = set()
        self.refreshed: set[CallId] = set()

    def configure(self, source: Literal["signalled", "any"], silence: float, longest: float) -> None:
        """Follow the operator's changed mind; for `source`, calls that are up do with their next message."""
        self._source = source
        self._silence = silence
        self._longest = longest
        for call in self:
            self._wake(call)

    def limit(self, limits: Limits) -> None:
        """Bound the calls of each phone so from now on; those that are up stay."""
        self._limits = limits

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls.values())

    def __contains__(self, name: object) -> bool:
        return name in self._calls or name in self._elsewhere

    def __len__(self) -> int:
        return len(self._calls)

    def is_party(self, message: Message, phone: Endpoint, source: str, now: float) -> bool:
        """Whether a message from outside for that phone may come from the address `source`.

        One that belongs to no known call may come from anywhere; one of a call only from a party of it.
        """
        call = self._at(message, phone)
        return call is None or call.admits(message, source, now)

    def was_party(self, message: Message, phone: Endpoint, source: str, now: float) -> bool:
        """Whether it may be the late word of a party of a call that ended a moment ago."""
        over = self._over.get(CallId(message.call_id, phone.ip))
        return over is not None and over.until > now and source in over.parties

    def has_finished(self, message: Message, sender: Side, phone: Endpoint, now: float) -> bool:
        """Whether it is the late copy of a message that was followed, and needs nothing any more."""
        name = CallId(message.call_id, phone.ip)
        request = TransactionId.of(message, sender)
        call = self._at(message, phone)
        if call is not None:
            return call.legs.finished.has(request, now)
        return name in self._over and self._over[name].finished.has(request, now)

    def take(
        self,
        message: Message,
        sender: Side,
        phones: Sequence[Endpoint],
        host: str,
        described: Described | None,
        now: float,
    ) -> None:
        """Follow one message of a call and hold what it needs.

        `phones` is the phone's address and where else it says that it listens, `host` the other party's address.
        Raises, before anything is changed, LimitError when there is no port for what it describes or no room for
        another call of that phone, ForeignAddressError when an address is in use for SIP, and NotUnderstoodError when
        it brings more than any call has.
        """
        phone = phones[0]
        call = self._at(message, phone)
        if call is None:
            call = self._begun_by(message, sender, phone, host, described, now)
            if call is None:
                return
        elif described is not None or message.method == b"INVITE":
            if message.is_request and self.has_finished(message, sender, phone, now):
                return
            call.check(message, sender, described)
        if described is not None:
            held = frozenset[MediaAddress]() if call.met is None else call.met[0]
            fresh = {media for media in described.media - held if isinstance(media, MediaAddress)}
            if fresh:
                self._ledger.check_media(fresh | held if held else fresh)
        is_new = not call.phones
        for address in phones:
            if address not in call.phones:
                self._ledger.hold_signalling(address, call.holder, _FOREVER, now)
                call.phones.add(address)
                if address.ip != call.id.phone:
                    self._elsewhere[message.call_id, address.ip] = call
        if is_new:
            self._calls[call.id] = call
            self._of_phone[phone.ip] += 1
            # strangers can begin calls without end; of those that come in, people read when they are answered
            if call.caller is Side.INSIDE:
                self._news.append((call, "begins, outgoing"))
        call.meet(message, sender, host)
        call.has_another_way |= described is not None and described.has_another_way
        call.legs.take(message, sender, described, now)
        moves_on = message.method in _MOVING and message.status != 100
        (self.touched if moves_on or is_new else self.refreshed).add(call.id)
        if not call.was_answered and call.is_up:
            call.was_answered = True
            call.heard = now
            incoming = ", incoming" if call.caller is Side.OUTSIDE else ""
            self._news.append((call, f"answered after {now - call.since:.1f} s{incoming}"))
        if described is None and 0 < message.status < 199:
            self._wake(call)  # ringing moves no media
        else:
            self._hold(call, _ending(message), now)

    def trickle(self, message: Message, sender: Side, phone: Endpoint, described: Described, now: float) -> None:
        """Hold what candidates that come later in a call need, as far as there is room: ICE does without the rest."""
        call = self._at(message, phone)
        if call is None:
            return
        try:
            call.check(message, sender, described)
        except NotUnderstoodError:
            return
        call.has_another_way |= described.has_another_way
        call.legs.trickle(message, sender, described.media)
        self.touched.add(call.id)
        self._hold(call, _ending(message), now)

    def withdraw(self, message: Message, sender: Side, phone: Endpoint, now: float) -> None:
        """Take back a request that `take` followed and that never left."""
        call = self._at(message, phone)
        if call is not None:
            call.legs.withdraw(message, sender, now)
            self._settle(call, "refused here", now)

    def next_timer(self) -> float | None:
        """When `handle_timer` should be called next."""
        return self._deadlines.next()

    def handle_timer(self, now: float) -> None:
        """Give up transactions and dialogs that nobody answered, and calls that last for too long."""
        for name in self._deadlines.due(now):
            call = self._calls.get(name)
            if call is None:
                continue
            if call.since + self._longest <= now:
                call.legs.hang_up(now)
                self._settle(call, f"lasted for {self._longest:.0f} s (media.longest)", now)
            else:
                call.legs.time_out(now)
                self._settle(call, "no answer", now)

    def observe(self, traffic: Mapping[Endpoint, Traffic], now: float) -> None:
        """Take note of the packets counted at each media address.

        Calls that fell silent both ways end, and those whose session nobody refreshed if they are silent since; also
        those that go on without the router, unless their media cross it.
        Those that ended long enough ago are remembered no longer.
        """
        self._let_go(self._over.items(), now)
        for call in list(self):
            seen = [traffic[inside] for inside in self._ledger.of_holder(call.holder) if inside in traffic]
            packets = call.packets
            call.observe(sum(inward + outward for inward, outward in seen), now)
            if packets != call.packets:
                self.refreshed.add(call.id)
            if now - call.heard >= self._silence:
                call.legs.hang_up(now)
                self._settle(call, f"no media here for {self._silence:.0f} s", now)
            elif call.legs.expire(call.counted, now):
                self._settle(call, "its session was not refreshed", now)
            elif now - call.counted >= self._silence and call.goes_elsewhere(now):
                call.legs.hang_up(now)
                self._settle(call, "its phones go on by themselves", now)

    @property
    def names(self) -> set[CallId]:
        """Those of all calls that something is known of."""
        return {*map(CallId._make, self._calls), *self._over}

    def kept(self, name: CallId) -> tuple[Call, float | None] | None:
        """The call of that name, and until when late copies of its messages are known if it has ended."""
        call = self._calls.get(name)
        if call is not None:
            return call, None
        over = self._over.get(name)
        return None if over is None else (over.call, over.until)

    def put_back(self, call: Call, over_until: float | None) -> None:
        """Take a call that was followed before; the ledger has what it holds."""
        if over_until is not None:
            self._over[call.id] = _Over(over_until, call)
            return
        self._calls[call.id] = call
        self._of_phone[call.id.phone] += 1
        for address in call.phones:
            if address.ip != call.id.phone:
                self._elsewhere[call.id.call_id, address.ip] = call
        self._wake(call)

    def take_news(self) -> list[tuple[Call, str]]:
        """What became of calls since the last time, in words."""
        news, self._news = self._news, []
        return news

    def _at(self, message: Message, phone: Endpoint) -> Call | None:
        """The call that a message from or for an inside address belongs to."""
        key = (message.call_id, phone.ip)
        return self._calls.get(key) or self._elsewhere.get(key)

    def _settle(self, call: Call, why: str, now: float) -> None:
        """What a call needs after time has passed; if there is no room for that, the call ends, and no other."""
        self.touched.add(call.id)
        try:
            self._hold(call, why, now)
        except (LimitError, PeerError) as error:
            call.legs.hang_up(now)
            self._hold(call, f"{why}: {error}", now)

    def _hold(self, call: Call, why: str, now: float) -> None:
        """Make the ledger hold for a call exactly what it now needs."""
        holder = call.holder
        if call.legs.is_over:
            self.touched.add(call.id)
            self._forget(call, now)
            self._ledger.release(holder)
            self._news.append((call, f"ended after {now - call.since:.1f} s: {why}"))
            return
        self._wake(call)
        streams, hosts = call.media
        needs = (streams, None if self._source == "any" else hosts)
        if needs == call.met:
            return
        self._ledger.hold_media(*needs, holder, now)
        call.met = needs

    def _wake(self, call: Call) -> None:
        self._deadlines.wake(call.id, min(call.legs.deadline, call.since + self._longest))

    def _begun_by(
        self, message: Message, sender: Side, phone: Endpoint, host: str, described: Described | None, now: float
    ) -> Call | None:
        """The call that a message begins: an INVITE, or a phone's own description in one from before this gateway.

        A copy that comes after its call has ended is neither; an answer to one that was given up makes it go on.
        """
        if message.method != b"INVITE":
            return None
        name = CallId(message.call_id, phone.ip)
        over = self._over.get(name)
        if over is not None and over.until <= now:
            over = None
        revived = None if over is None else over.revived_by(message, sender, host, described, now)
        if revived is not None:
            begins = True
        elif message.is_request:
            begins = over is None or not over.finished.has(TransactionId.of(message, sender), now)
        else:
            begins = over is None and sender is Side.INSIDE and described is not None and bool(described.media)
        if not begins:
            return None
        if self._of_phone[phone.ip] >= self._limits.calls:
            raise LimitError(
                f"{phone.ip} has {self._of_phone[phone.ip]} calls already, the most for one phone (limits.calls)"
            )
        if revived is not None:
            return revived
        call = _call_of(name, message, sender, phone, now)
        call.parties.meet(host)
        if over is not None:
            call.legs.finished = over.finished
        return call

    def _forget(self, call: Call, now: float) -> None:
        """The call is over; only its requests are remembered for a while, since they may be repeated."""
        del self._calls[call.id]
        self._deadlines.forget(call.id)
        for address in call.phones:
            self._elsewhere.pop((call.id.call_id, address.ip), None)
        self._of_phone[call.id.phone] -= 1
        if not self._of_phone[call.id.phone]:
            del self._of_phone[call.id.phone]
        self._let_go(islice(self._over.items(), 2), now)
        self._over.pop(call.id, None)
        call.legs.hang_up(now)
        # for so long a 2xx without its ACK is repeated (RFC 3261 section 13.3.1.4)
        self._over[call.id] = _Over(now + TRANSACTION_SECONDS, call)

    def _let_go(self, ended: Iterable[tuple[CallId, _Over]], now: float) -> None:
        """Remember those no longer whose time is over."""
        for name in [name for name, over in ended if over.until <= now]:
            del self._over[name]
            self.refreshed.add(name)  # nobody waits until that is written


def _call_of(name: CallId, message: Message, sender: Side, phone: Endpoint, now: float) -> Call:
    caller = sender if message.is_request else sender.other
    peer = message.value(b"to" if caller is Side.INSIDE else b"from")
    call = Call(name, phone, caller, address_of_record(peer), now, heard=now)
    if message.is_request and caller is Side.OUTSIDE:
        call.parties.begin(message)
    if not message.is_request:
        # what the caller described went by before this gateway was there to read it
        unknown = Terms[Media](frozenset({FarHost(None)}))
        call.legs.begin(Invite.begin(TransactionId.of(message, sender), message.from_tag, now, unknown))
    return call


def _ending(message: Message) -> str:
    """What people read as the reason if this message ended the call."""
    return message.method.decode() if message.is_request else f"{message.method.decode()} {message.status}"
