"""Registrations (RFC 3261 section 10): a provider's promise that calls find a phone at an address for a while."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.calls.bindings import Holder, HolderKind
from gateway.calls.ledger import Ledger
from gateway.sip.contact import contacts, is_star, seconds
from gateway.sip.grammar import TRANSACTION_SECONDS
from gateway.sip.message import Message
from gateway.sip.uri import address_of_record
from rules.model import Endpoint

_DEFAULT_LIFETIME = 3600
_MOST_REQUESTS = 4096


@dataclass(frozen=True, slots=True)
class Registration:
    """One address of record at one phone; `contacts` says until when each inside address answers for it."""

    aor: str
    phone: str
    registrar: Endpoint
    contacts: dict[Endpoint, float]

    @property
    def holder(self) -> Holder:
        """What keeps its bindings."""
        return _holder(self.aor, self.phone)


@dataclass(frozen=True, slots=True)
class _Request:
    """A REGISTER under way. `wishes` are the seconds asked for each of the phone's own addresses, 0 to end it."""

    aor: str
    phone: Endpoint
    registrar: Endpoint
    wishes: dict[Endpoint, int]
    ends_all: bool
    until: float


class Registrations:
    """Follows every REGISTER to its answer and holds in the ledger what was granted."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._requests: dict[tuple[bytes, int], _Request] = {}
        self._granted: dict[Holder, Registration] = {}
        self._promised: Counter[Endpoint] = Counter()

    def __iter__(self) -> Iterator[Registration]:
        return iter(self._granted.values())

    def is_registered(self, phone: Endpoint) -> bool:
        """Whether some registration promises that this address answers."""
        return phone in self._promised

    def requested(self, message: Message, phone: Endpoint, registrar: Endpoint, now: float) -> None:
        """A phone sends a REGISTER."""
        values = list(message.values(b"contact"))
        lifetime = seconds(message.value(b"expires"))
        if lifetime is None:
            lifetime = _DEFAULT_LIFETIME
        wishes = {
            Endpoint(contact.host, contact.port): lifetime if contact.expires is None else contact.expires
            for value in values
            for contact in contacts(value)
            if contact.host == phone.ip
        }
        self._forget_unanswered(now)
        self._requests[message.call_id, message.cseq] = _Request(
            address_of_record(message.value(b"to")),
            phone,
            registrar,
            wishes,
            any(is_star(value) for value in values),
            now + TRANSACTION_SECONDS,
        )

    def answered(self, message: Message, now: float) -> Registration | None:
        """The registrar's final response arrived: the registration as it now stands, None when nothing changed.

        A registration without contacts has ended.
        """
        request = self._requests.get((message.call_id, message.cseq))
        if request is None or message.status < 200:
            return None
        del self._requests[message.call_id, message.cseq]
        if message.status >= 300 or not (request.wishes or request.ends_all):
            return None
        holder = _holder(request.aor, request.phone.ip)
        before = self._granted.get(holder)
        agreed = {} if before is None or request.ends_all else dict(before.contacts)
        for inside, lifetime in self._lifetimes(message, request).items():
            if lifetime:
                agreed[inside] = now + lifetime
            else:
                agreed.pop(inside, None)
        if before is not None:
            self._ledger.release(holder, before.contacts.keys() - agreed.keys())
        for inside, until in agreed.items():
            self._ledger.hold_signalling(inside, holder, until, now)
        registration = Registration(request.aor, request.phone.ip, request.registrar, agreed)
        if agreed:
            self._granted[holder] = registration
        else:
            self._granted.pop(holder, None)
        self._promise(agreed, () if before is None else before.contacts)
        return registration

    def expired(self, holder: Holder, inside: Endpoint) -> Registration | None:
        """The ledger let go of a contact; the registration when that was its last one."""
        registration = self._granted.get(holder)
        if registration is None:
            return None
        if registration.contacts.pop(inside, None) is not None:
            self._promise((), (inside,))
        if registration.contacts:
            return None
        return self._granted.pop(holder)

    def _lifetimes(self, message: Message, request: _Request) -> dict[Endpoint, int]:
        """Seconds granted for each contact asked for (section 10.2.4): its own expires, Expires, or as asked."""
        general = seconds(message.value(b"expires"))
        own = {
            binding.inside: contact.expires
            for value in message.values(b"contact")
            for contact in contacts(value)
            if contact.host == self._ledger.public
            and (binding := self._ledger.of_port(contact.port)) is not None
            and contact.expires is not None
        }
        return {
            inside: wish and own.get(inside, wish if general is None else general)
            for inside, wish in request.wishes.items()
        }

    def _promise(self, more: Iterable[Endpoint], less: Iterable[Endpoint]) -> None:
        """Count the registrations behind each address; addresses without one are not kept."""
        for inside in more:
            self._promised[inside] += 1
        for inside in less:
            self._promised[inside] -= 1
            if not self._promised[inside]:
                del self._promised[inside]

    def _forget_unanswered(self, now: float) -> None:
        """Requests that no answer came for; insertion order is their order in time."""
        while self._requests:
            key, request = next(iter(self._requests.items()))
            if request.until > now and len(self._requests) < _MOST_REQUESTS:
                break
            del self._requests[key]


def _holder(aor: str, phone: str) -> Holder:
    return Holder.of(HolderKind.REGISTRATION, f"{aor} at {phone}")
