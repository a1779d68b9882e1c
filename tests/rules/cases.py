"""Setups and forwards with names; each has its rules in tests/golden/rules/NAME.txt."""

from dataclasses import replace
from pathlib import Path

from rules import text
from rules.diff import Actual, Place
from rules.model import Endpoint, Forward, Purpose, Setup
from rules.ruleset import Ruleset

GOLDEN = Path(__file__).parent.parent / "golden" / "rules"

SETUP = Setup(
    inside=("lan0",),
    outside="wan0",
    networks=("10.0.0.0/24",),
    address="203.0.113.1",
    sip_ports=(5060,),
    any_port=True,
    media_ports=(20000, 29999),
    queue=5060,
    on_failure="drop",
    masquerade=True,
)
PHONE = Forward(Endpoint("10.0.0.5", 5060), 5060, Purpose.SIGNALLING, None, "registration alice")
RTP = Forward(
    Endpoint("10.0.0.5", 16384), 20000, Purpose.RTP, frozenset({"198.51.100.7", "198.51.100.8"}), "call 3f2a9c01"
)
RTCP = RTP._replace(inside=Endpoint("10.0.0.5", 16385), port=20001, purpose=Purpose.RTCP)
OPEN = Forward(Endpoint("10.0.0.6", 16384), 20002, Purpose.RTP, None, "call 5b1e0d77")
CLOSED = Forward(Endpoint("10.0.0.7", 16384), 20004, Purpose.UDPTL, frozenset(), "call 9c40aa12")

CASES: dict[str, tuple[Setup, tuple[Forward, ...]]] = {
    "nothing-registered": (SETUP, ()),
    "a-call": (SETUP, (PHONE, RTP, RTCP)),
    "open-and-closed-media": (SETUP, (OPEN, CLOSED)),
    "no-outside-address": (replace(SETUP, address=None), (PHONE, RTP)),
    "two-inside-interfaces": (
        replace(SETUP, inside=("lan0", "lan1"), networks=("10.0.0.0/24", "10.0.1.0/24"), sip_ports=(5060, 5070)),
        (PHONE,),
    ),
    "one-port-pass-on-failure-and-no-masquerade": (
        replace(SETUP, any_port=False, on_failure="pass", masquerade=False, forwarding_was_off=True),
        (),
    ),
}


def held(rules: Ruleset) -> Actual:
    """What is read back when the rules are in the kernel."""
    jumps: dict[Place, tuple[str, ...]] = {}
    for jump in rules.jumps:
        place = Place(jump.rule.table, jump.rule.chain)
        jumps[place] = (*jumps.get(place, ()), text.mark(jump.rule))
    return Actual(
        {Place(c.table, c.name): tuple(text.mark(rule) for rule in c.rules) for c in rules.chains},
        jumps,
        frozenset(rules.sets),
        dict(rules.entries),
    )
