"""Descriptions among other things in a body, and bodies that cannot be looked into."""

from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio

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


def test_an_encoded_body_passes_as_it_is(flow: Flow, alice: Party) -> None:
    headers = ("Content-Type: application/sdp", "Content-Encoding: gzip")
    alice.asks("INVITE", sdp="\x1f\x08...", headers=headers).passes()
    assert (flow.open, flow.sip_ports) == (set(), {})
    assert flow.notices[-1].endswith("an encoded body, which may hold a session description")
