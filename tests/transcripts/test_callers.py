"""Whose requests reach a phone: `sip.callers`, from "registrar" to "any", and what a scanner gets: nothing."""

import itertools

import pytest

from gateway.calls.dialog import Side
from gateway.engine import Settings
from gateway.outcome import Release
from gateway.wire import Datagram
from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio, sip
from tests.transcripts.test_incoming_call import register

PUBLIC_ALICE = "sip:100@203.0.113.1:5060"  # alice registers as alice
CALL = audio("192.0.2.66", 40000)
BROKEN_ANSWER = b"SIP/2.0 200 so to speak\r\n\r\n"

numbers = itertools.count(1)


@pytest.fixture
def scanner(flow: Flow) -> Party:
    return flow.outside("100", "192.0.2.66")


def rings(caller: Party, uri: str = PUBLIC_ALICE) -> bool:
    """Whether a call of somebody outside is heard by the phone; if not, it left no trace at all."""
    flow = caller.flow
    before = (dict(flow.kernel), flow.calls, flow.engine.next_timer(), flow.engine.counters["dropped: caller"])
    passage = caller.asks("INVITE", uri, f"ring-{next(numbers)}", sdp=CALL)
    if passage.arrived is not None:
        return True
    passage.is_dropped()
    kernel, calls, timer, dropped = before
    assert (flow.kernel, flow.calls, flow.engine.next_timer()) == (kernel, calls, timer)
    assert flow.engine.counters["dropped: caller"] == dropped + 1
    return False


@pytest.mark.parametrize(
    "method", ["INVITE", "OPTIONS", "REGISTER", "SUBSCRIBE", "NOTIFY", "MESSAGE", "ACK", "CANCEL", "BYE", "X"]
)
@pytest.mark.parametrize("user", ["admin@", "100@", "+4930123456@", ""])
def test_a_scanner_reaches_no_phone(
    flow: Flow, alice: Party, provider: Party, scanner: Party, method: str, user: str
) -> None:
    register(alice, provider)
    heard, kernel, timer = list(alice.inbox), dict(flow.kernel), flow.engine.next_timer()
    scanner.asks(method, f"sip:{user}203.0.113.1:5060", sdp=CALL if method == "INVITE" else "").is_dropped()
    assert (alice.inbox, flow.kernel, flow.engine.next_timer()) == (heard, kernel, timer)
    assert flow.calls == 0
    assert flow.engine.counters["dropped: caller"] == 1
    assert flow.notices[-1].endswith(
        f'{method} of 192.0.2.66:5060 for 10.0.0.11:5060: sip.callers = "known" does not admit it'
    )


@pytest.mark.parametrize("port", [1, 5060, 5071, 65535])
def test_it_is_the_address_that_counts_and_no_port(flow: Flow, alice: Party, provider: Party, port: int) -> None:
    register(alice, provider)
    assert not rings(flow.outside("100", "192.0.2.66", port))
    assert rings(flow.outside("service", "198.51.100.1", port))


def test_what_a_lenient_phone_might_read_all_the_same(
    flow: Flow, alice: Party, provider: Party, scanner: Party
) -> None:
    register(alice, provider)
    broken = sip(f"INVITE {PUBLIC_ALICE} SIP/2.0 ", ["Via: SIP/2.0/UDP 192.0.2.66"])
    for data in (broken, b"\r\n" + broken, broken[:60], b"\r\n\r\n", b""):
        scanner.sends(data, PUBLIC_ALICE).is_dropped()
        provider.sends(data, PUBLIC_ALICE).passes()
    description = "v=0\r\nnonsense\r\n"
    scanner.asks("INVITE", PUBLIC_ALICE, sdp=description).is_dropped()
    provider.asks("INVITE", PUBLIC_ALICE, sdp=description).passes()


def test_responses_are_let_through(flow: Flow, alice: Party, provider: Party, scanner: Party) -> None:
    alice.asks("OPTIONS")
    scanner.inbox += provider.inbox
    assert scanner.answers("200 OK").arrived is not None
    broken = Datagram(scanner.address, alice.address, BROKEN_ANSWER, 20)
    assert flow.engine.receive(broken, Side.OUTSIDE, flow.now) == Release()


def test_another_machine_of_the_provider_that_the_dns_names(flow: Flow, alice: Party, provider: Party) -> None:
    sibling = flow.outside("gate", "198.51.100.77")
    flow.engine.callers.know("example.org", frozenset({"198.51.100.77", "198.51.100.78"}))
    alice.asks("OPTIONS")
    # not before the phone is registered in that domain
    assert not rings(sibling)
    register(alice, provider)
    assert rings(sibling)
    flow.engine.callers.know("example.org", frozenset({"198.51.100.78"}))
    assert not rings(sibling)
    assert rings(flow.outside("gate", "198.51.100.78"))
    flow.engine.callers.know("example.org", frozenset())
    assert not rings(flow.outside("gate", "198.51.100.78"))


def test_one_providers_siblings_do_not_ring_at_anothers_phones(flow: Flow, alice: Party, provider: Party) -> None:
    carol = flow.phone("carol", "10.0.0.12")
    register(alice, provider)
    carol.asks("OPTIONS")
    flow.engine.callers.know("example.org", frozenset({"198.51.100.77"}))
    sibling = flow.outside("gate", "198.51.100.77")
    assert rings(sibling)
    assert not rings(sibling, f"sip:carol@203.0.113.1:{flow.sip_ports['10.0.0.12:5060']}")


def test_the_address_that_a_phone_registers_by_is_a_domain_too(flow: Flow, alice: Party) -> None:
    """It registers with 198.51.100.9 over an outbound proxy."""
    alice.asks("REGISTER", "sip:198.51.100.9", to="<sip:alice@198.51.100.9>")
    flow.provider.answers("200 OK", tag="r")
    assert rings(flow.outside("service", "198.51.100.9"))


@pytest.mark.parametrize(
    ("user", "admitted"),
    [
        ("alice-5f0a93c1", True),
        ("+4930123456", True),
        ("1234567e0", True),
        ("alice.smith:secret1", True),
        ("alice", True),
        ("1234567", True),
        ("123456", False),
        ("100", False),
        ("*1", False),
    ],
)
def test_who_names_the_very_contact_has_it_from_the_registrar(flow: Flow, user: str, admitted: bool) -> None:
    alice = flow.phone("alice", "10.0.0.11", contact=f"<sip:{user}@10.0.0.11:5060>")
    register(alice, flow.provider)
    elsewhere = flow.outside("gate", "203.0.113.99")
    assert rings(elsewhere, f"sip:{user}@203.0.113.1:5060") is admitted
    assert rings(elsewhere, f"sip:{user}@203.0.113.1") is admitted  # which means port 5060


def test_a_contact_without_a_user_shows_nothing(flow: Flow, provider: Party) -> None:
    register(flow.phone("pbx", "10.0.0.11", contact="<sip:10.0.0.11:5060;bnc>"), provider)
    assert not rings(flow.outside("gate", "203.0.113.99"), "sip:203.0.113.1:5060")


@pytest.mark.parametrize(
    "uri",
    [
        "sip:alice-5f0a93c2@203.0.113.1:5060",
        "sip:Alice-5f0a93c1@203.0.113.1:5060",
        "sip:5f0a93c1@203.0.113.1:5060",
        "sip:203.0.113.1:5060",
        "sip:alice-5f0a93c1@203.0.113.1:5062",
        "sip:alice-5f0a93c1@203.0.113.2:5060",
        "sip:alice-5f0a93c1@example.org:5060",
        "sip:alice-5f0a93c1@example.org;maddr=203.0.113.1",
        "tel:alice-5f0a93c1",
    ],
)
def test_a_contact_that_is_not_the_very_one(flow: Flow, provider: Party, uri: str) -> None:
    alice = flow.phone("alice", "10.0.0.11", contact="<sip:alice-5f0a93c1@10.0.0.11:5060>")
    carol = flow.phone("carol", "10.0.0.12")
    register(alice, provider)
    carol.asks("OPTIONS")
    request = sip(
        f"OPTIONS {uri} SIP/2.0",
        ["Via: SIP/2.0/UDP 192.0.2.66", "From: <sip:a@b>;tag=1", "To: <sip:a@b>", "Call-ID: 1", "CSeq: 1 OPTIONS"],
    )
    flow.outside("gate", "192.0.2.66").sends(request, PUBLIC_ALICE).is_dropped()
    whole = request.replace(uri.encode(), b"sip:alice-5f0a93c1@203.0.113.1:5060")
    assert flow.outside("gate", "192.0.2.66").sends(whole, PUBLIC_ALICE).arrived is not None


def test_one_phones_contact_opens_no_other_phone(flow: Flow, provider: Party) -> None:
    alice = flow.phone("alice", "10.0.0.11", contact="<sip:alice-5f0a93c1@10.0.0.11:5060>")
    carol = flow.phone("carol", "10.0.0.12")
    register(alice, provider)
    carol.asks("OPTIONS")
    request = sip(
        "OPTIONS sip:alice-5f0a93c1@203.0.113.1:5060 SIP/2.0",
        ["Via: SIP/2.0/UDP 192.0.2.66", "From: <sip:a@b>;tag=1", "To: <sip:a@b>", "Call-ID: 1", "CSeq: 1 OPTIONS"],
    )
    flow.outside("gate", "192.0.2.66").sends(request, "sip:carol@203.0.113.1:5062").is_dropped()


def test_a_contact_counts_as_long_as_it_is_registered(flow: Flow, provider: Party) -> None:
    alice = flow.phone("alice", "10.0.0.11", contact="<sip:alice-5f0a93c1@10.0.0.11:5060>")
    uri = "sip:alice-5f0a93c1@203.0.113.1:5060"
    elsewhere = flow.outside("gate", "203.0.113.99")
    alice.asks("REGISTER", call="reg", to="<sip:alice@example.org>")
    assert not rings(elsewhere, uri)
    provider.answers("200 OK", tag="r", headers=("Expires: 100",))
    assert rings(elsewhere, uri)
    flow.wait(90)
    alice.asks("OPTIONS")
    flow.wait(20)
    assert not rings(elsewhere, uri)


def test_without_any_registration_whom_the_phone_writes_to_may_call_for_an_hour(flow: Flow, alice: Party) -> None:
    trunk, other = flow.outside("trunk", "198.51.100.40"), flow.outside("other", "198.51.100.41")
    carol = flow.phone("carol", "10.0.0.12")
    alice.far, carol.far = trunk, other
    alice.asks("OPTIONS")
    carol.asks("OPTIONS")
    flow.wait(3599)
    carol.asks("OPTIONS")
    assert rings(trunk)
    # it is not the router that knows somebody, but each phone
    assert not rings(other)
    alice.far = other
    alice.asks("OPTIONS")
    assert rings(other)
    flow.wait(2)
    assert not rings(trunk)


def test_keeping_a_way_open_is_writing_and_answering_is_not(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("OPTIONS")
    trunk = flow.outside("trunk", "198.51.100.40")
    alice.far = trunk
    flow.engine.configure(Settings(callers="any"))
    assert rings(trunk)
    alice.answers("486 Busy Here", to=b"INVITE")
    flow.engine.configure(Settings())
    assert not rings(trunk)
    flow.engine.receive(Datagram(alice.address, trunk.address, BROKEN_ANSWER, 20), Side.INSIDE, flow.now)
    assert not rings(trunk)
    alice.sends(b"\r\n\r\n")
    assert rings(trunk)


def test_a_phone_remembers_64_addresses(flow: Flow, alice: Party) -> None:
    parties = [flow.outside("gate", f"198.51.100.{number}") for number in range(2, 68)]
    for party in (*parties[:60], parties[0], *parties[60:]):
        alice.far = party
        alice.asks("OPTIONS")
        flow.wait(1)
    assert [rings(party) for party in parties[:4]] == [True, False, False, True]
    assert rings(parties[-1])


@pytest.fixture
def strict() -> Flow:
    return Flow(Settings(callers="registrar"))


def test_only_where_it_is_registered(strict: Flow) -> None:
    alice = strict.phone("alice", "10.0.0.11", contact="<sip:alice-5f0a93c1@10.0.0.11:5060>")
    alice.asks("OPTIONS")
    assert not rings(strict.provider)
    register(alice, strict.provider, 600)
    assert rings(strict.provider)
    strict.engine.callers.know("example.org", frozenset({"198.51.100.77"}))
    assert not rings(strict.outside("gate", "198.51.100.77"), "sip:alice-5f0a93c1@203.0.113.1:5060")
    strict.wait(601)
    alice.asks("OPTIONS")
    assert not rings(strict.provider)


def test_a_registrar_that_turns_from_address_to_address(strict: Flow) -> None:
    """The phone asks the DNS anew for each refresh, and the grants before still stand."""
    alice = strict.phone("alice", "10.0.0.11")
    first, second = strict.outside("one", "198.51.100.1"), strict.outside("two", "198.51.100.2")
    for registrar in (first, second):
        alice.far = registrar
        register(alice, registrar, 600)
        strict.wait(400)
    assert rings(first) is rings(second) is True
    strict.wait(190)
    register(alice, second, 600)
    strict.wait(20)
    register(alice, second, 600)
    assert not rings(first)
    assert rings(second)


def test_networks_and_the_registrar() -> None:
    flow = Flow(Settings(callers=("192.0.2.64/28", "203.0.113.99/32")))
    alice = flow.phone("alice", "10.0.0.11")
    alice.far = flow.outside("talked to", "198.51.100.40")
    alice.asks("OPTIONS")
    register_at(alice, flow.provider)
    for host, admitted in (
        ("192.0.2.66", True),
        ("192.0.2.80", False),
        ("203.0.113.99", True),
        ("203.0.113.98", False),
        ("198.51.100.1", True),
        ("198.51.100.40", False),
    ):
        assert rings(flow.outside("caller", host)) is admitted, host


def register_at(alice: Party, registrar: Party) -> None:
    alice.far = registrar
    register(alice, registrar)


def test_everybody_when_the_operator_says_so_and_from_then_on(flow: Flow, alice: Party, scanner: Party) -> None:
    register(alice, flow.provider)
    assert not rings(scanner)
    flow.engine.configure(Settings(callers="any"))
    assert rings(scanner)
    scanner.sends(b"\r\n\r\n", PUBLIC_ALICE).passes()
    flow.engine.configure(Settings(callers="known"))
    assert not rings(scanner)


def test_within_a_call_the_other_party_is_heard_wherever_it_is(flow: Flow, alice: Party, provider: Party) -> None:
    provider.contact = "<sip:bob@192.0.2.20:5060>"
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=audio("192.0.2.20", 40000))
    bob = flow.outside("bob", "192.0.2.20")
    bob.legs["call-1"] = provider.legs["call-1"]
    bob.asks("BYE", PUBLIC_ALICE)
    assert alice.inbox[-1].startswith(b"BYE ")
    # but that does not make it a caller
    assert not rings(bob)


@pytest.mark.parametrize("policy", ["registrar", "known", ("192.0.2.0/29",)])
def test_who_is_asked_something_else_than_sip_may_answer(policy: str) -> None:
    flow = Flow(Settings(callers=policy))  # type: ignore[arg-type]  # it is one of them
    alice, stun = flow.phone("alice", "10.0.0.11"), flow.outside("stun", "198.51.100.99")
    register(alice, flow.provider)
    answer = b"\x01\x01\x00\x00\x21\x12\xa4\x42123456789012"
    stun.sends(answer, PUBLIC_ALICE).is_dropped()
    alice.far = stun
    alice.sends(b"\x00\x01\x00\x00\x21\x12\xa4\x42123456789012")
    stun.sends(answer, PUBLIC_ALICE).passes()


def test_who_notifies_of_what_the_phone_subscribed_to(flow: Flow) -> None:
    alice = flow.phone("alice", "10.0.0.11", contact="<sip:101@10.0.0.11:5060>")
    register(alice, flow.provider)
    alice.asks("SUBSCRIBE", call="watch")
    presence = flow.outside("presence", "198.51.100.9")
    presence.asks("NOTIFY", "sip:101@203.0.113.1:5060", "watch", far_tag="alice-tag")
    assert alice.inbox[-1].startswith(b"NOTIFY ")
    presence.asks("NOTIFY", "sip:101@203.0.113.1:5060", "other").is_dropped()
    presence.asks("INVITE", "sip:101@203.0.113.1:5060", "watch", far_tag="", sdp=CALL).is_dropped()
    flow.wait(3600)
    register(alice, flow.provider)
    presence.asks("NOTIFY", "sip:101@203.0.113.1:5060", "watch", far_tag="alice-tag").is_dropped()


def test_the_domain_of_an_outbound_proxy_is_the_providers(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("REGISTER", "sip:example.org", "reg", headers=("Route: <sip:edge.example.net;lr>", "Expires: 3600"))
    provider.answers("200 OK", tag="r", headers=("Contact: <sip:alice@203.0.113.1:5060>;expires=3600",))
    flow.engine.callers.know("edge.example.net", frozenset({"203.0.113.98"}))
    assert rings(flow.outside("edge", "203.0.113.98"))
    assert not rings(flow.outside("other", "203.0.113.99"))
