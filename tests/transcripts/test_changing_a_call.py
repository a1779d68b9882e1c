"""re-INVITE: hold, resume, other ports, other formats; agreed or refused (RFC 3261 section 14)."""

import pytest

from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio, reply, sdp
from tests.transcripts.test_incoming_call import register

ALICE = "sip:alice@203.0.113.1:5060"
UP = {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}


@pytest.fixture(autouse=True)
def call(flow: Flow, alice: Party, provider: Party) -> None:
    """A call that is up."""
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="service-tag", sdp=audio("198.51.100.20", 40000))
    alice.asks("ACK")
    assert flow.rtp == UP


def provider_reinvites(provider: Party, text: str) -> None:
    provider.asks("INVITE", ALICE, far_tag="alice-tag", sdp=text)


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
def test_hold_and_resume_stay_on_the_same_ports(flow: Flow, alice: Party, provider: Party, direction: str) -> None:
    before = flow.open
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384, f"a={direction}"))
    provider.answers("200 OK", tag="service-tag", sdp=audio("198.51.100.20", 40000, "a=recvonly"))
    alice.asks("ACK")
    assert flow.open == before
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="service-tag", sdp=audio("198.51.100.20", 40000))
    assert flow.open == before


def test_hold_by_the_unspecified_address_keeps_the_ports_for_resuming(
    flow: Flow, alice: Party, provider: Party
) -> None:
    alice.asks("INVITE", sdp=audio("0.0.0.0", 16384)).leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5060;rport;branch=z9hG4bKcall-1-2INVITE",
        "Contact: <sip:alice@203.0.113.1:5060>",
    )
    provider.answers("200 OK", tag="service-tag", sdp=audio("198.51.100.20", 40000, "a=recvonly"))
    assert flow.rtp == UP
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="service-tag", sdp=audio("198.51.100.20", 40000))
    assert flow.rtp == UP


def is_on_hold(flow: Flow) -> bool:
    (call,) = flow.engine.calls
    return call.is_on_hold


def test_on_hold_is_what_was_agreed_last(flow: Flow, alice: Party, provider: Party) -> None:
    hold, resume = audio("10.0.0.11", 16384, "a=sendonly"), audio("10.0.0.11", 16384)
    alice.asks("INVITE", sdp=hold)
    assert not is_on_hold(flow)
    provider.answers("488 Not Acceptable Here", tag="service-tag")
    assert not is_on_hold(flow)
    alice.asks("INVITE", sdp=hold)
    provider.answers("200 OK", tag="service-tag", sdp=audio("198.51.100.20", 40000))
    assert is_on_hold(flow)
    alice.asks("INVITE", sdp=resume)
    provider.answers("491 Request Pending", tag="service-tag")
    assert is_on_hold(flow)
    alice.asks("INVITE", sdp=resume)
    provider.answers("200 OK", tag="service-tag", sdp=audio("198.51.100.20", 40000))
    assert not is_on_hold(flow)


def test_both_addresses_are_open_until_the_move_is_agreed(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 17000))
    assert flow.rtp == UP | {"20002 -> 10.0.0.11:17000 rtp from 198.51.100.20"}
    provider.answers("200 OK", tag="service-tag", sdp=audio("198.51.100.20", 40000))
    assert flow.rtp == {"20002 -> 10.0.0.11:17000 rtp from 198.51.100.20"}


@pytest.mark.parametrize("status", ["488 Not Acceptable Here", "491 Request Pending"])
def test_a_refused_move_never_was(flow: Flow, alice: Party, provider: Party, status: str) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 17000))
    provider.answers(status, tag="service-tag")
    assert flow.rtp == UP
    assert flow.calls == 1


def test_a_move_that_nobody_answers_never_was(flow: Flow, alice: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 17000))
    flow.wait(33)
    assert flow.rtp == UP


def test_a_challenged_move_is_made_again(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 17000))
    provider.answers("407 Proxy Authentication Required", tag="service-tag")
    alice.asks("INVITE", sdp=audio("10.0.0.11", 17000))
    provider.answers("200 OK", tag="service-tag", sdp=audio("198.51.100.20", 40000))
    (only,) = flow.rtp
    assert only.endswith("-> 10.0.0.11:17000 rtp from 198.51.100.20")


def test_the_far_side_moves(flow: Flow, alice: Party, provider: Party) -> None:
    provider_reinvites(provider, audio("198.51.100.30", 41000))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20 198.51.100.30"}
    alice.answers("200 OK", to=b"INVITE", sdp=audio("10.0.0.11", 16384))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.30"}


def test_the_far_side_may_not_move(flow: Flow, alice: Party, provider: Party) -> None:
    provider_reinvites(provider, audio("198.51.100.30", 41000))
    alice.answers("488 Not Acceptable Here", to=b"INVITE")
    assert flow.rtp == UP


def test_a_second_stream_comes_and_goes(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=sdp("10.0.0.11", "m=audio 16384 RTP/AVP 0", "m=video 18000 RTP/AVP 31"))
    provider.answers(
        "200 OK", tag="service-tag", sdp=sdp("198.51.100.20", "m=audio 40000 RTP/AVP 0", "m=video 40002 RTP/AVP 31")
    )
    assert flow.rtp == UP | {"20002 -> 10.0.0.11:18000 rtp from 198.51.100.20"}
    alice.asks("INVITE", sdp=sdp("10.0.0.11", "m=audio 16384 RTP/AVP 0", "m=video 0 RTP/AVP 31"))
    provider.answers("200 OK", tag="service-tag", sdp=audio("198.51.100.20", 40000))
    assert flow.rtp == UP


def test_fax_on_the_port_of_the_speech_before_it(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=sdp("10.0.0.11", "m=image 16384 udptl t38"))
    provider.answers("200 OK", tag="service-tag", sdp=sdp("198.51.100.20", "m=image 40000 udptl t38"))
    assert flow.open == UP


def test_update_and_prack_describe_too(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("UPDATE", sdp=audio("10.0.0.11", 17000))
    provider.answers("200 OK", tag="service-tag", to=b"UPDATE", sdp=audio("198.51.100.30", 40000))
    assert flow.rtp == {"20002 -> 10.0.0.11:17000 rtp from 198.51.100.30"}
    alice.asks("UPDATE", sdp=audio("10.0.0.11", 17002))
    provider.answers("504 Server Time-out", tag="service-tag", to=b"UPDATE")
    assert flow.rtp == {"20002 -> 10.0.0.11:17000 rtp from 198.51.100.30"}


@pytest.mark.parametrize("method", ["UPDATE", "PRACK"])
def test_a_proposal_that_nobody_answers_is_gone_after_32_seconds(
    flow: Flow, alice: Party, provider: Party, method: str
) -> None:
    alice.asks(method, sdp=audio("10.0.0.11", 17000))
    provider.asks(method, "sip:alice@203.0.113.1:5060", far_tag="alice-tag", sdp=audio("198.51.100.30", 40000))
    hosts = "198.51.100.20 198.51.100.30"
    both = {f"20000 -> 10.0.0.11:16384 rtp from {hosts}", f"20002 -> 10.0.0.11:17000 rtp from {hosts}"}
    flow.wait(31.9)
    assert flow.rtp == both
    flow.wait(0.2)
    assert flow.rtp == UP
    assert flow.calls == 1


@pytest.mark.parametrize(
    "status", ["404 Not Found", "480 Temporarily Unavailable", "500 Server Internal Error", "606 Not Acceptable"]
)
@pytest.mark.parametrize("who", ["alice", "provider"])
def test_a_refused_change_takes_back_what_was_said_while_it_was_weighed(
    flow: Flow, alice: Party, provider: Party, status: str, who: str
) -> None:
    if who == "alice":
        alice.asks("INVITE", sdp=audio("10.0.0.11", 17000))
        provider.answers("183 Session Progress", sdp=audio("198.51.100.30", 41000), to=b"INVITE")
        provider.answers(status, to=b"INVITE")
    else:
        provider_reinvites(provider, audio("198.51.100.30", 41000))
        alice.answers("183 Session Progress", sdp=audio("10.0.0.11", 17000), to=b"INVITE")
        assert len(flow.rtp) == 2
        alice.answers(status, to=b"INVITE")
    assert flow.rtp == UP


def test_what_was_said_while_a_change_was_weighed_holds_when_it_is_taken(
    flow: Flow, alice: Party, provider: Party
) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("183 Session Progress", sdp=audio("198.51.100.30", 41000), to=b"INVITE")
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20 198.51.100.30"}
    provider.answers("200 OK", to=b"INVITE")
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.30"}


def test_a_change_offered_in_the_answer_and_answered_in_the_ack(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE")
    provider.answers("200 OK", sdp=audio("198.51.100.30", 41000))
    alice.asks("ACK", sdp=audio("10.0.0.11", 17000))
    assert flow.rtp == {"20002 -> 10.0.0.11:17000 rtp from 198.51.100.30"}

    provider_reinvites(provider, "")
    alice.answers("200 OK", to=b"INVITE", sdp=audio("10.0.0.11", 18000))
    provider.asks("ACK", ALICE, sdp=audio("198.51.100.40", 42000))
    assert flow.rtp == {"20004 -> 10.0.0.11:18000 rtp from 198.51.100.40"}


def test_both_change_at_once_and_neither_may(flow: Flow, alice: Party, provider: Party) -> None:
    provider.legs["call-1"].cseq = alice.legs["call-1"].cseq
    alice.asks("INVITE", sdp=audio("10.0.0.11", 17000))
    provider_reinvites(provider, audio("198.51.100.30", 41000))
    assert len(flow.rtp) == 2
    provider.answers("491 Request Pending", to=b"INVITE")
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20 198.51.100.30"}
    alice.answers("491 Request Pending", to=b"INVITE")
    assert flow.rtp == UP
    alice.asks("INVITE", sdp=audio("10.0.0.11", 17000))
    provider.answers("200 OK", to=b"INVITE", sdp=audio("198.51.100.20", 40000))
    (only,) = flow.rtp
    assert only.endswith("-> 10.0.0.11:17000 rtp from 198.51.100.20")


def test_a_challenged_move_keeps_its_port_for_the_next_try(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 17000))
    provider.answers("401 Unauthorized", to=b"INVITE")
    alice.asks("ACK")
    moving = UP | {"20002 -> 10.0.0.11:17000 rtp from 198.51.100.20"}
    assert flow.rtp == moving
    alice.asks("INVITE", sdp=audio("10.0.0.11", 17000))
    assert flow.rtp == moving
    provider.answers("200 OK", to=b"INVITE", sdp=audio("198.51.100.20", 40000))
    assert flow.rtp == moving - UP


def test_a_challenged_move_that_is_given_up_never_was(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 17000))
    provider.answers("401 Unauthorized", to=b"INVITE")
    flow.wait(1)
    assert flow.rtp == UP


@pytest.mark.parametrize(
    "held",
    [
        audio("0.0.0.0", 16384),
        audio("10.0.0.11", 16384, "a=inactive"),
        audio("10.0.0.11", 16384, "a=sendonly"),
    ],
    ids=["unspecified address", "inactive", "sendonly"],
)
def test_half_an_hour_on_hold_and_back_on_the_same_port(flow: Flow, alice: Party, provider: Party, held: str) -> None:
    before = flow.open
    alice.asks("INVITE", sdp=held)
    provider.answers("200 OK", sdp=audio("198.51.100.20", 40000, "a=recvonly"))
    alice.asks("ACK")
    for _ in range(60):
        flow.wait(30)
        flow.count({})
    assert flow.open == before
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", sdp=audio("198.51.100.20", 40000))
    assert flow.open == before


def test_a_call_outlasts_the_registration_of_its_phone(flow: Flow, alice: Party, provider: Party) -> None:
    phone = flow.phone("carol", "10.0.0.12", 5070, contact="<sip:carol@10.0.0.12:5080>")
    register(phone, provider, expires=60)
    phone.asks("INVITE", call="long", sdp=audio("10.0.0.12", 16384))
    provider.answers("200 OK", tag="dave", sdp=audio("198.51.100.20", 40000))
    flow.wait(7200)
    assert {address: flow.sip_ports[address] for address in ("10.0.0.12:5070", "10.0.0.12:5080")} == {
        "10.0.0.12:5070": 5070,
        "10.0.0.12:5080": 5080,
    }
    phone.asks("BYE", call="long")
    provider.answers("200 OK", to=b"BYE")
    flow.wait(3601)
    assert not [address for address in flow.sip_ports if address.startswith("10.0.0.12:")]


def test_a_change_of_the_far_side_does_not_give_up_the_challenged_one(
    flow: Flow, alice: Party, provider: Party
) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 17000))
    provider.answers("401 Unauthorized", to=b"INVITE")
    before = flow.rtp
    provider_reinvites(provider, audio("198.51.100.20", 40000))
    assert flow.rtp == before


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "PRACK", "ACK"])
@pytest.mark.parametrize("far_tag", ["mallory", "", "service-tag"])
def test_a_change_with_other_tags_changes_nothing(
    flow: Flow, alice: Party, provider: Party, method: str, far_tag: str
) -> None:
    if method != "INVITE" or far_tag:
        provider.asks(method, ALICE, far_tag=far_tag, sdp=audio("198.51.100.30", 41000))
        assert flow.rtp == UP
    alice.asks(method, far_tag="mallory", sdp=audio("10.0.0.11", 17000)).passes()
    assert flow.rtp == UP
    provider.answers("200 OK", sdp=audio("198.51.100.30", 41000))
    assert flow.rtp == UP


@pytest.mark.parametrize("status", ["183 Session Progress", "200 OK", "488 Not Acceptable Here"])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "PRACK"])
def test_a_response_with_other_tags_changes_nothing(
    flow: Flow, alice: Party, provider: Party, method: str, status: str
) -> None:
    alice.asks(method, sdp=audio("10.0.0.11", 17000))
    before = flow.rtp
    sdp_of_it = "" if "488" in status else audio("198.51.100.30", 41000)
    right = reply(provider.inbox[-1], status, body=sdp_of_it)
    for tag in (b"alice-tag", b"service-tag"):
        provider.sends(right.replace(b";tag=" + tag, b";tag=mallory"))
        assert flow.rtp == before
    provider.sends(right)
    assert flow.rtp != before or status.startswith("183")


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("who", ["alice", "provider"])
def test_streams_come_and_go_whoever_asks(flow: Flow, alice: Party, provider: Party, method: str, who: str) -> None:
    audio_only = {"alice": audio("10.0.0.11", 16384), "service": audio("198.51.100.20", 40000)}
    both = {
        "alice": sdp("10.0.0.11", "m=audio 16384 RTP/AVP 0", "m=video 18000 RTP/AVP 31"),
        "service": sdp("198.51.100.20", "m=audio 40000 RTP/AVP 0", "m=video 40002 RTP/AVP 31"),
    }
    one, other = (alice, provider) if who == "alice" else (provider, alice)
    for said, expected in ((both, 2), (audio_only, 1), (both, 2)):
        one.asks(method, "" if one is alice else ALICE, sdp=said[one.name])
        other.answers("200 OK", to=method.encode(), sdp=said[other.name])
        assert len(flow.rtp) == expected
        assert flow.rtp >= UP
