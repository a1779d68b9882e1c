"""Addresses in attributes: ICE candidates (RFC 8839), and what else names one besides m=, c= and a=rtcp.

A line out of its grammar is no address: peers are to ignore it as well (RFC 8839 section 5.1). Names are not read,
and of IPv6 addresses only that they are there.
"""

import re
from collections.abc import Iterator
from enum import StrEnum, auto
from typing import NamedTuple

from gateway.sdp.grammar import IPV4, NOWHERE, PORT, Span
from gateway.sip.grammar import HIGHEST_PORT
from rules.model import Endpoint

Line = re.Match[bytes]

_ATTRIBUTE = re.compile(rb"\na=(?:c(?:andidate|cap):|remote-candidates:|altc?:|source-filter:)")

_END = rb"(?=[ \r\n]|\Z)"
_LINE = re.compile(
    rb"\na=(?:"
    rb"candidate:[ ]?(?P<foundation>\S++) (?P<component>[0-9]{1,5}) (?P<transport>\S++) [0-9]++"
    rb" (?:(?P<candidate>" + IPV4 + rb")|(?P<other>\S++)) (?P<port>" + PORT + rb") typ (?P<type>\S++)"
    rb"(?:[^\r\n]*? raddr (?P<raddr>" + IPV4 + rb") rport (?P<rport>" + PORT + rb")" + _END + rb")?"
    rb"|alt:[0-9]++ [0-9]++ : \S++ \S++ (?P<alt>" + IPV4 + rb") (?P<alt_port>" + PORT + rb")" + _END +
    rb"|altc:[ ]?[0-9]++ IP4 (?P<altc>" + IPV4 + rb") (?P<altc_port>" + PORT + rb")"
    rb"(?:/(?P<altc_rtcp>" + PORT + rb"))?" + _END +
    rb"|(?P<remote>remote-candidates:)[^\r\n]*+"
    rb"|(?P<mention>source-filter:|ccap:)[^\r\n]*+"
    rb")"
)  # fmt: skip
_REMOTE = re.compile(rb"[: ][0-9]{1,5} (" + IPV4 + rb") (" + PORT + rb")" + _END)
_MENTIONED = re.compile(rb" (" + IPV4 + rb")" + _END)


class Kind(StrEnum):
    """What an address in an attribute is to the side that describes itself."""

    HOST = auto()  # its own, where it receives
    LEARNED = auto()  # where it receives by way of a NAT, as a server told it
    RELAYED = auto()  # where a server receives for it
    IPV6 = auto()  # any of these over IPv6
    RELATED = auto()  # its own, behind a learned one
    REMOTE = auto()  # the other side's, which both have settled on
    MENTIONED = auto()  # a host without a port

    @property
    def is_offered(self) -> bool:
        """Whether media may go there."""
        return self in (Kind.HOST, Kind.LEARNED, Kind.RELAYED)

    @property
    def is_another_way(self) -> bool:
        """Whether what goes there need not pass by any address of a NAT on the way."""
        return self in (Kind.RELAYED, Kind.IPV6)


_TYPES = {b"host": Kind.HOST, b"relay": Kind.RELAYED}


class Candidate(NamedTuple):
    """One address and where it is written. `component` 1 is RTP, 2 RTCP (RFC 8839 section 5.1).

    A mentioned one has port 0, which stands nowhere. `base` is the own address that a server saw as this one
    (RFC 8445 section 5.1.1.2); None unless the line says both.
    """

    kind: Kind
    host: str
    host_span: Span
    port: int
    port_span: Span
    is_udp: bool = True
    component: int = 1
    foundation: bytes = b""
    base: Endpoint | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Its transport address."""
        return Endpoint(self.host, self.port)


def has_candidates(data: bytes, start: int, end: int) -> bool:
    """Whether `candidates_in` can find anything there: cheap, for most descriptions have none."""
    return _ATTRIBUTE.search(data, start, end) is not None


def candidates_in(data: bytes, start: int, end: int) -> tuple[Candidate, ...]:
    """All addresses that attributes in data[start:end] name, in their order."""
    found = [each for line in _LINE.finditer(data, start, end) for each in _addresses(line)]
    return tuple(each for each in found if each.port <= HIGHEST_PORT)


def _addresses(line: Line) -> Iterator[Candidate]:
    if line["foundation"] is not None:
        yield from _candidate(line)
    elif line["alt"] is not None:
        yield _candidate_at(Kind.HOST, line, "alt", "alt_port")
    elif line["altc"] is not None:
        yield _candidate_at(Kind.HOST, line, "altc", "altc_port")._replace(foundation=line[0])
        if line["altc_rtcp"] is not None:
            # the host is written once, with the first of the two
            rtcp = _candidate_at(Kind.HOST, line, "altc", "altc_rtcp")
            yield rtcp._replace(host_span=NOWHERE, component=2, foundation=line[0])
    elif line["remote"] is not None:
        for each in _REMOTE.finditer(line.string, line.start("remote"), line.end()):
            yield _candidate_at(Kind.REMOTE, each, 1, 2)
    else:
        for each in _MENTIONED.finditer(line.string, line.start("mention"), line.end()):
            yield Candidate(Kind.MENTIONED, each[1].decode(), each.span(1), 0, NOWHERE)


def _candidate(line: Line) -> Iterator[Candidate]:
    is_udp = line["transport"].upper() == b"UDP"
    related = None
    if line["raddr"] is not None:
        related = _candidate_at(Kind.RELATED, line, "raddr", "rport")._replace(is_udp=is_udp)
    if line["candidate"] is not None:
        kind = _TYPES.get(line["type"], Kind.LEARNED)
        found = _candidate_at(kind, line, "candidate", "port")
        # what a relay or a TCP candidate is related to need not be where its packets come from
        base = related.endpoint if related is not None and is_udp and line["type"] == b"srflx" else None
        yield found._replace(
            is_udp=is_udp, component=int(line["component"]), foundation=line["foundation"], base=base
        )
    elif b":" in line["other"]:
        yield _candidate_at(Kind.IPV6, line, "other", "port")._replace(is_udp=is_udp)
    if related is not None:
        yield related


def _candidate_at(kind: Kind, line: Line, host: str | int, port: str | int) -> Candidate:
    return Candidate(kind, line[host].decode("latin-1"), line.span(host), int(line[port]), line.span(port))
