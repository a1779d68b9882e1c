"""Several accounts, contacts and providers of one phone: what one of them gains or loses is not the others'."""

import pytest

from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import sip
from tests.transcripts.test_callers import rings


@pytest.fixture
def other(flow: Flow) -> Party:
    """Another provider, in another domain."""
    return flow.outside("other", "192.0.2.10", 5070)


def register(
    phone: Party, registrar: Party, aor: str, *, contact: str = "", expires: int = 600, answer: str = "200 OK",
    uri: str = "", granted: tuple[str, ...] = (), call: str = "",
) -> None:  # fmt: skip
    """A phone registers an address of record, and is answered so."""
    phone.far = registrar
    phone.asks(
        "REGISTER", uri or f"sip:{aor.partition('@')[2]}", call=call or f"reg {aor} {uri}", to=f"<sip:{aor}>",
        contact=contact, headers=(f"Expires: {expires}",),
    )  # fmt: skip
    registrar.answers(answer, tag="r", to=b"REGISTER", headers=granted or (f"Expires: {expires}",))


def registered(flow: Flow) -> dict[str, set[str]]:
    """The addresses of record, each with its contacts."""
    return {
        registration.aor: {f"{user.decode()}@{address}" for user, address in registration.contacts}
        for registration in flow.engine.registrations
    }


def test_two_providers_may_both_call_at_one_port(flow: Flow, alice: Party, provider: Party, other: Party) -> None:
    flow.engine.callers.configure("registrar", 3600)
    register(alice, provider, "alice@example.org")
    register(alice, other, "4930@example.net", contact="<sip:4930@10.0.0.11:5060>")
    assert registered(flow) == {
        "sip:alice@example.org": {"alice@10.0.0.11:5060"},
        "sip:4930@example.net": {"4930@10.0.0.11:5060"},
    }
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}
    assert rings(provider)
    assert rings(other, "sip:4930@203.0.113.1:5060")


@pytest.mark.parametrize("ends", ["unregistered", "expired"])
def test_the_end_of_one_leaves_the_other(flow: Flow, alice: Party, provider: Party, other: Party, ends: str) -> None:
    flow.engine.callers.configure("registrar", 3600)
    register(alice, provider, "alice@example.org", expires=3000)
    register(alice, other, "4930@example.net", contact="<sip:4930@10.0.0.11:5060>")
    if ends == "expired":
        flow.wait(601)
    else:
        register(alice, other, "4930@example.net", contact="<sip:4930@10.0.0.11:5060>", expires=0)
    assert flow.notices[-1] == f"registration: sip:4930@example.net at 10.0.0.11 {ends}"
    assert registered(flow) == {"sip:alice@example.org": {"alice@10.0.0.11:5060"}}
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}
    assert rings(provider)
    assert not rings(other)


def test_one_name_at_two_registrars(flow: Flow, alice: Party, provider: Party, other: Party) -> None:
    flow.engine.callers.configure("registrar", 3600)
    register(alice, provider, "100@pbx.example", uri="sip:one.example")
    register(alice, other, "100@pbx.example", uri="sip:two.example")
    register(alice, other, "100@pbx.example", uri="sip:two.example", expires=0)
    assert rings(provider)
    assert not rings(other)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}


def test_accounts_at_ports_of_their_own(flow: Flow, provider: Party, other: Party) -> None:
    alice = flow.phone("alice", "10.0.0.11")
    second = flow.phone("alice2", "10.0.0.11", 5080)
    register(alice, provider, "alice@example.org")
    register(second, other, "4930@example.net", expires=100)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060, "10.0.0.11:5080": 5080}
    flow.wait(101)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}


def test_each_contact_of_one_register_has_its_own_time(flow: Flow, alice: Party, provider: Party) -> None:
    flow.phone("desk", "10.0.0.11", 5070)
    register(
        alice, provider, "alice@example.org",
        contact="<sip:a@10.0.0.11:5060>;expires=300, <sip:b@10.0.0.11:5070>;expires=60,<sip:c@10.0.0.11:5080>",
        granted=(
            "Contact: <sip:b@203.0.113.1:5070>;expires=60, <sip:a@203.0.113.1:5060>;expires=200",
            "Expires: 100",
        ),
    )  # fmt: skip
    flow.wait(59)
    assert set(flow.sip_ports) == {"10.0.0.11:5060", "10.0.0.11:5070", "10.0.0.11:5080"}
    flow.wait(2)
    assert set(flow.sip_ports) == {"10.0.0.11:5060", "10.0.0.11:5080"}
    flow.wait(40)
    assert set(flow.sip_ports) == {"10.0.0.11:5060"}
    flow.wait(100)
    assert flow.sip_ports == {}


def test_a_new_name_takes_the_place_of_the_old_one_at_the_same_address(
    flow: Flow, alice: Party, provider: Party
) -> None:
    """A phone that was restarted makes up another user, and takes the one before back in the same request."""
    register(alice, provider, "alice@example.org", contact="<sip:u1@10.0.0.11:5060>")
    for contacts in (
        "<sip:u2@10.0.0.11:5060>, <sip:u1@10.0.0.11:5060>;expires=0",
        "<sip:u2@10.0.0.11:5060>;expires=0, <sip:u3@10.0.0.11:5060>",
    ):
        register(alice, provider, "alice@example.org", contact=contacts)
    assert registered(flow) == {"sip:alice@example.org": {"u3@10.0.0.11:5060"}}
    flow.wait(599)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}


def test_names_that_nobody_takes_back_run_out(flow: Flow, alice: Party, provider: Party) -> None:
    for number in range(40):
        register(alice, provider, "alice@example.org", contact=f"<sip:u{number}@10.0.0.11:5060>")
    assert len(registered(flow)["sip:alice@example.org"]) == 32
    flow.wait(400)
    register(alice, provider, "alice@example.org", contact="<sip:u98@10.0.0.11:5060>")
    flow.wait(400)
    register(alice, provider, "alice@example.org", contact="<sip:u99@10.0.0.11:5060>")
    assert registered(flow) == {"sip:alice@example.org": {"u98@10.0.0.11:5060", "u99@10.0.0.11:5060"}}


def test_every_contact_goes_with_a_star(flow: Flow, alice: Party, provider: Party, other: Party) -> None:
    register(alice, provider, "alice@example.org", contact="<sip:a@10.0.0.11:5060>,<sip:b@10.0.0.11:5070>")
    register(alice, other, "4930@example.net")
    flow.wait(33)
    register(alice, provider, "alice@example.org", contact="*", expires=0)
    assert registered(flow) == {"sip:4930@example.net": {"alice@10.0.0.11:5060"}}
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}


def test_a_star_that_is_to_stay_means_nothing(flow: Flow, alice: Party, provider: Party) -> None:
    register(alice, provider, "alice@example.org")
    register(alice, provider, "alice@example.org", contact="*", expires=60)
    assert registered(flow) == {"sip:alice@example.org": {"alice@10.0.0.11:5060"}}


def test_contacts_of_other_devices_in_the_answer_are_theirs(flow: Flow, alice: Party, provider: Party) -> None:
    carol = flow.phone("carol", "10.0.0.12")
    register(alice, provider, "family@example.org", call="a")
    register(
        carol, provider, "family@example.org", call="c",
        granted=(
            "Contact: <sip:mobile@198.51.100.200:5060>;expires=50",
            "Contact: <sip:alice@203.0.113.1:5060>;expires=60, <sip:carol@203.0.113.1:5062>;expires=500",
        ),
    )  # fmt: skip
    flow.wait(499)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060, "10.0.0.12:5060": 5062}
    flow.wait(2)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}


@pytest.mark.parametrize(
    "answer", ["301 Moved", "302 Moved", "401 Unauthorized", "403 No", "423 Interval Too Brief", "500 Oops", "503 No"]
)
def test_a_refusal_grants_nothing_and_takes_nothing_away(
    flow: Flow, alice: Party, provider: Party, answer: str
) -> None:
    register(alice, provider, "alice@example.org", answer=answer, granted=("Min-Expires: 900", "Expires: 900"))
    assert registered(flow) == {}
    flow.wait(33)
    assert flow.sip_ports == {}
    register(alice, provider, "alice@example.org", expires=900)
    flow.wait(500)
    register(alice, provider, "alice@example.org", answer=answer)
    # what was granted before runs out when it was to
    flow.wait(399)
    assert registered(flow) == {"sip:alice@example.org": {"alice@10.0.0.11:5060"}}
    assert rings(provider)
    flow.wait(2)
    assert registered(flow) == {}


def test_a_third_party_is_registered_under_its_own_name(flow: Flow, alice: Party, provider: Party) -> None:
    """Alice's phone registers the boss (From is alice, To is the boss), and itself."""
    register(alice, provider, "boss@example.org", expires=900)
    assert b"From: <sip:alice@example.org>" in provider.inbox[-1]
    register(alice, provider, "alice@example.org")
    register(alice, provider, "alice@example.org", expires=0)
    assert registered(flow) == {"sip:boss@example.org": {"alice@10.0.0.11:5060"}}


def test_a_registrar_on_another_port(flow: Flow, alice: Party, other: Party) -> None:
    flow.engine.callers.configure("registrar", 3600)
    register(alice, other, "4930@example.net")
    (registration,) = flow.engine.registrations
    assert list(registration.registrars) == ["192.0.2.10"]
    assert rings(other)


def test_a_phone_that_sends_from_another_port_than_it_says(flow: Flow, provider: Party) -> None:
    sending = flow.phone("alice", "10.0.0.11", 40001, contact="<sip:alice@10.0.0.11:5080>")
    listening = flow.phone("alice", "10.0.0.11", 5080)
    sending.asks(
        "REGISTER", "sip:example.org", to="<sip:alice@example.org>", via="10.0.0.11:5070", headers=("Expires: 600",)
    ).leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5070;branch=z9hG4bKcall-1-1REGISTER",
        "Contact: <sip:alice@203.0.113.1:5080>",
    )
    answered_at = flow.phone("alice", "10.0.0.11", 5070)
    provider.answers("200 OK", tag="r")
    assert b"Via: SIP/2.0/UDP 10.0.0.11:5070;" in answered_at.inbox[-1]
    flow.wait(33)
    # what it only said to get an answer there is over
    assert flow.sip_ports == {"10.0.0.11:5080": 5080}
    assert rings(provider, "sip:alice@203.0.113.1:5080")
    assert listening.inbox[-1].startswith(b"INVITE sip:alice@10.0.0.11:5080 ")


def test_without_rport(flow: Flow, alice: Party, provider: Party) -> None:
    request = sip(
        "REGISTER sip:example.org SIP/2.0",
        [
            "Via: SIP/2.0/UDP 10.0.0.11:5060;branch=z9hG4bK1", "From: <sip:alice@example.org>;tag=a",
            "To: <sip:alice@example.org>", "Call-ID: 1", "CSeq: 1 REGISTER", "Contact: <sip:alice@10.0.0.11>",
        ],
    )  # fmt: skip
    alice.sends(request).leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bK1", "Contact: <sip:alice@203.0.113.1>"
    )
    provider.answers("200 OK", tag="r")
    assert b"Via: SIP/2.0/UDP 10.0.0.11:5060;branch=z9hG4bK1\r\n" in alice.inbox[-1]
    assert rings(provider, "sip:alice@203.0.113.1")
    assert alice.inbox[-1].startswith(b"INVITE sip:alice@10.0.0.11 ")


def test_a_phone_with_a_host_name_for_a_contact_is_found_where_it_sends_from(
    flow: Flow, alice: Party, provider: Party
) -> None:
    """Only the provider can know what the name means: it is left as it is, and the phone is one that only talks."""
    register(alice, provider, "alice@example.org", contact="<sip:alice@phone.example.org:5060>")
    assert b"Contact: <sip:alice@phone.example.org:5060>" in provider.inbox[-1]
    assert registered(flow) == {}
    flow.wait(3599)
    assert rings(provider)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}


def test_one_host_has_2000_registrations(flow: Flow, provider: Party) -> None:
    pbx = flow.phone("pbx", "10.0.0.11")
    for number in range(2000):
        register(pbx, provider, f"{number}@example.org")
    pbx.asks("REGISTER", "sip:example.org", call="more", to="<sip:more@example.org>").is_refused()
    assert "10.0.0.11 has 2000 registrations already" in flow.notices[-1]
    register(pbx, provider, "7@example.org")
    assert rings(provider, "sip:7@203.0.113.1:5060")
