"""Descriptions with any number and kind of streams, ports in rows, RTCP in every place, and fax."""

import pytest

from gateway.engine import Settings
from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio, sdp


def body(text: str) -> list[str]:
    """The lines of a message's body."""
    return text.partition("\r\n\r\n")[2].split("\r\n")[:-1]


def test_streams_of_every_kind(flow: Flow, alice: Party, provider: Party) -> None:
    passage = alice.asks(
        "INVITE",
        sdp=sdp(
            "10.0.0.11",
            "m=audio 16384 RTP/SAVP 0",
            "m=video 16387 RTP/AVPF 31",  # an odd port
            "m=text 0 RTP/AVP 98",
            "m=image 17000 udptl t38",
            "m=application 17010 UDP/TLS/BFCP *",
            "m=application 17020 TCP/TLS/BFCP *",
            "m=message 2855 TCP/MSRP *",
            "m=audio 17030 TCP/RTP/AVP 0",
            "m=application 17040 SCTP/DTLS 5000",
            "m=audio 17050 UDP/TLS/RTP/SAVPF 111",
        ),
    )
    assert [line for line in body(passage.text) if line.startswith(("c=", "m="))] == [
        "c=IN IP4 203.0.113.1",
        "m=audio 20000 RTP/SAVP 0",
        "m=video 20002 RTP/AVPF 31",
        "m=text 0 RTP/AVP 98",
        "m=image 20004 udptl t38",
        "m=application 20006 UDP/TLS/BFCP *",
        "m=application 17020 TCP/TLS/BFCP *",
        "m=message 2855 TCP/MSRP *",
        "m=audio 17030 TCP/RTP/AVP 0",
        "m=application 17040 SCTP/DTLS 5000",
        "m=audio 20008 UDP/TLS/RTP/SAVPF 111",
    ]
    assert flow.open == {
        "20000 -> 10.0.0.11:16384 rtp closed",
        "20001 -> 10.0.0.11:16385 rtcp closed",
        "20002 -> 10.0.0.11:16387 rtp closed",
        "20003 -> 10.0.0.11:16388 rtcp closed",
        "20004 -> 10.0.0.11:17000 udptl closed",
        "20006 -> 10.0.0.11:17010 udptl closed",
        "20008 -> 10.0.0.11:17050 rtp closed",
        "20009 -> 10.0.0.11:17051 rtcp closed",
    }
    provider.answers("200 OK", tag="bob", sdp=sdp("198.51.100.20", "m=message 2855 TCP/MSRP *"))
    assert all(text.endswith("closed") for text in flow.open)


def test_streams_in_one_bundle_share_a_port(flow: Flow, alice: Party) -> None:
    """RFC 9143 section 7.3: in an answer all have the one address, or port 0 and a=bundle-only."""
    passage = alice.asks(
        "INVITE",
        sdp=sdp(
            "10.0.0.11",
            "m=audio 16384 RTP/AVP 0\na=mid:1\na=rtcp-mux",
            "m=video 16384 RTP/AVP 31\na=mid:2\na=rtcp-mux",
            "m=video 0 RTP/AVP 31\na=mid:3\na=bundle-only",
        ),
    )
    assert [line.split()[1] for line in body(passage.text) if line.startswith("m=")] == ["20000", "20000", "0"]
    assert flow.open == {"20000 -> 10.0.0.11:16384 rtp closed", "20001 -> 10.0.0.11:16385 rtcp closed"}


def test_a_stream_on_the_port_where_rtcp_of_another_would_be(flow: Flow, alice: Party) -> None:
    offer = sdp("10.0.0.11", "m=audio 16384 RTP/AVP 0\na=rtcp-mux", "m=video 16385 RTP/AVP 31\na=rtcp-mux")
    assert body(alice.asks("INVITE", sdp=offer).text)[5:] == [
        "m=audio 20000 RTP/AVP 0",
        "a=rtcp-mux",
        "a=rtcp:20002",  # for a far side that does not multiplex (RFC 5761 section 5.1.1)
        "m=video 20002 RTP/AVP 31",
        "a=rtcp-mux",
    ]
    assert flow.open == {
        "20000 -> 10.0.0.11:16384 rtp closed",
        "20002 -> 10.0.0.11:16385 rtp closed",
        "20003 -> 10.0.0.11:16386 rtcp closed",
    }


def test_ports_in_a_row(flow: Flow, alice: Party, provider: Party) -> None:
    """RFC 8866 section 5.14: RTP on 16384 and 16386, RTCP on 16385 and 16387."""
    offer = sdp("10.0.0.11", "m=audio 16384/2 RTP/AVP 0", "m=image 17001/3 udptl t38")
    passage = alice.asks("INVITE", sdp=offer)
    assert body(passage.text)[-2:] == ["m=audio 20000/2 RTP/AVP 0", "m=image 20004/3 udptl t38"]
    assert flow.open == {
        "20000 -> 10.0.0.11:16384 rtp closed",
        "20001 -> 10.0.0.11:16385 rtcp closed",
        "20002 -> 10.0.0.11:16386 rtp closed",
        "20003 -> 10.0.0.11:16387 rtcp closed",
        "20004 -> 10.0.0.11:17001 udptl closed",
        "20005 -> 10.0.0.11:17002 udptl closed",
        "20006 -> 10.0.0.11:17003 udptl closed",
    }
    left = passage.text.partition("\r\n\r\n")[2]
    provider.asks("INVITE", "sip:alice@203.0.113.1:5060", call="back", far_tag="", sdp=left)
    assert alice.inbox[-1].endswith(offer.encode())
    provider.answers("200 OK", tag="bob", to=b"INVITE sip:service", sdp=audio("198.51.100.20", 40000))
    alice.asks("BYE")
    provider.answers("200 OK", to=b"BYE")
    assert flow.open == set()
    assert flow.engine.ledger.media_pairs_left == 5000


def test_a_row_of_which_a_part_stands_elsewhere_passes_as_it_is(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", call="one", sdp=audio("10.0.0.11", 16386))
    before = flow.open
    alice.asks("INVITE", sdp=sdp("10.0.0.11", "m=audio 16384/2 RTP/AVP 0")).passes()
    assert flow.open == before
    assert flow.calls == 1


def test_a_row_that_finds_no_room_is_refused() -> None:
    """Twelve pairs, the seventh of which is taken."""
    flow = Flow(Settings(media_ports=(20000, 20023)))
    alice, carol = flow.phone("alice", "10.0.0.11"), flow.phone("carol", "10.0.0.12")
    alice.asks("INVITE", sdp=sdp("10.0.0.11", *[f"m=audio {port} RTP/AVP 0" for port in range(4000, 4014, 2)]))
    flow.provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    alice.asks("INVITE", sdp=audio("10.0.0.11", 4012))
    flow.provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    assert flow.rtp == {"20012 -> 10.0.0.11:4012 rtp from 198.51.100.20"}
    refused = carol.asks("INVITE", sdp=sdp("10.0.0.12", "m=audio 16384/7 RTP/AVP 0")).is_refused()
    assert refused.startswith(b"SIP/2.0 503 ")
    assert len(flow.rtp) == 1
    carol.asks("INVITE", sdp=sdp("10.0.0.12", "m=audio 16384/6 RTP/AVP 0"))
    assert "20000 -> 10.0.0.12:16384 rtp closed" in flow.rtp
    assert len(flow.rtp) == 7


def test_the_same_port_over_tcp_is_another(flow: Flow, alice: Party) -> None:
    offer = sdp("10.0.0.11", "m=audio 16384 RTP/AVP 0", "m=audio 16384 TCP/RTP/AVP 0\na=rtcp:16385 IN IP4 10.0.0.11")
    assert body(alice.asks("INVITE", sdp=offer).text)[5:] == [
        "m=audio 20000 RTP/AVP 0",
        "m=audio 16384 TCP/RTP/AVP 0",
        "a=rtcp:16385 IN IP4 203.0.113.1",
    ]


def test_a_call_over_tcp_needs_no_port() -> None:
    flow = Flow(Settings(media_ports=(20000, 20000)))
    alice = flow.phone("alice", "10.0.0.11")
    alice.asks("OPTIONS")
    offer = sdp("198.51.100.20", "m=message 2855 TCP/MSRP *")
    flow.provider.asks("INVITE", "sip:alice@203.0.113.1:5060", call="chat", far_tag="", sdp=offer)
    assert alice.inbox[-1].startswith(b"INVITE")
    flow.provider.asks(
        "INVITE", "sip:alice@203.0.113.1:5060", call="speech", far_tag="", sdp=audio("198.51.100.20", 4000)
    ).is_refused()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("a=rtcp:16385", "a=rtcp:20001"),
        ("a=rtcp:17001 IN IP4 10.0.0.11", "a=rtcp:20001 IN IP4 203.0.113.1"),
        ("a=rtcp:16384", "a=rtcp:20000"),
        ("a=rtcp:53020 IN IP4 192.0.2.1", "a=rtcp:53020 IN IP4 192.0.2.1"),
        ("a=rtcp:53020 IN IP6 2001:db8::1", "a=rtcp:53020 IN IP6 2001:db8::1"),
        ("a=rtcp:9", "a=rtcp:9"),
        ("a=rtcp-mux", "a=rtcp-mux"),
        ("c=IN IP4 10.0.0.11", "c=IN IP4 203.0.113.1"),
        ("c=IN IP4 10.0.0.11\nc=IN IP4 10.0.0.11", "c=IN IP4 203.0.113.1\nc=IN IP4 203.0.113.1"),
        ("c=IN IP4 10.0.0.11\nc=IN IP4 224.2.1.1/127/3", "c=IN IP4 203.0.113.1\nc=IN IP4 224.2.1.1/127/3"),
    ],
)
def test_what_belongs_to_a_stream(flow: Flow, alice: Party, lines: str, expected: str) -> None:
    passage = alice.asks("INVITE", sdp=sdp("10.0.0.11", f"m=audio 16384 RTP/AVP 0\n{lines}"))
    assert body(passage.text)[5:] == ["m=audio 20000 RTP/AVP 0", *expected.split("\n")]
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}


@pytest.mark.parametrize(
    "line", ["c=IN IP4 224.2.17.12/127", "c=IN IP4 phone.example.org", "c=IN IP6 2001:db8::1", "c=IN IP4 0.0.0.0"]
)
def test_connections_that_open_nothing(flow: Flow, alice: Party, line: str) -> None:
    description = audio("10.0.0.11", 16384).replace("c=IN IP4 10.0.0.11", line)
    passage = alice.asks("INVITE", sdp=description)
    assert {line, "m=audio 16384 RTP/AVP 0", "o=- 7 1 IN IP4 203.0.113.1"} <= set(body(passage.text))
    assert flow.open == set()


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("o=- 7 1 IN IP4 phone.example.org", "o=- 7 1 IN IP4 phone.example.org"),
        ("o=- 7 1 IN IP6 2001:db8::1", "o=- 7 1 IN IP6 2001:db8::1"),
        ("o=Desk Phone 2 7 1 IN IP4 10.0.0.11", "o=Desk Phone 2 7 1 IN IP4 203.0.113.1"),
        ("o=10.0.0.11 7 1 IN IP4 127.0.0.1", "o=10.0.0.11 7 1 IN IP4 127.0.0.1"),
    ],
)
def test_origins(flow: Flow, alice: Party, origin: str, expected: str) -> None:
    description = audio("10.0.0.11", 16384).replace("o=- 7 1 IN IP4 10.0.0.11", origin)
    assert body(alice.asks("INVITE", sdp=description).text)[1] == expected


@pytest.fixture
def talking(alice: Party, provider: Party) -> None:
    """A call that is up, with speech between 16384 and 40000."""
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    alice.asks("ACK")


SPEECH = {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20", "20001 -> 10.0.0.11:16385 rtcp from 198.51.100.20"}


@pytest.mark.usefixtures("talking")
@pytest.mark.parametrize(
    ("port", "public", "fax"),
    [
        (16384, 20000, {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}),
        (17000, 20002, {"20002 -> 10.0.0.11:17000 udptl from 198.51.100.20"}),
    ],
)
@pytest.mark.parametrize("off", [(), ("m=audio 0 RTP/AVP 0",)], ids=["fax alone", "speech off"])
def test_speech_becomes_fax_and_speech_again(
    flow: Flow, alice: Party, provider: Party, port: int, public: int, fax: set[str], off: tuple[str, ...]
) -> None:
    fine = f"m=image {port} udptl t38\na=T38FaxVersion:0"
    passage = alice.asks("INVITE", sdp=sdp("10.0.0.11", *off, fine))
    assert f"m=image {public} udptl t38" in body(passage.text)
    provider.answers("200 OK", tag="bob", sdp=sdp("198.51.100.20", *off, "m=image 40000 udptl t38"))
    assert flow.open == fax
    passage = alice.asks("INVITE", sdp=sdp("10.0.0.11", "m=audio 16384 RTP/AVP 0", "m=image 0 udptl t38"))
    provider.answers("200 OK", tag="bob", sdp=sdp("198.51.100.20", "m=audio 40000 RTP/AVP 0", "m=image 0 udptl t38"))
    assert len(flow.open) == 2
    assert {text.partition(" -> ")[2] for text in flow.open} == {text.partition(" -> ")[2] for text in SPEECH}


@pytest.mark.usefixtures("talking")
def test_the_far_side_turns_to_fax(flow: Flow, alice: Party, provider: Party) -> None:
    offer = sdp("198.51.100.20", "m=audio 0 RTP/AVP 0", "m=image 41000 udptl t38")
    provider.asks("INVITE", "sip:alice@203.0.113.1:5060", far_tag="alice-tag", sdp=offer)
    alice.answers("200 OK", to=b"INVITE", sdp=sdp("10.0.0.11", "m=audio 0 RTP/AVP 0", "m=image 17000 udptl t38"))
    assert flow.open == {"20002 -> 10.0.0.11:17000 udptl from 198.51.100.20"}


@pytest.mark.usefixtures("talking")
@pytest.mark.parametrize("direction", ["inactive", "sendonly"])
def test_hold_for_the_whole_session(flow: Flow, alice: Party, provider: Party, direction: str) -> None:
    quiet = audio("10.0.0.11", 16384).replace("t=0 0\r\n", f"t=0 0\r\na={direction}\r\n")
    alice.asks("INVITE", sdp=quiet)
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    flow.count({})
    flow.wait(1000)
    flow.count({})
    assert flow.open == SPEECH


@pytest.mark.usefixtures("talking")
def test_rtcp_that_moves_while_speech_stays_is_named_where_it_is(flow: Flow, alice: Party, provider: Party) -> None:
    """Until the answer both may be used, so the new one cannot have the port beside RTP."""
    passage = alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, "a=rtcp:17001"))
    assert body(passage.text)[5:] == ["m=audio 20000 RTP/AVP 0", "a=rtcp:20002"]
    assert flow.open == SPEECH | {"20002 -> 10.0.0.11:17001 rtcp from 198.51.100.20"}
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    assert flow.open == {
        "20000 -> 10.0.0.11:16384 rtp from 198.51.100.20",
        "20002 -> 10.0.0.11:17001 rtcp from 198.51.100.20",
    }
    assert body(alice.asks("INVITE", sdp=audio("10.0.0.11", 16384)).text)[5:] == ["m=audio 20000 RTP/AVP 0"]
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    assert flow.open == SPEECH


@pytest.mark.usefixtures("talking")
def test_another_call_on_the_same_port_may_have_its_rtcp_elsewhere(flow: Flow, alice: Party) -> None:
    second = audio("10.0.0.11", 16384, "a=rtcp:17001 IN IP4 10.0.0.11")
    passage = alice.asks("INVITE", call="call-2", sdp=second)
    assert body(passage.text)[5:] == ["m=audio 20000 RTP/AVP 0", "a=rtcp:20002 IN IP4 203.0.113.1"]
    assert "20002 -> 10.0.0.11:17001 rtcp closed" in flow.open


@pytest.mark.usefixtures("talking")
def test_rtcp_in_a_message_of_no_dialog_is_not_announced(flow: Flow, alice: Party) -> None:
    alice.asks("UPDATE", far_tag="nobody", sdp=audio("10.0.0.11", 16384, "a=rtcp:17001")).passes()
    assert flow.open == SPEECH


def test_rtcp_at_the_phones_sip_port_passes_as_it_is(flow: Flow, alice: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, "a=rtcp:5060")).passes()
    assert flow.open == set()


@pytest.mark.parametrize("first", ["m=audio 16384 RTP/AVP 0", "m=image 16384 udptl t38"])
def test_speech_and_fax_on_one_port_are_named_speech(flow: Flow, alice: Party, first: str) -> None:
    streams = ["m=audio 16384 RTP/AVP 0", "m=image 16384 udptl t38"]
    alice.asks("INVITE", sdp=sdp("10.0.0.11", first, *[each for each in streams if each != first]))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}


@pytest.mark.parametrize("other", ["IP4 10.0.0.11", "IP6 2001:db8::1"])
@pytest.mark.parametrize("first", [True, False])
def test_several_connections_of_the_session(flow: Flow, alice: Party, other: str, first: bool) -> None:
    text = audio("10.0.0.11", 16384)
    lines = ["c=IN IP4 10.0.0.11", f"c=IN {other}"]
    text = text.replace("c=IN IP4 10.0.0.11", "\r\n".join(lines if first else lines[::-1]))
    left = alice.asks("INVITE", sdp=text).text
    assert "10.0.0.11" not in left.partition("\r\n\r\n")[2]
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}


@pytest.mark.parametrize("lines", ["o=- 1 1 IN IP4 10.0.0.11", "a=rtcp:16385\r\na=rtcp:16387"])
def test_what_there_can_only_be_one_of(flow: Flow, alice: Party, lines: str) -> None:
    text = audio("10.0.0.11", 16384)
    alice.asks("INVITE", sdp=text.replace("s=-", f"{lines}\r\ns=-") if lines[0] == "o" else text + lines).passes()
    assert flow.open == set()


def test_lines_that_are_added_come_in_their_order() -> None:
    flow = Flow(Settings(media_hosts=("10.0.0.12/32",)))
    alice = flow.phone("alice", "10.0.0.11")
    streams = ("m=audio 4000 RTP/AVP 0", "m=video 4000 RTP/AVP 31\nc=IN IP4 10.0.0.12\na=rtcp:4009")
    alice.asks("INVITE", sdp=sdp("10.0.0.11", *streams))
    back = sdp("203.0.113.1", "m=audio 20000 RTP/AVP 0", "m=video 20002 RTP/AVP 31")
    flow.provider.asks("INVITE", "sip:alice@203.0.113.1:5060", "back", far_tag="", sdp=back)
    assert alice.inbox[-1].decode().split("\r\n")[-4:-1] == [
        "m=video 4000 RTP/AVP 31",
        "c=IN IP4 10.0.0.12",
        "a=rtcp:4009",
    ]
