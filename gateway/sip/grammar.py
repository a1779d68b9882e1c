"""Pieces of RFC 3261 section 25.1 as bytes patterns, named by their productions.

Every repetition that could meet hostile input is possessive, so that no pattern ever backtracks over it.
"""

LWS = rb"[ \t\r\n]*+"
TOKEN = rb"[A-Za-z0-9.!%*_+`'~-]++"
IPV4_ADDRESS = rb"(?:[0-9]{1,3}\.){3}[0-9]{1,3}"
PORT = rb"[0-9]{1,5}"
# An unclosed quote runs to the end: what follows it is text of unknown meaning, not an address.
QUOTED_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'

DEFAULT_PORT = 5060
