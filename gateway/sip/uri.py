"""SIP URIs inside header values (RFC 3261 section 19.1, 20.10): where their host and port stand."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from gateway.sip.grammar import IPV4_ADDRESS, PORT, QUOTED_STRING

Span = tuple[int, int]

# In a name-addr the URI may hold commas, semicolons and question marks; bare, they end it (section 20.10).
_URI = re.compile(
    QUOTED_STRING + rb"|<(?i:sips?):([^<>\"\s]*+)" + rb"|(?<![A-Za-z0-9+.-])(?i:sips?):([^<>\"\s,;?]*+)"
)
_HOSTPORT = re.compile(rb"(" + IPV4_ADDRESS + rb")(?::(" + PORT + rb"))?(?=[;?]|\Z)")
_MADDR = re.compile(rb";(?i:maddr)=(" + IPV4_ADDRESS + rb")(?=[;?]|\Z)")


class HostPort(NamedTuple):
    """Spans of an IPv4 host and its port; the port's is (-1, -1) when it is not written, as in maddr it never is."""

    host: Span
    port: Span
    is_maddr: bool = False


def hostports(data: bytes, start: int, end: int) -> Iterator[HostPort]:
    """The IPv4 hosts of all SIP URIs in a header value; quoted text is not a URI, host names are skipped."""
    for found in _URI.finditer(data, start, end):
        if found.lastindex is None:
            continue
        yield from _of_uri(data, *found.span(found.lastindex))


def request_uri_hostports(data: bytes, start: int, end: int) -> Iterator[HostPort]:
    """The IPv4 hosts of a Request-URI, which stands bare and whole."""
    if data[start : start + 4].lower() == b"sip:":
        yield from _of_uri(data, start + 4, end)
    elif data[start : start + 5].lower() == b"sips:":
        yield from _of_uri(data, start + 5, end)


def _of_uri(data: bytes, start: int, end: int) -> Iterator[HostPort]:
    # '@' stands nowhere else unescaped, so the first one ends the userinfo
    at = data.find(b"@", start, end)
    found = _HOSTPORT.match(data, at + 1 if at >= 0 else start, end)
    if found is not None:
        yield HostPort(found.span(1), found.span(2))
    if data.find(b";", start, end) >= 0:
        for maddr in _MADDR.finditer(data, start, end):
            yield HostPort(maddr.span(1), (-1, -1), is_maddr=True)


def address_of_record(value: bytes) -> str:
    """The URI of a From or To value without parameters, as text for people: ``sip:alice@example.org``."""
    opening = value.rfind(b"<")
    text = value[opening + 1 : value.find(b">", opening)] if opening >= 0 else value
    return text.split(b";", 1)[0].strip().decode("utf-8", "replace")
