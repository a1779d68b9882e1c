"""From a change of the rules to the messages of one batch."""

import socket
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from pyroute2.netlink.nfnetlink import nftsocket as nft

from rules import owner, text
from rules.diff import Delta, Place, TableDelta
from rules.kernel.netlink import EXCLUSIVE, NESTED, Request, attribute
from rules.kernel.nftables import elements, expressions
from rules.kernel.nftables.elements import MAPS, Item
from rules.kernel.nftables.expressions import METHODS, RATES, number
from rules.plan import JUMPS
from rules.ruleset import Chain, Jump, Match, SetSpec, TableName

TABLE = attribute(1, owner.NAME.encode() + b"\0")
"""The first attribute of every message."""
TRANSLATION = owner.mark("translation", "by map")
"""The mark of the one rule of a chain that translates."""
CHAINS = {Place(jump.rule.table, jump.rule.target): jump for jump in JUMPS}
"""Our chains, and the jumps that hooks stand for here."""

# <linux/netfilter/nf_tables.h>
_CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_TYPE = 3, 4, 5, 7
_RULE_CHAIN, _RULE_EXPRESSIONS, _RULE_USERDATA = 2, 4, 7
_SET_NAME, _LIST_SET, _LIST = 2, 2, 3
_ACCEPT = 1
_CREATE, _APPEND = 0x400, 0x800  # <linux/netlink.h>

_HOOKS = {"PREROUTING": 0, "INPUT": 1, "FORWARD": 2, "OUTPUT": 3, "POSTROUTING": 4}
_PRIORITIES: dict[TableName, dict[str, int]] = {  # just before what others have there
    "nat": {"PREROUTING": -101, "POSTROUTING": 99},
    "filter": {"FORWARD": -1},
    "mangle": {"FORWARD": -151, "INPUT": -151},
}
_BEHIND = 2  # further on: just after
_TARGETS = {Place("nat", owner.PREROUTING): "DNAT", Place("nat", owner.POSTROUTING): "SNAT"}
_INTERCEPTION = Place("mangle", owner.FORWARD)
_TOGETHER = 240  # elements in one message, whose length has 16 bits


class Frame(NamedTuple):
    """What the kernel holds but elements: chains by hook and type, the marks of their rules, maps and sets."""

    hooks: dict[Place, bytes]
    marks: dict[Place, tuple[str, ...]]
    sets: dict[str, SetSpec]


class Changes:
    """Elements to take out of maps and sets and to add, by the name of these; of `flush` all go first."""

    def __init__(self, delta: Delta) -> None:
        self.flush: list[str] = []
        self.drop: defaultdict[str, list[bytes]] = defaultdict(list)
        self.add: defaultdict[str, list[Item]] = defaultdict(list)
        for element in delta.drop:
            for name in elements.names(element.set):
                self.drop[name].append(elements.key_of(element))
        for entry in delta.add:
            for name in elements.names(entry.element.set):
                self.add[name].append(Item(elements.key_of(entry.element), b"", entry.comment))
        for change in delta.tables:
            for chain in change.replace:
                if held := map_of(Place(chain.table, chain.name)):
                    self.flush.append(held)
                    self.add[held] += map(elements.of_rule, chain.rules)
            for rule in change.remove:
                self.drop[MAPS[rule.target]].append(elements.of_rule(rule).key)
            for rule in change.append:
                self.add[MAPS[rule.target]].append(elements.of_rule(rule))

    def requests(self) -> Iterator[Request]:
        """What goes before what comes: a map's element is changed by taking its place."""
        for name in self.flush:
            yield flush(name)
        for name, keys in self.drop.items():
            yield from _listed(nft.NFT_MSG_DELSETELEM, 0, name, map(elements.encode_key, keys))
        for name, items in self.add.items():
            yield from _listed(nft.NFT_MSG_NEWSETELEM, _CREATE | EXCLUSIVE, name, map(elements.encode, items))


def changes_frame(delta: Delta) -> bool:
    """Whether more than elements changes."""
    framed = any(any((t.replace, t.jump, t.unjump, t.delete)) for t in delta.tables)
    return framed or bool(delta.create or delta.destroy)


def requests(delta: Delta, frame: Frame | None, changes: Changes) -> Iterator[Request]:
    """The batch; `frame` is what is held now, None for a change of elements only."""
    if frame is None:
        yield from changes.requests()
    elif _empties(delta, frame):
        if frame.hooks or frame.sets:
            yield nft.NFT_MSG_DELTABLE, 0, TABLE
    else:
        yield nft.NFT_MSG_NEWTABLE, _CREATE, TABLE
        for spec in delta.create:
            yield from ((nft.NFT_MSG_NEWSET, _CREATE, body) for body in elements.new_sets(TABLE, spec))
        for change in delta.tables:
            yield from _chains(change, frame)
        yield from changes.requests()
        for name in delta.destroy:
            yield from _destroy(elements.names(name), frame)


def bans(seconds: Mapping[str, int | None], held: frozenset[bytes]) -> Iterator[Request]:
    """Addresses banned for so long from now, None for not any more; `held` are the keys that are there.

    What is there goes first, for kernels before 6.12 leave it its old time.
    """
    keys = {address: socket.inet_aton(address) for address in seconds}
    gone = [elements.encode_key(key) for key in keys.values() if key in held]
    made = [elements.encode_timed(keys[address], left) for address, left in seconds.items() if left is not None]
    yield from _listed(nft.NFT_MSG_DELSETELEM, 0, owner.SET_BANNED, gone)
    yield from _listed(nft.NFT_MSG_NEWSETELEM, _CREATE, owner.SET_BANNED, made)


def flush(name: str) -> Request:
    """Takes all elements out of a set."""
    return nft.NFT_MSG_DELSETELEM, 0, TABLE + _name(_LIST_SET, name)


def place_of(name: str) -> Place:
    """The place that a chain of our table is; one of another version leads nowhere."""
    for place in CHAINS:
        if name == chain_name(place):
            return place
    return Place("filter", name)


def chain_name(place: Place) -> str:
    """What the chain is called here, where one table has all of them."""
    return f"{place.table}-{place.chain}" if place in CHAINS else place.chain


def map_of(place: Place) -> str | None:
    """The map that a chain translates by."""
    target = _TARGETS.get(place)
    return None if target is None else MAPS[target]


def hook(jump: Jump) -> bytes:
    """Where and when a chain is called, as the kernel writes it, and its type."""
    priority = _PRIORITIES[jump.rule.table][jump.rule.chain] + (_BEHIND if jump.last else 0)
    return number(1, _HOOKS[jump.rule.chain]) + attribute(2, struct.pack(">i", priority)) + _kind(jump)


def _kind(jump: Jump) -> bytes:
    return b"nat\0" if jump.rule.table == "nat" else b"filter\0"


def _empties(delta: Delta, frame: Frame) -> bool:
    goes = {Place(change.table, name) for change in delta.tables for name in change.delete}
    makes = delta.create or delta.add or any(change.replace for change in delta.tables)
    left = frame.sets.keys() - {each for name in delta.destroy for each in elements.names(name)}
    return not makes and frame.hooks.keys() <= goes and left <= {*MAPS.values(), METHODS, *_rates(frame)}


def _chains(change: TableDelta, frame: Frame) -> Iterator[Request]:
    replaced = [Place(chain.table, chain.name) for chain in change.replace]
    deleted = [Place(change.table, name) for name in change.delete]
    for place in filter(frame.hooks.__contains__, (*replaced, *deleted)):
        yield nft.NFT_MSG_DELRULE, 0, TABLE + _name(_RULE_CHAIN, chain_name(place))
        yield nft.NFT_MSG_DELCHAIN, 0, TABLE + _name(_CHAIN_NAME, chain_name(place))
    if _INTERCEPTION in (*replaced, *deleted):
        yield from _destroy(_rates(frame), frame)
    for place in deleted:
        if name := map_of(place):
            yield from _destroy((name,), frame)
    for chain in change.replace:
        yield from _chain(chain)


def _chain(chain: Chain) -> Iterator[Request]:
    place = Place(chain.table, chain.name)
    jump = CHAINS[place]
    name = chain_name(place)
    called = hook(jump).removesuffix(_kind(jump))
    body = _name(_CHAIN_NAME, name) + attribute(_CHAIN_HOOK | NESTED, called)
    body += number(_CHAIN_POLICY, _ACCEPT) + attribute(_CHAIN_TYPE, _kind(jump))
    yield nft.NFT_MSG_NEWCHAIN, _CREATE, TABLE + body
    if held := map_of(place):
        yield nft.NFT_MSG_NEWSET, _CREATE, elements.new_map(TABLE, held)
        yield _rule(name, expressions.translation(_TARGETS[place], held), TRANSLATION)
        return
    if any(match.name == "string" for rule in chain.rules for match in rule.matches):
        yield nft.NFT_MSG_NEWSET, _CREATE, elements.new_methods(TABLE)
        yield from _listed(nft.NFT_MSG_NEWSETELEM, _CREATE, METHODS, map(elements.encode, elements.methods()))
    limits = (match for rule in chain.rules for match in rule.matches if match.name == "hashlimit")
    for limit in _once(limits):
        yield nft.NFT_MSG_NEWSET, _CREATE, elements.new_rate(TABLE, limit)
    for rule in chain.rules:
        yield _rule(name, expressions.rule(rule), text.mark(rule))


def _once(limits: Iterable[Match]) -> Iterable[Match]:
    """Rules that share a rate share its set."""
    return {expressions.rate_name(limit): limit for limit in limits}.values()


def _rates(frame: Frame) -> tuple[str, ...]:
    return tuple(name for name in frame.sets if name.startswith(RATES))


def _rule(chain: str, body: bytes, mark: str) -> Request:
    made = _name(_RULE_CHAIN, chain) + attribute(_RULE_EXPRESSIONS | NESTED, body)
    return nft.NFT_MSG_NEWRULE, _CREATE | _APPEND, TABLE + made + attribute(_RULE_USERDATA, elements.comment(mark))


def _destroy(names: Iterable[str], frame: Frame) -> Iterator[Request]:
    for name in names:
        if name in frame.sets:
            yield nft.NFT_MSG_DELSET, 0, TABLE + _name(_SET_NAME, name)


def _listed(command: int, flags: int, name: str, items: Iterable[bytes]) -> Iterator[Request]:
    head = TABLE + _name(_LIST_SET, name)
    whole = list(items)
    for at in range(0, len(whole), _TOGETHER):
        yield command, flags, head + attribute(_LIST | NESTED, b"".join(whole[at : at + _TOGETHER]))


def _name(kind: int, name: str) -> bytes:
    return attribute(kind, name.encode() + b"\0")
