"""What one phone may have at a time (`limits`): one more is refused, what it has goes on, and others have theirs."""

from gateway.engine import Settings
from gateway.limits import Limits
from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio


def limited(**bounds: int) -> tuple[Flow, Party, Party]:
    """A router, and two phones at home."""
    flow = Flow(Settings(limits=Limits(**bounds)))
    return flow, flow.phone("alice", "10.0.0.11"), flow.phone("carol", "10.0.0.12", 5061)


def calls(phone: Party, call: str, port: int) -> None:
    phone.asks("INVITE", call=call, sdp=audio(phone.address.ip, port))
    phone.flow.provider.answers("200 OK", to=b"INVITE", tag=call, sdp=audio("198.51.100.20", 40000))
    phone.asks("ACK", call=call)


def test_calls() -> None:
    flow, alice, carol = limited(calls=1)
    calls(alice, "one", 4000)
    alice.asks("INVITE", call="two", sdp=audio("10.0.0.11", 4002)).is_refused()
    assert flow.notices[-1].endswith("10.0.0.11 has 1 calls already, the most for one phone (limits.calls)")
    calls(carol, "hers", 4000)
    assert flow.rtp == {
        "20000 -> 10.0.0.11:4000 rtp from 198.51.100.20",
        "20002 -> 10.0.0.12:4000 rtp from 198.51.100.20",
    }
    alice.asks("BYE", call="one")
    flow.provider.answers("200 OK", to=b"BYE")
    alice.asks("INVITE", call="three", sdp=audio("10.0.0.11", 4004))
    assert flow.calls == 2


def test_of_very_many_refusals_the_last_are_remembered() -> None:
    flow, alice, _ = limited(calls=1)
    calls(alice, "one", 4000)
    first, second, *_, last = [alice.asks("INVITE", call=f"refused-{number}").sent for number in range(4097)]
    alice.asks("BYE", call="one")
    flow.provider.answers("200 OK", to=b"BYE")
    for refused in (second, last):
        alice.sends(refused).is_refused()
    alice.sends(first)
    assert flow.calls == 1


def test_media_ports() -> None:
    flow, alice, carol = limited(ports=2)
    calls(alice, "one", 4000)
    calls(alice, "two", 4002)
    held = flow.open
    alice.asks("INVITE", call="three", sdp=audio("10.0.0.11", 4004)).is_refused()
    assert flow.notices[-1].endswith("1 more port pairs needed, 0 free: widen limits.ports")
    assert flow.open == held
    calls(carol, "hers", 4000)
    assert "20004 -> 10.0.0.12:4000 rtp from 198.51.100.20" in flow.rtp
    alice.asks("BYE", call="one")
    flow.provider.answers("200 OK", to=b"BYE")
    assert not any("10.0.0.11:4000" in each for each in flow.open)
    calls(alice, "four", 4006)
    assert "20006 -> 10.0.0.11:4006 rtp from 198.51.100.20" in flow.rtp


def test_a_call_in_that_the_phone_has_no_ports_for_is_refused_before_it_rings() -> None:
    flow, alice, _ = limited(ports=1)
    calls(alice, "one", 4000)
    heard = len(alice.inbox)
    offer = audio("198.51.100.20", 5000)
    flow.provider.asks("INVITE", "sip:alice@203.0.113.1:5060", call="in", sdp=offer).is_refused()
    assert len(alice.inbox) == heard


def test_registrations() -> None:
    flow, alice, carol = limited(registrations=1)
    for phone, call in ((alice, "reg-a"), (carol, "reg-c")):
        phone.asks("REGISTER", "sip:example.org", call=call, to=f"<sip:{phone.name}@example.org>")
        flow.provider.answers("200 OK", headers=("Expires: 600",))
    alice.asks("REGISTER", "sip:example.org", call="reg-b", to="<sip:bob@example.org>").is_refused()
    assert "10.0.0.11 has 1 registrations already" in flow.notices[-1]
    assert flow.notices[-1].endswith("(limits.registrations)")
    assert len(list(flow.engine.registrations)) == 2
    # the one that it has is refreshed
    alice.asks("REGISTER", "sip:example.org", call="reg-a", to="<sip:alice@example.org>")
    flow.provider.answers("200 OK", headers=("Expires: 600",))


def test_sip_addresses() -> None:
    flow, alice, carol = limited(addresses=2)
    alice.asks("OPTIONS")
    flow.phone("alice", "10.0.0.11", 5070).asks("OPTIONS", call="b")
    flow.phone("alice", "10.0.0.11", 5080).asks("OPTIONS", call="c").is_refused()
    assert flow.notices[-1].endswith("2 SIP addresses already, the most for one host (limits.addresses)")
    carol.asks("OPTIONS", call="d")
    assert flow.sip_ports == {"10.0.0.11:5060": 5060, "10.0.0.11:5070": 5070, "10.0.0.12:5061": 5061}


def test_a_bound_that_is_lowered_takes_nothing_away() -> None:
    flow, alice, _ = limited()
    calls(alice, "one", 4000)
    calls(alice, "two", 4002)
    held = flow.open
    flow.engine.configure(Settings(limits=Limits(calls=1, ports=1, addresses=1)))
    flow.commit()
    assert flow.open == held
    alice.asks("INVITE", call="one", sdp=audio("10.0.0.11", 4000, "sendonly"))
    assert flow.open == held
    alice.asks("INVITE", call="three", sdp=audio("10.0.0.11", 4004)).is_refused()
