"""One session description: origin, connections, media streams, each with the spans of what may be rewritten."""

import re
from itertools import zip_longest
from typing import NamedTuple

from gateway.errors import MalformedError

Span = tuple[int, int]
Line = re.Match[bytes]

_MAX_STREAMS = 64

# All lines are well-formed, or nothing of it is believed.
_LINES = re.compile(rb"v=0(?:\r\n|\r|\n)(?:[a-z]=[^\r\n]*+(?:\r\n|\r|\n|\Z))+[\r\n]*+")
_READ = re.compile(rb"[\r\n](?:([mcoi])=|a=(?=rtcp:|send|recv|inactive))([^\r\n]*+)")
_ORIGIN = re.compile(rb"\S++ \S++ \S++ IN IP4 (\S++)[ ]*+\Z")
_CONNECTION = re.compile(rb"IN (IP4|IP6) ([^\s/]++)(?:/[0-9/]++)?[ ]*+\Z")
_MEDIA = re.compile(rb"(\S++) ([0-9]{1,5})(?:/([0-9]{1,5}))? (\S++)(?: |\Z)")
_RTCP = re.compile(rb"rtcp:([0-9]{1,5})(?: IN (IP4|IP6) (\S++))?[ ]*+\Z")
_DECIMAL_UCHAR = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rb"(?:" + _DECIMAL_UCHAR + rb"\.){3}" + _DECIMAL_UCHAR + rb"\Z")
_NUMERIC = re.compile(rb"[0-9.]++\Z")
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
    if _LINES.fullmatch(data, start, end) is None:
        raise MalformedError("the body is not a session description: v=0 and lines of the form x=...")
    lines = list(_READ.finditer(data, start, end))
    starts = [index for index, line in enumerate(lines) if line[1] == b"m"]
    if len(starts) > _MAX_STREAMS:
        raise MalformedError(f"more than {_MAX_STREAMS} media streams")
    origin, connection, direction = _session_level(lines[: starts[0]] if starts else lines)
    streams = []
    for index, following in zip_longest(starts, starts[1:]):
        until = end if following is None else lines[following].start() + 1
        streams.append(_stream(lines[index:following], direction, until))
    return Session(origin, connection, tuple(streams))


def _session_level(lines: list[Line]) -> tuple[Connection | None, Connection | None, bytes]:
    """Origin, connection and direction that hold where a stream says nothing else."""
    origin: Connection | None = None
    connection: Connection | None = None
    direction = b"sendrecv"
    for line in lines:
        kind = line[1]
        if kind == b"c":
            connection = _connection(line)
        elif kind == b"o":
            origin = _origin(line)
        elif kind is None and line[2] in _DIRECTIONS:
            direction = line[2]
    return origin, connection, direction


def _stream(lines: list[Line], direction: bytes, end: int) -> Stream:
    """One m-line, first of `lines`, and the lines below it."""
    media = lines[0]
    found = _MEDIA.match(media[2])
    if found is None:
        raise MalformedError(f"media line at byte {media.start(2)} is not 'media port protocol format'")
    offset = media.start(2)
    connection_at = media.end()
    connection: Connection | None = None
    rtcp: Rtcp | None = None
    for line in lines[1:]:
        kind = line[1]
        if kind is None:
            if line[2] in _DIRECTIONS:
                direction = line[2]
            elif line[2].startswith(b"rtcp:"):
                rtcp = _rtcp(line)
        elif kind == b"c" and connection is None:
            connection = _connection(line)
        elif kind == b"i":
            connection_at = line.end()
    return Stream(
        found[1],
        _port(found[2]),
        (offset + found.start(2), offset + found.end(2)),
        int(found[3] or 1),
        found[4],
        connection,
        rtcp,
        direction,
        connection_at,
        end,
    )


def _connection(line: Line) -> Connection:
    found = _CONNECTION.match(line[2])
    if found is None:
        raise MalformedError(f"connection line at byte {line.start(2)} is not 'IN IP4 address'")
    return _media_address(found[1], found[2], line.start(2) + found.start(2))


def _origin(line: Line) -> Connection | None:
    """An origin names a host but carries no media, so one that cannot be read is simply left alone."""
    found = _ORIGIN.match(line[2])
    return None if found is None else _address(b"IP4", found[1], line.start(2) + found.start(1))


def _rtcp(line: Line) -> Rtcp:
    found = _RTCP.match(line[2])
    if found is None:
        raise MalformedError(f"attribute at byte {line.start(2)} is not 'rtcp:port [IN IP4 address]'")
    offset = line.start(2)
    connection = None if found[3] is None else _media_address(found[2], found[3], offset + found.start(3))
    return Rtcp(_port(found[1]), (offset + found.start(1), offset + found.end(1)), connection)


def _media_address(family: bytes, host: bytes, start: int) -> Connection:
    """One that packets are to go to, so that numbers which are no address must not pass for a host name."""
    address = _address(family, host, start)
    if not address.is_ipv4 and _NUMERIC.match(host):
        raise MalformedError(f"{address.host} is no address")
    return address


def _address(family: bytes, host: bytes, start: int) -> Connection:
    is_ipv4 = family == b"IP4" and _IPV4.match(host) is not None
    return Connection(host.decode("latin-1"), (start, start + len(host)), is_ipv4)


def _port(text: bytes) -> int:
    port = int(text)
    if port > 65535:
        raise MalformedError(f"port {port} is over 65535")
    return port
