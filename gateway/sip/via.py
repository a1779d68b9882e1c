"""Via header fields (RFC 3261 section 20.42): where each hop sent from, and how responses come back."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from gateway.sip.grammar import DEFAULT_PORT, LWS, NOWHERE, QUOTED_STRING, TOKEN, Span, parameter

_VIA_PARM = re.compile(
    rb"(?i:SIP)" + LWS + rb"/" + LWS + TOKEN + LWS + rb"/" + LWS + TOKEN + rb"[ \t\r\n]++"
    rb"(\[[^\]\s]*+\]|[^\s:;,\[\]]++)"
    rb"(?:(" + LWS + rb":" + LWS + rb")([0-9]{1,5}))?(?!" + LWS + rb":|[0-9])"
    rb"((?:[^,\"]++|" + QUOTED_STRING + rb")*+)"
)
_PARAM = re.compile(parameter(rb"(received|rport|maddr)", rb"([^;,\s]++)"))


class ViaParm(NamedTuple):
    """One via-parm: what sent-by says, from `start` to `end`, and the span of the parameters.

    `colon` is what separates host and port, with the white space around it.
    """

    start: int
    end: int
    host: str
    colon: bytes
    port: int | None
    params: Span


class ViaParams(NamedTuple):
    """Spans of the parameters that hold addresses; NOWHERE stands for one that is not there or has no value."""

    received: Span
    rport: Span
    maddr: Span


def via_parms(data: bytes, start: int, end: int) -> Iterator[ViaParm]:
    """Each via-parm of one header value."""
    for found in _VIA_PARM.finditer(data, start, end):
        host, colon, port = found.group(1, 2, 3)
        params = found.span(4)
        number = None if port is None else int(port)
        yield ViaParm(found.start(1), params[0], host.decode("latin-1"), colon or b":", number, params)


def via_params(data: bytes, start: int, end: int) -> ViaParams:
    """The parameters of one via-parm."""
    spans = {found[1].lower(): found.span(2) for found in _PARAM.finditer(data, start, end) if found.lastindex}
    return ViaParams(*(spans.get(name, NOWHERE) for name in (b"received", b"rport", b"maddr")))


def top_sent_by(value: bytes) -> tuple[str, int] | None:
    """Host and port of the first via-parm of a header value; None when it cannot be read."""
    top = next(via_parms(value, 0, len(value)), None)
    return None if top is None else (top.host, DEFAULT_PORT if top.port is None else top.port)
