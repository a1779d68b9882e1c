"""The engine: one datagram in, one outcome out; no I/O, no clock, no kernel.

Why it is so: everything that can go wrong between a phone and its provider can then be played as a transcript.
What the kernel must do follows from the ledger (`take_changes`), what people should know from `take_notices`; the
caller releases a datagram only when the kernel has what the ledger had at that moment. A message is first
understood as a whole and only then believed: with anything wrong in it, it passes as it came, counted, and opens
nothing.
"""

from collections import Counter
from collections.abc import Mapping

from gateway.admission import listening_at
from gateway.bans import Bans
from gateway.callers import Callers
from gateway.calls.bindings import Holder, HolderKind, MediaAddress
from gateway.calls.call import CallId
from gateway.calls.calls import Calls
from gateway.calls.dialog import Side
from gateway.calls.ledger import Ledger
from gateway.calls.media import Described, of_far_side, of_phone
from gateway.calls.orphans import Orphans
from gateway.calls.registrations import Registrations
from gateway.errors import (
    ForeignAddressError,
    LimitError,
    NoPortLeftError,
    NotAPhoneError,
    NotUnderstoodError,
    PeerError,
    StrangerError,
)
from gateway.masquerade.inward import Inward
from gateway.masquerade.lifetimes import lifetime_edits
from gateway.masquerade.outward import Outward
from gateway.masquerade.rewrite import rewrite
from gateway.networks import Inside, Networks
from gateway.notices import Notice, Subject
from gateway.outcome import Drop, Outcome, Release
from gateway.refusals import Refusals
from gateway.sdp import session as sdp
from gateway.sdp.trickle import description_of, trickled_in
from gateway.settings import Settings
from gateway.sip.body import look_into
from gateway.sip.grammar import TRANSACTION_SECONDS
from gateway.sip.message import Edit, Message, parse
from gateway.wire import Datagram
from rules.model import Endpoint, Forward, Traffic

__all__ = ["Engine", "Settings"]

_DIALOG_METHODS = frozenset({b"INVITE", b"ACK", b"CANCEL", b"BYE", b"PRACK", b"UPDATE"})


class Engine:
    """Owns ledger, registrations and calls. Every `now` is seconds of one monotonic clock."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._own_address: str | None = None
        self._notices: list[Notice] = []
        self._refusals = Refusals()
        self.ledger = Ledger(settings.media_ports, settings.public_ports, settings.taken_ports)
        self.registrations = Registrations(self.ledger)
        self.calls = Calls(self.ledger, settings.media_source, settings.media_silence, settings.media_longest)
        self.orphans = Orphans(self.ledger, settings.idle)
        self.callers = Callers(self.registrations, self.ledger, settings.callers, settings.idle)
        self.bans = Bans(self._is_known)
        self.counters: Counter[str] = Counter()
        self._inside = Inside(Networks(), Networks())
        self._take(settings)

    def configure(self, settings: Settings) -> None:
        """Take new settings; what is leased stays as it is until it ends."""
        self._settings = settings
        self._take(settings)
        self.ledger.use_ports(settings.media_ports, settings.public_ports, settings.taken_ports)
        self.calls.configure(settings.media_source, settings.media_silence, settings.media_longest)
        self.callers.configure(settings.callers, settings.idle)

    def place(self, networks: Networks, own: str | None, announced: str | None) -> None:
        """Say where the router stands: the inside prefixes, its own outside address, and the one to announce.

        They differ behind another NAT. All bindings move to the new address at once.
        """
        if announced != self.ledger.public:
            self._notice(Subject.ADDRESS, "", f"announcing {announced}, was {self.ledger.public}")
        self._inside = self._inside._replace(networks=networks)
        self._own_address = own
        self.ledger.public = announced

    def receive(self, datagram: Datagram, sender: Side, now: float) -> Outcome:
        """Take one datagram that the router forwards; `sender` says from which side."""
        self.counters[f"datagrams from {sender}"] += 1
        try:
            message = parse(datagram.payload)
        except PeerError as error:
            return self._unread(datagram, sender, error, now)
        try:
            if sender is Side.INSIDE:
                payload = self._outward(message, datagram, now)
            else:
                payload = self._inward(message, datagram, now)
        except PeerError as error:
            return self._pass(datagram, error)
        except StrangerError as error:
            kind = message.method.decode() if message.is_request else f"{message.status} to {message.method.decode()}"
            return self._drop(kind, datagram, error, now)
        except LimitError as error:
            return self._refuse(message, datagram, sender, str(error), now)
        self._note_calls()
        if payload is None:
            return Drop()
        return Release(None if payload is message.data else payload)

    def refuse(self, datagram: Datagram, sender: Side, why: str, now: float) -> Outcome:
        """Take back a datagram that `receive` released and whose rules the kernel did not take.

        A call's request leaves no trace; a response or an ACK is repeated by its sender, which tries the rules again.
        What is not SIP never had any.
        """
        try:
            message = parse(datagram.payload)
        except PeerError:
            return Release()
        phone = datagram.source if sender is Side.INSIDE else datagram.destination
        if message.is_request:
            self.calls.withdraw(message, sender, phone, now)
        self._note_calls()
        return self._refuse(message, datagram, sender, why, now)

    def next_timer(self) -> float | None:
        """When `handle_timer` should be called next, None when nothing waits."""
        timers = [self.ledger.next_deadline(), self.calls.next_timer()]
        return min([timer for timer in timers if timer is not None], default=None)

    def handle_timer(self, now: float) -> None:
        """Let go of what is over."""
        self.calls.handle_timer(now)
        for holder, inside in self.ledger.expire(now):
            ended = self.registrations.expired(holder, inside)
            if ended is not None:
                self._notice(Subject.REGISTRATION, ended.aor, f"{ended.aor} at {ended.phone} expired")
        self._note_calls()

    def observe(self, traffic: Mapping[Endpoint, Traffic], now: float) -> None:
        """Take note of the kernel's packet counts, by inside media address."""
        self.calls.observe(traffic, now)
        self.orphans.observe(traffic, [call.holder for call in self.calls], self._settings.media_silence, now)
        self._note_calls()

    def take_changes(self) -> dict[Endpoint, Forward | None]:
        """What the kernel should have now, by inside address, as far as it changed; None: nothing."""
        return self.ledger.take_changes()

    def take_notices(self) -> list[Notice]:
        """What happened since the last time."""
        notices, self._notices = self._notices, []
        return notices

    def _take(self, settings: Settings) -> None:
        phones = None if settings.phones is None else Networks(settings.phones)
        self._inside = Inside(self._inside.networks, Networks(settings.media_hosts), phones)
        for bounded in (self.ledger, self.calls, self.registrations):
            bounded.limit(settings.limits)
        self.bans.configure(settings.bans_after, settings.bans_window, settings.bans_seconds)

    def _outward(self, message: Message, datagram: Datagram, now: float) -> bytes | None:
        phone = datagram.source
        if phone.ip not in self._inside.networks:
            raise ForeignAddressError(f"{phone.ip} is not an inside address and sends from inside")
        if self.bans and message.is_request:
            self.bans.lift(datagram.destination.ip)
        if not self._inside.is_phone(phone.ip):
            self.callers.wrote((phone,), datagram.destination, now)  # it may have ways of its own to be reached
            raise NotAPhoneError(f"{phone.ip} is none of inside.phones")
        if self.ledger.public is None:
            raise LimitError("the outside interface has no address to announce")
        if self._refusals.is_ack(message, Side.INSIDE, phone, now):
            return None
        in_dialog = message.method in _DIALOG_METHODS
        session = self._session(message, datagram)
        described = of_phone(session, phone.ip, self._inside) if in_dialog and session is not None else None
        addresses = listening_at(message, phone, self._inside)
        if in_dialog:
            self._make_sure_of_call(message, described, phone, now)
        registers = message.is_request and message.method == b"REGISTER"
        if registers:
            registers = self.registrations.requested(message, addresses, datagram.destination, now).has_effect
        self._hold_phone(addresses, now, registers=registers)
        if message.method != b"REGISTER":
            self.calls.take(message, Side.INSIDE, addresses, datagram.destination.ip, described, now)
            self._make_sure_of_leases(message, described, phone, now)
            self.orphans.take(message, Side.INSIDE, phone.ip)
        if message.method == b"INFO":
            self._take_candidates(message, Side.INSIDE, phone, now)
        if message.is_request:
            self.callers.wrote(addresses, datagram.destination, now)
            if message.method == b"SUBSCRIBE":
                self.callers.subscribed(message, phone, now)
        return rewrite(message, session, Outward(self.ledger, self.ledger.public, phone, self._inside.networks.hint))

    def _inward(self, message: Message, datagram: Datagram, now: float) -> bytes | None:
        phone = datagram.destination
        public = self.ledger.public
        if phone.ip not in self._inside.networks:
            raise ForeignAddressError(f"{phone.ip} is not an inside address and is written to from outside")
        if message.is_request:
            self._make_sure_of_caller(message, datagram.source, phone, now)
        if not self._inside.is_phone(phone.ip):
            raise NotAPhoneError(f"{phone.ip} is none of inside.phones")
        if public is None:
            raise NotUnderstoodError("the outside interface has no address that it could speak of")
        if self._refusals.is_ack(message, Side.OUTSIDE, phone, now):
            return None
        if not self._is_party(message, datagram.source, phone, now):
            raise StrangerError("third address", f"{datagram.source.ip} is no party of this call")
        session = self._session(message, datagram)
        # what the answer takes away must still be there to translate it
        payload = rewrite(message, session, Inward(self.ledger, public, phone), self._shortened(message, phone))
        if message.method != b"REGISTER":
            in_dialog = message.method in _DIALOG_METHODS
            described = of_far_side(session, public) if in_dialog and session is not None else None
            if message.is_request and message.method == b"INVITE":
                self._make_sure_of_ports(message, session, phone)
            self.calls.take(message, Side.OUTSIDE, (phone,), datagram.source.ip, described, now)
            self.orphans.take(message, Side.OUTSIDE, phone.ip)
            if message.method == b"INFO":
                self._take_candidates(message, Side.OUTSIDE, phone, now)
        elif not message.is_request:
            self._registered(message, datagram.source, phone, now)
        return payload

    def _make_sure_of_caller(self, message: Message, source: Endpoint, phone: Endpoint, now: float) -> None:
        """Strangers reach no phone. Within a dialog of a known call, it is for the call to know its parties."""
        begins = message.method == b"INVITE" and not message.to_tag
        known = CallId(message.call_id, phone.ip) in self.calls or self.calls.was_party(
            message, phone, source.ip, now
        )
        if begins or not (known or self.orphans.knows(message, phone.ip)):
            self.callers.check(message, source, phone, now)

    def _is_party(self, message: Message, source: Endpoint, phone: Endpoint, now: float) -> bool:
        """Whether a message of a known call comes from who has a part in it; the phone's provider always has."""
        return self.calls.is_party(message, phone, source.ip, now) or self.callers.trusts(source.ip, phone.ip)

    def _session(self, message: Message, datagram: Datagram) -> sdp.Session | None:
        """The session description in a message; outside of offer and answer a broken one is nothing but text."""
        if message.body[0] == message.body[1]:
            return None
        in_dialog = message.method in _DIALOG_METHODS
        try:
            body = look_into(message)
            if body.unread and in_dialog:
                self._leave_body(datagram, message, body.unread)
            return None if body.sdp is None else sdp.parse(message.data, *body.sdp)
        except PeerError:
            if in_dialog:
                raise
            return None

    def _hold_phone(self, addresses: list[Endpoint], now: float, *, registers: bool) -> None:
        """Lease a public port for each address of its own that the phone wants to be reached at.

        The first is where it sends from. A registration to be granted, or granted, keeps its addresses by itself.
        """
        phone = addresses[0]
        brief = registers or self.registrations.is_registered(phone)
        until = now + (TRANSACTION_SECONDS if brief else self._settings.idle)
        holder = Holder.of_phone(phone, HolderKind.TRANSACTION if brief else HolderKind.PEER)
        for address in addresses:
            self.ledger.hold_signalling(address, holder, until, now)

    def _make_sure_of_ports(self, message: Message, session: sdp.Session | None, phone: Endpoint) -> None:
        """A call that could not be answered is refused before the phone rings."""
        if CallId(message.call_id, phone.ip) in self.calls:
            return
        live = [] if session is None else [stream for stream in session.streams if stream.port and stream.is_udp]
        # those at one address are bundled, and share one in the answer as well (RFC 9143 section 7.3)
        needed = 1 if session is None else len({(each.address and each.address.host, each.port) for each in live})
        if needed > self.ledger.pairs_for(phone.ip):
            raise NoPortLeftError("no media ports left for the answer: widen media.ports or limits.ports")

    def _make_sure_of_call(self, message: Message, described: Described | None, phone: Endpoint, now: float) -> None:
        """Only an INVITE or its answer can bring media into a call that is not known here."""
        if described is None or not described.media or message.method == b"INVITE":
            return
        known = CallId(message.call_id, phone.ip) in self.calls
        if not known and not self.calls.has_finished(message, Side.INSIDE, phone, now):
            raise NotUnderstoodError("media in a call that began before this gateway")

    def _make_sure_of_leases(
        self, message: Message, described: Described | None, phone: Endpoint, now: float
    ) -> None:
        """A description of media that no known call has would leave half rewritten; of candidates, some are enough.

        It may so in the copy of a message that did its work: whoever has that looks at no more than its headers.
        """
        if described is None or not described.media:
            return
        media = [each for each in described.media if isinstance(each, MediaAddress)]
        lost = [each for each in media if not self.ledger.has(each)]
        if not lost or (len(lost) < len(media) and all(each.is_candidate for each in lost)):
            return
        if not self.calls.has_finished(message, Side.INSIDE, phone, now):
            raise NotUnderstoodError(
                f"media at {min([each.rtp for each in lost])} in a call that began before this gateway"
            )

    def _take_candidates(self, message: Message, sender: Side, phone: Endpoint, now: float) -> None:
        """A request in a call may bring candidates that its descriptions did not have yet (RFC 8840)."""
        candidates = trickled_in(message) if message.is_request else ()
        if candidates:
            session = description_of(candidates)
            inside = sender is Side.INSIDE
            public = self.ledger.public or ""
            described = of_phone(session, phone.ip, self._inside) if inside else of_far_side(session, public)
            self.calls.trickle(message, sender, phone, described, now)

    def _shortened(self, message: Message, phone: Endpoint) -> list[Edit]:
        """What tells a phone that it was registered for less long; what is held for it is as the registrar said."""
        if message.method != b"REGISTER" or not self._settings.max_expires:
            return []
        request = self.registrations.asked(message, phone.ip)
        wishes = () if request is None else request.wishes.values()
        return lifetime_edits(message, self.ledger, phone, self._settings.max_expires, wishes)

    def _registered(self, message: Message, source: Endpoint, phone: Endpoint, now: float) -> None:
        request = self.registrations.asked(message, phone.ip)
        if request is None:
            return
        self.callers.check_answer(request, source)
        registration = self.registrations.answered(request, message, now)
        if registration is None:
            return
        self._notice(Subject.REGISTRATION, registration.aor, registration.described(now))
        if not registration.contacts and not self.registrations.is_registered(phone):
            for kind in (HolderKind.TRANSACTION, HolderKind.PEER):
                self.ledger.release(Holder.of_phone(phone, kind))

    def _unread(self, datagram: Datagram, sender: Side, error: PeerError, now: float) -> Outcome:
        """What cannot be read passes as it came, keep-alives above all; a phone may read in it what we do not."""
        outward = sender is Side.INSIDE
        phone, far = (datagram.source, datagram.destination) if outward else (datagram.destination, datagram.source)
        if phone.ip in self._inside.networks and not datagram.payload.startswith(b"SIP/2.0 "):
            if outward:
                self.callers.wrote((phone,), far, now)
            elif not self.callers.may_write(far.ip, phone.ip, now):
                return self._drop("something", datagram, self.callers.stranger(), now)
        return self._pass(datagram, error)

    def _pass(self, datagram: Datagram, error: PeerError) -> Outcome:
        self.counters[f"passed: {error.reason}"] += 1
        text = f"{datagram.source} to {datagram.destination}: {error}"
        self._notice(Subject.PASSED, error.reason, text)
        return Release()

    def _leave_body(self, datagram: Datagram, message: Message, why: str) -> None:
        self.counters[f"body passed: {why}"] += 1
        text = f"{datagram.source} to {datagram.destination}: the body of {message.method.decode()} is {why}"
        self._notice(Subject.PASSED, f"body {why}", f"{text}; media that it may describe are not forwarded")

    def _is_known(self, address: str) -> bool:
        """Whether an outside address has business here and is never to be banned."""
        return self.callers.serves(address) or any(address in call.parties for call in self.calls)

    def _drop(self, kind: str, datagram: Datagram, error: StrangerError, now: float) -> Outcome:
        """Without an answer: it would tell a scanner that somebody is there."""
        self.counters[f"dropped: {error.reason}"] += 1
        self._notice(
            Subject.DROPPED, error.reason, f"{kind} of {datagram.source} for {datagram.destination}: {error}"
        )
        ban = self.bans.offended(datagram.source.ip, error.reason, now)
        if ban is not None:
            seconds = ban.until - ban.since
            self._notice(Subject.BANNED, ban.address, f"{ban.address} for {seconds:.0f} s: dropped {ban.why}")
        return Drop()

    def _refuse(self, message: Message, datagram: Datagram, sender: Side, why: str, now: float) -> Outcome:
        self.counters["refused"] += 1
        method = message.method.decode()
        self._notice(Subject.REFUSED, method, f"{method} of {datagram.source}: {why}")
        asked = datagram.destination if sender is Side.INSIDE else self._as_seen_outside(datagram.destination)
        phone = datagram.source if sender is Side.INSIDE else datagram.destination
        return self._refusals.refuse(message, sender, phone, asked, datagram.source, now)

    def _as_seen_outside(self, phone: Endpoint) -> Endpoint | None:
        binding = self.ledger.of_inside(phone)
        if binding is None or self._own_address is None:
            return None
        return Endpoint(self._own_address, binding.port)

    def _note_calls(self) -> None:
        for call, what in self.calls.take_news():
            subject, key = (Subject.MISSED, call.phone.ip) if call.is_missed else (Subject.CALL, call.label)
            self._notice(subject, key, f"{call.label} {call.phone.ip} with {call.peer} {what}")

    def _notice(self, subject: Subject, key: str, text: str) -> None:
        self._notices.append(Notice(subject, key, text))
