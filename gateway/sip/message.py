"""One SIP message in one datagram: start line, the headers that matter here, body; all as spans.

The bytes are never copied or normalised; an edit replaces a span and leaves every other byte as it came.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from gateway.errors import MalformedError
from gateway.sip.grammar import LWS, TOKEN

_MAX_HEADER_LINES = 512

_START_LINE = re.compile(
    rb"(?:\r?\n)*+(?:"
    rb"(?i:SIP/2\.0)[ ]+(?P<status>[1-6][0-9]{2})(?:[ ][^\r\n]*+)?"
    rb"|(?P<method>" + TOKEN + rb")[ ](?P<uri>[^\r\n]*?)[ ](?i:SIP/2\.0)"
    rb")\r?\n"
)
_HEADER_LINE = re.compile(rb"(" + TOKEN + rb")[ \t]*+:[ \t]*+([^\r\n]*+(?:\r?\n[ \t][^\r\n]*+)*+)\r?\n")
_CSEQ = re.compile(rb"([0-9]{1,10})[ \t\r\n]++(" + TOKEN + rb")" + LWS + rb"\Z")
_TAG = re.compile(rb";" + LWS + rb"(?i:tag)" + LWS + rb"=" + LWS + rb"(" + TOKEN + rb")")

# Long names in lower case, by long name and compact form (RFC 3261 section 7.3.3, RFC 3515, 3892, 3841).
# Other headers carry nothing that is read or rewritten and are not recorded.
_RECORDED = {
    name: long
    for long, names in {
        b"via": (b"via", b"v"),
        b"contact": (b"contact", b"m"),
        b"from": (b"from", b"f"),
        b"to": (b"to", b"t"),
        b"call-id": (b"call-id", b"i"),
        b"content-length": (b"content-length", b"l"),
        b"content-type": (b"content-type", b"c"),
        b"content-encoding": (b"content-encoding", b"e"),
        b"refer-to": (b"refer-to", b"r"),
        b"referred-by": (b"referred-by", b"b"),
        **{
            name: (name,)
            for name in (
                b"cseq",
                b"route",
                b"record-route",
                b"path",
                b"service-route",
                b"expires",
                b"p-asserted-identity",
                b"p-preferred-identity",
                b"remote-party-id",
                b"diversion",
                b"history-info",
                b"reply-to",
            )
        },
    }.items()
    for name in names
}
_ONCE = frozenset({b"from", b"to", b"call-id", b"cseq", b"content-length", b"content-type"})
_NEEDED = (b"via", b"from", b"to", b"call-id", b"cseq")


class Header(NamedTuple):
    """One recorded header line: its long name in lower case and the span of its value."""

    name: bytes
    start: int
    end: int


# Replace the bytes from a start to an end by others.
Edit = tuple[int, int, bytes]


class Message(NamedTuple):
    """A parsed message. `status` is 0 in a request; `method` is the CSeq method in a response."""

    data: bytes
    method: bytes
    status: int
    uri: tuple[int, int]
    headers: tuple[Header, ...]
    body: tuple[int, int]
    call_id: bytes
    cseq: int

    @property
    def is_request(self) -> bool:
        """Whether this is a request."""
        return self.status == 0

    def values(self, name: bytes) -> Iterator[bytes]:
        """The raw value of each header line of that (long, lower-case) name, in order."""
        return (self.data[start:end] for found, start, end in self.headers if found == name)

    def value(self, name: bytes) -> bytes:
        """The raw value of the first such header line, empty when there is none."""
        return next(self.values(name), b"")

    @property
    def from_tag(self) -> bytes:
        """The tag of From, empty when there is none."""
        return tag(self.value(b"from"))

    @property
    def to_tag(self) -> bytes:
        """The tag of To, empty before a dialog exists."""
        return tag(self.value(b"to"))


def looks_like_sip(data: bytes) -> bool:
    """Tell a SIP message from keep-alives (RFC 5626) and STUN, without parsing it."""
    return _START_LINE.match(data) is not None


def parse(data: bytes) -> Message:
    """Read one datagram as one message.

    Raises MalformedError when it is not whole or breaks a rule on which rewriting relies: a needed header missing
    or given twice, a CSeq that contradicts the request, a body shorter than Content-Length says.
    """
    start = _START_LINE.match(data)
    if start is None:
        raise MalformedError("no SIP/2.0 start line")
    headers, position = _headers(data, start.end())
    first = {name: data[begin:end] for name, begin, end in reversed(headers)}
    for name in _NEEDED:
        if name not in first:
            raise MalformedError(f"no {name.decode()} header")
    cseq = _CSEQ.match(first[b"cseq"])
    if cseq is None or int(cseq[1]) >= 2**31:
        raise MalformedError("CSeq is not a number and a method")
    method = cseq[2]
    if start["method"] is not None and start["method"] != method:
        raise MalformedError("the CSeq method is not the request's")
    return Message(
        data,
        method,
        int(start["status"] or 0),
        start.span("uri"),
        tuple(headers),
        (position, _body_end(first.get(b"content-length"), position, len(data))),
        first[b"call-id"].rstrip(),
        int(cseq[1]),
    )


def splice(data: bytes, edits: list[Edit]) -> bytes:
    """Apply edits whose spans do not overlap; without any, the very same object."""
    if not edits:
        return data
    edits.sort()
    pieces: list[bytes] = []
    position = 0
    for start, end, text in edits:
        pieces += (data[position:start], text)
        position = end
    pieces.append(data[position:])
    return b"".join(pieces)


def tag(value: bytes) -> bytes:
    """The tag parameter of a From or To value; parameters of the URI inside <> are not the header's."""
    found = _TAG.search(value, value.rfind(b">") + 1)
    return found[1] if found else b""


def _headers(data: bytes, position: int) -> tuple[list[Header], int]:
    """The recorded header lines from `position` on, and where the body starts."""
    headers: list[Header] = []
    seen: set[bytes] = set()
    for _ in range(_MAX_HEADER_LINES):
        line = _HEADER_LINE.match(data, position)
        if line is None:
            break
        position = line.end()
        name = _RECORDED.get(line[1].lower())
        if name is None:
            continue
        if name in _ONCE:
            if name in seen:
                raise MalformedError(f"{name.decode()} is given twice")
            seen.add(name)
        headers.append(Header(name, *line.span(2)))
    if data.startswith(b"\r\n", position):
        return headers, position + 2
    if data.startswith(b"\n", position):
        return headers, position + 1
    raise MalformedError(f"no header line and no empty line at byte {position}")


def _body_end(content_length: bytes | None, start: int, end: int) -> int:
    """Where the body ends: Content-Length when given, else the datagram's end (RFC 3261 section 18.3)."""
    if content_length is None:
        return end
    text = content_length.strip()
    if not text.isdigit() or len(text) > 9:
        raise MalformedError("Content-Length is not a number")
    if start + int(text) > end:
        raise MalformedError("the body is shorter than Content-Length says")
    return start + int(text)
