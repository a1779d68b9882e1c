"""Content-Length where it stands, whatever it says: right, missing, too small, or more than arrived."""

import pytest

from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio

HEADERS = (
    "Via: SIP/2.0/UDP 10.0.0.11:5060;branch=z9hG4bK1",
    "From: <sip:alice@example.org>;tag=a",
    "To: <sip:bob@example.org>",
    "Call-ID: call-1",
    "CSeq: 1 INVITE",
    "Contact: <sip:alice@10.0.0.11:5060>",
    "Content-Type: application/sdp",
)
OFFER = audio("10.0.0.11", 16384)
LEFT = OFFER.replace("10.0.0.11", "203.0.113.1").replace("16384", "20000")


def invite(*headers: str, body: str = OFFER) -> bytes:
    return "\r\n".join(("INVITE sip:bob@example.org SIP/2.0", *headers, "", body)).encode()


@pytest.mark.parametrize("position", range(len(HEADERS) + 1))
def test_it_may_stand_anywhere_among_the_headers(flow: Flow, alice: Party, position: int) -> None:
    headers = [*HEADERS]
    headers.insert(position, f"Content-Length: {len(OFFER)}")
    text = alice.sends(invite(*headers)).text
    assert text.split("\r\n")[1 + position] == f"Content-Length: {len(LEFT)}"
    assert text.endswith("\r\n\r\n" + LEFT)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}


def test_without_one_the_body_is_the_rest_and_none_is_written(flow: Flow, alice: Party) -> None:
    text = alice.sends(invite(*HEADERS)).text
    assert text.endswith("\r\nContent-Type: application/sdp\r\n\r\n" + LEFT)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}


def test_what_follows_the_body_stays_and_is_not_read(flow: Flow, alice: Party) -> None:
    more = "m=video 16386 RTP/AVP 31\r\n"
    text = alice.sends(invite(*HEADERS, f"l: {len(OFFER)}", body=OFFER + more)).text
    assert text.endswith(f"\r\nl: {len(LEFT)}\r\n\r\n{LEFT}{more}")
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}


def test_with_less_than_it_says_the_message_is_not_whole(flow: Flow, alice: Party) -> None:
    alice.sends(invite(*HEADERS, f"Content-Length: {len(OFFER) + 1}")).passes()
    assert (flow.open, flow.sip_ports) == (set(), {})
    assert flow.engine.counters["passed: malformed"] == 1
    assert flow.notices[-1].endswith("the body is shorter than Content-Length says")
