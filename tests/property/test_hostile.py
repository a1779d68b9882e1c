"""A whole datagram of hostile text costs time in proportion to its length, whatever its shape."""

from time import perf_counter

import pytest

from gateway.calls.dialog import Side
from gateway.engine import Engine, Settings
from gateway.networks import Networks
from gateway.wire import Datagram
from tests.property.messages import PHONE, PROVIDER

SIZE = 65000
BOUND = 1.0  # seconds; a shape that is read quadratically takes tens
HEAD = "INVITE sip:b@example.org SIP/2.0\r\n"
NEEDED = (
    "Via: SIP/2.0/UDP 10.0.0.11;branch=1\r\n"
    "From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
)


def filled(before: str, unit: str, after: str = "") -> bytes:
    """One unit as often as it fits into a datagram."""
    return (before + unit * ((SIZE - len(before) - len(after)) // len(unit)) + after).encode()


def header(name: str, start: str, unit: str, end: str = "") -> bytes:
    lines = "".join(line + "\r\n" for line in NEEDED.split("\r\n") if line and not line.startswith(name + ":"))
    return filled(f"{HEAD}{lines}{name}: {start}", unit, f"{end}\r\n\r\n")


SDP_HEAD = f"{HEAD}{NEEDED}Content-Type: application/sdp\r\n\r\nv=0\r\nc=IN IP4 10.0.0.11\r\n"
CANDIDATES = SDP_HEAD + "m=audio 5000 RTP/AVP 0\r\n"
TYPE = HEAD + NEEDED + "Content-Type: "
SHAPES = {
    "escaped quotes before a folded line": header("From", '"', '\\"', '\\\n x" <sip:a@10.0.0.11>;tag=1'),
    "unclosed quotes": header("Contact", "", '"<'),
    "uri in uri": header("Contact", "<", "sip:10.0.0.11@"),
    "opening brackets": header("Contact", "", "<sip:10.0.0.11"),
    "many contacts": header("Contact", "<sip:a@10.0.0.11>", ",<sip:10.0.0.11>"),
    "many maddr": header("Contact", "<sip:a@10.0.0.11", ";maddr=10.0.0.11", ">"),
    "many expires": header("Contact", "<sip:a@10.0.0.11>", ";expires =\t"),
    "spaces": header("Via", "SIP/2.0/UDP", " "),
    "many vias": header("Via", "SIP/2.0/UDP 10.0.0.11", ",SIP/2.0/UDP 10.0.0.11;received=10.0.0.11;rport=5060"),
    "half vias": header("Via", "", "SIP/"),
    "via params": header("Via", "SIP/2.0/UDP 10.0.0.11", ";received"),
    "folds": header("From", "<sip:a@b>;tag=1", "\r\n "),
    "folds with no end": filled(HEAD + "Via: x", "\r\n "),
    "one endless header name": filled(HEAD, "a"),
    "empty lines first": filled("", "\r\n", HEAD + NEEDED + "\r\n"),
    "versions in the request line": filled("INVITE ", "sip:x SIP/2.0 "),
    "a body without lines": filled(HEAD + NEEDED + "\r\n", "a"),
    "a body of colons": filled(HEAD + NEEDED + "\r\n", "a:"),
    "many headers": filled(HEAD + NEEDED, "Route: <sip:10.0.0.11>\r\n", "\r\n"),
    "semicolons for a tag": header("From", "<sip:a@b>", "; tag"),
    "many streams": filled(SDP_HEAD, "m=audio 5000 RTP/AVP 0\r\n"),
    "one stream of attributes": filled(SDP_HEAD + "m=audio 5000 RTP/AVP 0\r\n", "a=rtcp:5001\r\n"),
    "sdp of line ends": filled(SDP_HEAD, "\r\n", "x"),
    "sdp of carriage returns": filled(SDP_HEAD, "a=\r", "\r\nx"),
    "many candidates": filled(CANDIDATES, "a=candidate:1 1 UDP 1 10.0.0.11 9000 typ host\r\n"),
    "a candidate that is related to many": filled(
        CANDIDATES + "a=candidate:1 1 UDP 1 10.0.0.11 9000 typ srflx", " raddr 10.0.0.11 rport"
    ),
    "half candidates": filled(CANDIDATES, "a=candidate:1 1 UDP 1 "),
    "many chosen candidates": filled(CANDIDATES + "a=remote-candidates:", "1 10.0.0.11 9000 "),
    "many sources": filled(CANDIDATES + "a=source-filter: incl IN IP4", " 10.0.0.11"),
    "many connections": filled(CANDIDATES, "c=IN IP4 10.0.0.11\r\n"),
    "an origin of many": filled(HEAD + NEEDED + "c:application/sdp\r\n\r\nv=0\r\no=", "a IN IP4 "),
    "streams of many ports": filled(SDP_HEAD, "m=audio 5000/8 RTP/AVP 0\r\n"),
    "many parts": filled(TYPE + "multipart/mixed;boundary=b\r\n\r\n", "--b\r\na:b\r\n\r\n"),
    "a part of many fields": filled(
        TYPE + "multipart/mixed;boundary=b\r\n\r\n--b\r\n", "Content-Length: 1\r\n", "\r\nx\r\n--b--"
    ),
    "a part of many folds": filled(TYPE + "multipart/mixed;boundary=b\r\n\r\n--b\r\na:", "\r\n ", "x\r\n--b--"),
    "parts within parts": filled(
        TYPE + "multipart/mixed;boundary=b\r\n\r\n", "--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n"
    ),
    "a fragment of many fields": filled(TYPE + "message/sipfrag\r\n\r\n", "Contact: <sip:10.0.0.11>\r\n"),
    "a fragment of folds": filled(TYPE + "message/sipfrag\r\n\r\nContact:", "\r\n "),
    "sdp of one letter": filled(SDP_HEAD + "m=audio ", "5"),
}


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("shape", SHAPES)
def test_no_shape_is_read_twice(shape: str, side: Side) -> None:
    engine = Engine(Settings())
    engine.place(Networks(["10.0.0.0/24"]), "10.0.0.11" if side is Side.OUTSIDE else "203.0.113.1", "203.0.113.1")
    data = SHAPES[shape]
    assert 60000 < len(data) <= 65507
    source, destination = (PHONE, PROVIDER) if side is Side.INSIDE else (PROVIDER, PHONE)
    if side is Side.OUTSIDE:
        data = data.replace(b"10.0.0.11", b"203.0.113.1")[:65507]
    started = perf_counter()
    engine.receive(Datagram(source, destination, data, 20), side, 0.0)
    seconds = perf_counter() - started
    print(f"{shape}, from {side.name.lower()}: {1000 * seconds:.1f} ms")  # noqa: T201  # shown by pytest -s
    assert seconds < BOUND
