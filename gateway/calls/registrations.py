"""Registrations (RFC 3261 section 10): a provider's promise that calls find a phone at an address for a while."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from gateway.calls.bindings import Holder
from gateway.calls.ledger import Ledger
from gateway.calls.registration import Claims, ContactAddress, Registration, Request, contacts_of
from gateway.calls.tally import Tally
from gateway.errors import LimitError
from gateway.limits import Limits
from gateway.sip.contact import seconds
from gateway.sip.grammar import TRANSACTION_SECONDS
from gateway.sip.message import Message
from rules.model import Endpoint

Key = TypeVar("Key")

_MOST_REQUESTS = 4096
_MOST_CONTACTS = 32  # of one registration
_MOST_REGISTRARS = 8  # addresses that one registration was granted from


class RequestKey(NamedTuple):
    """The name of a REGISTER: no phone can speak of another's."""

    call_id: bytes
    cseq: int
    phone: str


_NOTHING = Claims()


class Registrations:
    """Follows every REGISTER to its answer and holds in the ledger what was granted.

    Registrations that were granted, prolonged or ended are `touched`, and the requests that came or were answered
    are in `asking`, of them in `came` those whose answer may change something; whoever writes them down empties all.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._requests: dict[RequestKey, Request] = {}
        self._granted: dict[Holder, Registration] = {}
        self._of_phone: Counter[str] = Counter()
        self._limits = Limits()
        self._addresses = Tally[Endpoint]()
        self._contacts = Tally[ContactAddress]()
        self._registrars = Tally[tuple[str, str]]()
        self._of_domains = Tally[tuple[str, str]]()
        self._domains = Tally[str]()
        self.touched: set[Holder] = set()
        self.asking: set[RequestKey] = set()
        self.came: set[RequestKey] = set()

    def limit(self, limits: Limits) -> None:
        """Bound the registrations of each inside host so from now on; those that stand stay."""
        self._limits = limits

    def __iter__(self) -> Iterator[Registration]:
        return iter(self._granted.values())

    @property
    def domains(self) -> Tally[str]:
        """The hosts, names or addresses, that the registrars of all phones go by; the oldest first."""
        return self._domains

    def is_registered(self, phone: Endpoint) -> bool:
        """Whether some registration promises that this address answers."""
        return phone in self._addresses

    def is_at(self, host: str, registrar: str) -> bool:
        """Whether the registrar at that address has granted a registration of that inside host."""
        return (host, registrar) in self._registrars

    def has_registrar(self, registrar: str) -> bool:
        """Whether the registrar at that address has granted any registration."""
        return any(registrar == each for _, each in self._registrars)

    def is_in(self, host: str, domain: str) -> bool:
        """Whether that inside host is registered in that domain."""
        return (host, domain) in self._of_domains

    def is_contact(self, contact: ContactAddress) -> bool:
        """Whether some registrar was told of that contact and took it."""
        return contact in self._contacts

    def requested(self, message: Message, own: Sequence[Endpoint], registrar: Endpoint, now: float) -> Request:
        """A phone sends a REGISTER; of its `own` addresses the first is where it sends from.

        LimitError for one more than any phone has.
        """
        request = Request.of(message, own, registrar, now + TRANSACTION_SECONDS)
        host = request.phone.ip
        if self._of_phone[host] >= self._limits.registrations and request.holder not in self._granted:
            raise LimitError(
                f"{host} has {self._of_phone[host]} registrations already, the most for one host"
                " (limits.registrations)"
            )
        self._forget_unanswered(now)
        key = RequestKey(message.call_id, message.cseq, host)
        if self._requests.pop(key, None) is None and request.has_effect:
            self.came.add(key)
        self._requests[key] = request
        self.asking.add(key)
        return request

    def asked(self, message: Message, host: str) -> Request | None:
        """The REGISTER of an inside host that a response answers; None for one that is not known, or not any more."""
        return self._requests.get(RequestKey(message.call_id, message.cseq, host))

    def answered(self, request: Request, message: Message, now: float) -> Registration | None:
        """The registrar's response to a request that was `asked` arrived: the registration as it now stands.

        None when nothing changed. A registration without contacts has ended.
        """
        if message.status < 200:
            return None
        key = RequestKey(message.call_id, message.cseq, request.phone.ip)
        del self._requests[key]
        self.asking.add(key)
        if message.status >= 300 or not request.has_effect:
            return None
        before = self._granted.get(request.holder)
        registration = self._granted_by(message, request, before, now)
        addresses = registration.addresses
        for inside, until in addresses.items():
            self._ledger.hold_signalling(inside, request.holder, until, now)
        if before is not None and before.contacts.keys() != registration.contacts.keys():
            self._ledger.release(request.holder, before.addresses.keys() - addresses.keys())
        self._put(before, registration)
        return registration

    def expired(self, holder: Holder, inside: Endpoint) -> Registration | None:
        """The ledger let go of an address; the registration when that was its last one."""
        before = self._granted.get(holder)
        if before is None:
            return None
        left = {contact: until for contact, until in before.contacts.items() if contact.address != inside}
        after = replace(before, contacts=left)
        self._put(before, after)
        return None if left else after

    def kept(self, holder: Holder) -> Registration | None:
        """The registration that stands under that name."""
        return self._granted.get(holder)

    @property
    def requests(self) -> Mapping[RequestKey, Request]:
        """Those that wait for their answer, the oldest first."""
        return self._requests

    def put_back(self, granted: Iterable[Registration], requests: Mapping[RequestKey, Request]) -> None:
        """Take registrations that were granted before, and requests; the ledger has what they hold."""
        for registration in granted:
            self._put(None, registration)
        self._requests.update(requests)

    def _granted_by(
        self, message: Message, request: Request, before: Registration | None, now: float
    ) -> Registration:
        """What stands after a 2xx: what stood and has not run out, without what ends, and with what is granted."""
        contacts: dict[ContactAddress, float] = {}
        registrars: dict[str, float] = {}
        if before is not None:
            registrars = {address: until for address, until in before.registrars.items() if until > now}
            if not request.ends_all:
                contacts = {contact: until for contact, until in before.contacts.items() if until > now}
        for contact, lifetime in self._lifetimes(message, request).items():
            contacts.pop(contact, None)
            if lifetime:
                contacts[contact] = now + lifetime
        if contacts:
            registrars.pop(request.registrar.ip, None)
            registrars[request.registrar.ip] = max(contacts.values())
        return Registration(
            request.aor,
            request.phone.ip,
            request.holder,
            request.domains,
            _newest(registrars, _MOST_REGISTRARS),
            _newest(contacts, _MOST_CONTACTS),
        )

    def _lifetimes(self, message: Message, request: Request) -> dict[ContactAddress, int]:
        """Seconds granted for each contact asked for (section 10.2.4): its own expires, Expires, or as asked."""
        general = seconds(message.value(b"expires"))
        own = {
            ContactAddress(contact.user, binding.inside): expires
            for value in message.values(b"contact")
            for contact, expires in contacts_of(value)
            if contact.address.ip == self._ledger.public
            and (binding := self._ledger.of_port(contact.address.port)) is not None
            and expires is not None
        }
        return {
            contact: wish and own.get(contact, wish if general is None else general)
            for contact, wish in request.wishes.items()
        }

    def _put(self, before: Registration | None, after: Registration) -> None:
        """Have the one stand in the other's place; without contacts, nothing stands."""
        self.touched.add(after.holder)
        if after.contacts:
            self._granted[after.holder] = after
        else:
            self._granted.pop(after.holder, None)
        if before is not None and before.says_the_same(after):
            return
        had = _NOTHING if before is None else before.claims
        has = after.claims if after.contacts else _NOTHING
        self._addresses.move(had.addresses, has.addresses)
        self._contacts.move(had.contacts, has.contacts)
        self._registrars.move(had.registrars, has.registrars)
        self._of_domains.move(had.of_domains, has.of_domains)
        self._domains.move(had.domains, has.domains)
        self._of_phone[after.phone] += bool(after.contacts) - (before is not None)
        if not self._of_phone[after.phone]:
            del self._of_phone[after.phone]

    def _forget_unanswered(self, now: float) -> None:
        """Requests that no answer came for; insertion order is their order in time."""
        while self._requests:
            key, request = next(iter(self._requests.items()))
            if request.until > now and len(self._requests) < _MOST_REQUESTS:
                break
            del self._requests[key]
            self.asking.add(key)


def _newest(items: dict[Key, float], most: int) -> dict[Key, float]:
    """The last `most` of them, by insertion."""
    return items if len(items) <= most else dict(list(items.items())[-most:])
