"""The matches of iptables in nft rules, which iptables-nft leaves as they are (``xt match``)."""

import struct
from collections.abc import Iterator

from rules.kernel.survey.foreign import Condition, Subject

# <linux/netfilter/xt_tcpudp.h>: source ports, destination ports, and which of the two are negated
_UDP = struct.Struct("=4HB")
_ALL_PORTS = (0, 0xFFFF)
# struct xt_conntrack_mtinfo2 and 3: what is asked for, what of it is negated, and the states
_CONNTRACK = struct.Struct("=146x3H")
_CONNTRACK_REVISIONS = (2, 3)
_ONLY_STATE = 1
_STATES = {
    0: "invalid", 1: "established", 2: "related", 3: "new", 6: "snat", 7: "dnat", 8: "untracked",
}  # XT_CONNTRACK_STATE_BIT()  # fmt: skip


def matched(name: str, revision: int, info: bytes) -> Iterator[Condition]:
    """The conditions of one match by its name, revision and binary content; struct.error if that is cut off."""
    match name:
        case "comment" | "tcp":  # that it is TCP is said apart
            return
        case "udp":
            yield from _udp(info)
        case "conntrack" if revision in _CONNTRACK_REVISIONS:
            yield _conntrack(info)
        case _:
            yield Condition(Subject.OTHER, (name,))


def _udp(info: bytes) -> Iterator[Condition]:
    first_source, last_source, first, last, inverted = _UDP.unpack_from(info)
    for bit, (subject, low, high) in enumerate(
        ((Subject.SOURCE_PORT, first_source, last_source), (Subject.PORT, first, last))
    ):
        if (low, high) != _ALL_PORTS:
            value = f"{low}-{high}" if low != high else str(low)
            yield Condition(subject, (value,), bool(inverted >> bit & 1))


def _conntrack(info: bytes) -> Condition:
    asked, inverted, states = _CONNTRACK.unpack_from(info)
    if asked != _ONLY_STATE:
        return Condition(Subject.OTHER, ("conntrack",))
    named = tuple(name for bit, name in _STATES.items() if states >> bit & 1)
    return Condition(Subject.STATE, named, bool(inverted & _ONLY_STATE))
