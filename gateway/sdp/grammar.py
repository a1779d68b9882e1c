"""Pieces of RFC 8866 section 9 as bytes patterns, and where they stand."""

Span = tuple[int, int]
NOWHERE: Span = (0, 0)

_DECIMAL_UCHAR = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
IPV4 = rb"(?:" + _DECIMAL_UCHAR + rb"\.){3}" + _DECIMAL_UCHAR
PORT = rb"[0-9]{1,5}"

DISCARD_PORT = 9  # says that there is no address to send to, or none yet (RFC 8829 section 5.2.1)
