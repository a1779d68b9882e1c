"""Pieces of RFC 3261 section 25.1 as bytes patterns, named by their productions.

Repetitions that could meet hostile input are possessive, so that no pattern backtracks over it; those of groups that
can fail half way are not, for Python before 3.11.5 goes on from where such a failure stopped (gh-106052).
"""

LWS = rb"[ \t\r\n]*+"
TOKEN = rb"[A-Za-z0-9.!%*_+`'~-]++"
IPV4_ADDRESS = rb"(?:[0-9]{1,3}\.){3}[0-9]{1,3}"
PORT = rb"[0-9]{1,5}"
# An unclosed quote runs to the end: what follows it is text of unknown meaning, not an address.
QUOTED_STRING = rb'"[^"\\]*+(?:\\(?s:.)[^"\\]*+)*+(?:"|\\?\Z)'

Span = tuple[int, int]
"""A piece of a text, from its first byte to the one behind its last."""

NOWHERE: Span = (0, 0)
"""The span of what is not there."""

DEFAULT_PORT = 5060
LOWEST_PORT = 1024  # what is below belongs to the system that a phone runs on, and is never opened
HIGHEST_PORT = 65535
TRANSACTION_SECONDS = 32.0  # 64*T1, the longest that a request waits for its response (section 17.1.1.2)


def parameter(name: bytes, value: bytes) -> bytes:
    """A pattern of a header parameter; it also matches, with no group of `value`, what is quoted or inside <>."""
    return QUOTED_STRING + rb"|<[^>]*+>?|;" + LWS + rb"(?i:" + name + rb")" + LWS + rb"=" + LWS + value
