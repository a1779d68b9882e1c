"""Whom and where a SIP URI means: its userinfo, and its host of whatever kind (RFC 3261 section 19.1.1)."""

import re

_SCHEME = re.compile(rb"(?i:sips?):")
_HOST = re.compile(r"(?i:sips?):(?:[^@]*@)?([A-Za-z0-9.-]{1,253})(?=[:;?]|\Z)")


def userinfo_before(host: int, text: bytes) -> bytes:
    """The userinfo, byte for byte, of the URI in a text whose host begins at `host`; empty when it has none.

    All from its scheme to its '@' counts, a password too.
    """
    if text[host - 1 : host] != b"@":
        return b""
    return _SCHEME.split(text[: host - 1])[-1]


def host_of(uri: str) -> str:
    """The host of a SIP URI, in lower case; empty when it is neither a DNS name nor an IPv4 address."""
    found = _HOST.match(uri)
    return "" if found is None else found[1].lower().rstrip(".")
