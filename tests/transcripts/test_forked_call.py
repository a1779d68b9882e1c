"""One call rings at two places (RFC 3261 section 12.1): each sends early media, one of them answers."""

from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio

DESK, MOBILE = audio("198.51.100.20", 40000), audio("198.51.100.30", 41000)


def test_each_branch_adds_its_source_and_the_answering_one_keeps_only_its_own(
    flow: Flow, alice: Party, provider: Party
) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("183 Session Progress", tag="desk", sdp=DESK)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
    provider.answers("183 Session Progress", tag="mobile", sdp=MOBILE)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20 198.51.100.30"}
    provider.answers("200 OK", tag="mobile", sdp=MOBILE)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.30"}

    provider.answers("183 Session Progress", tag="desk", sdp=DESK)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.30"}


def test_two_branches_answer_and_one_is_hung_up(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("180 Ringing", tag="desk")
    provider.answers("200 OK", tag="mobile", sdp=MOBILE)
    provider.answers("200 OK", tag="desk", sdp=DESK)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20 198.51.100.30"}
    alice.asks("BYE", far_tag="desk")
    provider.answers("200 OK", to=b"BYE")
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.30"}


def test_an_answer_without_a_description_keeps_that_of_its_early_dialog(
    flow: Flow, alice: Party, provider: Party
) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("183 Session Progress", tag="desk", sdp=DESK)
    provider.answers("200 OK", tag="desk")
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}


def test_an_early_dialog_ended_by_bye_takes_its_source_along(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("183 Session Progress", tag="desk", sdp=DESK)
    provider.answers("183 Session Progress", tag="mobile", sdp=MOBILE)
    alice.asks("BYE", far_tag="desk")
    provider.answers("200 OK", to=b"BYE")
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.30"}
