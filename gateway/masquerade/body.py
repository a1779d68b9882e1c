"""The edits of a session description: media addresses and ports, connection, origin and candidate addresses."""

from gateway.masquerade.candidates import candidate_edits, media_partner
from gateway.masquerade.translation import Translation
from gateway.sdp.session import Connection, Session, Stream
from gateway.sip.message import Edit
from rules.model import Endpoint


def session_edits(data: bytes, session: Session, translation: Translation) -> list[Edit]:
    """Translate one session description; streams without a partner keep their ports.

    When streams that share the session's c= line turn out to live at different addresses, those that differ
    get a line of their own.
    """
    edits: list[Edit] = []
    partners = [_partner(stream, translation) for stream in session.streams]
    shared = _shared_host(session, partners, translation)
    if session.connection is not None and shared != session.connection.host:
        edits.append(_host_edit(session.connection, shared))
    for further in session.further:
        is_same = session.connection is not None and further.host == session.connection.host
        beside = shared if is_same else _host(further, translation)
        if beside != further.host:
            edits.append(_host_edit(further, beside))
    for stream, partner in zip(session.streams, partners, strict=True):
        if partner is not None:
            edits.append((*stream.port_span, b"%d" % partner.port))
        rtcp = _rtcp_edits(data, stream, partner, translation)
        connection = stream.address
        for further in stream.further:
            same = partner if connection is not None and further.host == connection.host else None
            beside = _host(further, translation) if same is None else same.ip
            if beside != further.host:
                edits.append(_host_edit(further, beside))
        if connection is None or not connection.is_ipv4:
            edits += rtcp
            continue
        host = partner.ip if partner is not None else _host(connection, translation)
        if stream.connection is None and stream.port and host != shared:
            line = _line(data, stream.connection_at, b"c=IN IP4 " + host.encode())
            if rtcp and rtcp[0][:2] == line[:2]:  # c= comes before a=, wherever both are added (RFC 8866 section 5)
                rtcp = [(*line[:2], line[2] + rtcp[0][2])]
            else:
                rtcp.append(line)
        elif stream.connection is not None and host != connection.host:
            edits.append(_host_edit(connection, host))
        edits += rtcp
    if session.candidates:
        edits += candidate_edits(session.candidates, translation)
    if session.origin is not None:
        host = _origin_host(session.origin, session, partners, translation)
        if host != session.origin.host:
            edits.append(_host_edit(session.origin, host))
    return edits


def _partner(stream: Stream, translation: Translation) -> Endpoint | None:
    connection = stream.address
    if connection is None or not connection.is_ipv4 or not stream.port or not stream.is_udp:
        return None
    return media_partner(Endpoint(connection.host, stream.port), stream.candidates, translation)


def _shared_host(session: Session, partners: list[Endpoint | None], translation: Translation) -> str:
    """What the session's own c= line becomes: the address of the first stream that moves with it."""
    if session.connection is None:
        return ""
    for stream, partner in zip(session.streams, partners, strict=True):
        if stream.connection is None and partner is not None:
            return partner.ip
    return _host(session.connection, translation)


def _origin_host(
    origin: Connection, session: Session, partners: list[Endpoint | None], translation: Translation
) -> str:
    """The origin is an address without a port, so it goes where the media of that address went."""
    for stream, partner in zip(session.streams, partners, strict=True):
        connection = stream.address
        if partner is not None and connection is not None and connection.host == origin.host:
            return partner.ip
    for candidate in session.candidates:
        if candidate.kind.is_offered and candidate.is_udp and candidate.host == origin.host:
            partner = translation.media(candidate.endpoint)
            if partner is not None:
                return partner.ip
    return _host(origin, translation)


def _rtcp_edits(data: bytes, stream: Stream, partner: Endpoint | None, translation: Translation) -> list[Edit]:
    connection = stream.address
    if stream.rtcp is not None:
        connection = stream.rtcp.connection or connection
        if connection is None or not connection.is_ipv4:
            return []
        found = None
        if stream.is_udp:
            found = media_partner(Endpoint(connection.host, stream.rtcp.port), stream.candidates, translation)
        edits: list[Edit] = [] if found is None else [(*stream.rtcp.port_span, b"%d" % found.port)]
        if stream.rtcp.connection is not None:
            host = found.ip if found is not None else _host(stream.rtcp.connection, translation)
            if host != stream.rtcp.connection.host:
                edits.append(_host_edit(stream.rtcp.connection, host))
        return edits
    if partner is None or connection is None or not stream.is_rtp:
        return []
    found = media_partner(Endpoint(connection.host, stream.port + 1), stream.candidates, translation)
    if found is None or found.port == partner.port + 1:
        return []
    # RTCP did not land beside RTP, so it must be named (RFC 3605)
    return [_line(data, stream.end, b"a=rtcp:%d" % found.port)]


def _host(connection: Connection, translation: Translation) -> str:
    """The partner of an address without a port, or the address itself."""
    return (translation.host(connection.host) if connection.is_ipv4 else None) or connection.host


def _host_edit(connection: Connection, host: str) -> Edit:
    return (*connection.span, host.encode())


def _line(data: bytes, position: int, text: bytes) -> Edit:
    """A line of its own after the one that ends at or before `position`."""
    while data[position - 1 : position] in (b"\r", b"\n"):
        position -= 1
    return position, position, b"\r\n" + text
