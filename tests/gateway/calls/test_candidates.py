import pytest

from gateway.calls.bindings import MediaAddress
from gateway.calls.candidates import alternatives, offered_hosts
from gateway.sdp.session import parse
from rules.model import Endpoint, Purpose


def at(port: int) -> Endpoint:
    return Endpoint("10.0.0.11", port)


KNOWN = MediaAddress(at(4000), at(4001), Purpose.RTP)
ALONE = MediaAddress(at(4000), None, Purpose.RTP)


def extra(port: int, rtcp: int | None = None, purpose: Purpose = Purpose.RTP) -> MediaAddress:
    return MediaAddress(at(port), None if rtcp is None else at(rtcp), purpose, is_candidate=True)


def candidate(port: int, component: int = 1, foundation: str = "1", host: str = "10.0.0.11") -> str:
    return f"a=candidate:{foundation} {component} UDP 1 {host} {port} typ host\n"


def added(lines: str, *known: MediaAddress, stream: str = "m=audio 4000 RTP/AVP 0\n") -> list[MediaAddress]:
    data = f"v=0\nc=IN IP4 10.0.0.11\n{stream}{lines}".encode()
    return alternatives(parse(data, 0, len(data)), known, lambda host: host == "10.0.0.11")


@pytest.mark.parametrize(
    ("lines", "known", "expected"),
    [
        (candidate(4000) + candidate(4001, 2), KNOWN, []),
        (candidate(4000) + candidate(4001, 2), ALONE, [extra(4000, 4001)]),
        (candidate(4000) + candidate(4005, 2), KNOWN, [extra(4005)]),
        (candidate(6000) + candidate(6001, 2), KNOWN, [extra(6000, 6001)]),
        (candidate(6000) + candidate(6000, 2), KNOWN, [extra(6000)]),
        (candidate(6000) + candidate(4001, 2), KNOWN, [extra(6000)]),
        (
            candidate(6000, 1, "1") + candidate(6001, 2, "2"),
            KNOWN,
            [extra(6000), extra(6001)],
        ),
        (candidate(6000) * 2, KNOWN, [extra(6000)]),
        (candidate(6000, host="10.0.0.12") + candidate(1023), KNOWN, []),
    ],
)
def test_what_candidates_add(lines: str, known: MediaAddress, expected: list[MediaAddress]) -> None:
    assert added(lines, known) == expected


def test_candidates_of_a_fax_are_for_fax() -> None:
    assert added(candidate(6000), stream="m=image 4000 udptl t38\n") == [extra(6000, purpose=Purpose.UDPTL)]


@pytest.mark.parametrize("stream", ["", "m=audio 0 RTP/AVP 0\n", "m=audio 4000 TCP/RTP/AVP 0\n"])
def test_without_a_stream_over_udp_there_is_nothing_to_add(stream: str) -> None:
    assert added(candidate(6000), stream=stream) == []


def test_sixteen_addresses_besides_those_known() -> None:
    lines = candidate(4000) + "".join(candidate(port, foundation=str(port)) for port in range(6000, 6020))
    assert [media.rtp.port for media in added(lines, KNOWN)] == list(range(6000, 6016))


def test_hosts_of_a_far_side_in_their_order() -> None:
    data = (
        "v=0\n" + candidate(1, host="192.0.2.2") + "m=audio 4000 RTP/AVP 0\n" + candidate(0, host="192.0.2.1")
    ).encode()
    assert offered_hosts(parse(data, 0, len(data))) == ["192.0.2.2", "192.0.2.1"]
