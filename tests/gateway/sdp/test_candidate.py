import pytest

from gateway.sdp.candidate import Candidate, Kind, candidates_in, has_candidates
from gateway.sdp.grammar import NOWHERE

PREFIX = b"v=0\r\n"


def read(*lines: str) -> tuple[bytes, tuple[Candidate, ...]]:
    data = PREFIX + "".join(f"{line}\r\n" for line in lines).encode()
    return data, candidates_in(data, 0, len(data))


def seen(line: str) -> list[tuple[Kind, str, int, bool, int]]:
    data, found = read("a=mid:1", line, "a=sendrecv")
    assert has_candidates(data, 0, len(data)) or not found
    for each in found:
        assert each.host_span == NOWHERE or data[slice(*each.host_span)].decode() == each.host
        assert each.port_span == NOWHERE or int(data[slice(*each.port_span)]) == each.port
    return [(each.kind, each.host, each.port, each.is_udp, each.component) for each in found]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a=candidate:1 1 UDP 2130706431 10.0.0.11 8998 typ host", [(Kind.HOST, "10.0.0.11", 8998, True, 1)]),
        ("a=candidate: 1 2 udp 1 10.0.0.11 8998 typ host x y", [(Kind.HOST, "10.0.0.11", 8998, True, 2)]),
        (
            "a=candidate:2 1 UDP 1 192.0.2.3 45664 typ srflx raddr 10.0.0.11 rport 8998",
            [(Kind.LEARNED, "192.0.2.3", 45664, True, 1), (Kind.RELATED, "10.0.0.11", 8998, True, 1)],
        ),
        (
            "a=candidate:3 1 UDP 1 192.0.2.3 45664 typ relay network-cost 9 raddr 10.0.0.11 rport 8998 generation 0",
            [(Kind.RELAYED, "192.0.2.3", 45664, True, 1), (Kind.RELATED, "10.0.0.11", 8998, True, 1)],
        ),
        (
            "a=candidate:3 1 UDP 1 2001:db8::1 45664 typ relay raddr 10.0.0.11 rport 8998",
            [(Kind.IPV6, "2001:db8::1", 45664, True, 1), (Kind.RELATED, "10.0.0.11", 8998, True, 1)],
        ),
        (
            "a=candidate:4 1 TCP 1 10.0.0.11 9 typ host tcptype active",
            [(Kind.HOST, "10.0.0.11", 9, False, 1)],
        ),
        (
            "a=remote-candidates:1 192.0.2.3 45664 2 2001:db8::1 45665 3 192.0.2.3 45666",
            [(Kind.REMOTE, "192.0.2.3", 45664, True, 1), (Kind.REMOTE, "192.0.2.3", 45666, True, 1)],
        ),
        ("a=alt:1 3 : D79BAE9F CE91368A 10.0.0.11 9442", [(Kind.HOST, "10.0.0.11", 9442, True, 1)]),
        ("a=altc:1 IP4 10.0.0.11 9442", [(Kind.HOST, "10.0.0.11", 9442, True, 1)]),
        (
            "a=altc:1 IP4 10.0.0.11 9442/9555",
            [(Kind.HOST, "10.0.0.11", 9442, True, 1), (Kind.HOST, "10.0.0.11", 9555, True, 2)],
        ),
        (
            "a=source-filter: incl IN IP4 232.3.4.5 192.0.2.10 10.0.0.11",
            [(Kind.MENTIONED, host, 0, True, 1) for host in ("232.3.4.5", "192.0.2.10", "10.0.0.11")],
        ),
        ("a=ccap:1 IN IP4 10.0.0.11", [(Kind.MENTIONED, "10.0.0.11", 0, True, 1)]),
    ],
)
def test_addresses_in_attributes(line: str, expected: list[tuple[Kind, str, int, bool, int]]) -> None:
    assert seen(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "a=candidate:1 1 UDP 1 10.0.0.11 65536 typ host",
        "a=candidate:1 1 UDP 1 10.0.0.256 8998 typ host",
        "a=candidate:1 1 UDP 1 10.0.0.11 8998",
        "a=candidate:1 UDP 1 10.0.0.11 8998 typ host",
        "a=candidate:1 1 UDP 1 3f2a9c01.local 8998 typ host",
        "a=alt:1 1 : one 10.0.0.11 9442",
        "a=alt:1 1 : one two 10.0.0.11 9442x",
        "a=altc:1 IP6 2001:db8::1 9442",
        "a=path:msrp://10.0.0.11:2855/s;tcp",
        "a=candidates:1 1 UDP 1 10.0.0.11 8998 typ host",
        "x=candidate:1 1 UDP 1 10.0.0.11 8998 typ host",
    ],
)
def test_what_names_none(line: str) -> None:
    assert seen(line) == []


def test_most_descriptions_need_not_be_looked_through() -> None:
    data, _ = read("a=rtpmap:0 PCMU/8000", "a=crypto:1 x", "a=rtcp-mux", "a=sendrecv")
    assert not has_candidates(data, 0, len(data))


def test_only_the_span_asked_for_is_read() -> None:
    data, found = read(*["a=ccap:1 IN IP4 10.0.0.11"] * 3)
    assert len(found) == 3
    assert candidates_in(data, found[0].host_span[1], found[2].host_span[0]) == found[1:2]
