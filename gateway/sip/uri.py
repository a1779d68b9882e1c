"""SIP URIs inside header values (RFC 3261 section 19.1, 20.10): the IPv4 addresses in them."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from gateway.sip.grammar import IPV4_ADDRESS, PORT, QUOTED_STRING
from gateway.sip.kept import kept


def _after_scheme(end: bytes) -> bytes:
    """A pattern of what follows ``sip:`` up to a character of `end`: IPv4 host, port, and all else, as groups."""
    # '@' stands nowhere else unescaped, so the first one ends the userinfo; atomic, lest that be read as a host
    userinfo = rb"(?>(?:[^@" + end + rb"]*+@)?)"
    hostport = rb"(?:(" + IPV4_ADDRESS + rb")(?::(" + PORT + rb"))?(?=[;?" + end + rb"]|\Z))?"
    return rb"(?i:sips?):" + userinfo + hostport + rb"([^" + end + rb"]*+)"


_REQUEST_URI = re.compile(_after_scheme(rb"\n"))
# In a name-addr the URI may hold commas, semicolons and question marks; bare, they end it (section 20.10).
# A URI of another scheme is passed over whole, and a bare one stands where a value begins.
_URI = re.compile(
    QUOTED_STRING
    + rb"|<"
    + _after_scheme(rb"<>\"\s")
    + rb"|<[^<>\"\s]++"
    + rb"|(?<![^\s,:<>])"
    + _after_scheme(rb"<>\"\s,;?")
)
_MADDR = re.compile(rb";(?i:maddr)=(" + IPV4_ADDRESS + rb")(?=;|\Z)")
_NAME_ADDR = re.compile(rb"(?:[^\"<]++|" + QUOTED_STRING + rb")*+<([^>]*+)")


class HostPort(NamedTuple):
    """An address, from `start` to `end` of what was read; without a port when none is written, as in maddr."""

    start: int
    end: int
    host: str
    port: int | None
    is_maddr: bool = False


@kept
def hostports(value: bytes) -> tuple[HostPort, ...]:
    """The IPv4 hosts of all SIP URIs in a header value; quoted text is not a URI, host names are skipped.

    So are headers inside a URI (``?Route=...``, section 19.1.1): what they say is escaped, and for another message.
    """
    matches = [(match, match.lastindex) for match in _URI.finditer(value)]
    return tuple([each for match, last in matches if last is not None for each in _of_uri(match, last)])


@kept
def request_uri_hostports(uri: bytes) -> tuple[HostPort, ...]:
    """The IPv4 hosts of a Request-URI, which stands bare and whole."""
    match = _REQUEST_URI.match(uri)
    return () if match is None else tuple(_of_uri(match, 3))


def first_uri(value: bytes) -> bytes:
    """The first URI in a header value, up to where one that stands bare may end."""
    found = _NAME_ADDR.match(value)
    return value.split(b",", 1)[0].strip() if found is None else found[1]


def address_of_record(value: bytes) -> str:
    """The URI of a From or To value without parameters, as text for people: ``sip:alice@example.org``.

    A password (RFC 3261 section 19.1.1) is nothing for people.
    """
    text = first_uri(value)
    before, at, host = text.partition(b"@")
    scheme, colon, userinfo = before.partition(b":")
    if at and b":" in userinfo:
        text = scheme + colon + userinfo.split(b":", 1)[0] + at + host
    return text.split(b";", 1)[0].strip().decode("utf-8", "replace")


def _of_uri(found: re.Match[bytes], rest: int) -> Iterator[HostPort]:
    """What a match says whose last group is `rest`."""
    host, port, parameters = found.group(rest - 2, rest - 1, rest)
    if host is not None:
        start, end = found.start(rest - 2), found.start(rest)
        yield HostPort(start, end, host.decode(), None if port is None else int(port))
    if parameters:
        start, end = found.span(rest)
        headers = parameters.find(b"?")
        maddr = _MADDR.search(found.string, start, end if headers < 0 else start + headers)
        if maddr is not None:
            yield HostPort(*maddr.span(1), maddr[1].decode(), None, is_maddr=True)
