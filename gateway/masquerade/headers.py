"""Which header fields carry addresses that route or identify, and the edits that translate them.

What is not named here is never touched: Call-ID and what repeats one (Replaces, Join, Target-Dialog, In-Reply-To,
Session-ID, P-Charging-Vector), credentials and challenges, since they are signed (Authorization and its like,
Identity, Identity-Info), text for people and for the log (Subject, Reason, Warning, User-Agent), feature tags
(Accept-Contact, Feature-Caps), and addresses of the provider's machines that are no SIP URIs
(P-Charging-Function-Addresses, P-User-Database). In those that are named, SIP URIs alone are read; `http:` and `tel:`
stay, and so does what is quoted.
"""

from collections.abc import Iterable

from gateway.masquerade.translation import Place, Translation
from gateway.sip.grammar import DEFAULT_PORT, NOWHERE
from gateway.sip.message import Edit, Message
from gateway.sip.uri import HostPort, hostports, request_uri_hostports
from gateway.sip.via import ViaParams, via_params, via_parms

_PLACES = {
    b"via": Place.VIA,
    b"contact": Place.CONTACT,
    # hops (RFC 3261, 3327, 3608)
    b"route": Place.ROUTE,
    b"record-route": Place.ROUTE,
    b"path": Place.ROUTE,
    b"service-route": Place.ROUTE,
    # where a request is to be sent: RFC 3515, 7614, 5360, 6794, 3261 (Call-Info also 6910), 6442
    b"refer-to": Place.REFERENCE,
    b"refer-events-at": Place.REFERENCE,
    b"trigger-consent": Place.REFERENCE,
    b"policy-contact": Place.REFERENCE,
    b"policy-id": Place.REFERENCE,
    b"call-info": Place.REFERENCE,
    b"alert-info": Place.REFERENCE,
    b"error-info": Place.REFERENCE,
    b"geolocation": Place.REFERENCE,
    # who somebody is: RFC 3261, 3892, 3325, 7315, 5502, 8496, 5002, 5318, 5503, 5806, 7044, 5360, 3GPP TS 24.229
    b"from": Place.IDENTITY,
    b"to": Place.IDENTITY,
    b"reply-to": Place.NAME,
    b"referred-by": Place.NAME,
    b"p-asserted-identity": Place.NAME,
    b"p-preferred-identity": Place.NAME,
    b"p-associated-uri": Place.NAME,
    b"p-called-party-id": Place.NAME,
    b"p-served-user": Place.NAME,
    b"p-charge-info": Place.NAME,
    b"p-profile-key": Place.NAME,
    b"p-refused-uri-list": Place.NAME,
    b"p-dcs-trace-party-id": Place.NAME,
    b"additional-identity": Place.NAME,
    b"remote-party-id": Place.NAME,
    b"diversion": Place.NAME,
    b"history-info": Place.NAME,
    b"permission-missing": Place.NAME,
}


def header_edits(message: Message, translation: Translation) -> list[Edit]:
    """The edits of the start line and all headers."""
    data = message.data
    hint = translation.hint
    edits: list[Edit] = []
    if message.is_request:
        start, end = message.uri
        uri = data[start:end]
        if hint in uri:
            _edit_uris(request_uri_hostports(uri), Place.CONTACT, start, translation, edits)
    for name, value, start in message.headers:
        if hint not in value:
            continue
        place = _PLACES.get(name)
        if place is Place.VIA:
            _edit_vias(data, start, start + len(value), translation, edits)
        elif place is not None:
            _edit_uris(hostports(value), place, start, translation, edits)
    return edits


def _edit_uris(found: Iterable[HostPort], place: Place, at: int, translation: Translation, edits: list[Edit]) -> None:
    """Translate what was found in a text that stands at `at` in the message."""
    for start, end, host, port, is_maddr in found:
        if is_maddr:
            partner_host = translation.host(host)
            if partner_host is not None:
                edits.append((at + start, at + end, partner_host.encode()))
            continue
        partner = translation.signalling(place, host, port)
        if partner is not None:
            edits.append((at + start, at + end, _written(*partner)))


def _edit_vias(data: bytes, start: int, end: int, translation: Translation, edits: list[Edit]) -> None:
    for at, until, host, colon, port, params in via_parms(data, start, end):
        partner = translation.signalling(Place.VIA, host, port)
        if partner is not None:
            edits.append((at, until, _written(*partner, colon)))
        if data.find(translation.hint, *params) >= 0:
            _edit_via_params(data, via_params(data, *params), translation, edits)


def _edit_via_params(data: bytes, params: ViaParams, translation: Translation, edits: list[Edit]) -> None:
    if params.maddr != NOWHERE:
        _edit_host(data, params.maddr, translation, edits)
    if params.received == NOWHERE:
        return
    rport = data[slice(*params.rport)]
    if not rport.isdigit() or len(rport) > 5:
        _edit_host(data, params.received, translation, edits)
        return
    # received and rport are one address: where the next hop saw the request come from (RFC 3581)
    received = data[slice(*params.received)].decode("latin-1")
    partner = translation.signalling(Place.RECEIVED, received, int(rport))
    if partner is not None:
        edits.append((*params.received, partner.host.encode()))
        edits.append((*params.rport, b"%d" % (partner.port or DEFAULT_PORT)))


def _edit_host(data: bytes, span: tuple[int, int], translation: Translation, edits: list[Edit]) -> None:
    partner = translation.host(data[slice(*span)].decode("latin-1"))
    if partner is not None:
        edits.append((*span, partner.encode()))


def _written(host: str, port: int | None, colon: bytes = b":") -> bytes:
    return host.encode() if port is None else b"%s%s%d" % (host.encode(), colon, port)
