"""What the engine knows as rows that can be written down, and an engine that knows it again.

Each thing is one row: a binding with its holds, a call, a registration, whom an inside host has written to. So a row
is written when its thing changes, and what changed is known by the things' owners. Not kept are our own refusals,
whose ACKs then pass, and in which order free ports are leased.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple

import msgspec

from gateway.addressees import Addressees
from gateway.calls.bindings import Binding, Hold, Holder, HolderKind
from gateway.calls.records import CallRecord, call_of, record_of
from gateway.calls.registration import ContactAddress, Registration, Request
from gateway.calls.registrations import RequestKey
from gateway.engine import Engine
from gateway.masquerade.translation import Place
from rules.model import Endpoint, Purpose

_encode = msgspec.msgpack.Encoder().encode


class Kind(StrEnum):
    """What a row is about."""

    SIGNALLING = "signalling"
    MEDIA = "media"
    CALL = "call"
    ORPHAN = "orphan"
    REGISTRATION = "registration"
    REQUEST = "request"
    ADDRESSEES = "addressees"
    SUBSCRIBERS = "subscribers"


OF_CALLS = frozenset({Kind.MEDIA, Kind.CALL, Kind.ORPHAN})
"""What ends when calls end."""


class Row(NamedTuple):
    """One thing; `value` None says that there is none of that key any more."""

    kind: Kind
    key: bytes
    value: bytes | None


class DamagedStateError(ValueError):
    """The rows cannot be what an engine wrote."""


class BindingRecord(msgspec.Struct, frozen=True, array_like=True):
    """A Binding."""

    inside: Endpoint
    port: int
    purpose: Purpose
    since: float
    holds: list[tuple[str, float, frozenset[str] | None]]
    unported: frozenset[Place]


class OrphanRecord(msgspec.Struct, frozen=True, array_like=True):
    """Media of a call that is not known; see Orphans."""

    holder: str
    packets: int
    heard: float


class RegistrationRecord(msgspec.Struct, frozen=True, array_like=True):
    """A Registration."""

    aor: str
    phone: str
    holder: str
    domains: frozenset[str]
    registrars: dict[str, float]
    contacts: dict[ContactAddress, float]


class RequestRecord(msgspec.Struct, frozen=True, array_like=True):
    """A REGISTER that is not answered yet."""

    key: RequestKey
    aor: str
    phone: Endpoint
    registrar: Endpoint
    holder: str
    domains: frozenset[str]
    wishes: dict[ContactAddress, int]
    ends_all: bool
    until: float


class AddresseesRecord(msgspec.Struct, frozen=True, array_like=True):
    """Whom or what one inside host has written to, and when."""

    host: str
    written: dict[str, float]


_decode_call = msgspec.msgpack.Decoder(CallRecord).decode
_decode_binding = msgspec.msgpack.Decoder(BindingRecord).decode
_decode_orphan = msgspec.msgpack.Decoder(OrphanRecord).decode
_decode_registration = msgspec.msgpack.Decoder(RegistrationRecord).decode
_decode_request = msgspec.msgpack.Decoder(RequestRecord).decode
_decode_addressees = msgspec.msgpack.Decoder(AddresseesRecord).decode


def must_be_kept(engine: Engine) -> bool:
    """Whether something changed that a message must not tell of before it is written down."""
    registrations = engine.registrations
    return bool(engine.ledger.touched or engine.calls.touched or registrations.touched or registrations.came)


def should_be_kept(engine: Engine) -> bool:
    """Whether anything changed, if only for how long something is to last."""
    callers = engine.callers
    return must_be_kept(engine) or bool(
        engine.ledger.prolonged
        or engine.calls.refreshed
        or engine.registrations.asking
        or engine.orphans.touched
        or callers.addressees.touched
        or callers.subscribers.touched
    )


def take_rows(engine: Engine) -> list[Row]:
    """What changed since the last time."""
    ledger, calls, registrations = engine.ledger, engine.calls, engine.registrations
    rows: list[Row] = []
    for inside in ledger.touched | ledger.prolonged:
        rows += _rows_of_binding(inside, ledger.of_inside(inside))
    for name in calls.touched | calls.refreshed:
        kept = calls.kept(name)
        rows.append(Row(Kind.CALL, _encode(name), None if kept is None else _encode(record_of(*kept))))
    for holder in engine.orphans.touched:
        heard = engine.orphans.kept(holder)
        rows.append(
            Row(Kind.ORPHAN, holder.encode(), None if heard is None else _encode((str.__str__(holder), *heard)))
        )
    for holder in registrations.touched:
        registration = registrations.kept(holder)
        value = None if registration is None else _encode(_of_registration(registration))
        rows.append(Row(Kind.REGISTRATION, holder.encode(), value))
    for key in registrations.asking:
        request = registrations.requests.get(key)
        value = None if request is None else _encode(_of_request(key, request))
        rows.append(Row(Kind.REQUEST, _encode(key), value))
    for kind, known in _addressees(engine):
        for host in known.touched:
            written = known.kept(host)
            rows.append(Row(kind, host.encode(), None if written is None else _encode((host, written))))
    forget_changes(engine)
    return rows


def all_rows(engine: Engine) -> list[Row]:
    """All that is known; nothing counts as changed then."""
    engine.ledger.touched.update(binding.inside for binding in engine.ledger)
    engine.calls.touched.update(engine.calls.names)
    engine.orphans.touched.update(engine.orphans)
    engine.registrations.touched.update(registration.holder for registration in engine.registrations)
    engine.registrations.asking.update(engine.registrations.requests)
    for _, known in _addressees(engine):
        known.touched.update(known)
    return [row for row in take_rows(engine) if row.value is not None]


def restore(engine: Engine, rows: Iterable[Row], *, shift: float = 0.0, calls_live: bool = True) -> None:
    """Have a new engine know what rows say; DamagedStateError when they cannot be what an engine said.

    `shift` is what the clock has more than when they were written. After the machine was started again no call lives.
    """
    by_kind: dict[Kind, list[bytes]] = {kind: [] for kind in Kind}
    for row in rows:
        if row.value is not None:
            by_kind[row.kind].append(row.value)
    try:
        calls = [_decode_call(value) for value in by_kind[Kind.CALL] if calls_live]
        bindings = [_decode_binding(value) for value in (*by_kind[Kind.SIGNALLING], *by_kind[Kind.MEDIA])]
        registrations = [_decode_registration(value) for value in by_kind[Kind.REGISTRATION]]
        known = [(known, _decode_addressees(value)) for kind, known in _addressees(engine) for value in by_kind[kind]]
        orphans = [_decode_orphan(value) for value in by_kind[Kind.ORPHAN] if calls_live]
        requests = [_decode_request(value) for value in by_kind[Kind.REQUEST]]
        _put_back(engine, calls, orphans, bindings, shift)
        engine.registrations.put_back(
            [_registration(each, shift) for each in registrations],
            {each.key: _request(each, shift) for each in sorted(requests, key=attrgetter("until"))},
        )
    except (msgspec.DecodeError, ValueError) as error:
        raise DamagedStateError(str(error)) from error
    for addressees, record in known:
        addressees.put_back(record.host, {name: when + shift for name, when in record.written.items()})
    forget_changes(engine)


def _put_back(
    engine: Engine,
    calls: list[CallRecord],
    orphans: list[OrphanRecord],
    bindings: list[BindingRecord],
    shift: float,
) -> None:
    live = set()
    for record in calls:
        call = call_of(record)
        engine.calls.put_back(call, record.over_until)
        if record.over_until is None:
            live.add(call.holder)
    for orphan in orphans:
        live.add(Holder(orphan.holder))
        engine.orphans.put_back(Holder(orphan.holder), orphan.packets, orphan.heard)
    found = [_binding(each, live, shift) for each in bindings]
    engine.ledger.put_back([binding for binding in found if binding.holds])


def _rows_of_binding(inside: Endpoint, binding: Binding | None) -> Iterator[Row]:
    key = _encode(inside)
    for kind in (Kind.SIGNALLING, Kind.MEDIA):
        is_it = binding is not None and binding.purpose.is_media is (kind is Kind.MEDIA)
        yield Row(kind, key, _encode(_of_binding(binding)) if binding is not None and is_it else None)


def _of_binding(binding: Binding) -> BindingRecord:
    holds = [(str.__str__(holder), hold.until, hold.sources) for holder, hold in binding.holds.items()]
    return BindingRecord(
        binding.inside, binding.port, binding.purpose, binding.since, holds, frozenset(binding.unported)
    )


def _binding(record: BindingRecord, live: set[Holder], shift: float) -> Binding:
    """The row of the ledger with the holds of those that still are there."""
    holds = {Holder(name): Hold(until + shift, sources) for name, until, sources in record.holds}
    holds = {holder: hold for holder, hold in holds.items() if holder.kind is not HolderKind.CALL or holder in live}
    return Binding(record.inside, record.port, record.purpose, record.since + shift, holds, set(record.unported))


def _of_registration(registration: Registration) -> RegistrationRecord:
    return RegistrationRecord(
        registration.aor,
        registration.phone,
        str.__str__(registration.holder),
        registration.domains,
        registration.registrars,
        registration.contacts,
    )


def _registration(record: RegistrationRecord, shift: float) -> Registration:
    return Registration(
        record.aor,
        record.phone,
        Holder(record.holder),
        record.domains,
        {address: until + shift for address, until in record.registrars.items()},
        {contact: until + shift for contact, until in record.contacts.items()},
    )


def _of_request(key: RequestKey, request: Request) -> RequestRecord:
    return RequestRecord(
        key,
        request.aor,
        request.phone,
        request.registrar,
        str.__str__(request.holder),
        request.domains,
        request.wishes,
        request.ends_all,
        request.until,
    )


def _request(record: RequestRecord, shift: float) -> Request:
    return Request(
        record.aor,
        record.phone,
        record.registrar,
        Holder(record.holder),
        record.domains,
        record.wishes,
        record.ends_all,
        record.until + shift,
    )


def _addressees(engine: Engine) -> tuple[tuple[Kind, Addressees], ...]:
    return (Kind.ADDRESSEES, engine.callers.addressees), (Kind.SUBSCRIBERS, engine.callers.subscribers)


def forget_changes(engine: Engine) -> None:
    """Nothing counts as changed."""
    callers = engine.callers
    for changed in (
        engine.ledger.touched,
        engine.ledger.prolonged,
        engine.orphans.touched,
        engine.registrations.touched,
        engine.registrations.asking,
        engine.registrations.came,
        callers.addressees.touched,
        callers.subscribers.touched,
    ):
        changed.clear()
    engine.calls.touched.clear()
    engine.calls.refreshed.clear()
