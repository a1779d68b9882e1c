"""Where a message names hosts that route or identify: read the simple way, to compare the gateway's reading with."""

import re

Span = tuple[int, int]

_NAMES = frozenset(
    b"v via m contact f from t to r refer-to b referred-by route record-route path service-route reply-to"
    b" p-asserted-identity p-preferred-identity remote-party-id diversion history-info".split()
)
_QUOTED = re.compile(rb'"(?:\\.|[^"\\])*(?:"|$)', re.DOTALL)  # one that is never closed runs to the end
_HOST = rb"(?:[\w.-]+|\[[^\]]*\])(?:\s*:\s*\d+)?"
_SENT_BY = re.compile(rb"\s/\s*[A-Z]+\s+(" + _HOST + rb")|/[A-Z]+\s+(" + _HOST + rb")")
_IN_BRACKETS = re.compile(rb"<(sips?:[^>]*)>", re.IGNORECASE)
_BARE = re.compile(rb"^\s*(sips?:[^;,?\s]*)", re.IGNORECASE)


def places(data: bytes) -> list[Span]:
    """The spans of ``host`` or ``host:port`` in the Request-URI, in SIP URIs and in the sent-by of each Via."""
    head = re.split(rb"\n\r?\n", data, maxsplit=1)[0] + b"\n"
    start, _, rest = head.partition(b"\n")
    found = _host_of(*_request_uri(start))
    at = len(start) + 1
    for line in re.split(rb"(?<=\n)(?![ \t])", rest):
        name, colon, value = line.partition(b":")
        if name.strip().lower() in _NAMES:
            text = _QUOTED.sub(lambda quoted: b"." * len(quoted[0]), value)
            found += _of_value(text, at + len(name + colon), is_via=name.strip().lower() in (b"v", b"via"))
        at += len(line)
    return found


def with_each(data: bytes, spans: list[Span], host: bytes) -> bytes:
    """The message with this host, or host and port, in all of these places."""
    for start, end in sorted(spans, reverse=True):
        data = data[:start] + host + data[end:]
    return data


def _request_uri(line: bytes) -> tuple[bytes, int]:
    """It is between the first space and the last; a response has none."""
    first, last = line.find(b" "), line.rstrip().rfind(b" ")
    return (b"", 0) if line.startswith(b"SIP/") else (line[first + 1 : last], first + 1)


def _of_value(value: bytes, offset: int, *, is_via: bool) -> list[Span]:
    if is_via:
        spans = [found.span(found.lastindex or 0) for found in _SENT_BY.finditer(value)]
        return [(offset + start, offset + end) for start, end in spans]
    uris = list(_IN_BRACKETS.finditer(value)) or list(_BARE.finditer(value))
    return [span for uri in uris for span in _host_of(uri[1], offset + uri.start(1))]


def _host_of(uri: bytes, offset: int) -> list[Span]:
    scheme, _, rest = uri.partition(b":")
    if scheme.lower() not in (b"sip", b"sips"):
        return []
    userinfo, at, address = rest.rpartition(b"@")
    found = re.match(_HOST, address)
    start = offset + len(scheme) + 1 + len(userinfo + at)
    return [] if found is None else [(start, start + found.end())]


_LONE_HOST = re.compile(rb"(?i:;(?:maddr|received)=)([\w.-]+)")
_DESCRIBED_HOST = re.compile(rb"(?m)^[co]=.*IN IP4 ([\w.-]+)")


def lone_hosts(data: bytes) -> list[Span]:
    """The spans of hosts that stand without a port: in maddr and received."""
    head = re.split(rb"\n\r?\n", data, maxsplit=1)[0]
    return [found.span(1) for found in _LONE_HOST.finditer(head)]


def described_hosts(data: bytes) -> list[Span]:
    """The spans of the IPv4 hosts in the connection and origin lines of a description."""
    head = re.split(rb"\n\r?\n", data, maxsplit=1)[0]
    return [found.span(1) for found in _DESCRIBED_HOST.finditer(data, len(head))]
