"""Where a description stands in a body."""

import pytest

from gateway.errors import NotUnderstoodError
from gateway.sip.body import sdp_span
from gateway.sip.message import parse
from tests.transcripts.messages import sip

HEADERS = (
    "Via: SIP/2.0/UDP 10.0.0.11;branch=z9hG4bK1",
    "From: <sip:a@example.org>;tag=1",
    "To: <sip:b@example.org>",
    "Call-ID: 1",
    "CSeq: 1 INVITE",
)


def found(kind: str, body: str) -> bytes | None:
    data = sip("INVITE sip:b@example.org SIP/2.0", (*HEADERS, f"Content-Type: {kind}"), body)
    span = sdp_span(parse(data))
    return None if span is None else data[slice(*span)]


@pytest.mark.parametrize("kind", ["application/sdp", "Application/SDP ; charset=utf-8"])
def test_the_whole_body(kind: str) -> None:
    assert found(kind, "v=0\r\n") == b"v=0\r\n"


def test_no_body_and_another_kind_of_body() -> None:
    assert found("application/sdp", "") is None
    assert found("application/isup", "v=0\r\n") is None


@pytest.mark.parametrize("kind", ["multipart/mixed;boundary=b", 'multipart/related; type="x"; boundary="b"'])
@pytest.mark.parametrize(
    "body",
    [
        "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b--",
        "preamble\r\n--b\r\nContent-Type: text/plain\r\n\r\nv=1\r\n--b  \r\n"
        "Content-ID: <1>\r\ncontent-type:application/SDP;x=y\r\n\r\nv=0\r\n\r\n--b--\r\nepilogue",
    ],
)
def test_one_part(kind: str, body: str) -> None:
    assert found(kind, body) == b"v=0\r\n"


def test_parts_without_a_description_or_without_an_end() -> None:
    assert found("multipart/mixed;boundary=b", "--b\r\nContent-Type: text/plain\r\n\r\nv=0\r\n--b--") is None
    assert found("multipart/mixed;boundary=b", "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n") is None


def test_what_cannot_be_told_apart_is_not_understood() -> None:
    with pytest.raises(NotUnderstoodError, match="no boundary"):
        found("multipart/mixed", "--b\r\n")
    part = "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"
    with pytest.raises(NotUnderstoodError, match="2 session descriptions"):
        found("multipart/mixed;boundary=b", part * 2 + "--b--")
