import pytest

from gateway.errors import MalformedError
from gateway.sip.message import parse, splice, tag

HEADERS = (
    "Via: SIP/2.0/UDP 10.0.0.11:5060;branch=z9hG4bK1",
    "From: Alice <sip:alice@example.org;tag=uri>;tag=a1",
    "To: <sip:bob@example.org>",
    "Call-ID: one@example.org",
    "CSeq: 7 INVITE",
)


def message(
    *headers: str, start: str = "INVITE sip:bob@example.org SIP/2.0", end: str = "\r\n", body: str = ""
) -> bytes:
    return (end.join((start, *headers)) + end + end + body).encode()


def without(name: str) -> list[str]:
    return [header for header in HEADERS if not header.startswith(name + ":")]


def test_a_request() -> None:
    data = message(*HEADERS, body="body")
    parsed = parse(data)
    assert parsed.is_request
    assert parsed.method == b"INVITE"
    assert parsed.status == 0
    assert data[slice(*parsed.uri)] == b"sip:bob@example.org"
    assert parsed.call_id == b"one@example.org"
    assert parsed.cseq == 7
    assert (parsed.from_tag, parsed.to_tag) == (b"a1", b"")
    assert data[slice(*parsed.body)] == b"body"


@pytest.mark.parametrize("start", ["SIP/2.0 200 OK", "SIP/2.0 200", "sip/2.0 200 ", "SIP/2.0  200 Ça va"])
def test_a_response_has_the_method_of_its_cseq(start: str) -> None:
    parsed = parse(message(*HEADERS, start=start))
    assert not parsed.is_request
    assert (parsed.status, parsed.method) == (200, b"INVITE")


def test_values_are_what_stands_between_colon_and_line_end_but_for_spaces() -> None:
    parsed = parse(message(*HEADERS, "Contact: <sip:a@b> ", "m:<sip:c@d>", "CONTACT \t:  <sip:e@f>"))
    assert list(parsed.values(b"contact")) == [b"<sip:a@b>", b"<sip:c@d>", b"<sip:e@f>"]
    assert parsed.value(b"contact") == b"<sip:a@b>"
    assert parsed.value(b"route") == b""


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("v", b"via"),
        ("f", b"from"),
        ("t", b"to"),
        ("i", b"call-id"),
        ("l", b"content-length"),
        ("m", b"contact"),
        ("c", b"content-type"),
        ("e", b"content-encoding"),
        ("r", b"refer-to"),
        ("b", b"referred-by"),
    ],
)
def test_compact_names(short: str, long: bytes) -> None:
    rest = [header for header in HEADERS if header.split(":")[0].lower().encode() != long]
    given = next(
        (header.split(": ")[1] for header in HEADERS if header.lower().encode().startswith(long + b":")), "0"
    )
    for written in (short, short.upper(), long.decode(), long.decode().upper()):
        assert parse(message(f"{written}: {given}", *rest)).value(long) == given.encode()


def test_a_folded_header_is_one_value_without_its_last_line_end() -> None:
    parsed = parse(message(*without("To"), "To:\r\n <sip:bob@example.org>\r\n\t;tag=b2"))
    assert parsed.value(b"to") == b"\r\n <sip:bob@example.org>\r\n\t;tag=b2"
    assert parsed.to_tag == b"b2"


def test_call_id_and_cseq_may_be_folded() -> None:
    parsed = parse(message(*HEADERS[:3], "Call-ID:\r\n one", "CSeq:\r\n 7\r\n INVITE "))
    assert (parsed.call_id, parsed.cseq, parsed.method) == (b"one", 7, b"INVITE")


def test_line_ends_may_be_bare() -> None:
    parsed = parse(message(*HEADERS, end="\n", body="x"))
    assert parsed.call_id == b"one@example.org"
    assert parsed.value(b"via").endswith(b"z9hG4bK1")
    assert parsed.data[slice(*parsed.body)] == b"x"


def test_empty_lines_first_are_skipped() -> None:
    assert parse(b"\r\n\r\n" + message(*HEADERS)).call_id == b"one@example.org"


def test_unread_headers_may_hold_anything() -> None:
    data = message(*HEADERS).replace(b"\r\n\r\n", b"\r\nSubject: \xff\xfe\x00\r\nX-!: \r\n\r\n")
    assert parse(data).cseq == 7


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_needed_headers(name: str) -> None:
    with pytest.raises(MalformedError, match=f"no {name.lower()} header"):
        parse(message(*without(name)))


@pytest.mark.parametrize("again", ["From: <sip:x@y>", "t: <sip:x@y>", "i: 2", "CSeq: 7 INVITE", "Content-Length: 0"])
def test_headers_that_may_stand_only_once(again: str) -> None:
    with pytest.raises(MalformedError, match="given twice"):
        parse(message(*HEADERS, "l: 0", again))


@pytest.mark.parametrize("cseq", ["INVITE", "7", "7 ", "x INVITE", "-1 INVITE", "2147483648 INVITE", "7 INVITE x"])
def test_a_cseq_that_is_none(cseq: str) -> None:
    with pytest.raises(MalformedError, match="CSeq is not"):
        parse(message(*without("CSeq"), f"CSeq: {cseq}"))


def test_a_cseq_of_another_method() -> None:
    with pytest.raises(MalformedError, match="not the request's"):
        parse(message(*without("CSeq"), "CSeq: 7 BYE"))


@pytest.mark.parametrize(("length", "body"), [("4", "body"), ("2", "bo"), (" 04 ", "body"), ("0", "")])
def test_the_body_ends_where_content_length_says(length: str, body: str) -> None:
    parsed = parse(message(*HEADERS, f"Content-Length: {length}", body="body"))
    assert parsed.data[slice(*parsed.body)].decode() == body


def test_without_content_length_the_body_ends_with_the_datagram() -> None:
    parsed = parse(message(*HEADERS, body="all of it"))
    assert parsed.data[slice(*parsed.body)] == b"all of it"


@pytest.mark.parametrize("length", ["5", "999999999", "9999999999", "-4", "+4", "4x", "", "0x4"])
def test_a_content_length_that_cannot_be(length: str) -> None:
    with pytest.raises(MalformedError):
        parse(message(*HEADERS, f"Content-Length: {length}", body="body"))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(message(*HEADERS, start="INVITE sip:a@b SIP/3.0"), id="another version"),
        pytest.param(message(*HEADERS, start=" INVITE sip:a@b SIP/2.0"), id="space first"),
        pytest.param(message(*HEADERS, start="SIP/2.0 700 No"), id="no such class of response"),
        pytest.param(message(*HEADERS, start="SIP/2.0 2000 OK"), id="four digits"),
        pytest.param(message(*HEADERS)[:-2], id="cut before the empty line"),
        pytest.param(message(*HEADERS, "no colon"), id="a line without colon"),
        pytest.param(message(*HEADERS, "X: a\rb"), id="a lone carriage return"),
        pytest.param(message(*HEADERS, *["X: y"] * 600), id="more lines than anyone needs"),
        pytest.param(message(*HEADERS, "Contact: " + "<sip:a@b>" * 1100), id="more addresses than anyone has"),
        pytest.param(message(*HEADERS, "Via: " + "SIP/2.0/UDP a," * 1100), id="more values than anyone writes"),
    ],
)
def test_what_is_not_a_message(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse(data)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"<sip:a@b;tag=uri>;tag=x1", b"x1"),
        (b"sip:a@b;tag=x1", b"x1"),
        (b'"a;tag=no" <sip:a@b> ; TAG = x1;x=y', b"x1"),
        (b'<sip:a@b>;x="a>b;tag=no";tag=x1;y=">"', b"x1"),
        (b'"<>;tag=no" <sip:a@b;tag=uri>;x=""', b""),
        (b"<sip:a@b>;x=tag", b""),
        (b"<sip:a@b>", b""),
    ],
)
def test_tag(value: bytes, expected: bytes) -> None:
    assert tag(value) == expected


def test_splicing_replaces_spans_in_any_order() -> None:
    assert splice(b"0123456789", [(8, 9, b"eight"), (0, 1, b""), (5, 5, b"+")]) == b"1234+567eight9"


def test_splicing_nothing_gives_the_same_object() -> None:
    data = b"as it is"
    assert splice(data, []) is data
