"""Whose requests from outside reach a phone (`sip.callers`), so that scanners ring nobody at night.

Why it is so: whoever is called by a provider is registered there, so the address that granted the registration may
always call. Providers also call from other machines: those that the DNS names for the registrar's domain (RFC 3263)
are its siblings, and whoever says in the Request-URI exactly which contact the phone registered must have it from the
registrar. A contact without a user, or whose user is an extension of a few digits, which scanners count through,
shows nothing of the kind. A phone that registers nowhere (a trunk between fixed addresses, a call from phone to
phone) has told by writing to somebody that it knows him; its answers tell nothing, for a stranger may have asked.

Source addresses can be forged, and a caller's number is no secret: this keeps out who tries all addresses there are,
not who is after one phone. Ports mean nothing here, for providers send from many.
"""

import json
import re
from collections.abc import Iterable
from typing import Literal

from gateway.addressees import Addressees
from gateway.calls.ledger import Ledger
from gateway.calls.registration import ContactAddress, Request
from gateway.calls.registrations import Registrations
from gateway.errors import StrangerError
from gateway.networks import Networks
from gateway.sip.authority import userinfo_before
from gateway.sip.grammar import DEFAULT_PORT
from gateway.sip.message import Message
from gateway.sip.uri import request_uri_hostports
from rules.model import Endpoint

Policy = Literal["registrar", "known", "any"] | tuple[str, ...]
"""Who may call: where a phone is registered; whom it knows; everybody; or also these networks."""

_LONGEST_CALL_ID = 256
_EXTENSION = re.compile(rb"[0-9*#]{0,6}")


class Callers:
    """Tells callers from strangers by one policy.

    `addressees` are those whom a phone wrote to, `subscribers` the Call-IDs by which it asked to be notified; they
    count for `idle` seconds.
    """

    def __init__(self, registrations: Registrations, ledger: Ledger, policy: Policy, idle: float) -> None:
        self._registrations = registrations
        self._ledger = ledger
        self.addressees = Addressees()
        self.subscribers = Addressees()
        self._of_domain: dict[str, frozenset[str]] = {}
        self._domains_of: dict[str, set[str]] = {}
        self.configure(policy, idle)

    def configure(self, policy: Policy, idle: float) -> None:
        """Follow the operator's changed mind from the next message on."""
        self.policy = policy
        self._idle = idle
        self._admits_all = policy == "any"
        self._admits_known = policy == "known"
        self._networks = Networks(policy if isinstance(policy, tuple) else ())

    def know(self, domain: str, addresses: frozenset[str]) -> None:
        """Take what the DNS now says of a registrar's domain: all its IPv4 addresses, none to forget it."""
        before = self._of_domain.pop(domain, frozenset[str]())
        if addresses:
            self._of_domain[domain] = addresses
        for address in before - addresses:
            self._domains_of[address].discard(domain)
            if not self._domains_of[address]:
                del self._domains_of[address]
        for address in addresses - before:
            self._domains_of.setdefault(address, set()).add(domain)

    def known_of(self, domain: str) -> frozenset[str]:
        """What the DNS said of a domain."""
        return self._of_domain.get(domain, frozenset())

    def subscribed(self, message: Message, phone: Endpoint, now: float) -> None:
        """A phone asks to be notified (RFC 6665); whoever does so names the Call-ID of that."""
        if len(message.call_id) <= _LONGEST_CALL_ID:
            self.subscribers.note(phone.ip, message.call_id.decode("latin-1"), now)

    def wrote(self, phones: Iterable[Endpoint], far: Endpoint, now: float) -> None:
        """Inside addresses send a request, or keep a way open, to somebody outside."""
        for phone in phones:
            self.addressees.note(phone.ip, far.ip, now)

    def admits(self, source: str, host: str, now: float) -> bool:
        """Whether whoever sends from that outside address may ring at that inside host."""
        if self._admits_all or self._registrations.is_at(host, source):
            return True
        if self._admits_known:
            return self._is_sibling(source, host) or self._is_addressee(source, host, now)
        return source in self._networks

    def trusts(self, source: str, host: str) -> bool:
        """Whether that outside address is of the inside host's provider, or named by the operator."""
        at_registrar = self._registrations.is_at(host, source)
        return at_registrar or self._is_sibling(source, host) or source in self._networks

    def serves(self, source: str) -> bool:
        """Whether that outside address is of some inside host's provider, or named by the operator."""
        of_provider = source in self._domains_of or self._registrations.has_registrar(source)
        return of_provider or source in self._networks

    def may_write(self, source: str, host: str, now: float) -> bool:
        """Whether what is no SIP may come in from there: also, say, an answer of STUN to what the host asked."""
        return self.admits(source, host, now) or self._is_addressee(source, host, now)

    def check(self, request: Message, source: Endpoint, phone: Endpoint, now: float) -> None:
        """StrangerError for a request, of no call known here, that the phone is not to hear."""
        if request.method == b"REGISTER":
            # no provider registers at a phone; who does at a PBX inside is for the operator to name
            if self._admits_all or source.ip in self._networks:
                return
            raise self.stranger()
        if self.admits(source.ip, phone.ip, now) or (self._admits_known and self._names_contact(request, phone)):
            return
        if self._admits_known and request.method == b"NOTIFY" and self._has_subscribed(request, phone, now):
            return
        raise self.stranger()

    def stranger(self) -> StrangerError:
        """What is to be said of somebody who is not admitted."""
        policy = json.dumps(self.policy) if isinstance(self.policy, str) else "[...]"
        return StrangerError("caller", f"sip.callers = {policy} does not admit it")

    def check_answer(self, request: Request, source: Endpoint) -> None:
        """StrangerError for an answer to a REGISTER from elsewhere than the registrar that was asked."""
        if source.ip == request.registrar.ip or not request.domains.isdisjoint(self._domains(source.ip)):
            return
        raise StrangerError("registrar", f"{request.aor} is registered at {request.registrar}")

    def _is_sibling(self, source: str, host: str) -> bool:
        return any(self._registrations.is_in(host, domain) for domain in self._domains(source))

    def _domains(self, address: str) -> set[str]:
        """What an address goes by: the domains that it serves, and itself."""
        return {address, *self._domains_of.get(address, ())}

    def _has_subscribed(self, request: Message, phone: Endpoint, now: float) -> bool:
        last = self.subscribers.last(phone.ip, request.call_id.decode("latin-1"))
        return last is not None and now - last < self._idle

    def _is_addressee(self, source: str, host: str, now: float) -> bool:
        last = self.addressees.last(host, source)
        return last is not None and now - last < self._idle

    def _names_contact(self, request: Message, phone: Endpoint) -> bool:
        """Whether the Request-URI is a contact that the phone has registered and that scanners do not try."""
        uri = request.data[slice(*request.uri)]
        found = next(iter(request_uri_hostports(uri)), None)
        if found is None or found.is_maddr or found.host != self._ledger.public:
            return False
        user = userinfo_before(found.start, uri)
        binding = self._ledger.of_port(DEFAULT_PORT if found.port is None else found.port)
        return (
            binding is not None
            and binding.inside.ip == phone.ip
            and not _EXTENSION.fullmatch(user)
            and self._registrations.is_contact(ContactAddress(user, binding.inside))
        )
