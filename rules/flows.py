"""Which conntrack entries speak against the forwards.

A flow keeps the translation of its first packet for life, whatever the rules say by then. So each change
of a forward is followed by a look at the flows it touches, and the wrong ones are deleted: their next packet
starts a right one, or meets no rule at all.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from rules.forwards import Forwards
from rules.model import Endpoint, Forward


class Flow(NamedTuple):
    """One UDP conntrack entry: the first packet's addresses, and those the reply is expected with."""

    source: Endpoint
    target: Endpoint
    reply_source: Endpoint
    reply_target: Endpoint


@dataclass(slots=True)
class Search:
    """What to look for: flows begun by these inside addresses, or to these public ones.

    `former` are hosts that may no longer send to an inside address, not even in answer; `silenced` are media
    addresses whose forward has ended. `thorough` asks for flows that lead to the inside addresses as well, and those
    that were given a public one. `bare` asks for those that left with the inside address they began with, before
    there was a masquerade, `borrowed` for those that left with another one, while there was no outside address.
    `urgent` says that a packet which waits for the rules may ride on one of them.
    """

    insides: set[Endpoint] = field(default_factory=set)
    publics: set[Endpoint] = field(default_factory=set)
    former: set[tuple[Endpoint, str]] = field(default_factory=set)
    silenced: set[Endpoint] = field(default_factory=set)
    bare: bool = False
    borrowed: bool = False
    thorough: bool = False
    urgent: bool = False

    def __bool__(self) -> bool:
        return bool(self.insides or self.publics or self.bare or self.borrowed)

    def touches(self, flow: Flow) -> bool:
        """Whether the flow is one of those looked for."""
        if flow.source in self.insides or flow.target in self.publics:
            return True
        if self.wants(flow.source.ip == flow.reply_target.ip):
            return True
        return self.thorough and (flow.reply_source in self.insides or flow.reply_target in self.publics)

    def wants(self, bare: bool) -> bool:
        """Whether flows that left with their own address, or with another one, are all looked for."""
        return self.bare if bare else self.borrowed

    def changed(
        self, old: Forward | None, before: Endpoint | None, new: Forward | None, after: Endpoint | None
    ) -> None:
        """Take up what the change of one forward, and of its public address, can have made wrong."""
        if new is None:
            if old is not None:
                self.insides.add(old.inside)
                self._publish(before)
                if old.purpose.is_media:
                    self.silenced.add(old.inside)
        elif old is None:
            # before the address is announced: what comes for it then meets no flow that the inside began earlier,
            # with which its own would clash and be given another source port by the kernel
            self.urgent = True
            self.insides.add(new.inside)
            if not new.purpose.is_media:
                # a media port is refused until it is forwarded, so only signalling can have flows already
                self._publish(after)
                self.thorough = True
        elif before != after:
            self.insides.add(new.inside)
            self._publish(before)
            self._publish(after)
            self.thorough = self.urgent = True
        elif old.sources != new.sources:
            self.insides.add(new.inside)
            self._publish(after)
            if old.sources is not None and new.sources is not None:
                self.former |= {(new.inside, host) for host in old.sources - new.sources}

    def doubted(self, forward: Forward, address: Endpoint | None) -> None:
        """Take up what may have begun while the rules of a forward were not there."""
        self.insides.add(forward.inside)
        self._publish(address)
        self.thorough = True

    def _publish(self, address: Endpoint | None) -> None:
        if address is not None:
            self.publics.add(address)


def public(address: str | None, forward: Forward) -> Endpoint | None:
    """The forward's transport address on the outside; None while the router has no address there."""
    return None if address is None else Endpoint(address, forward.port)


def wrong(
    flows: Iterable[Flow], search: Search, forwards: Forwards, address: str | None, networks: Iterable[str]
) -> tuple[list[Flow], frozenset[Endpoint]]:
    """Those of `flows` that must go, and the inside addresses with a forward that had one.

    `address` is the router's on the outside, `networks` are those inside.
    """
    nets = [IPv4Network(net) for net in networks]

    def is_inside(ip: str) -> bool:
        return any(IPv4Address(ip) in net for net in nets)

    def leaks(flow: Flow) -> bool:
        bare = flow.source.ip == flow.reply_target.ip
        return search.wants(bare) and is_inside(flow.reply_target.ip) and not _is_for_many(flow.target.ip)

    def is_wrong(flow: Flow) -> bool:
        if flow.source in forwards or flow.source in search.insides or is_inside(flow.source.ip):
            mine = forwards.get(flow.source)
            if flow.target.ip == address or is_inside(flow.target.ip):  # never leaves by the outside
                return mine is None and flow.source in search.silenced
            if mine is not None:
                # the phone may write to hosts that nobody named; only one that was named before has had its time
                over = (flow.source, flow.target.ip) in search.former and not _may_send(flow.target.ip, mine)
                return over or flow.reply_target != public(address, mine)
            taken = flow.reply_target.ip == address and forwards.at(flow.reply_target.port) is not None
            return taken or flow.source in search.insides or leaks(flow)
        to = forwards.at(flow.target.port) if flow.target.ip == address else None
        if to is not None:
            bent = flow.reply_target != flow.source  # by a clash; the inside would answer it in vain
            return bent or flow.reply_source != to.inside or not _may_send(flow.source.ip, to)
        return flow.target in search.publics or flow.reply_source in search.insides

    gone = [flow for flow in flows if is_wrong(flow)]
    ends = {end for flow in gone for end in (flow.source, flow.reply_source)}
    return gone, frozenset(ends & forwards.keys())


def _is_for_many(ip: str) -> bool:
    """Multicast, and the broadcast of RFC 919 among what is reserved: neither leaves by the outside."""
    address = IPv4Address(ip)
    return address.is_multicast or address.is_reserved


def _may_send(source: str, forward: Forward) -> bool:
    return not forward.purpose.is_media or forward.sources is None or source in forward.sources
