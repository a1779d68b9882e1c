"""One session description: origin, connections, media streams, each with the spans of what may be rewritten."""

import re
from itertools import zip_longest
from typing import NamedTuple

from gateway.errors import MalformedError
from gateway.sdp.candidate import Candidate, candidates_in, has_candidates
from gateway.sdp.grammar import DISCARD_PORT, IPV4, Span
from gateway.sip.grammar import HIGHEST_PORT

Line = re.Match[bytes]

_MAX_STREAMS = 64

# All lines are well-formed, or nothing of it is believed.
_LINE_END = rb"(?:\r\n|\n|(\r))"
_LINES = re.compile(rb"v=0" + _LINE_END + rb"(?:[a-z]=[^\r\n]*+(?:" + _LINE_END + rb"|\Z))+[\r\n]*+")
# numbers that are no address must not pass for a host name
_NAME = rb"(?![0-9.]++(?:[\s/]|\Z))[^\s/]++"


def _address_of(kind: bytes) -> bytes:
    return rb"IN IP(?:4 (?P<" + kind + rb"_ipv4>" + IPV4 + rb")|[46] (?P<" + kind + rb"_name>" + _NAME + rb"))"


# The lines that are read, each known by the last group in it; one out of its grammar is `broken`.
_READ = re.compile(
    rb"\n(?:"
    rb"m=\S++ ([0-9]{1,5})(?:/([0-9]{1,5}))? (?P<media>\S++)(?: [^\r\n]*+)?"
    rb"|c=" + _address_of(b"connection") + rb"(?:/[0-9/]++)?[ ]*+"
    rb"|o=\S++[^\r\n]*? IN IP4 (?:(?P<origin_ipv4>"
    + IPV4
    + rb")|(?P<origin_name>\S++))[ ]*+"  # user names have spaces
    rb"|a=(?P<direction>sendrecv|sendonly|recvonly|inactive)"
    rb"|a=rtcp:(?P<rtcp>[0-9]{1,5})(?: " + _address_of(b"rtcp") + rb")?[ ]*+"
    rb"|(?P<information>i=)[^\r\n]*+"
    rb"|(?P<broken>[mc]=|a=rtcp:)[^\r\n]*+"
    rb")(?=[\r\n]|\Z)"
)
_CONNECTION = ("connection_ipv4", "connection_name")
_ORIGIN = ("origin_ipv4", "origin_name")
_RTCP_ADDRESS = ("rtcp_ipv4", "rtcp_name")
_NOT_UDP = (b"SCTP", b"DCCP", b"TLS")
UNSPECIFIED = "0.0.0.0"  # noqa: S104  # RFC 3264 section 8.4: the old way to put a call on hold


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

    `is_udp` says that its packets are UDP datagrams (RTP in any profile, UDPTL, plain udp, DTLS over UDP), `is_rtp`
    that RTCP goes along with it. `address` holds for it: `connection`, its own c= line, else the session's (RFC 8866
    section 5.7); `further` are the others of several. `connection_at` is where such a line would go and `end` where
    the stream's lines end. `candidates` are the addresses that its attributes name.
    """

    port: int
    port_span: Span
    port_count: int
    is_udp: bool
    is_rtp: bool
    address: Connection | None
    connection: Connection | None
    rtcp: Rtcp | None
    direction: bytes
    connection_at: int
    end: int
    further: tuple[Connection, ...] = ()
    candidates: tuple[Candidate, ...] = ()

    @property
    def is_paused(self) -> bool:
        """Whether its address says "send nothing for now"; with the discard port it says "see the candidates"."""
        unspecified = self.address is not None and self.address.host == UNSPECIFIED
        return unspecified and self.port != DISCARD_PORT


class Session(NamedTuple):
    """One session description.

    `candidates` are the addresses in all attributes, `shared` those before any stream. `further` are connections
    beside the one that holds, the first of several or, if there is one, the first with an IPv4 address.
    """

    origin: Connection | None
    connection: Connection | None
    streams: tuple[Stream, ...]
    candidates: tuple[Candidate, ...] = ()
    shared: tuple[Candidate, ...] = ()
    further: tuple[Connection, ...] = ()

    @property
    def is_on_hold(self) -> bool:
        """Whether no live stream asks for media both ways (RFC 3264 section 8.4)."""
        live = [stream for stream in self.streams if stream.port]
        return bool(live) and not [each for each in live if each.direction == b"sendrecv" and not each.is_paused]


def parse(data: bytes, start: int, end: int) -> Session:
    """Read the description in data[start:end].

    Raises MalformedError for a line that is not ``x=...``, an m=, c= or a=rtcp: line out of its grammar, a port over
    65535, more than 64 streams, or a second o= or, of one stream, a=rtcp: line.
    """
    whole = _LINES.fullmatch(data, start, end)
    if whole is None:
        raise MalformedError("the body is not a session description: v=0 and lines of the form x=...")
    if whole.lastindex is not None:
        data = data.replace(b"\r", b"\n")  # a CR alone ends a line as well; every span stays
    lines = list(_READ.finditer(data, start, end))
    starts = [index for index, line in enumerate(lines) if line.lastgroup == "media"]
    if len(starts) > _MAX_STREAMS:
        raise MalformedError(f"more than {_MAX_STREAMS} media streams")
    origin: Connection | None = None
    connections: list[Connection] = []
    direction = b"sendrecv"
    for line in lines[: starts[0]] if starts else lines:
        kind = line.lastgroup or ""
        if kind in _CONNECTION:
            connections.append(_address(line, kind))
        elif kind in _ORIGIN:
            if origin is not None:
                raise MalformedError("more than one o= line")
            origin = _address(line, kind)
        elif kind == "direction":
            direction = line[kind]
        elif kind == "broken":
            raise _broken(line)
    if len(connections) > 1:
        connections.sort(key=_is_no_ipv4)
    connection = connections[0] if connections else None
    streams = []
    for index, following in zip_longest(starts, starts[1:]):
        until = end if following is None else lines[following].start() + 1
        streams.append(_stream(lines[index:following], connection, direction, until))
    session = Session(origin, connection, tuple(streams), further=tuple(connections[1:]))
    return _with_candidates(session, data, start, end) if has_candidates(data, start, end) else session


def _with_candidates(session: Session, data: bytes, start: int, end: int) -> Session:
    """The same with the addresses in its attributes."""
    first = session.streams[0].port_span[0] if session.streams else end
    shared = candidates_in(data, start, first)
    streams = []
    everything = list(shared)
    for stream in session.streams:
        found = candidates_in(data, stream.port_span[0], stream.end)
        streams.append(stream._replace(candidates=found))
        everything += found
    return session._replace(streams=tuple(streams), candidates=tuple(everything), shared=shared)


def _stream(lines: list[Line], shared: Connection | None, direction: bytes, end: int) -> Stream:
    """One m-line, first of `lines`, and the lines below it, after what the session has for all."""
    media = lines[0]
    port, count, protocol = media.group(1, 2, "media")
    connection_at = media.end()
    connection: Connection | None = None
    further: list[Connection] = []
    rtcp: Rtcp | None = None
    for line in lines[1:]:
        kind = line.lastgroup or ""
        if kind == "direction":
            direction = line[kind]
        elif kind in _CONNECTION:
            if connection is None:
                connection = _address(line, kind)
            else:
                further.append(_address(line, kind))
        elif rtcp is not None and (kind == "rtcp" or kind in _RTCP_ADDRESS):
            raise MalformedError("more than one a=rtcp: line of a stream")
        elif kind == "rtcp":
            rtcp = Rtcp(_port(line["rtcp"]), line.span("rtcp"), None)
        elif kind in _RTCP_ADDRESS:
            rtcp = Rtcp(_port(line["rtcp"]), line.span("rtcp"), _address(line, kind))
        elif kind == "information":
            connection_at = line.end()
        elif kind == "broken":
            raise _broken(line)
    upper = protocol.upper()
    is_udp = b"TCP" not in upper and not upper.startswith(_NOT_UDP)
    return Stream(
        _port(port),
        media.span(1),
        int(count or 1),
        is_udp,
        is_udp and b"RTP/" in upper,
        connection or shared,
        connection,
        rtcp,
        direction,
        connection_at,
        end,
        tuple(further),
    )


def _is_no_ipv4(connection: Connection) -> bool:
    return not connection.is_ipv4


def _address(line: Line, group: str) -> Connection:
    return Connection(line[group].decode("latin-1"), line.span(group), group.endswith("ipv4"))


def _broken(line: Line) -> MalformedError:
    return MalformedError(f"the {line['broken'].decode()} line at byte {line.start() + 1} is out of its grammar")


def _port(text: bytes) -> int:
    port = int(text)
    if port > HIGHEST_PORT:
        raise MalformedError(f"port {port} is over {HIGHEST_PORT}")
    return port
