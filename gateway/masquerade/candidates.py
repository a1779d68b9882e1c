"""The edits of addresses in attributes of a session description."""

from collections.abc import Iterable

from gateway.masquerade.translation import Translation
from gateway.sdp.candidate import Candidate, Kind
from gateway.sdp.grammar import NOWHERE
from gateway.sip.message import Edit
from rules.model import Endpoint

# What others see of a side, or chose of it, is more than a host: with another port it may mean anybody.
_HOST_ALONE = frozenset({Kind.HOST, Kind.RELATED})


def candidate_edits(candidates: tuple[Candidate, ...], translation: Translation) -> list[Edit]:
    """Translate each address with its port; one that has no partner, such as over TCP, still does not show."""
    edits: list[Edit] = []
    for candidate in candidates:
        if candidate.kind is Kind.MENTIONED:
            host = translation.host(candidate.host)
            if host is not None:
                edits.append((*candidate.host_span, host.encode()))
            continue
        partner = _partner(candidate, translation)
        if partner is None:
            continue
        if candidate.host_span != NOWHERE:
            edits.append((*candidate.host_span, partner.ip.encode()))
        edits.append((*candidate.port_span, b"%d" % partner.port))
    return edits


def media_partner(address: Endpoint, candidates: Iterable[Candidate], translation: Translation) -> Endpoint | None:
    """The partner of a stream's media address, be it one that a candidate of the stream explains."""
    partner = translation.media(address)
    if partner is None:
        for candidate in candidates:
            if candidate.base is not None and candidate.endpoint == address:
                return _of_base(candidate, translation)
    return partner


def _partner(candidate: Candidate, translation: Translation) -> Endpoint | None:
    if candidate.is_udp:
        partner = _of_base(candidate, translation) or translation.media(candidate.endpoint)
        if partner is not None:
            return partner
    return translation.unleased(candidate.endpoint) if candidate.kind in _HOST_ALONE else None


def _of_base(candidate: Candidate, translation: Translation) -> Endpoint | None:
    """Where a phone's own address is seen once its port is leased: what a server saw before that is out of date."""
    partner = None if candidate.base is None else translation.media(candidate.base)
    return partner if partner is not None and partner.ip == candidate.host else None
