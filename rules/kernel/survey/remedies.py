"""What to add to a firewall so that it lets calls pass, in the language of the program that owns its rules."""

import re
from typing import NamedTuple

from rules.kernel.survey.foreign import ForeignChain, ForeignTable, Hook, Subject, names_interface

_IPTABLES_NFT = re.compile(r"ip (raw|mangle|nat|filter|security)")
_BUILT_IN = frozenset(hook.name for hook in Hook)
_ZONE_CHAIN = re.compile(r"filter_FWDI?_(.+)")
_DOCKER, _UFW = "DOCKER-USER", "ufw-before-forward"


class Way(NamedTuple):
    """Through the router, from interface to interface; what goes inward has a translated destination."""

    into: str
    out: str
    outward: bool


def let_pass(table: ForeignTable, chain: ForeignChain, way: Way, *, first_only: bool) -> str:
    """What to add so that `chain`, a base chain of `table`, lets calls pass this way.

    With `first_only` it is only the first packets of flows that do not pass yet.
    """
    if table.name.endswith(" firewalld"):
        return _firewalld(table, way)
    iptables = _iptables(table, chain)
    if iptables is None:
        return f"let them pass before it: {_nft(table, chain, way, first_only=first_only)}"
    program, name = iptables
    matches = _matches(chain, way)
    if name == "filter" and chain.hook is Hook.FORWARD:
        if _UFW in table.chains and _DOCKER not in table.chains:
            return f"add to /etc/ufw/before.rules before COMMIT, then ufw reload: -A {_UFW} {matches} -j ACCEPT"
        if _DOCKER in table.chains:
            return f"let them pass in Docker's chain for that: {program} -I {_DOCKER} {matches} -j ACCEPT"
    return f"let them pass before it: {program} -t {name} -I {chain.name} {matches} -j ACCEPT"


def _iptables(table: ForeignTable, chain: ForeignChain) -> tuple[str, str] | None:
    """Command and table for rules that were made by iptables."""
    if table.legacy:
        return "iptables-legacy", table.name
    found = _IPTABLES_NFT.fullmatch(table.name)
    return ("iptables-nft", found[1]) if found and chain.name in _BUILT_IN else None


def _matches(chain: ForeignChain, way: Way) -> str:
    words = []
    if chain.hook is not Hook.POSTROUTING:
        words += ["-i", way.into]
    if chain.hook is not Hook.PREROUTING:
        words += ["-o", way.out]
    words += ["-p", "udp"]
    if not way.outward and chain.hook is not Hook.PREROUTING:
        words += ["-m", "conntrack", "--ctstate", "ESTABLISHED,DNAT"]
    return " ".join(words)


def _nft(table: ForeignTable, chain: ForeignChain, way: Way, *, first_only: bool) -> str:
    where = "" if chain.hook is Hook.INGRESS else f" iifname {way.into}"
    which = ["ip protocol udp"] if chain.hook is Hook.INGRESS else ["meta l4proto udp"]
    if chain.hook in (Hook.FORWARD, Hook.POSTROUTING):
        where += f" oifname {way.out}"
        if not way.outward:
            which = ["ct status dnat"] if first_only else ["ct status dnat", "ct state established"]
    return " && ".join(f"nft insert rule {table.name} {chain.name}{where} {each} accept" for each in which)


def _firewalld(table: ForeignTable, way: Way) -> str:
    into, out = _zone(table, way.into), _zone(table, way.out)
    if into is None or out is None:
        alone = way.into if into is None else way.out
        return f"put {alone} in a zone of its own first: firewall-cmd --permanent --zone ZONE --add-interface {alone}"
    policy = f"sipmasq-{'out' if way.outward else 'in'}"
    change = f"firewall-cmd --permanent --policy {policy}"
    return "let them pass by a policy: " + " && ".join(
        (
            f"firewall-cmd --permanent --new-policy {policy}",
            f"{change} --add-ingress-zone {into}",
            f"{change} --add-egress-zone {out}",
            f"{change} --add-rich-rule 'rule protocol value=udp accept'",
            "firewall-cmd --reload",
        )
    )


def _zone(table: ForeignTable, interface: str) -> str | None:
    """The zone that the interface was given to, or None if it is in the default one by not being mentioned."""
    for chain in table.chains.values():
        for rule in chain.rules:
            found = _ZONE_CHAIN.fullmatch(rule.target)
            if found and any(
                condition.subject is Subject.IN_INTERFACE
                and not condition.negated
                and any(names_interface(value, interface) for value in condition.values)
                for condition in rule.conditions
            ):
                return found[1]
    return None
