"""What an operator is told while a phone is registered and a call is up."""

import json
from dataclasses import replace

import pytest

from gateway.engine import Settings
from gateway.networks import Networks
from rules import text
from rules.diff import Place
from rules.model import Endpoint, Traffic
from tests.gateway.scene import SETUP, Gateway, invite, phone_in_call, registered_phone
from tests.rules.cases import held

REGISTRATION = "registration sip:alice@example.org at 10.0.0.11"


@pytest.fixture
def gateway() -> Gateway:
    return phone_in_call()


@pytest.fixture
def call(gateway: Gateway) -> str:
    """How a binding or rule of the call names it."""
    return f"call {gateway.label}: 10.0.0.11 with sip:bob@example.org"


def test_a_call_is_shown_with_its_media(gateway: Gateway) -> None:
    [shown] = gateway.calls({Endpoint("10.0.0.11", 16384): Traffic(500, 480)})
    assert shown == {
        "label": gateway.label,
        "call_id": "c1",
        "direction": "outgoing",
        "phone": "10.0.0.11:5060",
        "peer": "sip:bob@example.org",
        "state": "up",
        "seconds": 40.0,
        "on_hold": False,
        "media": [
            {
                "purpose": "rtp",
                "inside": "10.0.0.11:16384",
                "public": "203.0.113.1:20000",
                "sources": ["198.51.100.7"],
                "packets_in": 500,
                "packets_out": 480,
            },
            {
                "purpose": "rtcp",
                "inside": "10.0.0.11:16385",
                "public": "203.0.113.1:20001",
                "sources": ["198.51.100.7"],
                "packets_in": None,
                "packets_out": None,
            },
        ],
    }


def test_a_call_that_came_in_and_is_on_hold_says_so() -> None:
    gateway = Gateway()
    gateway.receive(invite("INVITE sip:alice@203.0.113.1 SIP/2.0", "198.51.100.7", 9000, direction="sendonly"), 1.0)
    gateway.send(invite("SIP/2.0 200 OK", "10.0.0.11", 16384, to_tag=";tag=b", direction="recvonly"), 2.0)
    [shown] = gateway.calls()
    assert (shown["direction"], shown["peer"], shown["on_hold"]) == ("incoming", "sip:alice@example.org", True)


def test_every_binding_says_who_holds_it_and_since_when(gateway: Gateway, call: str) -> None:
    sip, rtp, rtcp = gateway.bindings()
    assert (sip["public"], sip["inside"], sip["purpose"]) == ("203.0.113.1:5060", "10.0.0.11:5060", "sip")
    assert (sip["seconds"], sip["sources"], sip["held_by"]) == (140.0, None, [REGISTRATION, call])
    assert (sip["packets_in"], sip["packets_out"]) == (None, None)
    assert (rtp["packets_in"], rtp["packets_out"]) == (500, 480)
    for media in (rtp, rtcp):
        assert (media["seconds"], media["expires_in"], media["held_by"]) == (40.0, None, [call])


def test_a_registration_alone_ends_when_it_was_granted_for() -> None:
    [sip] = registered_phone().bindings()
    assert (sip["held_by"], sip["expires_in"]) == ([REGISTRATION], 460.0)


def test_every_rule_says_which_call_or_registration_it_is_for(gateway: Gateway, call: str) -> None:
    shown = gateway.rules()
    of_phone = [row for row in shown if "10.0.0.11" in str(row["rule"]) and "5060" in str(row["rule"])]
    of_rtp = [row for row in shown if "16384" in str(row["rule"])]
    of_all = [row for row in shown if row["reason"] == "media in, signalled sources"]
    assert [(row["table"], row["chain"], row["for"]) for row in of_phone] == [
        ("nat", "SIPMASQ-PREROUTING", [REGISTRATION, call]),
        ("nat", "SIPMASQ-POSTROUTING", [REGISTRATION, call]),
        ("ipset", "sipmasq-sip", [REGISTRATION, call]),
    ]
    assert [(row["table"], row["chain"], row["for"]) for row in of_rtp] == [
        ("nat", "SIPMASQ-PREROUTING", [call]),
        ("nat", "SIPMASQ-POSTROUTING", [call]),
        ("ipset", "sipmasq-out", [call]),
        ("ipset", "sipmasq-to", [call]),
        ("ipset", "sipmasq-in", [call]),
    ]
    assert str(of_rtp[0]["rule"]).startswith("-A SIPMASQ-PREROUTING -d 203.0.113.1/32 -i wan0 -p udp")
    assert of_rtp[4]["rule"] == "10.0.0.11,udp:16384,198.51.100.7"
    assert [row["for"] for row in of_all] == [[]]


def test_no_rule_is_left_out(gateway: Gateway) -> None:
    ruleset = gateway.ruleset
    rules = sum(len(chain.rules) for chain in ruleset.chains) + len(ruleset.jumps)
    assert len(gateway.rules()) == rules + len(ruleset.entries)
    status = gateway.status()
    assert (status["rules"], status["set_entries"]) == (rules, len(ruleset.entries))


def test_a_difference_names_its_place_and_the_rule(gateway: Gateway) -> None:
    assert gateway.differences() == []
    whole = held(gateway.ruleset)
    marks = whole.chains[Place("nat", "SIPMASQ-PREROUTING")]
    shown = gateway.differences(
        replace(
            whole,
            chains=whole.chains | {Place("nat", "SIPMASQ-PREROUTING"): (*marks[1:], "")},
            jumps=whole.jumps | {Place("filter", "FORWARD"): ("", *whole.jumps[Place("filter", "FORWARD")])},
            entries={element: note for element, note in whole.entries.items() if element.set != "sipmasq-in"},
            sets=frozenset(spec for spec in whole.sets if spec.name != "sipmasq-any"),
        )
    )
    rows = [tuple(row.values()) for row in shown]
    line = next(
        text.line(rule) for chain in gateway.ruleset.chains for rule in chain.rules if text.mark(rule) == marks[0]
    )
    assert rows == [
        ("misplaced", "filter", "FORWARD", "jump", "-> SIPMASQ-FORWARD not first"),
        ("missing", "nat", "SIPMASQ-PREROUTING", "rule", line),
        ("too much", "nat", "SIPMASQ-PREROUTING", "rule", "not ours"),
        ("missing", "ipset", "sipmasq-any", "set", ""),
        ("missing", "ipset", "sipmasq-in", "entry", "10.0.0.11,udp:16384,198.51.100.7"),
        ("missing", "ipset", "sipmasq-in", "entry", "10.0.0.11,udp:16385,198.51.100.7"),
    ]
    assert list(shown[0]) == ["difference", "table", "chain", "what", "rule"]


def test_the_status_counts_what_is_there(gateway: Gateway) -> None:
    shown = gateway.status()
    assert (shown["calls"], shown["registrations"], shown["bindings"]) == (1, 1, 3)
    assert shown["free"] == {"media.ports": 9998, "sip.public_ports": 938}
    assert shown["counters"] == {"datagrams from inside": 2, "datagrams from outside": 2}
    assert shown["queue"] == {
        "received": 12,
        "accepted": 11,
        "rewritten": 9,
        "dropped": 1,
        "cut": 0,
        "overruns": 0,
        "waiting": 0,
        "dropped_full": 2,
        "dropped_undelivered": 3,
    }


def test_the_status_says_where_the_router_stands(gateway: Gateway) -> None:
    shown = gateway.status()
    assert shown["inside"] == [{"name": "lan0", "exists": True, "up": True, "addresses": ["10.0.0.1"]}]
    assert (shown["address"], shown["announced"], shown["host"]) == ("203.0.113.1", "203.0.113.1", None)
    assert (shown["uptime"], shown["commit_seconds"], shown["networks"]) == (3600.0, 0.0031, ("10.0.0.0/24",))


def test_the_status_says_who_may_call_and_what_is_known_of_registrars(gateway: Gateway) -> None:
    gateway.engine.callers.know("example.org", frozenset({"198.51.100.11"}))
    gateway.engine.callers.know("elsewhere.org", frozenset({"198.51.100.12"}))
    shown = gateway.status()
    assert shown["callers"] == "known"
    assert shown["registrars"] == [{"domain": "example.org", "addresses": ["198.51.100.10", "198.51.100.11"]}]
    gateway.engine.configure(Settings(callers=("192.0.2.0/24",)))
    assert gateway.status()["callers"] == ("192.0.2.0/24",)


def test_the_status_says_who_masquerades(gateway: Gateway) -> None:
    assert gateway.status()["masquerade"] == "ours"
    assert gateway.status(hides=False)["masquerade"] == "others"
    assert gateway.status(hides=None)["masquerade"] == "off"


def test_a_router_without_an_address_has_no_public_side(gateway: Gateway) -> None:
    gateway.engine.place(Networks(SETUP.networks), None, None)
    assert [row["public"] for row in gateway.bindings()] == ["-:5060", "-:20000", "-:20001"]
    assert gateway.status()["announced"] is None


def test_every_report_is_json(gateway: Gateway) -> None:
    for report in (gateway.status(), gateway.calls(), gateway.bindings(), gateway.rules()):
        assert json.loads(json.dumps(report, allow_nan=False))
