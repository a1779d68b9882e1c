"""One SIP message in one datagram: start line, the headers that matter here, body, each with where it stands.

Nothing is normalised; an edit replaces a span and leaves every other byte as it came.
"""

import re
from typing import NamedTuple

from gateway.errors import MalformedError
from gateway.sip.grammar import LWS, TOKEN, parameter
from gateway.sip.kept import kept

_MAX_HEADER_LINES = 512
# Each header line and URI has a colon, each further value a comma; of none of these marks a long head has more than:
_MARKS = (b":", b",", b'"', b"<")
_MAX_MARKS = 1024
_LONG_HEAD = 8192

# [^\n] and . are scanned much faster than [^\r\n]; a CR that ends no line is looked for once, in the whole head.
_START_LINE = re.compile(
    rb"[\r\n]*+(?:"
    rb"(?i:SIP/2\.0)[ ]+([1-6][0-9]{2})(?:[ ].*+)?"
    rb"|(" + TOKEN + rb")[ ](.*)[ ](?i:SIP/2\.0)"
    rb")\r?\n"
)
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_BARE_CR = re.compile(rb"\r(?!\n)")
# Any line of a head with those folded into it: up to its value, its name, its value; without a name it is no header.
_HEADER_LINES = re.compile(rb"(?:((" + TOKEN + rb")[ \t]*+:[ \t]*+)([^\n]*+(?:\n[ \t][^\n]*+)*)|[^\n]*+)\n")
_CSEQ = re.compile(LWS + rb"([0-9]{1,10})[ \t\r\n]++(" + TOKEN + rb")" + LWS + rb"\Z")
_TAG = re.compile(parameter(rb"tag", rb"(" + TOKEN + rb")"))
_UNQUOTED_TAG = re.compile(rb";" + LWS + rb"(?i:tag)" + LWS + rb"=" + LWS + rb"(" + TOKEN + rb")")

# Long names in lower case, by long name and compact form (RFC 3261 section 7.3.3, RFC 3515, 3892, 4028).
# Other headers carry nothing that is read or rewritten and are not recorded; masquerade.headers says why.
_COMPACT = {
    b"via": b"v",
    b"contact": b"m",
    b"from": b"f",
    b"to": b"t",
    b"call-id": b"i",
    b"content-length": b"l",
    b"content-type": b"c",
    b"content-encoding": b"e",
    b"refer-to": b"r",
    b"referred-by": b"b",
    b"session-expires": b"x",
}
_LONG = (
    *_COMPACT,
    b"cseq",
    b"expires",
    b"route",
    b"record-route",
    b"path",
    b"service-route",
    b"reply-to",
    b"p-asserted-identity",
    b"p-preferred-identity",
    b"p-associated-uri",
    b"p-called-party-id",
    b"p-served-user",
    b"p-charge-info",
    b"p-profile-key",
    b"p-refused-uri-list",
    b"p-dcs-trace-party-id",
    b"additional-identity",
    b"remote-party-id",
    b"diversion",
    b"history-info",
    b"permission-missing",
    b"refer-events-at",
    b"trigger-consent",
    b"policy-contact",
    b"policy-id",
    b"call-info",
    b"alert-info",
    b"error-info",
    b"geolocation",
)
_NAMES = {written: name for name in _LONG for written in (name, _COMPACT.get(name, name))}
_LONG_OF = {compact: name for name, compact in _COMPACT.items()}
_ONCE = frozenset({b"from", b"to", b"call-id", b"cseq", b"content-length", b"content-type"})
_NEEDED = frozenset({b"via", b"from", b"to", b"call-id", b"cseq"})


# One recorded header line: its long name in lower case, its value as it came, and where that starts.
Header = tuple[bytes, bytes, int]

# Replace the bytes from a start to an end by others.
Edit = tuple[int, int, bytes]


class Message(NamedTuple):
    """A parsed message. `status` is 0 in a request; `method` is the CSeq method in a response.

    `first` is the value of the first header line of each name as it came.
    """

    data: bytes
    is_request: bool
    method: bytes
    status: int
    uri: tuple[int, int]
    headers: list[Header]
    first: dict[bytes, bytes]
    body: tuple[int, int]
    call_id: bytes
    cseq: int

    def values(self, name: bytes) -> list[bytes]:
        """The value of each header line of that (long, lower-case) name, in order."""
        return [value.rstrip() for found, value, _ in self.headers if found == name]

    def value(self, name: bytes) -> bytes:
        """The value of the first such header line, empty when there is none."""
        return self.first.get(name, b"").rstrip()

    @property
    def from_tag(self) -> bytes:
        """The tag of From, empty when there is none."""
        return tag(self.value(b"from"))

    @property
    def to_tag(self) -> bytes:
        """The tag of To, empty before a dialog exists."""
        return tag(self.value(b"to"))


def parse(data: bytes) -> Message:
    """Read one datagram as one message.

    Raises MalformedError when it is not whole or breaks a rule on which rewriting relies: a needed header missing
    or given twice, a CSeq that contradicts the request, a body shorter than Content-Length says; or more header
    values than anybody writes.
    """
    start = _START_LINE.match(data)
    if start is None:
        raise MalformedError("no SIP/2.0 start line")
    begin = start.end()
    empty = _EMPTY_LINE.search(data, begin - 1)
    if empty is None:
        raise MalformedError("no empty line after the headers")
    end = empty.start() + 1
    if _BARE_CR.search(data, 0, end) is not None:
        raise MalformedError("a CR without LF in the headers")
    headers, first = _headers(data, begin, end)
    if not first.keys() >= _NEEDED:
        raise MalformedError(f"no {min(_NEEDED - first.keys()).decode()} header")
    cseq = _CSEQ.match(first[b"cseq"])
    if cseq is None or int(cseq[1]) >= 2**31:
        raise MalformedError("CSeq is not a number and a method")
    number, method = cseq.groups()
    status, asked = start.group(1, 2)
    if status is None and asked != method:
        raise MalformedError("the CSeq method is not the request's")
    body = empty.end()
    return Message(
        data,
        status is None,
        method,
        int(status or 0),
        start.span(3),
        headers,
        first,
        (body, _body_end(first.get(b"content-length"), body, len(data))),
        first[b"call-id"].strip(),
        int(number),
    )


def long_name(written: bytes) -> bytes:
    """The name of a header as this module says it: in lower case, and for a compact form the long one."""
    name = written.lower()
    return _LONG_OF.get(name, name)


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


@kept
def tag(value: bytes) -> bytes:
    """The tag parameter of a From or To value; parameters of the URI inside <> are not the header's."""
    after = value.rfind(b">") + 1
    if value.find(b'"', after) < 0:
        # nothing is quoted behind the address, so that is where it ends
        found = _UNQUOTED_TAG.search(value, after)
        return found[1] if found else b""
    return next((each[1] for each in _TAG.finditer(value) if each.lastindex), b"")


def _headers(data: bytes, start: int, end: int) -> tuple[list[Header], dict[bytes, bytes]]:
    """The recorded header lines of a head, and the first value of each name."""
    headers: list[Header] = []
    first: dict[bytes, bytes] = {}
    if end - start > _LONG_HEAD and max([data.count(mark, start, end) for mark in _MARKS]) > _MAX_MARKS:
        raise MalformedError(f"more than {_MAX_MARKS} values in the headers")
    lines = _HEADER_LINES.findall(data, start, end)
    if len(lines) > _MAX_HEADER_LINES:
        raise MalformedError(f"more than {_MAX_HEADER_LINES} header lines")
    for lead, written, value in lines:
        start += len(lead)
        name = _NAMES.get(written.lower())
        if name is not None:
            headers.append((name, value, start))
            if name not in first:
                first[name] = value
            elif name in _ONCE:
                raise MalformedError(f"{name.decode()} is given twice")
        elif not written:
            raise MalformedError(f"neither a header line nor an empty line at byte {start}")
        start += len(value) + 1
    return headers, first


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
