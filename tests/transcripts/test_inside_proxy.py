"""One inside host has two legs of one call: a proxy there sends it out again, or two phones there call each other."""

from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio, reply

PBX = "sip:100@203.0.113.1:5060"
CALLER, CALLED = audio("198.51.100.20", 40000), audio("198.51.100.30", 41000)


def comes_in(data: bytes) -> bytes:
    """A message that the host got, as its proxy sends it on: with its own Via on top."""
    via = b"\r\nVia: SIP/2.0/UDP 10.0.0.11:5060;branch=z9hG4bKpbx-"
    cseq = next(line for line in data.split(b"\r\n") if line.startswith(b"CSeq: "))
    return data.replace(b"\r\n", via + cseq[6:].replace(b" ", b"") + b"\r\n", 1)


def goes_back(data: bytes) -> bytes:
    """A response that the proxy got, as it sends it back: without its own Via, which is on top."""
    start, _, rest = data.split(b"\r\n", 2)
    return start + b"\r\n" + rest


def is_forwarded(flow: Flow, pbx: Party, provider: Party) -> None:
    """A call from outside goes through the switchboard to somebody outside, and rings there."""
    pbx.asks("OPTIONS", call="hello")
    provider.asks("INVITE", PBX, sdp=CALLER)
    pbx.sends(comes_in(pbx.inbox[-1]))
    provider.answers("180 Ringing", tag="mobile", to=b"INVITE", sdp=CALLED)
    pbx.sends(goes_back(pbx.inbox[-1]))
    assert (flow.open, flow.calls) == (set(), 1)


def legs(flow: Flow) -> list[str]:
    return [dialog.state.value for call in flow.engine.calls for dialog in call.legs.dialogs.values()]


def test_a_call_from_outside_to_outside_opens_nothing_and_is_followed_to_both_byes(
    flow: Flow, alice: Party, provider: Party
) -> None:
    is_forwarded(flow, alice, provider)
    provider.answers("200 OK", tag="mobile", to=b"INVITE", sdp=CALLED)
    assert legs(flow) == ["up", "early"]
    alice.sends(goes_back(alice.inbox[-1]))
    assert legs(flow) == ["up", "up"]
    provider.asks("ACK", PBX, far_tag="mobile")
    alice.sends(comes_in(alice.inbox[-1]))
    flow.wait(1000)
    flow.count({})
    assert (legs(flow), flow.open) == (["up", "up"], set())

    provider.asks("BYE", PBX, far_tag="mobile")
    alice.sends(comes_in(alice.inbox[-1]))
    assert legs(flow) == ["ending", "ending"]
    provider.answers("200 OK", to=b"BYE")
    assert legs(flow) == ["ending"]
    alice.sends(goes_back(alice.inbox[-1]))
    assert flow.calls == 0


def test_the_bye_of_one_leg_leaves_the_other_up(flow: Flow, alice: Party, provider: Party) -> None:
    is_forwarded(flow, alice, provider)
    provider.answers("200 OK", tag="mobile", to=b"INVITE", sdp=CALLED)
    alice.sends(goes_back(alice.inbox[-1]))
    provider.asks("BYE", PBX, far_tag="mobile")
    alice.answers("200 OK", to=b"BYE")
    assert legs(flow) == ["up"]


def test_a_cancel_on_one_leg_leaves_the_other_to_its_answer(flow: Flow, alice: Party, provider: Party) -> None:
    is_forwarded(flow, alice, provider)
    asked = provider.inbox[-2]
    provider.asks("CANCEL", PBX, far_tag="")
    alice.answers("200 OK", to=b"CANCEL")
    alice.answers("487 Request Terminated", "mobile", to=b"INVITE")
    assert legs(flow) == ["early"]
    # it crossed the answer
    provider.sends(reply(asked, "200 OK", "mobile", body=CALLED))
    assert (legs(flow), flow.open) == (["up"], set())


def test_a_call_that_comes_back_to_the_host_has_media_while_any_of_it_lasts(
    flow: Flow, alice: Party, provider: Party
) -> None:
    """Out through the provider and in again to a phone on the host: three passages with one CSeq and one From tag."""
    alice.asks("OPTIONS", call="hello")
    provider.asks("INVITE", PBX, sdp=CALLER)
    alice.sends(comes_in(alice.inbox[-1]))
    spiral = provider.inbox[-1].replace(
        b"\r\n", b"\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKspiral\r\n", 1
    )
    provider.sends(spiral, PBX)
    assert alice.inbox[-1].count(b"\r\nVia: ") == 3
    answer = reply(alice.inbox[-1], "200 OK", "desk", body=audio("10.0.0.11", 16384))
    alice.sends(answer)
    up = {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
    assert flow.rtp == up
    provider.sends(goes_back(provider.inbox[-1]))
    alice.sends(goes_back(alice.inbox[-1]))
    assert b"m=audio 20000 " in provider.inbox[-1]
    assert (flow.rtp, legs(flow)) == (up, ["up", "up"])
    flow.wait(300)
    assert flow.rtp == up

    provider.asks("BYE", PBX, far_tag="desk")
    alice.sends(comes_in(alice.inbox[-1]))
    provider.sends(
        provider.inbox[-1].replace(b"\r\n", b"\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKb\r\n", 1), PBX
    )
    alice.sends(reply(alice.inbox[-1], "200 OK"))
    provider.sends(goes_back(provider.inbox[-1]))
    alice.sends(goes_back(alice.inbox[-1]))
    assert (flow.open, flow.calls) == (set(), 0)


def test_the_cancel_of_a_passage_is_not_that_of_another(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("OPTIONS", call="hello")
    provider.asks("INVITE", PBX, branch="one", sdp=CALLER)
    provider.legs["call-1"].cseq -= 1
    provider.asks("INVITE", PBX, branch="two", sdp=CALLER)
    first, second = alice.inbox[-2:]
    alice.sends(reply(first, "183 Session Progress", "a", body=audio("10.0.0.11", 16384)))
    alice.sends(reply(second, "183 Session Progress", "b", body=audio("10.0.0.11", 17000)))
    provider.asks("CANCEL", PBX, branch="two", far_tag="")
    alice.sends(reply(second, "487 Request Terminated", "b"))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
    provider.asks("CANCEL", PBX, branch="of-an-old-phone", far_tag="")
    flow.wait(33)
    assert flow.calls == 0


def test_two_phones_at_one_address_call_each_other(flow: Flow, alice: Party, provider: Party) -> None:
    other = flow.phone("office", "10.0.0.11", 5070)
    other.asks("OPTIONS", call="hello")
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    via = b"\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKproxy\r\n"
    provider.sends(provider.inbox[-1].replace(b"\r\n", via, 1), "sip:office@203.0.113.1:5070")
    other.answers("200 OK", sdp=audio("10.0.0.11", 17000))
    provider.sends(goes_back(provider.inbox[-1]))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed", "20002 -> 10.0.0.11:17000 rtp closed"}
    assert (flow.calls, legs(flow)) == (1, ["up", "up"])
    # both keep their SIP ports for as long as they talk
    flow.wait(7200)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060, "10.0.0.11:5070": 5070}

    other.asks("BYE")
    alice_hears = provider.inbox[-1].replace(b"\r\n", via, 1)
    provider.sends(alice_hears, "sip:alice@203.0.113.1:5060")
    assert flow.calls == 1
    alice.answers("200 OK", to=b"BYE")
    assert flow.rtp == {"20002 -> 10.0.0.11:17000 rtp closed"}
    provider.sends(goes_back(provider.inbox[-1]))
    assert (flow.open, flow.calls) == (set(), 0)
