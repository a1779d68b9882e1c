"""Candidates that come after their description, each time with those before them (RFC 8840)."""

import pytest

from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio, sdp
from tests.transcripts.test_ice import RELAYED, attributes, falls_silent

TRICKLED = ("Info-Package: trickle-ice", "Content-Type: application/trickle-ice-sdpfrag")


def fragment(*lines: str) -> str:
    return "".join(f"{line}\r\n" for line in ("a=ice-ufrag:8hhY", "m=audio 9 RTP/AVP 0", "a=mid:1", *lines))


def candidate(host: str, port: int, component: int = 1) -> str:
    return f"a=candidate:{port - component} {component} UDP 9 {host} {port} typ host"


def call_that_trickles(alice: Party, provider: Party) -> None:
    """An offer and an answer without any candidate yet."""
    later = sdp("0.0.0.0", "m=audio 9 RTP/AVP 0\na=rtcp-mux\na=ice-options:trickle")
    alice.asks("INVITE", sdp=later)
    provider.answers("183 Session Progress", tag="bob", sdp=later)


def test_candidates_that_come_later_have_leases_for_as_long_as_the_call(
    flow: Flow, alice: Party, provider: Party
) -> None:
    call_that_trickles(alice, provider)
    assert flow.open == set()
    passage = alice.asks("INFO", sdp=fragment(candidate("10.0.0.11", 16384)), headers=TRICKLED)
    assert attributes(passage.text) == ["a=candidate:16383 1 UDP 9 203.0.113.1 20000 typ host"]
    assert flow.open == {"20000 -> 10.0.0.11:16384 rtp closed"}
    more = fragment(
        candidate("10.0.0.11", 16384), candidate("10.0.0.11", 16390), candidate("10.0.0.11", 16391, component=2)
    )
    passage = alice.asks("INFO", sdp=more, headers=TRICKLED)
    assert attributes(passage.text) == [
        "a=candidate:16383 1 UDP 9 203.0.113.1 20000 typ host",
        "a=candidate:16389 1 UDP 9 203.0.113.1 20002 typ host",
        "a=candidate:16389 2 UDP 9 203.0.113.1 20003 typ host",
    ]
    provider.answers("200 OK", to=b"INVITE", tag="bob")
    assert len(flow.open) == 3
    alice.asks("BYE")
    provider.answers("200 OK", to=b"BYE")
    assert flow.open == set()


def test_another_way_may_come_later_too(flow: Flow, alice: Party, provider: Party) -> None:
    call_that_trickles(alice, provider)
    alice.asks("INFO", sdp=fragment(candidate("10.0.0.11", 16384), RELAYED), headers=TRICKLED)
    provider.answers("200 OK", to=b"INVITE", tag="bob", sdp=audio("198.51.100.20", 40000))
    falls_silent(flow, packets=10)
    assert flow.calls == 1


def test_the_far_sides_candidates_that_come_later_may_send(flow: Flow, alice: Party, provider: Party) -> None:
    call_that_trickles(alice, provider)
    alice.asks("INFO", sdp=fragment(candidate("10.0.0.11", 16384)), headers=TRICKLED)
    lines = (
        candidate("198.51.100.20", 40000),
        "a=candidate:2 1 UDP 2 198.51.100.22 40000 typ srflx raddr 198.51.100.90 rport 9",
        "a=candidate:3 1 TCP 2 198.51.100.91 40000 typ host",
    )
    provider.asks("INFO", "sip:alice@203.0.113.1:5060", sdp=fragment(*lines), headers=TRICKLED)
    assert alice.inbox[-1].endswith(fragment(*lines).encode())
    assert flow.open == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20 198.51.100.22"}


def test_a_branch_takes_its_candidates_along(flow: Flow, alice: Party, provider: Party) -> None:
    call_that_trickles(alice, provider)
    alice.asks("INFO", sdp=fragment(candidate("10.0.0.11", 16384)), headers=TRICKLED)
    provider.answers("199 Early Dialog Terminated", to=b"INVITE", tag="bob")
    assert flow.open == set()
    assert flow.calls == 1


def test_candidates_that_come_later_have_a_bound_and_the_latest_count(
    flow: Flow, alice: Party, provider: Party
) -> None:
    call_that_trickles(alice, provider)
    for first in range(16384, 16784, 20):
        lines = [candidate("10.0.0.11", port) for port in range(first, first + 20)]
        passage = alice.asks("INFO", sdp=fragment(*lines), headers=TRICKLED)
        assert [line.endswith(" 203.0.113.1 9 typ host") for line in attributes(passage.text)] == [
            *[False] * 16,
            *[True] * 4,
        ]
        assert len(flow.open) == 16
    for first in range(20, 200, 10):
        lines = [candidate(f"198.51.100.{host}", 40000) for host in range(first, first + 10)]
        provider.asks("INFO", "sip:alice@203.0.113.1:5060", sdp=fragment(*lines), headers=TRICKLED)
    sources = {text.partition(" from ")[2] for text in flow.open}
    assert [len(each.split()) for each in sources] == [16]
    assert "198.51.100.199" in sources.pop().split()


def test_candidates_that_come_later_where_there_is_no_room(narrow: Flow) -> None:
    alice, carol = narrow.phone("alice", "10.0.0.11"), narrow.phone("carol", "10.0.0.12")
    carol.asks("INVITE", call="other", sdp=audio("10.0.0.12", 4000))
    call_that_trickles(alice, narrow.provider)
    # the first is where alice has SIP, and the last is over; neither spoils the one between, nor means carol
    lines = [candidate("10.0.0.11", port) for port in (5060, 16384, 20000)]
    passage = alice.asks("INFO", sdp=fragment(*lines), headers=TRICKLED)
    assert [line.split()[5] for line in attributes(passage.text)] == ["9", "20002", "9"]
    narrow.provider.asks(
        "INFO", "sip:alice@203.0.113.1:5062", sdp=passage.text.partition("\r\n\r\n")[2], headers=TRICKLED
    )
    assert b"10.0.0.12" not in alice.inbox[-1]


def test_the_far_sides_candidates_that_come_later_count_among_the_hosts_of_its_call(
    flow: Flow, alice: Party, provider: Party
) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    for branch in range(4):
        lines = [candidate(f"198.51.{branch}.{host}", 40000) for host in range(16)]
        answer = sdp("0.0.0.0", "\n".join(("m=audio 9 RTP/AVP 0", *lines)))
        provider.answers("183 Session Progress", tag=f"bob-{branch}", sdp=answer)
    before = flow.open
    assert flow.rtp.pop().count("198.51.") == 64
    uri, one_more = "sip:alice@203.0.113.1:5060", fragment(candidate("198.51.4.0", 40000))
    provider.legs["call-1"].own_tag = "bob-0"
    provider.asks("INFO", uri, sdp=one_more, headers=TRICKLED)
    assert alice.inbox[-1].startswith(b"INFO sip:alice@10.0.0.11:5060 ")
    assert flow.open == before


def test_candidates_that_come_later_within_a_row_of_ports_have_its_leases(
    flow: Flow, alice: Party, provider: Party
) -> None:
    alice.asks("INVITE", sdp=sdp("10.0.0.11", "m=audio 16384/2 RTP/AVP 0"))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    row = flow.open
    lines = [candidate("10.0.0.11", 16386), candidate("10.0.0.11", 16390)]
    passage = alice.asks("INFO", sdp=fragment(*lines), headers=TRICKLED)
    assert [line.split()[5] for line in attributes(passage.text)] == ["20002", "20004"]
    assert flow.open == {*row, "20004 -> 10.0.0.11:16390 rtp from 198.51.100.20"}
    alice.asks("BYE")
    provider.answers("200 OK", to=b"BYE")
    assert flow.open == set()


@pytest.mark.parametrize(
    ("headers", "far_tag"),
    [
        pytest.param(("Content-Type: text/plain",), "bob", id="no candidates"),
        pytest.param((*TRICKLED, "Content-Encoding: gzip"), "bob", id="encoded"),
        pytest.param(TRICKLED, "eve", id="of no dialog"),
    ],
)
def test_other_information_in_a_call_opens_nothing(
    flow: Flow, alice: Party, provider: Party, headers: tuple[str, ...], far_tag: str
) -> None:
    call_that_trickles(alice, provider)
    alice.asks("INFO", sdp=fragment(candidate("10.0.0.11", 16384)), headers=headers, far_tag=far_tag)
    assert flow.open == set()
