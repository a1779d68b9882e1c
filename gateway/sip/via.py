"""Via header fields (RFC 3261 section 20.42): where each hop sent from, and how responses come back."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from gateway.sip.grammar import DEFAULT_PORT, LWS, QUOTED_STRING, TOKEN

Span = tuple[int, int]

_VIA_PARM = re.compile(
    rb"(?i:SIP)" + LWS + rb"/" + LWS + TOKEN + LWS + rb"/" + LWS + TOKEN + rb"[ \t\r\n]++"
    rb"(?P<host>\[[^\]\s]*+\]|[^\s:;,\[\]]++)"
    rb"(?:" + LWS + rb":" + LWS + rb"(?P<port>[0-9]{1,5}))?"
    rb"(?P<params>(?:[^,\"]++|" + QUOTED_STRING + rb")*+)"
)
_PARAM = re.compile(
    rb";" + LWS + rb"(?P<name>(?i:received|rport|maddr|branch))" + LWS + rb"=" + LWS + rb"(?P<value>[^;,\s]++)"
)
_NOWHERE: Span = (-1, -1)


class ViaParm(NamedTuple):
    """Spans of one via-parm; (-1, -1) stands for a part that is not there."""

    host: Span
    port: Span
    received: Span
    rport: Span
    maddr: Span
    branch: Span


def via_parms(data: bytes, start: int, end: int) -> Iterator[ViaParm]:
    """Each via-parm of one header value."""
    for parm in _VIA_PARM.finditer(data, start, end):
        spans = {b"received": _NOWHERE, b"rport": _NOWHERE, b"maddr": _NOWHERE, b"branch": _NOWHERE}
        for param in _PARAM.finditer(data, *parm.span("params")):
            spans[param["name"].lower()] = param.span("value")
        yield ViaParm(
            parm.span("host"),
            parm.span("port"),
            spans[b"received"],
            spans[b"rport"],
            spans[b"maddr"],
            spans[b"branch"],
        )


def top_sent_by(data: bytes, start: int, end: int) -> tuple[str, int] | None:
    """Host and port of the first via-parm of a header value; None when it cannot be read."""
    top = next(via_parms(data, start, end), None)
    if top is None:
        return None
    port = data[slice(*top.port)]
    return data[slice(*top.host)].decode("latin-1"), int(port or DEFAULT_PORT)
