import pytest

from gateway.masquerade.outward import Outward
from gateway.masquerade.rewrite import rewrite
from gateway.sdp import session
from gateway.sip.message import parse
from tests.gateway.masquerade.pairs import ALICE, PUBLIC, Table

OUTWARD = Outward(Table(), PUBLIC, ALICE, b"10.0.0.")
BODY = "v=0\r\nc=IN IP4 10.0.0.11\r\nm=audio 16384 RTP/AVP 0\r\n"


def left(length: str, body: str = BODY) -> bytes:
    headers = "Via: SIP/2.0/UDP x\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
    message = parse(f"INVITE sip:b@c SIP/2.0\r\n{headers}{length}\r\n{body}".encode())
    return rewrite(message, session.parse(message.data, *message.body), OUTWARD)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Content-Length: 50\r\n", "Content-Length: 52\r\n"),
        ("l:50\r\n", "l:52\r\n"),
        ("Content-Length :  0050  \r\n", "Content-Length :  52  \r\n"),
        ("Content-Length:\r\n 50\r\n", "Content-Length:\r\n 52\r\n"),
    ],
)
def test_the_length_grows_with_the_body(before: str, after: str) -> None:
    assert len(BODY) == 50
    changed = left(before)
    assert f"\r\n{after}\r\nv=0".encode() in changed
    assert parse(changed).body[1] == len(changed)


def test_none_is_written_when_there_was_none() -> None:
    assert b"ength" not in left("")


def test_what_follows_the_body_in_the_datagram_stays() -> None:
    changed = left("Content-Length: 50\r\n", BODY + "trailing")
    assert changed.endswith(b"m=audio 20000 RTP/AVP 0\r\ntrailing")
    assert b"Content-Length: 52\r\n" in changed


def test_nothing_to_change_gives_the_same_object() -> None:
    message = parse(b"OPTIONS sip:b@c SIP/2.0\r\nv:SIP/2.0/UDP x\r\nf:a\r\nt:b\r\ni:1\r\nCSeq:1 OPTIONS\r\n\r\n")
    assert rewrite(message, None, OUTWARD) is message.data
