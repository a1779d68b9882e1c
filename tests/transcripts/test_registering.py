"""REGISTER (RFC 3261 section 10): how long a phone can be called, and what ends it."""

from tests.transcripts.flow import Flow, Party
from tests.transcripts.test_incoming_call import register


def test_the_port_stays_for_the_time_granted(flow: Flow, alice: Party, provider: Party) -> None:
    register(alice, provider, 600)
    flow.wait(599)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}
    flow.wait(2)
    assert flow.sip_ports == {}
    assert flow.notices[-1] == "registration: sip:alice@example.org at 10.0.0.11 expired"


def test_a_refresh_prolongs(flow: Flow, alice: Party, provider: Party) -> None:
    for _ in range(5):
        register(alice, provider, 600)
        flow.wait(500)
    flow.wait(90)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}
    flow.wait(20)
    assert flow.sip_ports == {}


def test_a_challenge_promises_nothing_and_the_second_try_does(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("REGISTER", call="reg")
    provider.answers("401 Unauthorized", tag="r")
    flow.wait(33)
    assert flow.sip_ports == {}
    register(alice, provider, 600)
    flow.wait(500)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}


def test_unregistering_removes_at_once_and_its_answer_still_reaches_the_phone(
    flow: Flow, alice: Party, provider: Party
) -> None:
    register(alice, provider)
    alice.asks("REGISTER", call="reg", to="<sip:alice@example.org>", headers=("Expires: 0",))
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}
    provider.answers("200 OK", tag="r").leaves_with(
        "Via: SIP/2.0/UDP 10.0.0.11:5060;rport;branch=z9hG4bKreg-2REGISTER"
    )
    assert flow.sip_ports == {}
    assert flow.notices[-1] == "registration: sip:alice@example.org at 10.0.0.11 unregistered"
    provider.again().leaves_with("Via: SIP/2.0/UDP 10.0.0.11:5060;rport;branch=z9hG4bKreg-2REGISTER")


def test_unregistering_every_contact_there_is(flow: Flow, alice: Party, provider: Party) -> None:
    register(alice, provider)
    alice.asks("REGISTER", call="reg", to="<sip:alice@example.org>", contact="*", headers=("Expires: 0",))
    provider.answers("200 OK", tag="r")
    assert flow.sip_ports == {}


def test_a_phone_that_unregisters_in_a_call_can_still_be_hung_up_on(
    flow: Flow, alice: Party, provider: Party
) -> None:
    register(alice, provider)
    provider.asks("INVITE", "sip:alice@203.0.113.1:5060")
    alice.answers("200 OK")
    alice.asks("REGISTER", call="reg", to="<sip:alice@example.org>", headers=("Expires: 0",))
    provider.answers("200 OK", tag="r", to=b"REGISTER")
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}
    provider.asks("BYE", "sip:alice@203.0.113.1:5060")
    alice.answers("200 OK", to=b"BYE")
    assert flow.calls == 0


def test_asking_for_the_contacts_changes_nothing(flow: Flow, alice: Party, provider: Party) -> None:
    register(alice, provider, 600)
    alice.asks("REGISTER", call="reg", to="<sip:alice@example.org>", contact="<sip:alice@example.org>")
    provider.answers("200 OK", tag="r")
    flow.wait(500)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}


def test_an_unknown_phone_that_asks_for_its_contacts_is_no_news(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("REGISTER", call="reg", contact="<sip:alice@example.org>")
    provider.answers("200 OK", tag="r")
    assert flow.notices == ["address: announcing 203.0.113.1, was None"]


def test_once_expired_a_phone_is_one_that_only_talks(flow: Flow, alice: Party, provider: Party) -> None:
    register(alice, provider, 600)
    flow.wait(601)
    alice.asks("OPTIONS")
    flow.wait(3500)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}


def test_a_phone_that_only_talks_keeps_its_port_for_an_hour(flow: Flow, alice: Party) -> None:
    alice.asks("OPTIONS")
    flow.wait(3599)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}
    flow.wait(2)
    assert flow.sip_ports == {}
