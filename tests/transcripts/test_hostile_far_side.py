"""What a far side that means harm can make the gateway open and remember is bounded."""

import pytest

from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio, sdp

ALICE = "sip:alice@203.0.113.1:5060"


def hosts(first: int, count: int) -> str:
    """A description that names so many hosts."""
    streams = [f"m=audio 40000 RTP/AVP 0\nc=IN IP4 192.0.2.{host}" for host in range(first, first + count)]
    return sdp("192.0.2.1", *streams)


def open_to(flow: Flow) -> int:
    """How many hosts may send to the phone's audio port."""
    (row,) = flow.rtp
    return row.count(" 192.0.2.")


@pytest.fixture(autouse=True)
def invite(flow: Flow, alice: Party) -> None:
    """A call that waits for its answer."""
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))


def test_a_description_of_too_many_hosts_passes_and_opens_nothing(flow: Flow, provider: Party) -> None:
    provider.answers("183 Session Progress", tag="b", sdp=hosts(1, 17)).passes()
    assert open_to(flow) == 0
    provider.answers("183 Session Progress", tag="b", sdp=hosts(1, 16))
    assert open_to(flow) == 16


def test_a_call_has_64_hosts_and_no_more(flow: Flow, provider: Party) -> None:
    for number in range(4):
        provider.answers("183 Session Progress", tag=f"b{number}", sdp=hosts(1 + 16 * number, 16))
    provider.answers("183 Session Progress", tag="b4", sdp=hosts(65, 1)).passes()
    assert open_to(flow) == 64
    # hosts that are known already are no more
    provider.answers("200 OK", tag="b4", sdp=hosts(1, 1))
    assert open_to(flow) == 1


def test_of_a_fork_16_branches_are_followed_and_then_the_one_that_answers(
    flow: Flow, alice: Party, provider: Party
) -> None:
    for number in range(1, 17):
        provider.answers("183 Session Progress", tag=f"b{number}", sdp=hosts(number, 1))
    provider.answers("183 Session Progress", tag="b17", sdp=hosts(17, 1))
    assert b"Via: SIP/2.0/UDP 10.0.0.11:5060;" in alice.inbox[-1]
    assert open_to(flow) == 16
    provider.answers("200 OK", tag="b17", sdp=hosts(17, 1))
    assert open_to(flow) == 1


def test_of_a_fork_with_many_answers_16_are_followed(flow: Flow, provider: Party) -> None:
    for number in range(1, 20):
        provider.answers("200 OK", tag=f"b{number}", sdp=hosts(number, 1))
    assert open_to(flow) == 16


def test_offers_without_end_are_not_kept(flow: Flow, alice: Party, provider: Party) -> None:
    provider.answers("200 OK", tag="service-tag", sdp=hosts(1, 1))
    for number in range(2, 18):
        provider.asks("UPDATE", ALICE, far_tag="alice-tag", sdp=hosts(number, 1))
    assert open_to(flow) == 17
    provider.asks("UPDATE", ALICE, far_tag="alice-tag", sdp=hosts(18, 1)).passes()
    assert open_to(flow) == 17
    flow.wait(33)
    assert open_to(flow) == 1


def test_invites_without_end_are_not_kept(flow: Flow, provider: Party) -> None:
    provider.answers("200 OK", tag="service-tag", sdp=hosts(1, 1))
    for _ in range(20):
        provider.asks("INVITE", ALICE, far_tag="alice-tag", sdp=hosts(1, 1))
    (call,) = flow.engine.calls
    assert len(call.legs.invites) == 16
    assert flow.notices[-1].endswith("more than 16 INVITEs at once in one call")
