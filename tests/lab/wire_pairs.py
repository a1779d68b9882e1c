"""The same SIP message before and after the gateway."""

import collections
import difflib
import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tests.support.capture import Datagram

_INSIDE = ipaddress.ip_network("10.0.0.0/8")
_HEADER = re.compile(r"^(Call-ID|i|CSeq)[ \t]*:[ \t]*(.*?)[ \t]*\r$", re.MULTILINE | re.IGNORECASE)
_WORD = re.compile(r"[0-9.]+|[^0-9.]+")


class Part(NamedTuple):
    """A piece of a line, before and after; the same where the gateway left it alone."""

    before: str
    after: str


class Pair(NamedTuple):
    """One message as it entered the gateway and as it left."""

    outward: bool
    before: Datagram
    after: Datagram

    @property
    def start(self) -> str:
        return self.before.text.partition("\r\n")[0]

    @property
    def seconds(self) -> float:
        """How long it was in the router."""
        return self.after.time - self.before.time

    def changes(self) -> Iterator[tuple[str, str]]:
        """The lines that differ, `(old, new)` in the message's order; one side is empty where lines came or went."""
        old, new = self.before.text.split("\r\n"), self.after.text.split("\r\n")
        for before, after in _differences(old, new):
            for index in range(max(len(before), len(after))):
                yield before[index] if index < len(before) else "", after[index] if index < len(after) else ""


def pairs(inside: Sequence[Datagram], outside: Sequence[Datagram]) -> list[Pair]:
    """Put together what two captures saw; a message seen on one side only is left out."""
    waiting = collections.defaultdict[tuple[str, ...], collections.deque[Datagram]](collections.deque)
    for datagram in outside:
        if datagram.is_sip:
            waiting[_key(datagram)].append(datagram)
    found = []
    for datagram in inside:
        if datagram.is_sip and waiting[_key(datagram)]:
            other = waiting[_key(datagram)].popleft()
            outward = ipaddress.ip_address(datagram.source.ip) in _INSIDE
            found.append(Pair(outward, datagram, other) if outward else Pair(outward, other, datagram))
    return found


def parts(old: str, new: str) -> list[Part]:
    """A changed line cut where it changed; numbers and addresses are never cut."""
    before, after = _WORD.findall(old), _WORD.findall(new)
    return [Part("".join(one), "".join(other)) for one, other in _differences(before, after, everything=True)]


def _differences(
    old: Sequence[str], new: Sequence[str], *, everything: bool = False
) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if everything or kind != "equal":
            yield old[old_from:old_to], new[new_from:new_to]


def _key(datagram: Datagram) -> tuple[str, ...]:
    """What the gateway leaves alone and tells messages apart."""
    start = datagram.text.partition("\r\n")[0]
    kind = start if start.startswith("SIP/2.0") else start.partition(" ")[0]
    return (kind, *(value for _, value in _HEADER.findall(datagram.text)))
