"""What a registrar grants for long a phone learns as short: it registers again soon, with the address of then."""

import pytest

from gateway.engine import Settings
from tests.transcripts.flow import PUBLIC, Flow, Party, Passage
from tests.transcripts.messages import audio

OWN = "<sip:alice@203.0.113.1:5060>"
VIA = "Via: SIP/2.0/UDP 10.0.0.11:5060;rport;branch=z9hG4bKreg-1REGISTER"


def registered(alice: Party, provider: Party, *headers: str, asked: int = 3600, status: str = "200 OK") -> Passage:
    """A REGISTER for so long, and what answers it."""
    alice.asks("REGISTER", call="reg", to="<sip:alice@example.org>", headers=(f"Expires: {asked}",))
    return provider.answers(status, tag="r", headers=headers)


def test_the_expires_of_the_answer_and_of_the_phones_contact(alice: Party, provider: Party) -> None:
    registered(alice, provider, f"Contact: {OWN};q=0.5;expires=3600;x=3600", "Expires: 1800").leaves_with(
        VIA, "Contact: <sip:alice@10.0.0.11:5060>;q=0.5;expires=60;x=3600", "Expires: 60"
    )


def test_what_the_registrar_granted_is_what_the_gateway_holds(flow: Flow, alice: Party, provider: Party) -> None:
    registered(alice, provider, f"Contact: {OWN};expires=3600")
    assert flow.notices[-1] == "registration: sip:alice@example.org at 10.0.0.11:5060 for 3600 s"
    flow.wait(3599)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}


def test_a_short_grant_stays(alice: Party, provider: Party) -> None:
    registered(alice, provider, f"Contact: {OWN};expires=60", "Expires: 45").leaves_with(
        VIA, "Contact: <sip:alice@10.0.0.11:5060>;expires=60"
    )


def test_other_phones_contacts_keep_their_time(flow: Flow, alice: Party, provider: Party) -> None:
    carol = flow.phone("carol", "10.0.0.12")
    carol.asks("OPTIONS")
    assert flow.sip_ports["10.0.0.12:5060"] == 5060
    others = "<sip:alice@203.0.113.1:5060>;expires=3600, <sip:alice@192.0.2.7:5060>;expires=3600"
    registered(alice, provider, f"Contact: <sip:alice@203.0.113.1:5062>;expires=3600, {others}").leaves_with(
        VIA,
        "Contact: <sip:alice@10.0.0.11:5060>;expires=60,"
        " <sip:alice@10.0.0.12:5060>;expires=3600, <sip:alice@192.0.2.7:5060>;expires=3600",
    )


@pytest.mark.parametrize(
    "expires", ["EXPIRES = 3600", 'expires="3600"', "expires=3600;expires=7200"], ids=["spaces", "quoted", "twice"]
)
def test_however_it_is_written(alice: Party, provider: Party, expires: str) -> None:
    shorter = expires.replace("3600", "60")
    registered(alice, provider, f"Contact: {OWN};{expires}").leaves_with(
        VIA, f"Contact: <sip:alice@10.0.0.11:5060>;{shorter}"
    )


def test_an_answer_without_any_lifetime_would_mean_what_was_asked(alice: Party, provider: Party) -> None:
    registered(alice, provider, f"Contact: {OWN}").leaves_with(
        "+" + VIA, f"+Contact: <sip:alice@{alice.address}>", "+Expires: 60"
    )


def test_and_stays_if_that_is_short(alice: Party, provider: Party) -> None:
    registered(alice, provider, f"Contact: {OWN}", asked=60).leaves_with(VIA, f"Contact: <sip:alice@{alice.address}>")


def test_too_brief_is_between_phone_and_registrar(alice: Party, provider: Party) -> None:
    registered(alice, provider, "Min-Expires: 300", "Expires: 300", status="423 Interval Too Brief").leaves_with(VIA)


def test_the_end_of_a_registration_stays_one(flow: Flow, alice: Party, provider: Party) -> None:
    registered(alice, provider, f"Contact: {OWN};expires=3600")
    alice.asks("REGISTER", call="reg", to="<sip:alice@example.org>", headers=("Expires: 0",))
    provider.answers("200 OK", headers=(f"Contact: {OWN};expires=0", "Expires: 0")).leaves_with(
        VIA.replace("reg-1", "reg-2"), "Contact: <sip:alice@10.0.0.11:5060>;expires=0"
    )
    assert flow.sip_ports == {}


def test_a_subscription_keeps_its_time(alice: Party, provider: Party) -> None:
    alice.asks("SUBSCRIBE", call="sub", headers=("Expires: 3600",))
    provider.answers("200 OK", headers=("Expires: 3600",)).leaves_with(VIA.replace("reg-1REGISTER", "sub-1SUBSCRIBE"))


def test_as_granted() -> None:
    flow = Flow(Settings(max_expires=0))
    alice = flow.phone("alice", "10.0.0.11")
    registered(alice, flow.provider, f"Contact: {OWN};expires=3600", "Expires: 1800").leaves_with(
        VIA, "Contact: <sip:alice@10.0.0.11:5060>;expires=3600"
    )


def test_after_another_address_the_next_refresh_brings_the_calls_back(
    flow: Flow, alice: Party, provider: Party
) -> None:
    registered(alice, provider, f"Contact: {OWN};expires=3600")
    flow.moves_to("203.0.113.9")
    flow.wait(55)
    alice.asks("REGISTER", call="reg", to="<sip:alice@example.org>", headers=("Expires: 3600",))
    assert b"Contact: <sip:alice@203.0.113.9:5060>\r\n" in provider.inbox[-1]
    # the registrar lists the contact at the old address, too, for as long as it granted that
    provider.answers(
        "200 OK", headers=(f"Contact: {OWN};expires=3545, <sip:alice@203.0.113.9:5060>;expires=3600",)
    ).leaves_with(
        VIA.replace("reg-1", "reg-2"),
        f"Contact: <sip:alice@{PUBLIC}:5060>;expires=3545, <sip:alice@10.0.0.11:5060>;expires=60",
    )
    provider.asks("INVITE", "sip:alice@203.0.113.9:5060", sdp=audio("198.51.100.20", 40000)).leaves_with(
        "INVITE sip:alice@10.0.0.11:5060 SIP/2.0"
    )
