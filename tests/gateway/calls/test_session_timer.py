import pytest

from gateway.calls.session_timer import FOREVER, session_interval
from gateway.sip.message import parse

ANSWER = b"SIP/2.0 200 OK\r\nv:SIP/2.0/UDP x\r\nf:<sip:a>;tag=a\r\nt:<sip:b>;tag=b\r\ni:1\r\nCSeq:1 INVITE\r\n"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (b"Session-Expires: 1800", 1800),
        (b"x:1800 ;refresher=uas", 1800),
        (b"session-expires:\r\n 0090;refresher=uac", 90),
        (b"Session-Expires: 89", 90),
        (b"Session-Expires: 4294967296", 4294967296),
        (b"Session-Expires:", FOREVER),
        (b"Session-Expires: -5", FOREVER),
        (b"Session-Expires: 1800, 90", FOREVER),
        (b"Session-Expires: 12345678901", FOREVER),
        (b"Min-SE: 90", FOREVER),
    ],
)
def test_the_interval_of_an_answer(header: bytes, seconds: float) -> None:
    assert session_interval(parse(ANSWER + header + b"\r\n\r\n")) == seconds
