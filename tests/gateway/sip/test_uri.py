import pytest

from gateway.sip.uri import address_of_record, hostports, request_uri_hostports


def found(value: bytes) -> list[tuple[bytes, str, int | None]]:
    return [(value[each.start : each.end], each.host, each.port) for each in hostports(value)]


HERE = (b"10.0.0.11", "10.0.0.11", None)
PORTED = (b"10.0.0.11:5060", "10.0.0.11", 5060)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"<sip:alice@10.0.0.11>", [HERE]),
        (b"<sip:alice@10.0.0.11:5060>", [PORTED]),
        (b"<SIPS:10.0.0.11:5060;transport=tcp>;expires=5", [PORTED]),
        (b"sip:alice@10.0.0.11:5060;tag=x", [PORTED]),
        (b'"Alice" <sip:alice@10.0.0.11>', [HERE]),
        (b"<sip:a@10.0.0.11>, <sip:b@10.0.0.11:5060>,sip:10.0.0.11", [HERE, PORTED, HERE]),
        (b"<sip:10.0.0.9:pw@10.0.0.11>", [HERE]),
        (b"<sip:10.0.0.9@10.0.0.11:5060?Route=sip%3A10.0.0.8>", [PORTED]),
        (b"<sip:a;x=10.0.0.9@10.0.0.11>", [HERE]),
        (b"< sip:a@10.0.0.11 >;x=<sip:10.0.0.11:5060>", [HERE, PORTED]),
        (b"<tel:1>,sip:10.0.0.11,\r\n sip:10.0.0.11", [HERE, HERE]),
        (b'";" <sip:10.0.0.11>;x="<sip:10.0.0.9>"', [HERE]),
        (b"<<sip:10.0.0.11>>", [HERE]),
    ],
)
def test_hosts_of_sip_uris(value: bytes, expected: list[tuple[bytes, str, int | None]]) -> None:
    assert found(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        b"*",
        b"",
        b"10.0.0.11",
        b'"<sip:x@10.0.0.11>" <sip:alice@example.org>',
        b'"an unclosed <sip:x@10.0.0.11>',
        b'"escaped \\" <sip:x@10.0.0.11>" <tel:1>',
        b"<tel:+49-10.0.0.11>",
        b"<mailto:sip@10.0.0.11>",
        b"<x-sip:a@10.0.0.11>",
        b"<http://sip:a@10.0.0.11>",
        b"<service:sip:10.0.0.11>",
        b"<http://example.org/sip:10.0.0.11>",
        b"<sip:a@example.org>;x=sip:10.0.0.11",
        b"sip:sip:10.0.0.11",
        b"sip:a@b;c@10.0.0.11",
        b"<sip:10.0.0.11@example.org>",
        b"<sip:a@10.0.0.11.example.org>",
        b"<sip:a@10.0.0>",
        b"<sip:a@[2001:db8::1]:5060>",
        b"<sip:a@10.0.0.11:port>",
        b"<sip:a@10.0.0.11:506012>",
    ],
)
def test_what_is_no_ipv4_host_of_a_sip_uri(value: bytes) -> None:
    assert found(value) == []


def test_maddr_is_a_host_without_a_port() -> None:
    value = b"<sip:a@example.org:5070;maddr=10.0.0.11;lr>"
    (only,) = hostports(value)
    assert value[only.start : only.end] == b"10.0.0.11"
    assert (only.host, only.port) == ("10.0.0.11", None)
    assert only.is_maddr


@pytest.mark.parametrize(
    "value", [b"<sip:a@h;x=y?maddr=10.0.0.11>", b"<sip:a@h?x=y;maddr=10.0.0.11>", b"sip:a@h;maddr=10.0.0.11"]
)
def test_maddr_is_a_parameter_of_the_uri_only(value: bytes) -> None:
    assert found(value) == []


@pytest.mark.parametrize(
    ("uri", "count"),
    [(b"sip:a@10.0.0.11", 1), (b"SIPS:10.0.0.11:5061", 1), (b"tel:10.0.0.11", 0), (b"<sip:10.0.0.11>", 0)],
)
def test_a_request_uri_stands_bare(uri: bytes, count: int) -> None:
    assert len(list(request_uri_hostports(uri))) == count


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'"A" <sip:alice@example.org;x=y>;tag=1', "sip:alice@example.org"),
        (b"sip:alice@example.org;tag=1", "sip:alice@example.org"),
        (b"\r\n <sip:\xff@example.org>", "sip:\ufffd@example.org"),
        (b"<sip:unclosed@example.org", "sip:unclosed@example.org"),
        (b'"a <b> \\" <c>" <sip:alice@example.org>;x="<sip:d>"', "sip:alice@example.org"),
        (b"<sip:alice@example.org>;x=<", "sip:alice@example.org"),
        (b"<sip:alice:pass;word@example.org:5070;x=y>", "sip:alice@example.org:5070"),
        (b"<sip:example.org:5070;x=y:z>", "sip:example.org:5070"),
        (b"", ""),
    ],
)
def test_address_of_record(value: bytes, expected: str) -> None:
    assert address_of_record(value) == expected
