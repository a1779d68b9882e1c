"""The edits of addresses in attributes of a session description."""

from gateway.masquerade.translation import Translation
from gateway.sdp.candidate import Candidate, Kind
from gateway.sdp.grammar import NOWHERE
from gateway.sip.message import Edit

# What others see of a side, or chose of it, is more than a host: with another port it may mean anybody.
_HOST_ALONE = frozenset({Kind.HOST, Kind.RELATED, Kind.MENTIONED})


def candidate_edits(candidates: tuple[Candidate, ...], translation: Translation) -> list[Edit]:
    """Translate each address with its port; where that has no partner, such as over TCP, the host alone."""
    edits: list[Edit] = []
    for candidate in candidates:
        partner = translation.media(candidate.endpoint) if candidate.is_udp else None
        host = partner.ip if partner is not None else None
        if host is None and candidate.kind in _HOST_ALONE:
            host = translation.host(candidate.host)
        if host is not None and candidate.host_span != NOWHERE:
            edits.append((*candidate.host_span, host.encode()))
        if partner is not None:
            edits.append((*candidate.port_span, b"%d" % partner.port))
    return edits
