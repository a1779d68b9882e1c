"""Contact values (RFC 3261 section 20.10) as a registrar reads them: address and requested lifetime."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from gateway.sip.authority import userinfo_before
from gateway.sip.grammar import DEFAULT_PORT, NOWHERE, QUOTED_STRING, parameter
from gateway.sip.uri import hostports

_CONTACT_PARAM = re.compile(rb"(?:" + QUOTED_STRING + rb"|<[^>]*+(?:>|\Z)|[^,\"<]++)++")
_EXPIRES = re.compile(parameter(rb"expires", rb"\"?([0-9]{1,10})"))


class Contact(NamedTuple):
    """Host and port of one contact, 5060 when it names none; `expires` in seconds, None when not given.

    `user` is its userinfo, byte for byte, `lifetime` where in the value the digits of its expires stand.
    """

    host: str
    port: int
    expires: int | None
    user: bytes
    lifetime: tuple[int, int]


def contacts(value: bytes) -> Iterator[Contact]:
    """The contacts of one header value that are SIP URIs with an IPv4 host."""
    for param in _CONTACT_PARAM.finditer(value):
        found = next(iter(hostports(param[0])), None)
        if found is None:
            continue
        user = userinfo_before(found.start, param[0])
        lifetimes = (each.span(1) for each in _EXPIRES.finditer(value, *param.span()) if each.lastindex)
        lifetime = next(lifetimes, NOWHERE)
        expires = None if lifetime == NOWHERE else int(value[slice(*lifetime)])
        yield Contact(found.host, DEFAULT_PORT if found.port is None else found.port, expires, user, lifetime)


def is_star(value: bytes) -> bool:
    """Whether a REGISTER means every contact there is (RFC 3261 section 10.2.2)."""
    return value.strip() == b"*"


def seconds(value: bytes) -> int | None:
    """An Expires value, None when it is absent or not a number (RFC 3261 section 20.19)."""
    text = value.strip()
    return int(text) if text.isdigit() and len(text) <= 10 else None
