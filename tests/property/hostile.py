"""Datagrams as long as they can be, of every shape that might make a reader go over the same bytes again."""

from collections.abc import Iterator

_SIZE = 65000
_HEADERS = (
    ("Via", "SIP/2.0/UDP {host};branch=1"),
    ("From", "<sip:a@b>;tag=1"),
    ("To", "<sip:b@c>"),
    ("Call-ID", "1"),
    ("CSeq", "1 {method}"),
)


def shapes(host: str) -> Iterator[tuple[str, bytes]]:
    """Each shape with its name; `host` is an address that is translated wherever it can be."""
    yield from _starts_and_heads(host)
    yield from _values(host)
    yield from _bodies(host)
    yield from _descriptions(host)


def _head(host: str, but: str = "", method: str = "INVITE") -> str:
    """A start line and the headers that are needed, all but one."""
    lines = [f"{name}: {value}".format(host=host, method=method) for name, value in _HEADERS if name != but]
    return "\r\n".join((f"{method} sip:b@example.org SIP/2.0", *lines, ""))


def _filled(before: str, unit: str, after: str = "") -> bytes:
    """One unit as often as it fits into a datagram."""
    return (before + unit * ((_SIZE - len(before) - len(after)) // len(unit)) + after).encode()


def _starts_and_heads(host: str) -> Iterator[tuple[str, bytes]]:
    head = _head(host)
    yield "empty lines first", _filled("", "\r\n", head + "\r\n")
    yield "versions in the request line", _filled("INVITE ", "sip:x SIP/2.0 ")
    yield "a request line of spaces", _filled("INVITE", " ", "SIP/2.0\r\n\r\n")
    yield "an endless uri", _filled("INVITE sip:", f"{host};", f" SIP/2.0\r\n{head}\r\n")
    yield "users in a uri", _filled("INVITE sip:", f"{host}@", f" SIP/2.0\r\n{head.partition(chr(10))[2]}\r\n")
    yield "one endless header name", _filled(head, "a")
    yield "spaces after a header name", _filled(head + "a", " ", "\r\n\r\n")
    yield "many headers", _filled(head, f"Route: <sip:{host}>\r\n", "\r\n")
    yield "short headers", _filled(head, "a:\n", "\n")
    yield "lines that are no headers", _filled(head, "a\n", "\n")
    yield "folded lines", _filled(head + "X: y", "\n ", "\r\n\r\n")
    yield "folded lines with no end", _filled(head + "Via: x", "\r\n ")
    yield "carriage returns", _filled(head, "\r", "\r\n\r\n")


def _values(host: str) -> Iterator[tuple[str, bytes]]:
    def header(name: str, start: str, unit: str, end: str = "", method: str = "INVITE") -> bytes:
        return _filled(f"{_head(host, name, method)}{name}: {start}", unit, f"{end}\r\n\r\n")

    # all that the readers of URIs look at: values as a phone, and as a registrar reads them
    for method in ("INVITE", "REGISTER"):
        for name, start, unit in (
            ("unclosed quotes", "", '"<'),
            ("empty quotes", f"<sip:{host}>,", '""'),
            ("uri in uri", "<", f"sip:{host}@"),
            ("schemes", f"<sip:{host}>,", "sip:"),
            ("opening brackets with uris", "", f"<sip:{host}"),
            ("opening brackets", f"<sip:{host}>,", "<"),
            ("empty brackets", f"<sip:{host}>,", "<>"),
            ("many uris", "", f"<sip:{host}>"),
            ("as many contacts as may be", f"<sip:{host}>," * 900, "x"),
            ("commas", f"<sip:{host}>", ","),
            ("semicolons", f"<sip:{host}>", ";"),
            ("many maddr", "<sip:h", f";maddr={host}"),
            ("many maddr behind a question mark", f"<sip:{host}?", f";maddr={host}"),
            ("many expires", f"<sip:{host}>", ";expires=1"),
            ("half an expires", f"<sip:{host}>", ";expires =\t"),
            ("quoted expires", f"<sip:{host}>", ';expires=""'),
            ("folds", f"<sip:{host}>", "\r\n ,"),
        ):
            yield f"{method}: {name}", header("Contact", start, unit, method=method)
    yield "escaped quotes before a folded line", header("From", '"', '\\"', f'\\\n x" <sip:a@{host}>;tag=1')
    yield "half a tag", header("From", "<sip:a@b>", ";  tag")
    yield "quotes before a tag", header("From", "<sip:a@b>", '"";', ";tag=1")
    yield "brackets before a tag", header("From", '<sip:a@b>;x=""', "<>;", ";tag=1")
    yield "a display name of quotes", header("To", "", '"" ')
    yield "spaces in a via", header("Via", "SIP/2.0/UDP", " ")
    yield "spaces after a host", header("Via", f"SIP/2.0/UDP {host}", " ", ":")
    yield "many vias", header("Via", f"SIP/2.0/UDP {host}", f",SIP/2.0/UDP {host};received={host};rport=5060")
    yield "vias without commas", header("Via", f"SIP/2.0/UDP {host}:", f":SIP/2.0/UDP {host}:")
    yield "half vias", header("Via", host, "SIP/")
    yield "vias of spaces", header("Via", host, "SIP / ")
    yield "quotes in a via", header("Via", f"SIP/2.0/UDP {host}", '"')
    yield "via parameters", header("Via", f"SIP/2.0/UDP {host}", f";received={host}")
    yield "half via parameters", header("Via", f"SIP/2.0/UDP {host};maddr={host}", ";received\t")


def _bodies(host: str) -> Iterator[tuple[str, bytes]]:
    head = _head(host)
    mixed = f"{head}Content-Type: multipart/mixed;boundary=b\r\n\r\n"
    yield "a body without lines", _filled(head + "\r\n", "a")
    yield "boundaries in a content type", _filled(f"{head}Content-Type: multipart/mixed", ";boundary=", "\r\n\r\n--b")
    yield "spaces in a content type", _filled(f"{head}Content-Type: multipart/mixed", ";\t", "\r\n\r\n--b")
    yield "many parts", _filled(mixed, "--b\r\n")
    yield "many heads of parts", _filled(mixed, "--b\r\n\r\n")
    yield "many types of a part", _filled(mixed + "--b\r\n", "content-type :\r\n", "\r\n--b--")
    yield "one part of empty lines", _filled(mixed + "--b", "\r\n", "--b--")
    yield "half a boundary", _filled(mixed, "\r\n-")
    yield "boundaries and spaces", _filled(mixed, "\r\n--b " + " " * 50 + "x")
    yield "many types", _filled(mixed, "--b\r\na:b\r\n\r\n")
    yield "a part of many lengths", _filled(mixed + "--b\r\n", "Content-Length: 1\r\n", "\r\nx\r\n--b--")
    yield "a part of many folds", _filled(mixed + "--b\r\na:", "\r\n ", "x\r\n--b--")
    yield "parts within parts", _filled(mixed, "--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n")
    fragment = f"{head}Content-Type: message/sipfrag\r\n\r\n"
    yield "a fragment of many headers", _filled(fragment, f"Contact: <sip:{host}>\r\n")
    yield "a fragment of folds", _filled(fragment + "Contact:", "\r\n ")
    yield "many descriptions", _filled(mixed, "--b\r\ncontent-type:application/sdp\r\n\r\n")


def _descriptions(host: str) -> Iterator[tuple[str, bytes]]:
    session = f"{_head(host)}Content-Type: application/sdp\r\n\r\nv=0\r\nc=IN IP4 {host}\r\n"
    stream = session + "m=audio 5000 RTP/AVP 0\r\n"
    for line in (
        "a=",
        "a=sendrecv",
        "a=rtcp:5001",
        f"a=rtcp:5001 IN IP4 {host}",
        f"c=IN IP4 {host}",
        "i=",
        "b=AS:64",
        f"a=candidate:1 1 UDP 1 {host} 9000 typ host",
    ):
        yield f"one stream of {line}", _filled(stream, line + "\n")
        yield f"a session of {line}", _filled(session, line + "\n")
    yield (
        "addresses related to a candidate",
        _filled(f"{stream}a=candidate:1 1 UDP 1 {host} 9000 typ srflx", f" raddr {host} rport"),
    )
    yield "half candidates", _filled(stream, "a=candidate:1 1 UDP 1 ")
    yield "chosen candidates", _filled(stream + "a=remote-candidates:", f"1 {host} 9000 ")
    yield "sources of a stream", _filled(stream + "a=source-filter: incl IN IP4", f" {host}")
    yield "half an origin", _filled(session + "o=", "a IN IP4 ")
    yield "streams of many ports", _filled(session, "m=audio 5000/8 RTP/AVP 0\r\n")
    yield "origins", _filled(session, f"o=- 1 1 IN IP4 {host}\n")
    yield "many streams", _filled(session, "m=audio 5000 RTP/AVP 0\r\n")
    yield "lines that are no streams", _filled(session, "m=x\n")
    yield "half addresses", _filled(session, "c=IN IP4 1.1.1.\n")
    yield "formats of a stream", _filled(session + "m=audio 5000 RTP/AVP", " 0")
    yield "digits of a port", _filled(session + "m=audio ", "5")
    yield "line ends", _filled(session, "\r\n", "x")
    yield "carriage returns in a description", _filled(session, "a=\r", "\r\nx")
    attributes = "a=sendonly\r\na=rtpmap:0 PCMU/8000\r\n" * 26
    streams = [
        f"m=audio {port} RTP/AVP 0\r\nc=IN IP4 {host}\r\na=rtcp:{port + 1}\r\n{attributes}"
        for port in range(5000, 5128, 2)
    ]
    yield "64 streams with all that may be", (session + "".join(streams)).encode()
