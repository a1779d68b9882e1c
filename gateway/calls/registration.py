"""One registration: what a phone asks of a registrar, and what it was granted."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from gateway.calls.bindings import Holder, HolderKind
from gateway.sip.authority import host_of
from gateway.sip.contact import contacts, is_star, seconds
from gateway.sip.kept import kept
from gateway.sip.message import Message
from gateway.sip.uri import address_of_record, first_uri
from rules.model import Endpoint

_DEFAULT_LIFETIME = 3600


class ContactAddress(NamedTuple):
    """What tells a contact from others (RFC 3261 section 19.1.4): its userinfo, byte for byte, and its address."""

    user: bytes
    address: Endpoint


@kept
def contacts_of(value: bytes) -> Sequence[tuple[ContactAddress, int | None]]:
    """The contacts of a header value that name an IPv4 address, each with its own expires if it has one."""
    return [
        (ContactAddress(contact.user, Endpoint(contact.host, contact.port)), contact.expires)
        for contact in contacts(value)
    ]


class Request(NamedTuple):
    """A REGISTER on its way from `phone` to `registrar`.

    `wishes` are the seconds asked for each contact of the phone's own, 0 to end it. `domains` are the hosts, names or
    addresses, that the provider goes by: those of the Request-URI, of the address of record, and of the first Route.
    """

    aor: str
    phone: Endpoint
    registrar: Endpoint
    holder: Holder
    domains: frozenset[str]
    wishes: dict[ContactAddress, int]
    ends_all: bool
    until: float

    @classmethod
    def of(cls, message: Message, own: Sequence[Endpoint], registrar: Endpoint, until: float) -> "Request":
        """A REGISTER that the phone at the first of its `own` addresses sends."""
        values = message.values(b"contact")
        lifetime = seconds(message.value(b"expires"))
        if lifetime is None:
            lifetime = _DEFAULT_LIFETIME
        wishes = {
            contact: lifetime if expires is None else expires
            for value in values
            for contact, expires in contacts_of(value)
            if contact.address in own
        }
        phone = own[0]
        aor = address_of_record(message.value(b"to"))
        domain, home = host_of(message.data[slice(*message.uri)].decode("latin-1")), host_of(aor)
        proxy = host_of(first_uri(message.first.get(b"route", b"")).decode("latin-1"))
        # the same name at two registrars is two registrations, and the usual one needs no more than its own name
        name = f"{aor} at {phone.ip}" if domain == home else f"{aor} at {phone.ip} with {domain}"
        holder = Holder.of(HolderKind.REGISTRATION, name)
        ends_all = not lifetime and any(is_star(value) for value in values)
        return cls(aor, phone, registrar, holder, frozenset({domain, home, proxy} - {""}), wishes, ends_all, until)

    @property
    def has_effect(self) -> bool:
        """Whether a registrar that accepts it promises or takes back anything of the phone's own."""
        return self.ends_all or bool(self.wishes)


@dataclass(frozen=True, slots=True)
class Registration:
    """One address of record of one phone at one registrar; `holder` keeps its bindings.

    `contacts` says until when each of them answers for it, `registrars` until when which addresses have promised so.
    """

    aor: str
    phone: str
    holder: Holder
    domains: frozenset[str]
    registrars: dict[str, float]
    contacts: dict[ContactAddress, float]

    @property
    def addresses(self) -> dict[Endpoint, float]:
        """Until when each inside address is needed."""
        found: dict[Endpoint, float] = {}
        for contact, until in self.contacts.items():
            found[contact.address] = max(until, found.get(contact.address, 0.0))
        return found

    def described(self, now: float) -> str:
        """What stands, for the log."""
        if not self.contacts:
            return f"{self.aor} at {self.phone} unregistered"
        addresses = self.addresses
        left = max(addresses.values()) - now
        return f"{self.aor} at {', '.join(map(str, addresses))} for {left:.0f} s"

    def says_the_same(self, other: "Registration") -> bool:
        """Whether a registration with the same holder differs in nothing but times."""
        return self.contacts.keys() == other.contacts.keys() and self.registrars.keys() == other.registrars.keys()

    @property
    def claims(self) -> "Claims":
        """What it says to those who ask about phones."""
        addresses = {contact.address for contact in self.contacts}
        hosts = {self.phone, *(address.ip for address in addresses)}
        return Claims(
            addresses,
            self.contacts.keys(),
            {(host, registrar) for host in hosts for registrar in self.registrars},
            {(host, domain) for host in hosts for domain in self.domains},
            self.domains,
        )


class Claims(NamedTuple):
    """The addresses and contacts that answer, each inside host with each registrar and each domain, the domains."""

    addresses: Set[Endpoint] = frozenset()
    contacts: Set[ContactAddress] = frozenset()
    registrars: Set[tuple[str, str]] = frozenset()
    of_domains: Set[tuple[str, str]] = frozenset()
    domains: Set[str] = frozenset()
