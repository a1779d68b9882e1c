"""Where a description stands in a body."""

import pytest

from gateway.errors import NotUnderstoodError
from gateway.sip.body import Body, look_into
from gateway.sip.message import parse
from tests.transcripts.messages import sip

HEADERS = (
    "Via: SIP/2.0/UDP 10.0.0.11;branch=z9hG4bK1",
    "From: <sip:a@example.org>;tag=1",
    "To: <sip:b@example.org>",
    "Call-ID: 1",
    "CSeq: 1 INVITE",
)


def look(kind: str, body: str, *headers: str) -> tuple[bytes, Body]:
    data = sip("INVITE sip:b@example.org SIP/2.0", (*HEADERS, f"Content-Type: {kind}", *headers), body)
    return data, look_into(parse(data))


def found(kind: str, body: str, *headers: str) -> bytes | None:
    data, seen = look(kind, body, *headers)
    return None if seen.sdp is None else data[slice(*seen.sdp)]


@pytest.mark.parametrize("kind", ["application/sdp", "Application/SDP ; charset=utf-8", "APPLICATION/SDP"])
@pytest.mark.parametrize("encoding", ["Content-Language: de", "Content-Encoding: identity", "Content-Encoding:"])
def test_the_whole_body(kind: str, encoding: str) -> None:
    assert found(kind, "v=0\r\n", encoding) == b"v=0\r\n"


def test_the_type_in_its_compact_form() -> None:
    data, _ = look("application/sdp", "v=0")
    assert look_into(parse(data.replace(b"Content-Type: ", b"c:"))).sdp is not None


def test_no_body_and_another_kind_of_body() -> None:
    assert look("application/sdp", "")[1] == Body()
    assert look("application/isup", "v=0\r\n")[1] == Body()


@pytest.mark.parametrize("kind", ["multipart/mixed;boundary=b", 'multipart/related; type="x"; boundary="b"'])
@pytest.mark.parametrize(
    "body",
    [
        "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b--",
        "preamble\r\n--b\r\nContent-Type: text/plain\r\n\r\nv=1\r\n--b  \r\n"
        "Content-ID: <1>\r\ncontent-type:application/SDP;x=y\r\n\r\nv=0\r\n\r\n--b--\r\nepilogue",
        "--b\r\nContent-Type:\r\n application/sdp\r\nContent-Disposition: session;handling=required\r\n"
        "Content-Transfer-Encoding: 8bit\r\n\r\nv=0\r\n\r\n--b--",
    ],
)
def test_one_part(kind: str, body: str) -> None:
    assert found(kind, body) == b"v=0\r\n"


def test_a_quoted_boundary_may_have_spaces_and_signs() -> None:
    body = "--=_a b.+?\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--=_a b.+?--"
    assert found('multipart/mixed; boundary="=_a b.+?"', body) == b"v=0"


def test_a_last_part_without_its_end_goes_to_that_of_the_body() -> None:
    body = "--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"
    assert found("multipart/mixed;boundary=b", body) == b"v=0\r\n"


def test_behind_the_closing_delimiter_there_is_no_part() -> None:
    body = "--b\r\nA: b\r\n\r\nx\r\n--b--\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--"
    assert found("multipart/mixed;boundary=b", body) is None


def test_parts_without_a_description() -> None:
    assert found("multipart/mixed;boundary=b", "--b\r\nContent-Type: text/plain\r\n\r\nv=0\r\n--b--") is None
    assert found("multipart/mixed;boundary=b", "--b\r\nContent-Type: application/sdp\r\n--b--") is None


def nested(depth: int) -> str:
    """A description in so many bodies of parts, each with the length of what it holds."""
    text = f"Content-Type: application/sdp\r\nContent-Length: {depth}\r\n\r\nv=0"
    for level in range(depth, 0, -1):
        text = f"--b{level}\r\n{text}\r\n--b{level}--"
        if level > 1:
            text = f"Content-Type: multipart/mixed;boundary=b{level}\r\nContent-Length: {level - 1}\r\n\r\n{text}"
    return text


def test_parts_within_parts_and_the_lengths_around() -> None:
    data, seen = look("multipart/mixed;boundary=b1", nested(3))
    assert seen.sdp is not None
    assert data[slice(*seen.sdp)] == b"v=0"
    assert [data[slice(*span)] for span in seen.lengths] == [b"1", b"2", b"3"]


def test_a_part_has_one_length() -> None:
    fields = ("Content-Type: application/sdp", "Content-Length: 1", "Content-Length: 2", "Content-Length: x")
    data, seen = look("multipart/mixed;boundary=b", part(*fields))
    assert [data[slice(*span)] for span in seen.lengths] == [b"1"]
    assert look("multipart/mixed;boundary=b", part(*fields[::3]))[1].lengths == ()


def test_parts_within_parts_have_an_end() -> None:
    assert found("multipart/mixed;boundary=b1", nested(8)) == b"v=0"
    with pytest.raises(NotUnderstoodError, match="more than 8"):
        found("multipart/mixed;boundary=b1", nested(9))


def part(*fields: str) -> str:
    return "--b\r\n" + "".join(f"{field}\r\n" for field in fields) + "\r\nv=0\r\n--b--"


@pytest.mark.parametrize(
    ("kind", "body", "unread"),
    [
        ("multipart/signed;boundary=b", part("Content-Type: application/sdp"), "sealed"),
        ("multipart/mixed;boundary=b", part("Content-Type: application/pkcs7-mime; smime-type=x"), "sealed"),
        ("application/pkcs7-mime; smime-type=enveloped-data", "v=0", "sealed"),
        ("Multipart/Encrypted", "v=0", "sealed"),
        ("application/sdp\r\nContent-Encoding: gzip", "v=0", "encoded"),
        ("multipart/mixed;boundary=b\r\ne: deflate", part("Content-Type: application/sdp"), "encoded"),
        (
            "multipart/mixed;boundary=b",
            part("Content-Type: application/sdp", "Content-Transfer-Encoding: Base64"),
            "encoded",
        ),
        ("multipart/mixed;boundary=b", part("Content-Type: application/sdp", "Content-Encoding: gzip"), "encoded"),
        ("multipart/mixed;boundary=b", part("Content-Type: image/png", "Content-Transfer-Encoding: base64"), ""),
        ("application/isup\r\nContent-Encoding: gzip", "v=0", ""),
    ],
)
def test_what_is_not_read(kind: str, body: str, unread: str) -> None:
    assert look(kind, body)[1] == Body(unread=unread)


def test_what_cannot_be_told_apart_is_not_understood() -> None:
    with pytest.raises(NotUnderstoodError, match="no boundary"):
        found("multipart/mixed", "--b\r\n")
    part = "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"
    with pytest.raises(NotUnderstoodError, match="2 session descriptions"):
        found("multipart/mixed;boundary=b", part * 2 + "--b--")
