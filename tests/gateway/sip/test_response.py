from gateway.sip.message import parse
from gateway.sip.response import unavailable

REQUEST = (
    b"INVITE sip:bob@example.org SIP/2.0\r\n"
    b"v: SIP/2.0/UDP 198.51.100.1;branch=2\r\n"
    b"Via: SIP/2.0/UDP 198.51.100.2;branch=1\r\n"
    b"f: <sip:alice@example.org>;tag=a\r\n"
    b"t: <sip:bob@example.org>%s\r\n"
    b"i: one\r\nCSeq: 7 INVITE\r\nContact: <sip:alice@198.51.100.2>\r\nl: 0\r\n\r\n"
)


def test_it_is_a_response_to_that_request() -> None:
    request = parse(REQUEST % b"")
    answer = parse(unavailable(request, 5))
    assert answer.data.startswith(b"SIP/2.0 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: 5\r\n" in answer.data
    assert list(answer.values(b"via")) == list(request.values(b"via"))
    assert answer.value(b"from") == request.value(b"from")
    assert (answer.call_id, answer.cseq, answer.method) == (b"one", 7, b"INVITE")
    assert list(answer.values(b"contact")) == []
    assert answer.to_tag


def test_each_copy_of_a_request_gets_the_same_answer() -> None:
    assert unavailable(parse(REQUEST % b""), 5) == unavailable(parse(REQUEST % b""), 5)


def test_a_request_in_a_dialog_keeps_its_tag() -> None:
    assert parse(unavailable(parse(REQUEST % b";tag=b"), 5)).to_tag == b"b"
