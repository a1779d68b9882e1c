"""Candidates of a phone that uses ICE (RFC 8839): its own are mapped, and so each has its way through the router."""

import pytest

from rules.model import Endpoint, Traffic
from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio, sdp

HOST = "a=candidate:1 1 UDP 2130706431 10.0.0.11 16384 typ host"
HOST_RTCP = "a=candidate:1 2 UDP 2130706430 10.0.0.11 16385 typ host"
REFLEXIVE = "a=candidate:2 1 UDP 1694498815 203.0.113.1 16384 typ srflx raddr 10.0.0.11 rport 16384"
RELAYED = "a=candidate:3 1 UDP 16777215 192.0.2.15 49152 typ relay raddr 10.0.0.11 rport 16384 generation 0"


def attributes(passage_text: str) -> list[str]:
    """The lines of a description that name addresses besides m= and c=."""
    names = ("a=cand", "a=alt", "a=remote", "a=source", "a=ccap", "a=rtcp")
    return [line for line in passage_text.split("\r\n") if line.startswith(names)]


def test_candidates_that_are_the_default_address_move_with_it(flow: Flow, alice: Party) -> None:
    passage = alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, HOST, HOST_RTCP, REFLEXIVE, RELAYED))
    assert attributes(passage.text) == [
        "a=candidate:1 1 UDP 2130706431 203.0.113.1 20000 typ host",
        "a=candidate:1 2 UDP 2130706430 203.0.113.1 20001 typ host",
        "a=candidate:2 1 UDP 1694498815 203.0.113.1 20000 typ srflx raddr 203.0.113.1 rport 20000",
        "a=candidate:3 1 UDP 16777215 192.0.2.15 49152 typ relay raddr 203.0.113.1 rport 20000 generation 0",
    ]
    assert flow.open == {"20000 -> 10.0.0.11:16384 rtp closed", "20001 -> 10.0.0.11:16385 rtcp closed"}
    assert "10.0.0.11" not in passage.text.partition("\r\n\r\n")[2]


def test_own_candidates_of_a_stream_whose_default_is_a_relay(flow: Flow, alice: Party, provider: Party) -> None:
    description = sdp("192.0.2.15", "m=audio 49152 RTP/AVP 0", HOST, HOST_RTCP, RELAYED)
    passage = alice.asks("INVITE", sdp=description)
    assert "c=IN IP4 192.0.2.15\r\nt=0 0\r\nm=audio 49152 " in passage.text
    assert attributes(passage.text) == [
        "a=candidate:1 1 UDP 2130706431 203.0.113.1 20000 typ host",
        "a=candidate:1 2 UDP 2130706430 203.0.113.1 20001 typ host",
        "a=candidate:3 1 UDP 16777215 192.0.2.15 49152 typ relay raddr 203.0.113.1 rport 20000 generation 0",
    ]
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    assert flow.open == {
        "20000 -> 10.0.0.11:16384 rtp from 198.51.100.20",
        "20001 -> 10.0.0.11:16385 rtcp from 198.51.100.20",
    }
    alice.asks("BYE")
    provider.answers("200 OK", to=b"BYE")
    assert flow.open == set()


def test_candidates_at_other_ports_have_leases_of_their_own(flow: Flow, alice: Party) -> None:
    other = "a=candidate:9 1 UDP 1 10.0.0.11 17000 typ host"
    beside = "a=candidate:9 2 UDP 1 10.0.0.11 17003 typ host"
    alone = "a=candidate:8 2 UDP 1 10.0.0.11 17007 typ host"
    passage = alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, HOST, other, beside, alone))
    assert flow.open == {
        "20000 -> 10.0.0.11:16384 rtp closed",
        "20001 -> 10.0.0.11:16385 rtcp closed",
        "20002 -> 10.0.0.11:17000 rtp closed",
        "20003 -> 10.0.0.11:17003 rtcp closed",
        "20004 -> 10.0.0.11:17007 rtp closed",
    }
    assert attributes(passage.text)[1:] == [
        "a=candidate:9 1 UDP 1 203.0.113.1 20002 typ host",
        "a=candidate:9 2 UDP 1 203.0.113.1 20003 typ host",
        "a=candidate:8 2 UDP 1 203.0.113.1 20004 typ host",
    ]


def test_an_offer_without_a_default_address_has_its_candidates(flow: Flow, alice: Party, provider: Party) -> None:
    """As browsers write it (RFC 8829): the discard port, no address, everything bundled."""
    lines = ["v=0", "o=- 4 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1 2"]
    lines += [
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        "a=mid:0",
        "a=rtcp-mux",
    ]
    lines += [HOST, "a=candidate:4 1 tcp 1 10.0.0.11 9 typ host tcptype active"]
    lines += ["m=video 0 UDP/TLS/RTP/SAVPF 96", "c=IN IP4 0.0.0.0", "a=mid:1", "a=bundle-only"]
    lines += ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:2", "a=sctp-port:5000"]
    passage = alice.asks("INVITE", sdp="".join(f"{line}\r\n" for line in lines))
    assert [line for line in passage.text.split("\r\n") if line not in passage.sent.decode().split("\r\n")] == [
        "Via: SIP/2.0/UDP 203.0.113.1:5060;rport;branch=z9hG4bKcall-1-1INVITE",
        "Contact: <sip:alice@203.0.113.1:5060>",
        f"Content-Length: {len(''.join(lines)) + 2 * len(lines) + 4}",
        "a=candidate:1 1 UDP 2130706431 203.0.113.1 20000 typ host",
        "a=candidate:4 1 tcp 1 203.0.113.1 9 typ host tcptype active",
    ]
    answer = "".join(f"{line}\r\n" for line in lines).replace("10.0.0.11", "198.51.100.20")
    provider.answers("200 OK", tag="bob", sdp=answer)
    assert flow.open == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
    # it is no call on hold, so silence ends it
    flow.count({})
    flow.wait(301)
    flow.count({})
    assert flow.calls == 0


IPV6 = "a=candidate:4 1 UDP 2130706431 2001:db8::11 16384 typ host"
OVER_TCP = "a=candidate:4 1 tcp 1 10.0.0.11 9 typ host tcptype active"
MEDIA = Endpoint("10.0.0.11", 16384)


def falls_silent(flow: Flow, packets: int) -> None:
    """So many packets of audio are counted, and none after them."""
    for _ in range(2):
        flow.count({MEDIA: Traffic(packets, 0)})
        flow.wait(301)
    flow.count({MEDIA: Traffic(packets, 0)})


@pytest.mark.parametrize(("line", "lasts"), [(RELAYED, True), (IPV6, True), (REFLEXIVE, False), (OVER_TCP, False)])
def test_silence_is_no_end_while_the_audio_may_go_another_way(
    flow: Flow, alice: Party, provider: Party, line: str, *, lasts: bool
) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, HOST, line))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    falls_silent(flow, packets=999)
    assert flow.calls == lasts


def test_silence_is_the_end_when_the_audio_went_this_way(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, HOST, RELAYED, IPV6))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    falls_silent(flow, packets=1000)
    assert (flow.open, flow.calls) == (set(), 0)


@pytest.mark.parametrize(("host", "lasts"), [("203.0.113.1", True), ("198.51.100.21", False)])
def test_phones_that_may_meet_inside_are_not_silent(
    flow: Flow, alice: Party, provider: Party, host: str, *, lasts: bool
) -> None:
    """The other phone's default is a relay, and so are some of its candidates; another is its own, mapped here."""
    theirs = audio("198.51.100.20", 40000, f"a=candidate:1 1 UDP 9 {host} 20004 typ host")
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, HOST))
    provider.answers("200 OK", tag="bob", sdp=theirs)
    falls_silent(flow, packets=10)
    assert flow.calls == lasts


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("a=candidate:5 1 UDP 1 10.0.0.12 17000 typ host", id="another inside host"),
        pytest.param("a=candidate:5 1 UDP 1 192.168.7.7 17000 typ host", id="an address of nobody here"),
        pytest.param("a=candidate:5 1 UDP 1 2001:db8::1 17000 typ host", id="IPv6"),
        pytest.param("a=candidate:5 1 UDP 1 3f2a.local 17000 typ host", id="mDNS"),
        pytest.param("a=candidate:5 1 UDP 1 f\xfcnf:1 17000 typ host", id="no IPv6"),
        pytest.param("a=candidate:5 1 UDP 1 10.0.0.11 70000 typ host", id="no port"),
        pytest.param("a=candidate:5 1 UDP 1 10.0.0.011 17000 typ host", id="no address"),
        pytest.param("a=candidate:5 1 UDP 10.0.0.11 17000", id="no candidate"),
        pytest.param("a=candidate:5 1 UDP 1 198.51.100.9 17000 typ srflx raddr fe80::1 rport 1", id="related IPv6"),
        pytest.param("a=path:msrp://10.0.0.11:2855/s;tcp", id="MSRP"),
    ],
)
def test_what_is_not_the_phones_stays_and_does_no_harm(flow: Flow, alice: Party, line: str) -> None:
    passage = alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, HOST, line))
    assert line in passage.text.split("\r\n")
    assert "203.0.113.1 20000 typ host" in passage.text
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a=candidate:5 1 UDP 1 10.0.0.11 1023 typ host", "a=candidate:5 1 UDP 1 203.0.113.1 9 typ host"),
        (
            "a=candidate:5 1 TCP 1 10.0.0.11 17000 typ host tcptype passive",
            "a=candidate:5 1 TCP 1 203.0.113.1 9 typ host tcptype passive",
        ),
        (
            "a=candidate:5 1 UDP 1 192.0.2.1 17000 typ srflx raddr 10.0.0.11 rport 17000",
            "a=candidate:5 1 UDP 1 192.0.2.1 17000 typ srflx raddr 203.0.113.1 rport 9",
        ),
        ("a=source-filter: incl IN IP4 * 10.0.0.11", "a=source-filter: incl IN IP4 * 203.0.113.1"),
        ("a=ccap:1 IN IP4 10.0.0.11", "a=ccap:1 IN IP4 203.0.113.1"),
    ],
)
def test_an_own_address_that_gets_no_port_does_not_show(flow: Flow, alice: Party, line: str, expected: str) -> None:
    passage = alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, line))
    assert attributes(passage.text) == [expected]
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a=alt:1 1 : user pass 10.0.0.11 16384", "a=alt:1 1 : user pass 203.0.113.1 20000"),
        ("a=alt:2 1 : user pass 10.0.0.11 17000", "a=alt:2 1 : user pass 203.0.113.1 20002"),
        ("a=alt:3 1 : user pass 192.168.7.7 17000", "a=alt:3 1 : user pass 192.168.7.7 17000"),
        ("a=altc:1 IP4 10.0.0.11 16384", "a=altc:1 IP4 203.0.113.1 20000"),
        ("a=altc:1 IP4 10.0.0.11 17000/17001", "a=altc:1 IP4 203.0.113.1 20002/20003"),
        ("a=altc:2 IP6 2001:db8::1 16384", "a=altc:2 IP6 2001:db8::1 16384"),
    ],
)
def test_other_ways_to_name_alternatives(flow: Flow, alice: Party, line: str, expected: str) -> None:
    passage = alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, line))
    assert attributes(passage.text) == [expected]


def test_candidates_for_the_whole_session(flow: Flow, alice: Party) -> None:
    description = audio("192.0.2.15", 49152).replace("t=0 0\r\n", f"t=0 0\r\n{HOST}\r\n")
    assert attributes(alice.asks("INVITE", sdp=description).text) == [
        "a=candidate:1 1 UDP 2130706431 203.0.113.1 20000 typ host"
    ]
    assert flow.open == {"20000 -> 10.0.0.11:16384 rtp closed"}


STUN = "a=candidate:2 1 UDP 5 203.0.113.1 7078 typ srflx raddr 10.0.0.11 rport 7078"
STUN_RTCP = "a=candidate:2 2 UDP 5 203.0.113.1 7079 typ srflx raddr 10.0.0.11 rport 7079"
STUN_HOSTS = (
    "a=candidate:1 1 UDP 9 10.0.0.11 7078 typ host",
    "a=candidate:1 2 UDP 9 10.0.0.11 7079 typ host",
)


@pytest.mark.parametrize("rtcp", ["", "a=rtcp:7079", "a=rtcp:7079 IN IP4 203.0.113.1"])
def test_a_default_address_learnt_by_stun_is_the_leased_one(flow: Flow, alice: Party, rtcp: str) -> None:
    """All that the phone sends from 7078 leaves from 20000 now, so what STUN said of 7078 is out of date."""
    lines = [*STUN_HOSTS, STUN, STUN_RTCP, *([rtcp] if rtcp else [])]
    passage = alice.asks("INVITE", sdp=audio("203.0.113.1", 7078, *lines))
    assert flow.open == {"20000 -> 10.0.0.11:7078 rtp closed", "20001 -> 10.0.0.11:7079 rtcp closed"}
    assert "c=IN IP4 203.0.113.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0\r\n" in passage.text
    assert attributes(passage.text) == [
        "a=candidate:1 1 UDP 9 203.0.113.1 20000 typ host",
        "a=candidate:1 2 UDP 9 203.0.113.1 20001 typ host",
        "a=candidate:2 1 UDP 5 203.0.113.1 20000 typ srflx raddr 203.0.113.1 rport 20000",
        "a=candidate:2 2 UDP 5 203.0.113.1 20001 typ srflx raddr 203.0.113.1 rport 20001",
        *([rtcp.replace("7079", "20001")] if rtcp else []),
    ]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([STUN_HOSTS[0]], id="no candidate says that it is the phone's"),
        pytest.param([STUN_HOSTS[0], STUN.replace(" 7078 typ", " 7080 typ")], id="another port"),
        pytest.param([STUN_HOSTS[0], STUN.replace("rport 7078", "rport 7090")], id="no lease behind it"),
        pytest.param([STUN_HOSTS[0], "m=video 0 RTP/AVP 31", STUN], id="a candidate of another stream"),
    ],
)
def test_a_default_address_that_is_not_proved_to_be_the_phones_stays(
    flow: Flow, alice: Party, lines: list[str]
) -> None:
    assert "m=audio 7078 RTP/AVP 0\r\n" in alice.asks("INVITE", sdp=audio("203.0.113.1", 7078, *lines)).text


@pytest.mark.parametrize("stream", ["m=audio 0 RTP/AVP 0", "m=message 2855 TCP/MSRP *"], ids=["off", "TCP"])
def test_candidates_of_no_stream_over_udp_open_nothing(flow: Flow, alice: Party, stream: str) -> None:
    passage = alice.asks("INVITE", sdp=sdp("10.0.0.11", stream, HOST))
    assert attributes(passage.text) == ["a=candidate:1 1 UDP 2130706431 203.0.113.1 9 typ host"]
    assert flow.open == set()


def test_a_phone_has_so_many_candidates_and_no_more(flow: Flow, alice: Party) -> None:
    lines = [f"a=candidate:{port} 1 UDP 1 10.0.0.11 {port} typ host" for port in range(20010, 20030)]
    passage = alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, *lines))
    assert len(flow.rtp) == 1 + 16
    # at their own port numbers they would stand for those before them
    assert attributes(passage.text)[16:] == [
        f"a=candidate:{port} 1 UDP 1 203.0.113.1 9 typ host" for port in range(20026, 20030)
    ]


def test_the_far_sides_candidates_may_send(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, HOST))
    lines = (
        "a=candidate:1 1 UDP 3 198.51.100.21 40000 typ host",
        "a=candidate:2 1 UDP 2 198.51.100.22 40000 typ srflx raddr 198.51.100.90 rport 9",
        "a=candidate:3 1 TCP 2 198.51.100.91 40000 typ host",
        "a=candidate:4 1 UDP 2 media.example.org 40000 typ host",
        "a=candidate:5 1 UDP 1 0.0.0.0 40000 typ host",
        "a=remote-candidates:1 198.51.100.92 20000",
    )
    answer = audio("198.51.100.20", 40000, *lines)
    assert provider.answers("200 OK", tag="bob", sdp=answer).text.endswith(answer)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20 198.51.100.21 198.51.100.22"}


def test_candidates_of_the_far_side_beyond_the_bound_are_left_out(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    lines = [f"a=candidate:1 1 UDP 3 198.51.100.{host} 40000 typ host" for host in range(100, 120)]
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000, *lines))
    hosts = ["198.51.100.20", *[f"198.51.100.{host}" for host in range(100, 115)]]
    assert flow.rtp == {f"20000 -> 10.0.0.11:16384 rtp from {' '.join(sorted(hosts))}"}


def test_the_chosen_candidates_are_named_to_each_side_as_it_knows_them(
    flow: Flow, alice: Party, provider: Party
) -> None:
    """The updated offer after ICE has settled (RFC 8839 section 4.2.4), from either side."""
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, HOST, HOST_RTCP))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    theirs = "a=remote-candidates:1 198.51.100.20 40000 2 198.51.100.20 40001"
    assert theirs in alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, HOST, theirs)).text
    chosen = "a=remote-candidates:1 203.0.113.1 20000 2 203.0.113.1 20001"
    provider.asks("INVITE", "sip:alice@203.0.113.1:5060", sdp=audio("198.51.100.20", 40000, chosen))
    assert b"a=remote-candidates:1 10.0.0.11 16384 2 10.0.0.11 16385\r\n" in alice.inbox[-1]
    reflexive = "a=remote-candidates:1 203.0.113.1 16384"
    provider.asks("INVITE", "sip:alice@203.0.113.1:5060", sdp=audio("198.51.100.20", 40000, reflexive))
    assert reflexive.encode() in alice.inbox[-1]


def test_phones_that_call_each_other_meet_at_their_own_candidates(flow: Flow, alice: Party, provider: Party) -> None:
    carol = flow.phone("carol", "10.0.0.12")
    carol.asks("OPTIONS", call="hello")
    offer = audio("10.0.0.11", 16384, HOST, HOST_RTCP, REFLEXIVE)
    left = alice.asks("INVITE", sdp=offer).text.partition("\r\n\r\n")[2]
    assert "10.0.0.11" not in left
    port = flow.sip_ports["10.0.0.12:5060"]
    provider.asks("INVITE", f"sip:carol@203.0.113.1:{port}", call="second-leg", far_tag="", sdp=left)
    assert carol.inbox[-1].endswith(offer.replace("203.0.113.1 16384 typ", "10.0.0.11 16384 typ").encode())


def test_phones_without_default_addresses_learn_of_each_other_whose_description_it_is(
    flow: Flow, alice: Party, provider: Party
) -> None:
    carol = flow.phone("carol", "10.0.0.12")
    carol.asks("OPTIONS", call="hello")
    offer = audio("10.0.0.11", 9, HOST).replace("c=IN IP4 10.0.0.11", "c=IN IP4 0.0.0.0")
    left = alice.asks("INVITE", sdp=offer).text.partition("\r\n\r\n")[2]
    port = flow.sip_ports["10.0.0.12:5060"]
    provider.asks("INVITE", f"sip:carol@203.0.113.1:{port}", call="second-leg", far_tag="", sdp=left)
    assert carol.inbox[-1].endswith(offer.encode())


def test_out_and_in_again_is_as_it_was(flow: Flow, alice: Party, provider: Party) -> None:
    lines = (
        HOST, HOST_RTCP, RELAYED, "a=candidate:4 1 tcp 1 10.0.0.11 9 typ host tcptype active",
        "a=candidate:5 1 UDP 1 10.0.0.11 17000 typ host", "a=alt:1 1 : user pass 10.0.0.11 16384",
        "a=source-filter: incl IN IP4 10.0.0.11 192.0.2.1",
    )  # fmt: skip
    offer = audio("10.0.0.11", 16384, *lines)
    left = alice.asks("INVITE", sdp=offer).text.partition("\r\n\r\n")[2]
    provider.asks("INVITE", "sip:alice@203.0.113.1:5060", call="back", far_tag="", sdp=left)
    assert alice.inbox[-1].endswith(offer.encode())


def test_a_candidate_at_the_phones_sip_port_does_not_spoil_the_call(flow: Flow, alice: Party) -> None:
    passage = alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, HOST, HOST.replace("16384", "5060")))
    assert "\r\nm=audio 20000 RTP/AVP 0\r\n" in passage.text
    assert flow.open == {"20000 -> 10.0.0.11:16384 rtp closed", "20001 -> 10.0.0.11:16385 rtcp closed"}
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}


def test_candidates_without_room_are_left_out(narrow: Flow) -> None:
    alice = narrow.phone("alice", "10.0.0.11")
    others = [f"a=candidate:{port} 1 UDP 1 10.0.0.11 {port} typ host" for port in (16500, 16600)]
    passage = alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, HOST, *others))
    assert attributes(passage.text)[:2] == [
        "a=candidate:1 1 UDP 2130706431 203.0.113.1 20000 typ host",
        "a=candidate:16500 1 UDP 1 203.0.113.1 20002 typ host",
    ]
    assert narrow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed", "20002 -> 10.0.0.11:16500 rtp closed"}
    narrow.provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    alice.asks("BYE")
    narrow.provider.answers("200 OK", to=b"BYE")
    assert narrow.open == set()


def test_a_phone_that_has_only_candidates_is_told_when_none_finds_room(narrow: Flow) -> None:
    alice, carol = narrow.phone("alice", "10.0.0.11"), narrow.phone("carol", "10.0.0.12")
    carol.asks("INVITE", sdp=sdp("10.0.0.12", "m=audio 4000 RTP/AVP 0", "m=video 4002 RTP/AVP 31"))
    alice.asks("INVITE", call="call-2", sdp=sdp("0.0.0.0", f"m=audio 9 RTP/AVP 0\n{HOST}")).is_refused()
    assert len(narrow.rtp) == 2


def test_candidates_in_a_message_of_no_dialog_are_not_announced(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    other = HOST.replace("16384", "17000")
    alice.asks("UPDATE", far_tag="nobody", sdp=sdp("0.0.0.0", f"m=audio 9 RTP/AVP 0\n{other}")).passes()
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
