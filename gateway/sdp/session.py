"""One session description: origin, connections, media streams, each with the spans of what may be rewritten."""

import re
from typing import NamedTuple

from gateway.errors import MalformedError
from gateway.sip.grammar import IPV4_ADDRESS

Span = tuple[int, int]

_MAX_STREAMS = 64

_LINE = re.compile(rb"([a-z])=([^\r\n]*+)(?:\r\n|\n|\r|\Z)")
_ORIGIN = re.compile(rb"\S++ \S++ \S++ IN IP4 (\S++)[ ]*+\Z")
_CONNECTION = re.compile(rb"IN (IP4|IP6) ([^\s/]++)(?:/[0-9/]++)?[ ]*+\Z")
_MEDIA = re.compile(rb"(\S++) ([0-9]{1,5})(?:/([0-9]{1,5}))? (\S++)(?: |\Z)")
_RTCP = re.compile(rb"rtcp:([0-9]{1,5})(?: IN (IP4|IP6) (\S++))?[ ]*+\Z")
_IPV4 = re.compile(IPV4_ADDRESS + rb"\Z")
UNSPECIFIED = "0.0.0.0"  # noqa: S104  # RFC 3264 section 8.4: the old way to put a call on hold
_DIRECTIONS = frozenset({b"sendrecv", b"sendonly", b"recvonly", b"inactive"})


class Connection(NamedTuple):
    """An address for media and where it is written. Host names and IPv6 keep their text, `is_ipv4` is False."""

    host: str
    span: Span
    is_ipv4: bool


class Rtcp(NamedTuple):
    """An ``a=rtcp:`` attribute (RFC 3605); `connection` is None when it names a port only."""

    port: int
    port_span: Span
    connection: Connection | None


class Stream(NamedTuple):
    """One m-line and what belongs to it.

    `connection` is its own c= line, None when the session's holds; `connection_at` is where such a line would go
    and `end` where the stream's lines end.
    """

    media: bytes
    port: int
    port_span: Span
    port_count: int
    protocol: bytes
    connection: Connection | None
    rtcp: Rtcp | None
    direction: bytes
    connection_at: int
    end: int

    @property
    def is_udp(self) -> bool:
        """Whether its packets are UDP datagrams: RTP in any profile, UDPTL, plain udp, DTLS over UDP."""
        return b"TCP" not in self.protocol.upper()

    @property
    def is_rtp(self) -> bool:
        """Whether RTCP goes along with it."""
        return b"RTP/" in self.protocol.upper() and self.is_udp


class Session(NamedTuple):
    """One session description."""

    origin: Connection | None
    connection: Connection | None
    streams: tuple[Stream, ...]

    def address(self, stream: Stream) -> Connection | None:
        """The connection that holds for a stream: its own, else the session's (RFC 8866 section 5.7)."""
        return stream.connection or self.connection

    @property
    def is_on_hold(self) -> bool:
        """Whether no live stream asks for media both ways (RFC 3264 section 8.4)."""
        live = [stream for stream in self.streams if stream.port]
        return bool(live) and all(self._holds(stream) for stream in live)

    def _holds(self, stream: Stream) -> bool:
        connection = self.address(stream)
        unspecified = connection is not None and connection.host == UNSPECIFIED
        return unspecified or stream.direction != b"sendrecv"


def parse(data: bytes, start: int, end: int) -> Session:
    """Read the description in data[start:end].

    Raises MalformedError for a line that is not ``x=...``, an m=, c= or a=rtcp: line out of its grammar, a port over
    65535, or more than 64 streams.
    """
    origin: Connection | None = None
    connection: Connection | None = None
    direction = b"sendrecv"
    streams: list[Stream] = []
    stream: Stream | None = None
    position = start
    if not data.startswith(b"v=", start, end):
        raise MalformedError("the session description does not begin with v=")
    while position < end:
        line = _LINE.match(data, position, end)
        if line is None:
            if data[position:end].strip(b"\r\n"):
                raise MalformedError(f"no session description line at byte {position}")
            break
        position = line.end()
        kind = line[1]
        if kind == b"a":
            value = line[2]
            if value in _DIRECTIONS:
                if stream is None:
                    direction = value
                else:
                    stream = stream._replace(direction=value)
            elif stream is not None and value.startswith(b"rtcp:"):
                stream = stream._replace(rtcp=_rtcp(data, *line.span(2)))
        elif kind == b"m":
            if stream is not None:
                streams.append(stream)
            if len(streams) >= _MAX_STREAMS:
                raise MalformedError(f"more than {_MAX_STREAMS} media streams")
            stream = _stream(data, *line.span(2), direction)._replace(connection_at=position)
        elif kind == b"i" and stream is not None:
            stream = stream._replace(connection_at=position)
        elif kind == b"c":
            found = _connection(data, *line.span(2))
            if stream is None:
                connection = found
            elif stream.connection is None:
                stream = stream._replace(connection=found)
        elif kind == b"o" and stream is None:
            origin = _origin(data, *line.span(2))
        if stream is not None and stream.end != position:
            stream = stream._replace(end=position)
    if stream is not None:
        streams.append(stream)
    return Session(origin, connection, tuple(streams))


def _stream(data: bytes, start: int, end: int, direction: bytes) -> Stream:
    found = _MEDIA.match(data, start, end)
    if found is None:
        raise MalformedError(f"media line at byte {start} is not 'media port protocol format'")
    return Stream(
        found[1], _port(found[2]), found.span(2), int(found[3] or 1), found[4], None, None, direction, end, end
    )


def _connection(data: bytes, start: int, end: int) -> Connection:
    found = _CONNECTION.match(data, start, end)
    if found is None:
        raise MalformedError(f"connection line at byte {start} is not 'IN IP4 address'")
    return _address(found[1], found[2], found.span(2))


def _origin(data: bytes, start: int, end: int) -> Connection | None:
    """An origin names a host but carries no media, so one that cannot be read is simply left alone."""
    found = _ORIGIN.match(data, start, end)
    return None if found is None else _address(b"IP4", found[1], found.span(1))


def _rtcp(data: bytes, start: int, end: int) -> Rtcp:
    found = _RTCP.match(data, start, end)
    if found is None:
        raise MalformedError(f"attribute at byte {start} is not 'rtcp:port [IN IP4 address]'")
    connection = None if found[3] is None else _address(found[2], found[3], found.span(3))
    return Rtcp(_port(found[1]), found.span(1), connection)


def _address(family: bytes, host: bytes, span: Span) -> Connection:
    is_ipv4 = family == b"IP4" and _IPV4.match(host) is not None
    return Connection(host.decode("latin-1"), span, is_ipv4)


def _port(text: bytes) -> int:
    port = int(text)
    if port > 65535:
        raise MalformedError(f"port {port} is over 65535")
    return port
