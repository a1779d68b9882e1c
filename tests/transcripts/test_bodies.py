"""Descriptions among other things in a body, and bodies that cannot be looked into."""

import pytest

from gateway.engine import Settings
from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio, sdp

MIXED = "Content-Type: multipart/mixed;boundary=cut"


def mixed(*parts: tuple[str, str]) -> str:
    """A body of several parts, each with its type."""
    return "".join(f"--cut\r\nContent-Type: {kind}\r\n\r\n{text}\r\n" for kind, text in parts) + "--cut--\r\n"


def test_a_description_among_other_parts_is_translated(flow: Flow, alice: Party, provider: Party) -> None:
    other = "<where>10.0.0.11</where>"
    body = mixed(("application/pidf+xml", other), ("application/sdp", audio("10.0.0.11", 16384)))
    passage = alice.asks("INVITE", sdp=body, headers=(MIXED,))
    lines = passage.text.split("\r\n")
    assert {"m=audio 20000 RTP/AVP 0", "c=IN IP4 203.0.113.1", other} <= set(lines)
    head, _, rest = passage.text.partition("\r\n\r\n")
    assert f"Content-Length: {len(rest)}" in head
    answer = mixed(("application/sdp", audio("198.51.100.20", 40000)))
    provider.answers("200 OK", tag="bob", sdp=answer, headers=(MIXED,))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}


def test_two_descriptions_in_one_body_pass_as_they_are(flow: Flow, alice: Party) -> None:
    one = ("application/sdp", audio("10.0.0.11", 16384))
    alice.asks("INVITE", sdp=mixed(one, one), headers=(MIXED,)).passes()
    assert flow.open == set()
    assert flow.sip_ports == {}


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        (("Content-Type: application/sdp", "Content-Encoding: gzip"), "encoded"),
        (("Content-Type: application/pkcs7-mime; smime-type=enveloped-data",), "sealed"),
        (("Content-Type: multipart/signed;boundary=cut",), "sealed"),
    ],
)
def test_of_a_body_that_cannot_be_read_or_changed_the_headers_are_translated_all_the_same(
    flow: Flow, alice: Party, provider: Party, headers: tuple[str, ...], why: str
) -> None:
    body = mixed(("application/sdp", audio("10.0.0.11", 16384)), ("application/pkcs7-signature", "\x01\x02"))
    alice.asks("INVITE", sdp=body, headers=headers).leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5060;rport;branch=z9hG4bKcall-1-1INVITE",
        "Contact: <sip:alice@203.0.113.1:5060>",
    )
    assert (flow.open, flow.calls) == (set(), 1)
    assert flow.engine.counters[f"body passed: {why}"] == 1
    assert f"the body of INVITE is {why}; media that it may describe are not forwarded" in flow.notices[1]
    provider.answers("200 OK", tag="bob", sdp=body, headers=headers)
    assert alice.inbox[-1].endswith(body.encode())
    assert flow.engine.counters[f"body passed: {why}"] == 2


def test_an_encoded_text_message_is_nobodys_concern(flow: Flow, alice: Party) -> None:
    alice.asks("MESSAGE", sdp="x", headers=("Content-Type: application/sdp", "Content-Encoding: gzip"))
    assert not [name for name in flow.engine.counters if name.startswith("body passed")]


def test_identity_is_no_encoding(flow: Flow, alice: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384), headers=("Content-Encoding: Identity",))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}


def test_lengths_of_parts_follow_and_other_parts_stay_byte_for_byte(flow: Flow, alice: Party) -> None:
    """A picture, and a description two levels down with its own length; the growth is that of o=, c= and m=."""
    sdp = audio("10.0.0.11", 16384)
    inner = (
        f"--in\r\nContent-Type: application/sdp\r\nContent-Disposition: session\r\nContent-Length: {len(sdp)}\r\n\r\n"
        f"{sdp}\r\n--in--\r\n"
    )
    body = (
        "10.0.0.11 before the parts\r\n--out\r\nContent-Type: image/png\r\nContent-Length: 9\r\n\r\n"
        "\x00\x1f10.0.0.11\r\n--out\r\nContent-Type: multipart/alternative; boundary=in\r\n"
        f"Content-Length:\r\n {len(inner)}\r\n\r\n{inner}\r\n--out--\r\n10.0.0.11 behind them"
    )
    passage = alice.asks("INVITE", sdp=body, headers=('Content-Type: multipart/mixed;boundary="out"',))
    growth = 2 * (len("203.0.113.1") - len("10.0.0.11"))
    passage.leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5060;rport;branch=z9hG4bKcall-1-1INVITE",
        "Contact: <sip:alice@203.0.113.1:5060>",
        f"Content-Length: {len(body) + growth}",
        f" {len(inner) + growth}",
        f"Content-Length: {len(sdp) + growth}",
        "o=- 7 1 IN IP4 203.0.113.1",
        "c=IN IP4 203.0.113.1",
        "m=audio 20000 RTP/AVP 0",
    )


FRAGMENT = (
    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.11:5060;branch=z9hG4bKx\r\nm: <sip:alice@10.0.0.11:5060>\r\n"
    "Subject: 10.0.0.11\r\nTo: <sip:dave@example.org>;tag=1"
)


@pytest.mark.parametrize("kind", ["message/sipfrag", "Message/SipFrag;version=2.0"])
@pytest.mark.parametrize("end", ["", "\r\n", "\r\n\r\n10.0.0.11"])
def test_a_fragment_of_a_message_is_translated_like_a_message(flow: Flow, alice: Party, kind: str, end: str) -> None:
    passage = alice.asks("NOTIFY", sdp=FRAGMENT + end, headers=(f"Content-Type: {kind}", "Event: refer"))
    passage.leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5060;rport;branch=z9hG4bKcall-1-1NOTIFY",
        "Contact: <sip:alice@203.0.113.1:5060>",
        f"Content-Length: {len(FRAGMENT + end) + 4}",
        "Via: SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bKx",
        "m: <sip:alice@203.0.113.1:5060>",
    )


def test_a_fragment_comes_in_as_it_went_out(flow: Flow, alice: Party, provider: Party) -> None:
    left = alice.asks("NOTIFY", sdp=FRAGMENT, headers=("Content-Type: message/sipfrag",)).text.partition("\r\n\r\n")[
        2
    ]
    provider.asks("NOTIFY", "sip:alice@203.0.113.1:5060", sdp=left, headers=("Content-Type: message/sipfrag",))
    assert alice.inbox[-1].endswith(b"\r\n\r\n" + FRAGMENT.encode())


@pytest.mark.parametrize(
    "body",
    [
        "SIP/2.0 200 OK\r\nno field\r\nContact: <sip:alice@10.0.0.11:5060>",
        " Contact: <sip:alice@10.0.0.11:5060>",
        "Contact: <sip:alice@10.0.0.11:5060>\r\n" * 65,
    ],
    ids=["no field", "begins in a fold", "too many fields"],
)
def test_a_broken_fragment_is_nothing_but_a_body(flow: Flow, alice: Party, body: str) -> None:
    alice.asks("NOTIFY", sdp=body, headers=("Content-Type: message/sipfrag",)).leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5060;rport;branch=z9hG4bKcall-1-1NOTIFY",
        "Contact: <sip:alice@203.0.113.1:5060>",
    )


def test_an_encoded_fragment_is_nothing_but_a_body(flow: Flow, alice: Party) -> None:
    headers = ("Content-Type: message/sipfrag", "Content-Encoding: gzip")
    assert alice.asks("NOTIFY", sdp=FRAGMENT, headers=headers).text.endswith(FRAGMENT)


@pytest.mark.parametrize("method", ["OPTIONS", "INFO", "MESSAGE", "SUBSCRIBE", "REFER"])
def test_a_description_elsewhere_than_in_offer_and_answer_opens_nothing(
    flow: Flow, alice: Party, method: str
) -> None:
    alice.asks("INVITE", call="other", sdp=audio("10.0.0.11", 16384))
    before = flow.open
    description = sdp("10.0.0.11", "m=audio 16384 RTP/AVP 0", "m=video 18000 RTP/AVP 31")
    alice.asks(method, sdp=description).leaves_with(
        f"Via: SIP/2.0/UDP 203.0.113.1:5060;rport;branch=z9hG4bKcall-1-1{method}",
        "Contact: <sip:alice@203.0.113.1:5060>",
        f"Content-Length: {len(description) + 4}",
        "o=- 7 1 IN IP4 203.0.113.1",
        "c=IN IP4 203.0.113.1",
        "m=audio 20000 RTP/AVP 0",
    )
    assert flow.open == before


def test_what_a_phone_can_do_goes_out_and_comes_in_again(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("OPTIONS", call="first")
    provider.asks("OPTIONS", "sip:alice@203.0.113.1:5060", call="query", far_tag="")
    able = audio("10.0.0.11", 0)
    left = alice.answers("200 OK", sdp=able).text.partition("\r\n\r\n")[2]
    assert "10.0.0.11" not in left
    assert flow.open == set()
    provider.asks("OPTIONS", "sip:alice@203.0.113.1:5060", call="query", sdp=left)
    assert alice.inbox[-1].endswith(able.encode())


@pytest.mark.parametrize("body", ["v=0\r\nno line", audio("10.0.0.12", 22)], ids=["broken", "foreign"])
def test_a_bad_description_elsewhere_does_no_harm_to_its_message(flow: Flow, alice: Party, body: str) -> None:
    alice.asks("MESSAGE", sdp=body).leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5060;rport;branch=z9hG4bKcall-1-1MESSAGE",
        "Contact: <sip:alice@203.0.113.1:5060>",
    )
    assert flow.open == set()


def test_candidates_of_a_call_that_is_not_known_are_translated_and_open_nothing(flow: Flow, alice: Party) -> None:
    """Trickle ICE (RFC 8840): in INFO, attributes alone."""
    alice.asks("INVITE", call="other", sdp=audio("10.0.0.11", 16384))
    before = flow.open
    line = "a=candidate:1 1 UDP 1 {} {} typ host\r\n"
    body = line.format("10.0.0.11", 16384) + "m=audio 9 RTP/AVP 0\r\na=mid:1\r\n" + line.format("10.0.0.11", 17000)
    headers = ("Info-Package: trickle-ice", "Content-Type: application/trickle-ice-sdpfrag")
    alice.asks("INFO", sdp=body, headers=headers).leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5060;rport;branch=z9hG4bKcall-1-1INFO",
        "Contact: <sip:alice@203.0.113.1:5060>",
        "a=candidate:1 1 UDP 1 203.0.113.1 20000 typ host",
        "a=candidate:1 1 UDP 1 203.0.113.1 9 typ host",
    )
    assert flow.open == before


def test_a_description_of_20_kilobytes(flow: Flow, alice: Party) -> None:
    lines = [f"a=fmtp:{number} 10.0.0.11 {number}" for number in range(800)]
    passage = alice.asks(
        "INVITE", sdp=audio("10.0.0.11", 16384, *lines), headers=("Content-Type: application/SDP; level=1",)
    )
    assert len(passage.sent) > 20000
    assert passage.text.count("10.0.0.11") == 800
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}


def test_a_fragment_teaches_no_spelling() -> None:
    flow = Flow(Settings(taken_ports=frozenset({5060})))
    alice = flow.phone("alice", "10.0.0.11")
    alice.asks(
        "NOTIFY",
        contact="<sip:alice@10.0.0.11>",
        sdp="SIP/2.0 200 OK\r\nContact: <sip:alice@10.0.0.11:5060>\r\n",
        headers=("Content-Type: message/sipfrag",),
    )
    flow.provider.asks("OPTIONS", "sip:alice@203.0.113.1:5062", call="o", far_tag="")
    assert alice.inbox[-1].startswith(b"OPTIONS sip:alice@10.0.0.11 SIP/2.0")
