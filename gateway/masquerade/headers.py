"""Which header fields carry addresses that route or identify, and the edits that translate them."""

from collections.abc import Iterable

from gateway.masquerade.translation import Place, Translation
from gateway.sip.grammar import DEFAULT_PORT
from gateway.sip.message import Edit, Message
from gateway.sip.uri import HostPort, hostports, request_uri_hostports
from gateway.sip.via import NOWHERE, ViaParams, via_params, via_parms

# Call-ID, digest parameters and everything not named here may look like addresses and are not: never touched.
_PLACES = {
    b"via": Place.VIA,
    b"contact": Place.CONTACT,
    b"route": Place.CONTACT,
    b"record-route": Place.CONTACT,
    b"path": Place.CONTACT,
    b"service-route": Place.CONTACT,
    b"refer-to": Place.CONTACT,
    b"from": Place.IDENTITY,
    b"to": Place.IDENTITY,
    b"reply-to": Place.IDENTITY,
    b"referred-by": Place.IDENTITY,
    b"p-asserted-identity": Place.IDENTITY,
    b"p-preferred-identity": Place.IDENTITY,
    b"remote-party-id": Place.IDENTITY,
    b"diversion": Place.IDENTITY,
    b"history-info": Place.IDENTITY,
}


def header_edits(message: Message, translation: Translation) -> list[Edit]:
    """The edits of the start line and all headers."""
    data = message.data
    hint = translation.hint
    edits: list[Edit] = []
    if message.is_request and data.find(hint, *message.uri) >= 0:
        _edit_uris(data, request_uri_hostports(data, *message.uri), Place.CONTACT, translation, edits)
    for name, value, start in message.headers:
        if hint not in value:
            continue
        place = _PLACES.get(name)
        if place is Place.VIA:
            _edit_vias(data, start, start + len(value), translation, edits)
        elif place is not None:
            _edit_uris(data, hostports(data, start, start + len(value)), place, translation, edits)
    return edits


def _edit_uris(
    data: bytes, found: Iterable[HostPort], place: Place, translation: Translation, edits: list[Edit]
) -> None:
    for start, end, host, port, is_maddr in found:
        if is_maddr:
            _edit_host(data, (start, end), translation, edits)
            continue
        partner = translation.signalling(place, host, port)
        if partner is not None:
            edits.append((start, end, _written(*partner)))


def _edit_vias(data: bytes, start: int, end: int, translation: Translation, edits: list[Edit]) -> None:
    for at, until, host, port, params in via_parms(data, start, end):
        partner = translation.signalling(Place.VIA, host, port)
        if partner is not None:
            edits.append((at, until, _written(*partner)))
        if data.find(translation.hint, *params) >= 0:
            _edit_via_params(data, via_params(data, *params), translation, edits)


def _edit_via_params(data: bytes, params: ViaParams, translation: Translation, edits: list[Edit]) -> None:
    if params.maddr != NOWHERE:
        _edit_host(data, params.maddr, translation, edits)
    if params.received == NOWHERE:
        return
    # received and rport are one address: where the next hop saw the request come from (RFC 3581)
    received = data[slice(*params.received)].decode("latin-1")
    seen = _partner_of_rport(data, params.rport, received, translation)
    if seen is None:
        _edit_host(data, params.received, translation, edits)
        return
    edits.append((*params.received, seen[0].encode()))
    edits.append((*params.rport, b"%d" % seen[1]))


def _partner_of_rport(
    data: bytes, span: tuple[int, int], host: str, translation: Translation
) -> tuple[str, int] | None:
    text = data[slice(*span)]
    if not text.isdigit() or len(text) > 5:
        return None
    partner = translation.signalling(Place.VIA, host, int(text))
    return None if partner is None else (partner.host, partner.port or DEFAULT_PORT)


def _edit_host(data: bytes, span: tuple[int, int], translation: Translation, edits: list[Edit]) -> None:
    partner = translation.host(data[slice(*span)].decode("latin-1"))
    if partner is not None:
        edits.append((*span, partner.encode()))


def _written(host: str, port: int | None) -> bytes:
    return host.encode() if port is None else b"%s:%d" % (host.encode(), port)
