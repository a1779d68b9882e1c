"""A switchboard has many calls on one SIP port: what happens to one happens to no other."""

import pytest

from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio

PBX = "sip:alice@203.0.113.1:5060"
CALLS = range(30)


def up(flow: Flow) -> set[int]:
    """The calls whose far side may send, by number."""
    return {int(host.rpartition(".")[2]) for row in flow.rtp for host in row.partition(" from ")[2].split()}


@pytest.fixture(params=[2, 0], ids=["a port each", "one media port"])
def ports(request: pytest.FixtureRequest) -> int:
    """How far apart the media ports of two calls are."""
    return int(request.param)


@pytest.fixture(autouse=True)
def calls(flow: Flow, alice: Party, provider: Party, ports: int) -> None:
    """Half of them out, half of them in."""
    alice.asks("OPTIONS", call="hello")
    for number in CALLS:
        ours = audio("10.0.0.11", 16384 + ports * number)
        theirs = audio(f"192.0.2.{number}", 40000)
        if number % 2:
            alice.asks("INVITE", call=f"c{number}", sdp=ours)
            provider.answers("200 OK", tag=f"far{number}", sdp=theirs)
            alice.asks("ACK", call=f"c{number}")
        else:
            provider.asks("INVITE", PBX, call=f"c{number}", sdp=theirs)
            alice.answers("200 OK", tag=f"near{number}", sdp=ours)
            provider.legs[f"c{number}"].far_tag = f"near{number}"
            alice.legs[f"c{number}"].own_tag = f"near{number}"
            provider.asks("ACK", PBX, call=f"c{number}")
    assert (up(flow), flow.calls) == (set(CALLS), 30)
    assert len(flow.rtp) == (30 if ports else 1)


def test_each_bye_ends_its_own_call(flow: Flow, alice: Party, provider: Party) -> None:
    left = set(CALLS)
    for number in (7, 0, 29, 16, 3):
        alice.asks("BYE", call=f"c{number}")
        provider.answers("200 OK", to=b"BYE")
        left.remove(number)
        assert (up(flow), flow.calls) == (left, len(left))
    for number in (8, 1):
        provider.asks("BYE", PBX, call=f"c{number}")
        alice.answers("200 OK", to=b"BYE")
        left.remove(number)
        assert (up(flow), flow.calls) == (left, len(left))


def test_a_bye_with_the_tags_of_another_call_ends_none(flow: Flow, alice: Party, provider: Party) -> None:
    provider.asks("BYE", PBX, call="c2", far_tag="near4")
    alice.answers("200 OK", to=b"BYE")
    alice.asks("BYE", call="c3", far_tag="far5")
    provider.answers("200 OK", to=b"BYE")
    flow.wait(100)
    assert up(flow) == set(CALLS)


@pytest.mark.parametrize("status", ["200 OK", "488 Not Acceptable Here"])
def test_a_change_of_one_call_changes_no_other(
    flow: Flow, alice: Party, provider: Party, status: str, ports: int
) -> None:
    before = flow.rtp
    alice.asks("INVITE", call="c5", sdp=audio("10.0.0.11", 30000))
    provider.answers(status, to=b"INVITE", sdp=audio("192.0.2.99", 40000) if status == "200 OK" else "")
    alice.asks("ACK", call="c5")
    if status != "200 OK":
        assert flow.rtp == before
        return
    assert up(flow) == set(CALLS) - {5} | {99}
    moved = [row for row in flow.rtp if "10.0.0.11:30000 " in row]
    assert [row.partition(" from ")[2] for row in moved] == ["192.0.2.99"]
    assert len(flow.rtp) == (30 if ports else 2)


def test_a_cancelled_call_takes_nothing_from_those_on_its_port(flow: Flow, alice: Party, provider: Party) -> None:
    before = flow.rtp
    alice.asks("INVITE", call="more", sdp=audio("10.0.0.11", 16384))
    alice.asks("CANCEL", call="more", far_tag="")
    provider.answers("487 Request Terminated", tag="x", to=b"INVITE")
    assert (flow.rtp, flow.calls) == (before, 30)
