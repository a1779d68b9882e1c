"""Whose answer to a REGISTER is believed, and from whom a REGISTER comes in."""

import pytest

from gateway.callers import Policy
from gateway.engine import Settings
from tests.transcripts.flow import Flow, Party
from tests.transcripts.test_callers import PUBLIC_ALICE
from tests.transcripts.test_incoming_call import register


@pytest.mark.parametrize("policy", ["registrar", "known", "any"])
@pytest.mark.parametrize("status", ["100 Trying", "200 OK", "302 Moved", "401 Unauthorized", "403 Forbidden"])
def test_the_answer_to_a_register_is_believed_of_the_registrar_alone(policy: str, status: str) -> None:
    flow = Flow(Settings(callers=policy))  # type: ignore[arg-type]  # it is one of them
    alice, stranger = flow.phone("alice", "10.0.0.11"), flow.outside("evil", "192.0.2.66")
    alice.asks("REGISTER", call="reg", to="<sip:alice@example.org>")
    stranger.inbox += flow.provider.inbox
    stranger.answers(status, tag="r").is_dropped()
    assert alice.inbox == []
    assert flow.engine.counters["dropped: registrar"] == 1
    assert list(flow.engine.registrations) == []
    flow.provider.answers("200 OK", tag="r", headers=("Expires: 600",))
    assert len(alice.inbox) == len(list(flow.engine.registrations)) == 1


def test_a_sibling_may_answer_for_the_registrar(flow: Flow, alice: Party, provider: Party) -> None:
    register(alice, provider, 600)
    flow.engine.callers.know("example.org", frozenset({"198.51.100.77"}))
    sibling = flow.outside("gate", "198.51.100.77")
    flow.wait(500)
    alice.asks("REGISTER", call="reg", to="<sip:alice@example.org>", headers=("Expires: 600",))
    sibling.inbox += provider.inbox
    assert sibling.answers("200 OK", tag="r").arrived is not None
    flow.wait(500)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}


def test_an_answer_to_another_phones_register_changes_nothing(flow: Flow, alice: Party, provider: Party) -> None:
    """One house knows the other's Call-ID and CSeq, and has a server outside that says yes."""
    carol = flow.phone("carol", "10.0.0.12")
    carol.far = flow.outside("accomplice", "192.0.2.66")
    alice.asks("REGISTER", call="same", to="<sip:alice@example.org>")
    carol.asks("REGISTER", call="same", to="<sip:carol@example.org>", headers=("Expires: 0",))
    carol.far.answers("200 OK", tag="r")
    provider.answers("200 OK", tag="r", headers=("Expires: 600",))
    assert [registration.phone for registration in flow.engine.registrations] == ["10.0.0.11"]


@pytest.mark.parametrize(
    ("policy", "admitted"),
    [("registrar", False), ("known", False), ("any", True), (("198.51.100.1/32",), True), (("192.0.2.1/32",), False)],
)
def test_a_register_comes_in_only_where_the_operator_says_from_whom(policy: Policy, admitted: bool) -> None:
    """Neither its provider registers at a phone, nor who knows its contact, nor whom it has written to."""
    flow = Flow(Settings(callers=policy))
    alice, provider = flow.phone("alice", "10.0.0.11"), flow.provider
    alice.asks("REGISTER", "sip:example.org", call="reg", to="<sip:alice@example.org>")
    provider.answers("200 OK", headers=("Expires: 3600",))
    before = list(flow.engine.registrations)
    for uri in (PUBLIC_ALICE, "sip:203.0.113.1:5060"):
        passage = provider.asks("REGISTER", uri, call=uri, to="<sip:alice@example.org>")
        assert (passage.arrived is not None) is admitted
    assert list(flow.engine.registrations) == before
