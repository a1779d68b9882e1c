import pytest

from gateway.calls.bindings import MediaAddress
from gateway.calls.media import Described, FarHost, of_far_side, of_phone
from gateway.errors import ForeignAddressError, MalformedError, NotUnderstoodError, PeerError
from gateway.networks import Inside, Networks
from gateway.sdp.session import parse
from rules.model import Endpoint, Purpose

PHONE = "10.0.0.11"
HERE = "c=IN IP4 10.0.0.11\n"


def phone(lines: str) -> Described:
    data = f"v=0\n{lines}".encode()
    return of_phone(parse(data, 0, len(data)), PHONE, Inside(Networks(["10.0.0.0/24"]), Networks()))


def far_side(lines: str) -> Described:
    data = f"v=0\n{lines}".encode()
    return of_far_side(parse(data, 0, len(data)), "203.0.113.1")


def at(port: int) -> Endpoint:
    return Endpoint(PHONE, port)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("m=audio 4000 RTP/AVP 0\n", MediaAddress(at(4000), at(4001), Purpose.RTP)),
        ("m=audio 4000 UDP/TLS/RTP/SAVPF 0\n", MediaAddress(at(4000), at(4001), Purpose.RTP)),
        ("m=audio 4000 RTP/AVP 0\na=rtcp:7000\n", MediaAddress(at(4000), at(7000), Purpose.RTP)),
        ("m=audio 4000 RTP/AVP 0\na=rtcp:7000 IN IP4 10.0.0.11\n", MediaAddress(at(4000), at(7000), Purpose.RTP)),
        ("m=audio 4000 RTP/AVP 0\na=rtcp:7000 IN IP4 198.51.100.9\n", MediaAddress(at(4000), None, Purpose.RTP)),
        ("m=audio 4000 RTP/AVP 0\na=rtcp:4000\n", MediaAddress(at(4000), None, Purpose.RTP)),
        ("m=audio 65535 RTP/AVP 0\n", MediaAddress(at(65535), None, Purpose.RTP)),
        ("m=image 4000 udptl t38\n", MediaAddress(at(4000), None, Purpose.UDPTL)),
        ("m=audio 4000 RTP/AVP 0\na=rtcp:9\n", MediaAddress(at(4000), None, Purpose.RTP)),
    ],
)
def test_where_a_phone_receives(lines: str, expected: MediaAddress) -> None:
    assert phone(HERE + lines).media == {expected}


@pytest.mark.parametrize(
    "lines",
    [
        HERE + "m=audio 0 RTP/AVP 0\n",
        HERE + "m=message 9 TCP/MSRP *\n",
        HERE + "m=audio 9 RTP/AVP 0\n",
        HERE + "m=application 4000 SCTP/DTLS 5000\n",
        HERE + "m=audio 4000 DCCP/RTP/AVP 0\n",
        "m=message 9 TCP/MSRP *\n",
        "c=IN IP4 198.51.100.9\nm=audio 4000 RTP/AVP 0\n",
        "c=IN IP6 2001:db8::1\nm=audio 4000 RTP/AVP 0\n",
        "c=IN IP4 media.example.org\nm=audio 4000/2 RTP/AVP 0\n",
    ],
)
def test_what_is_not_received_by_the_phone_over_udp(lines: str) -> None:
    assert phone(lines).media == frozenset()


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ("c=IN IP4 10.0.0.12\nm=audio 4000 RTP/AVP 0\n", ForeignAddressError),
        (HERE + "m=audio 1023 RTP/AVP 0\n", ForeignAddressError),
        (HERE + "m=audio 4000 RTP/AVP 0\na=rtcp:1023\n", ForeignAddressError),
        (HERE + "m=audio 4000 RTP/AVP 0\na=rtcp:4001 IN IP4 10.0.0.12\n", ForeignAddressError),
        (HERE + "m=audio 4000/0 RTP/AVP 0\n", NotUnderstoodError),
        (HERE + "m=audio 4000/9 RTP/AVP 0\n", NotUnderstoodError),
        (HERE + "m=audio 65533/2 RTP/AVP 0\n", NotUnderstoodError),
        (HERE + "m=audio 4000/2 RTP/AVP 0\na=rtcp:4001\n", NotUnderstoodError),
        ("c=IN IP4 10.0.0.12\nm=audio 4000/2 RTP/AVP 0\n", ForeignAddressError),
        ("m=audio 4000 RTP/AVP 0\n", MalformedError),
    ],
)
def test_what_a_phone_may_not_ask_for(lines: str, error: type[PeerError]) -> None:
    with pytest.raises(error):
        phone(lines)


def test_one_line_with_a_count_is_a_row_of_streams() -> None:
    assert phone(HERE + "m=audio 4000/2 RTP/AVP 0\n").media == {
        MediaAddress(at(4000), at(4001), Purpose.RTP, at(4000)),
        MediaAddress(at(4002), at(4003), Purpose.RTP, at(4000)),
    }
    assert phone(HERE + "m=image 4000/2 udptl t38\n").media == {
        MediaAddress(at(4000), None, Purpose.UDPTL, at(4000)),
        MediaAddress(at(4001), None, Purpose.UDPTL, at(4000)),
    }


def test_a_phone_has_so_many_streams_and_no_more() -> None:
    lines = [f"m=audio {port}/8 RTP/AVP 0\n" for port in range(4000, 4144, 16)]
    assert len(phone(HERE + "".join(lines[1:])).media) == 64
    with pytest.raises(NotUnderstoodError, match="72 streams"):
        phone(HERE + "".join(lines))


def test_candidates_at_an_address_that_all_may_announce() -> None:
    data = b"v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\na=candidate:1 1 UDP 1 10.0.0.9 5000 typ host\n"
    inside = Inside(Networks(["10.0.0.0/24"]), Networks(["10.0.0.9/32"]))
    media = of_phone(parse(data, 0, len(data)), PHONE, inside).media
    assert media == {MediaAddress(Endpoint("10.0.0.9", 5000), None, Purpose.RTP, is_candidate=True)}


def test_no_address_yet_is_no_pause() -> None:
    assert phone("c=IN IP4 0.0.0.0\nm=audio 9 RTP/AVP 0\n") == (frozenset(), False, False, False)
    assert far_side("c=IN IP4 0.0.0.0\nm=audio 9 RTP/AVP 0\n") == (frozenset(), False, False, False)


def test_hold_the_old_way_is_a_pause() -> None:
    assert phone("c=IN IP4 0.0.0.0\nm=audio 4000 RTP/AVP 0\n") == (frozenset(), True, True, False)
    assert far_side("c=IN IP4 0.0.0.0\nm=audio 4000 RTP/AVP 0\n") == (frozenset(), True, True, False)


@pytest.mark.parametrize(
    ("lines", "hosts"),
    [
        ("c=IN IP4 198.51.100.9\nm=audio 4000 RTP/AVP 0\n", {"198.51.100.9"}),
        ("c=IN IP4 198.51.100.9\nm=audio 4000 RTP/AVP 0\nc=IN IP4 198.51.100.10\n", {"198.51.100.10"}),
        (
            "c=IN IP4 198.51.100.9\nm=audio 4000 RTP/AVP 0\na=rtcp:1 IN IP4 198.51.100.10\n",
            {"198.51.100.9", "198.51.100.10"},
        ),
        ("c=IN IP4 media.example.org\nm=audio 4000 RTP/AVP 0\n", set()),
        ("c=IN IP4 203.0.113.1\nm=audio 4000 RTP/AVP 0\n", set()),
        ("c=IN IP6 2001:db8::1\nm=audio 4000 RTP/AVP 0\n", set()),
        ("c=IN IP4 198.51.100.9\nm=audio 0 RTP/AVP 0\n", set()),
        ("c=IN IP4 198.51.100.9\nm=message 9 TCP/MSRP *\n", set()),
        ("m=audio 4000 RTP/AVP 0\n", set()),
    ],
)
def test_where_the_far_side_sends_from(lines: str, hosts: set[str]) -> None:
    assert far_side(lines).media == {FarHost(host) for host in hosts}


def test_a_far_side_with_more_hosts_than_anybody_has_is_not_understood() -> None:
    lines = [f"m=audio 4000 RTP/AVP 0\nc=IN IP4 198.51.100.{host}\n" for host in range(1, 18)]
    assert len(far_side("".join(lines[1:])).media) == 16
    with pytest.raises(NotUnderstoodError, match="17 media hosts"):
        far_side("".join(lines))
