import pytest

from gateway.sip.fragment import fragment_in
from gateway.sip.message import Message, parse
from tests.gateway.sip.test_body import HEADERS
from tests.transcripts.messages import sip


def fragment(text: str) -> Message | None:
    return fragment_in(parse(sip("NOTIFY sip:b@x SIP/2.0", (*HEADERS[:4], "CSeq: 1 NOTIFY"), text)))


@pytest.mark.parametrize("end", ["", "\r\n", "\n", "\r\n\r\nbody"])
def test_a_status_line_and_fields(end: str) -> None:
    found = fragment("SIP/2.0 180 Ringing\r\nm : <sip:a@b>\r\nSubject: one\r\n two" + end)
    assert found is not None
    assert (found.is_request, found.status) == (False, 180)
    assert [(name, value.rstrip()) for name, value, _ in found.headers] == [
        (b"contact", b"<sip:a@b>"),
        (b"subject", b"one\r\n two"),
    ]
    for _, value, start in found.headers:
        assert found.data.startswith(value, start)


def test_a_request_line_alone() -> None:
    found = fragment("INVITE sip:bob@example.org SIP/2.0")
    assert found is not None
    assert (found.is_request, found.method, found.data[slice(*found.uri)]) == (
        True,
        b"INVITE",
        b"sip:bob@example.org",
    )


def test_fields_without_a_start_line() -> None:
    found = fragment("From: <sip:a@b>")
    assert found is not None
    assert not found.is_request
    assert found.value(b"from") == b"<sip:a@b>"


@pytest.mark.parametrize(
    ("compact", "name"),
    [(b"v", b"via"), (b"M", b"contact"), (b"f", b"from"), (b"t", b"to"), (b"r", b"refer-to"), (b"b", b"referred-by")],
)
def test_compact_names(compact: bytes, name: bytes) -> None:
    found = fragment(f"{compact.decode()}: <sip:a@b>")
    assert found is not None
    assert found.headers[0][0] == name


@pytest.mark.parametrize("text", ["SIP/2.0 20 OK", "From: <sip:a@b>\r\nwhat is this", "a:b\r\n" * 65])
def test_what_is_none(text: str) -> None:
    assert fragment(text) is None
