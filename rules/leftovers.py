"""The forwards that a predecessor left in the kernel, read from its marks and sets alone.

A set entry says which inside address has a forward, for what, and who may send to it. The public port stands in no
comment; but a mark's fingerprint is that of the rule's own text, so the port is the one with which the text fits.
"""

from collections.abc import Set
from itertools import chain

from rules import owner, text
from rules.diff import Actual, Place
from rules.model import Endpoint, Forward, Purpose, Setup
from rules.plan import parts

_PORTS = range(1024, 65536)
_PLACEHOLDER = 1


def leftovers(setup: Setup, actual: Actual) -> list[Forward]:
    """The forwards found, as far as they were made for the same outside address and interface."""
    if setup.address is None:
        return []
    marks = set(actual.chains.get(Place("nat", owner.PREROUTING), ()))
    sources: dict[Endpoint, set[str]] = {}
    open_to_all: set[Endpoint] = set()
    comments: dict[Endpoint, str] = {}
    for element, comment in actual.entries.items():
        if element.set in (owner.SET_OUT, owner.SET_SIP):
            comments[element.inside] = comment
        elif element.set == owner.SET_ANY:
            open_to_all.add(element.inside)
        elif element.set == owner.SET_IN and element.source is not None:
            sources.setdefault(element.inside, set()).add(element.source)
    found: dict[int, Forward] = {}
    ports: dict[Endpoint, int] = {}
    for inside, comment in sorted(comments.items()):
        reason, _, name = comment.rpartition(" ")
        if not reason or name not in list(Purpose):
            continue
        purpose = Purpose(name)
        who = None if inside in open_to_all or not purpose.is_media else frozenset(sources.get(inside, ()))
        forward = Forward(inside, _PLACEHOLDER, purpose, who, reason)
        beside = ports.get(inside._replace(port=inside.port - 1))
        port = _port(setup, forward, marks, found.keys(), beside)
        if port is not None:
            found[port] = forward._replace(port=port)
            ports[inside] = port
    return list(found.values())


def _port(setup: Setup, forward: Forward, marks: Set[str], found: Set[int], beside: int | None) -> int | None:
    """The public port with which a forward's rule has one of these marks; the likely ones are tried first.

    What was `found` for another is no more tried, and after the port of the RTP comes that of its RTCP.
    """
    rule, _ = parts(setup, forward).rules
    head, tail = text.unmarked(rule).split(f"--dport {_PLACEHOLDER} ")
    low, high = setup.media_ports
    likely = range(low, high + 1) if forward.purpose.is_media else range(forward.inside.port, forward.inside.port + 1)
    for port in chain(() if beside is None else (beside + 1,), likely, _PORTS):
        if port not in found and owner.mark(rule.reason, f"{head}--dport {port} {tail}") in marks:
            return port
    return None
