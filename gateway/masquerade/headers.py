"""Which header fields carry addresses that route or identify, and the edits that translate them."""

from collections.abc import Iterable

from gateway.masquerade.translation import Place, Translation
from gateway.sip.grammar import DEFAULT_PORT
from gateway.sip.message import Edit, Message
from gateway.sip.uri import HostPort, hostports, request_uri_hostports
from gateway.sip.via import via_parms

_NOWHERE = (-1, -1)

# Call-ID, digest parameters and everything not named here may look like addresses and are not: never touched.
_URI_HEADERS = {
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
    edits: list[Edit] = []
    if message.is_request:
        _edit_uris(data, request_uri_hostports(data, *message.uri), Place.CONTACT, translation, edits)
    for name, start, end in message.headers:
        if name == b"via":
            _edit_vias(data, start, end, translation, edits)
        elif (place := _URI_HEADERS.get(name)) is not None:
            _edit_uris(data, hostports(data, start, end), place, translation, edits)
    return edits


def _edit_uris(
    data: bytes, found: Iterable[HostPort], place: Place, translation: Translation, edits: list[Edit]
) -> None:
    for host, port in found:
        number = None if port == _NOWHERE else int(data[port[0] : port[1]])
        partner = translation.signalling(place, data[host[0] : host[1]].decode(), number)
        if partner is not None:
            edits.append(Edit(host[0], max(host[1], port[1]), _written(*partner)))


def _edit_vias(data: bytes, start: int, end: int, translation: Translation, edits: list[Edit]) -> None:
    for via in via_parms(data, start, end):
        host, port = via.host, via.port
        number = None if port == _NOWHERE else int(data[port[0] : port[1]])
        sent_by = data[host[0] : host[1]].decode("latin-1")
        partner = translation.signalling(Place.VIA, sent_by, number)
        if partner is not None:
            edits.append(Edit(host[0], max(host[1], port[1]), _written(*partner)))
        if via.maddr != _NOWHERE:
            _edit_host(data, via.maddr, translation, edits)
        if via.received == _NOWHERE:
            if via.rport != _NOWHERE and partner is not None:
                _edit_rport(data, via.rport, sent_by, translation, edits)
            continue
        # received and rport are one address: where the next hop saw the request come from (RFC 3581)
        received = data[slice(*via.received)].decode("latin-1")
        if via.rport == _NOWHERE:
            _edit_host(data, via.received, translation, edits)
            continue
        seen = _partner_of_rport(data, via.rport, received, translation)
        if seen is not None:
            edits.append(Edit(*via.received, seen[0].encode()))
            edits.append(Edit(*via.rport, b"%d" % seen[1]))


def _edit_rport(data: bytes, span: tuple[int, int], host: str, translation: Translation, edits: list[Edit]) -> None:
    seen = _partner_of_rport(data, span, host, translation)
    if seen is not None:
        edits.append(Edit(*span, b"%d" % seen[1]))


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
        edits.append(Edit(*span, partner.encode()))


def _written(host: str, port: int | None) -> bytes:
    return host.encode() if port is None else b"%s:%d" % (host.encode(), port)
