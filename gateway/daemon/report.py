"""What the operator asks for, as plain values that JSON can carry. Durations are seconds, null means without end."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from math import isinf

from gateway.calls.bindings import Binding, Holder, HolderKind
from gateway.calls.dialog import Side
from gateway.calls.ledger import Ledger
from gateway.config import Config
from gateway.engine import Engine
from gateway.version import version
from rules import owner, text
from rules.diff import Drift, Kind
from rules.kernel.queue import QueueStats
from rules.kernel.topology import Interface, Topology
from rules.model import Endpoint, Traffic
from rules.ruleset import Rule, Ruleset

Row = dict[str, object]

_MOST_DOMAINS, _MOST_ADDRESSES = 64, 64  # shown
_KINDS = list(HolderKind)
_MASQUERADE = {True: "ours", False: "others", None: "off"}  # by others: we found it done


def status(
    config: Config,
    topology: Topology,
    engine: Engine,
    ruleset: Ruleset,
    queue: QueueStats,
    *,
    hides: bool | None,
    flooded: int,
    uptime: float,
    commit_seconds: float,
    state: str = "kept",
) -> Row:
    """The gateway as a whole; `commit_seconds` is what the last change of the rules took.

    `hides` is whether it hides the inside networks itself, None if the operator will not have that; `flooded` packets
    were dropped before the queue; `state` says why what lasts is not kept, if it is not.
    """
    ledger = engine.ledger
    low, high = config.sip.public_ports
    in_pool = sum(low <= binding.port <= high for binding in ledger if not binding.purpose.is_media)
    return {
        "version": version(),
        "uptime": uptime,
        "inside": [_interface(interface) for interface in topology.inside],
        "outside": _interface(topology.outside),
        "networks": topology.networks,
        "address": topology.address,
        "host": config.outside.host or None,
        "announced": ledger.public,
        "masquerade": _MASQUERADE[hides],
        "calls": len(engine.calls),
        "registrations": sum(1 for _ in engine.registrations),
        "callers": engine.callers.policy,
        "registrars": _registrars(engine),
        "bindings": sum(1 for _ in ledger),
        "rules": sum(1 for _ in _rules_of(ruleset)),
        "set_entries": len(ruleset.entries),
        "free": {"media.ports": ledger.media_pairs_left * 2, "sip.public_ports": high - low + 1 - in_pool},
        "commit_seconds": commit_seconds,
        "state": state,
        "queue": asdict(queue),
        "flooded": flooded,
        "counters": dict(sorted(engine.counters.items())),
    }


def calls(engine: Engine, traffic: Mapping[Endpoint, Traffic], now: float) -> list[Row]:
    """Every call, the oldest first, with the addresses its media use."""
    return [
        {
            "label": call.label,
            "call_id": call.id.call_id.decode(errors="replace"),
            "direction": "outgoing" if call.caller is Side.INSIDE else "incoming",
            "phone": str(call.phone),
            "peer": call.peer,
            "state": call.state,
            "seconds": now - call.since,
            "on_hold": call.is_on_hold,
            "media": [
                _address(binding, engine.ledger, traffic)
                for binding in _held(engine.ledger, call.holder)
                if binding.purpose.is_media
            ],
        }
        for call in sorted(engine.calls, key=lambda call: call.since)
    ]


def bindings(engine: Engine, traffic: Mapping[Endpoint, Traffic], now: float) -> list[Row]:
    """Every row of the table by its public port: who holds it, since when and how long, and what went through it."""
    names = _names(engine)
    return [
        {
            **_address(binding, engine.ledger, traffic),
            "held_by": _holders(binding, names),
            "seconds": now - binding.since,
            "expires_in": _expires_in(binding, now),
        }
        for binding in sorted(engine.ledger, key=lambda binding: binding.port)
    ]


def rules(ruleset: Ruleset, engine: Engine) -> list[Row]:
    """Every rule and set entry, and the registrations and calls it is there for; none is there for all of them."""
    names = _names(engine)

    def stands_for(binding: Binding | None) -> list[str]:
        return [] if binding is None else _holders(binding, names)

    of_rules: list[Row] = [
        {
            "table": rule.table,
            "chain": rule.chain,
            "rule": text.line(rule),
            "reason": rule.reason,
            "for": stands_for(_binding_of(rule, engine.ledger)),
        }
        for rule in _rules_of(ruleset)
    ]
    of_entries: list[Row] = [
        {
            "table": "ipset",
            "chain": entry.element.set,
            "rule": text.element(entry.element),
            "reason": entry.comment,
            "for": stands_for(engine.ledger.of_inside(entry.element.inside)),
        }
        for entry in ruleset.entries
    ]
    return of_rules + of_entries


def differences(drift: Drift, ruleset: Ruleset) -> list[Row]:
    """How the kernel differs from what is wanted; rules that are missing as iptables-save would print them."""
    lines = {text.mark(rule): text.line(rule) for rule in _rules_of(ruleset)}
    return [
        {
            "difference": each.kind,
            "table": each.table,
            "chain": each.chain,
            "what": each.thing,
            "rule": lines.get(each.text, each.text) if each.kind is Kind.MISSING else each.text,
        }
        for each in drift.differences
    ]


def _interface(interface: Interface) -> Row:
    return {**asdict(interface), "addresses": list(interface.addresses)}


def _registrars(engine: Engine) -> list[Row]:
    """By domain, the addresses that its phones are registered at, and those that the DNS names beside them."""
    found: dict[str, set[str]] = {}
    for registration in engine.registrations:
        for domain in registration.domains:
            found.setdefault(domain, set()).update(registration.registrars)
    return [
        {"domain": domain, "addresses": sorted(found[domain] | engine.callers.known_of(domain))[:_MOST_ADDRESSES]}
        for domain in sorted(found)[:_MOST_DOMAINS]
    ]


def _address(binding: Binding, ledger: Ledger, traffic: Mapping[Endpoint, Traffic]) -> Row:
    """The address, who may send to it (null: everybody), and the packets each way (null: not counted)."""
    seen = traffic.get(binding.inside)
    sources = binding.sources
    return {
        "purpose": binding.purpose,
        "inside": str(binding.inside),
        "public": f"{ledger.public or '-'}:{binding.port}",
        "sources": None if sources is None else sorted(sources),
        "packets_in": None if seen is None else seen.inward,
        "packets_out": None if seen is None else seen.outward,
    }


def _held(ledger: Ledger, holder: Holder) -> list[Binding]:
    found = (ledger.of_inside(inside) for inside in ledger.of_holder(holder))
    return sorted((binding for binding in found if binding is not None), key=lambda binding: binding.port)


def _names(engine: Engine) -> Callable[[Holder], str]:
    """How to call a holder: a call by its parties, everybody else by its own name."""
    parties = {call.holder: f"call {call.label}: {call.phone.ip} with {call.peer}" for call in engine.calls}
    return lambda holder: parties.get(holder) or str(holder)


def _holders(binding: Binding, name: Callable[[Holder], str]) -> list[str]:
    return [name(holder) for holder in sorted(binding.holds, key=lambda holder: (_KINDS.index(holder.kind), holder))]


def _expires_in(binding: Binding, now: float) -> float | None:
    until = max(hold.until for hold in binding.holds.values())
    return None if isinf(until) else max(0.0, until - now)


def _rules_of(ruleset: Ruleset) -> Iterable[Rule]:
    yield from (jump.rule for jump in ruleset.jumps)
    for chain in ruleset.chains:
        yield from chain.rules


def _binding_of(rule: Rule, ledger: Ledger) -> Binding | None:
    """What a translating rule translates; the other rules are there for all."""
    if rule.chain == owner.PREROUTING and rule.dport:
        return ledger.of_port(int(rule.dport))
    if rule.chain == owner.POSTROUTING and rule.source and rule.sport:
        return ledger.of_inside(Endpoint(rule.source, int(rule.sport)))
    return None
