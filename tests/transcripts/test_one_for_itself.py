"""What one call asks too much of harms no other."""

from rules.model import Endpoint, Traffic
from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio

THEIRS = audio("198.51.100.20", 40000)


def test_a_row_of_ports_and_a_stream_within_it_are_refused_together(
    flow: Flow, alice: Party, provider: Party
) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", "4000/2"))
    provider.answers("200 OK", tag="b", sdp=THEIRS)
    alice.asks("ACK")
    before = flow.open
    alice.asks("INVITE", sdp=audio("10.0.0.11", 4002, "a=rtcp:5000")).passes()
    assert flow.open == before
    alice.asks("BYE")
    provider.answers("200 OK", to=b"BYE")
    assert flow.open == set()


def test_every_call_has_its_timers_whatever_another_one_says(flow: Flow, alice: Party, provider: Party) -> None:
    carol = flow.phone("carol", "10.0.0.12")
    alice.asks("INVITE", sdp=audio("10.0.0.11", "4000/2"))
    for tag in ("b1", "b2"):
        provider.answers("200 OK", tag=tag, to=b"INVITE", sdp=THEIRS)
    carol.asks("INVITE", call="carols", sdp=audio("10.0.0.12", 16384))
    flow.wait(5)
    alice.asks("INVITE", far_tag="b2", sdp=audio("10.0.0.11", 4002, "a=rtcp:5000"))
    flow.wait(40)
    flow.count({Endpoint("10.0.0.11", 4000): Traffic(1, 1)})
    assert not [text for text in flow.open if "10.0.0.12" in text]
    assert flow.calls == 1
