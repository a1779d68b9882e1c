"""One call rings at two places (RFC 3261 section 12.1): each sends early media, one of them answers."""

from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio, reply

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


def test_an_early_dialog_that_is_terminated_takes_only_its_own_source_along(
    flow: Flow, alice: Party, provider: Party
) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("183 Session Progress", tag="desk", sdp=DESK)
    early = provider.sent
    provider.answers("183 Session Progress", tag="mobile", sdp=MOBILE)
    provider.answers("199 Early Dialog Terminated", tag="desk")
    mobile = {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.30"}
    assert flow.rtp == mobile
    provider.sends(early)
    assert flow.rtp == mobile
    provider.answers("199 Early Dialog Terminated", tag="car")
    provider.answers("200 OK", tag="mobile", sdp=MOBILE)
    provider.answers("199 Early Dialog Terminated", tag="mobile")
    assert flow.rtp == mobile


def test_a_terminated_branch_that_answers_after_all_has_its_dialog(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("183 Session Progress", tag="desk", sdp=DESK)
    provider.answers("199 Early Dialog Terminated", tag="desk")
    provider.answers("200 OK", tag="desk", sdp=DESK)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}


def test_an_answer_repeated_after_its_branch_was_hung_up_opens_nothing(
    flow: Flow, alice: Party, provider: Party
) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="desk", sdp=DESK)
    answer = provider.sent
    provider.answers("200 OK", tag="mobile", sdp=MOBILE)
    alice.asks("BYE", far_tag="desk")
    provider.answers("200 OK", to=b"BYE")
    provider.sends(answer)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.30"}


def forks_outward(alice: Party) -> tuple[bytes, bytes]:
    """A proxy inside sends one call to two places; as they arrive outside."""
    offer = audio("10.0.0.11", 16384)
    alice.asks("INVITE", "sip:desk@example.org", branch="one", sdp=offer)
    first = alice.flow.provider.inbox[-1]
    alice.legs["call-1"].cseq -= 1
    alice.asks("INVITE", "sip:mobile@example.org", branch="two", sdp=offer)
    return first, alice.flow.provider.inbox[-1]


def test_of_a_fork_inside_the_branch_that_fails_takes_nothing_from_the_one_that_answers(
    flow: Flow, alice: Party, provider: Party
) -> None:
    to_desk, to_mobile = forks_outward(alice)
    provider.sends(reply(to_desk, "183 Session Progress", "desk", body=DESK))
    provider.sends(reply(to_mobile, "183 Session Progress", "mobile", body=MOBILE))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20 198.51.100.30"}
    alice.asks("CANCEL", branch="one", far_tag="")
    provider.sends(reply(to_desk, "487 Request Terminated", "desk"))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.30"}
    provider.sends(reply(to_mobile, "200 OK", "mobile", body=MOBILE))
    flow.wait(300)
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.30"}


def test_of_a_fork_inside_an_answer_does_not_answer_for_the_other_branch(
    flow: Flow, alice: Party, provider: Party
) -> None:
    to_desk, to_mobile = forks_outward(alice)
    provider.sends(reply(to_desk, "200 OK", "desk", body=DESK))
    provider.sends(reply(to_mobile, "200 OK", "mobile", body=MOBILE))
    alice.asks("BYE", far_tag="desk")
    provider.answers("200 OK", to=b"BYE")
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.30"}


def test_a_call_that_arrives_twice_is_refused_once(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("OPTIONS", call="hello")
    provider.asks("INVITE", "sip:alice@203.0.113.1:5060", branch="one", sdp=DESK)
    provider.legs["call-1"].cseq -= 1
    provider.asks("INVITE", "sip:alice@203.0.113.1:5060", branch="two", sdp=DESK)
    first, second = alice.inbox[-2:]
    alice.sends(reply(first, "180 Ringing", "a"))
    alice.sends(reply(second, "482 Loop Detected", "b"))
    alice.sends(reply(first, "200 OK", "a", body=audio("10.0.0.11", 16384)))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
