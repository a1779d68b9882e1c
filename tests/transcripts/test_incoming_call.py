"""A phone registers, is idle for long, and is called."""

from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio


def register(phone: Party, provider: Party, expires: int = 3600) -> None:
    phone.asks("REGISTER", call="reg", to=f"<sip:{phone.name}@example.org>", headers=(f"Expires: {expires}",))
    contact = next(line for line in provider.inbox[-1].decode().split("\r\n") if line.startswith("Contact: "))
    provider.answers("200 OK", tag="r", headers=(f"{contact};expires={expires}",))


def test_called_after_long_silence(flow: Flow, alice: Party, provider: Party) -> None:
    register(alice, provider)
    flow.wait(3000)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}

    provider.asks("INVITE", "sip:alice@203.0.113.1:5060", sdp=audio("198.51.100.20", 40000)).leaves_with(
        "INVITE sip:alice@10.0.0.11:5060 SIP/2.0"
    )
    assert flow.open == set()
    alice.answers("180 Ringing").leaves_with("Contact: <sip:alice@203.0.113.1:5060>")
    assert flow.open == set()
    alice.answers("200 OK", sdp=audio("10.0.0.11", 16384)).leaves_with(
        "Contact: <sip:alice@203.0.113.1:5060>",
        "Content-Length: 92",
        "o=- 7 1 IN IP4 203.0.113.1",
        "c=IN IP4 203.0.113.1",
        "m=audio 20000 RTP/AVP 0",
    )
    assert flow.open == {
        "20000 -> 10.0.0.11:16384 rtp from 198.51.100.20",
        "20001 -> 10.0.0.11:16385 rtcp from 198.51.100.20",
    }
    provider.asks("ACK", "sip:alice@203.0.113.1:5060")
    provider.asks("BYE", "sip:alice@203.0.113.1:5060")
    alice.answers("200 OK", to=b"BYE")
    assert flow.open == set()


def test_the_request_uri_comes_in_as_the_phone_wrote_its_contact(flow: Flow, provider: Party) -> None:
    other = flow.phone("carol", "10.0.0.12")
    other.asks("OPTIONS")
    alice = flow.phone("alice", "10.0.0.11", contact="<sip:alice@10.0.0.11>")
    register(alice, provider)
    assert flow.sip_ports["10.0.0.11:5060"] == 5062
    assert b"Contact: <sip:alice@203.0.113.1:5062>\r\n" in provider.inbox[-1]
    provider.asks("INVITE", "sip:alice@203.0.113.1:5062").leaves_with("INVITE sip:alice@10.0.0.11 SIP/2.0")


def test_offer_in_the_answer_and_answer_in_the_ack(flow: Flow, alice: Party, provider: Party) -> None:
    register(alice, provider)
    provider.asks("INVITE", "sip:alice@203.0.113.1:5060")
    alice.answers("200 OK", sdp=audio("10.0.0.11", 16384))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}
    provider.asks("ACK", "sip:alice@203.0.113.1:5060", sdp=audio("198.51.100.20", 40000))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}


def test_the_phone_asked_for_an_offer_answers_in_its_ack(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("INVITE")
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    assert flow.open == set()
    alice.asks("ACK", sdp=audio("10.0.0.11", 16384))
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}


def test_a_busy_phone_opens_nothing(flow: Flow, alice: Party, provider: Party) -> None:
    register(alice, provider)
    provider.asks("INVITE", "sip:alice@203.0.113.1:5060", sdp=audio("198.51.100.20", 40000))
    alice.answers("486 Busy Here")
    assert flow.open == set()
    assert flow.calls == 0


def test_people_read_of_an_incoming_call_when_it_is_answered(flow: Flow, alice: Party, provider: Party) -> None:
    register(alice, provider)
    flow.notices.clear()
    provider.asks("INVITE", "sip:alice@203.0.113.1:5060", sdp=audio("198.51.100.20", 40000))
    alice.answers("180 Ringing")
    assert flow.notices == []
    flow.wait(2)
    alice.answers("200 OK", sdp=audio("10.0.0.11", 16384))
    provider.asks("BYE", "sip:alice@203.0.113.1:5060")
    alice.answers("200 OK", to=b"BYE")
    (call,) = {notice.split(" ")[1] for notice in flow.notices}
    who = f"call: {call} 10.0.0.11 with sip:service@example.org"
    assert flow.notices == [f"{who} answered after 2.0 s, incoming", f"{who} ended after 2.0 s: BYE 200"]


def test_an_incoming_call_that_nobody_answers_is_a_missed_one(flow: Flow, alice: Party, provider: Party) -> None:
    register(alice, provider)
    flow.notices.clear()
    provider.asks("INVITE", "sip:alice@203.0.113.1:5060", sdp=audio("198.51.100.20", 40000))
    alice.answers("486 Busy Here")
    (notice,) = flow.notices
    assert notice.startswith("missed call: ")
    assert notice.endswith(" 10.0.0.11 with sip:service@example.org ended after 0.0 s: INVITE 486")


def test_an_answered_call_is_noticed_once_though_its_bye_was_challenged(
    flow: Flow, alice: Party, provider: Party
) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    alice.asks("BYE")
    provider.answers("407 Proxy Authentication Required", to=b"BYE")
    assert len([notice for notice in flow.notices if " answered after " in notice]) == 1
