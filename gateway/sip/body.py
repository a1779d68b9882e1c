"""Where a session description stands in a body: as the whole of it, or as one part of several (RFC 2046)."""

import re
from itertools import pairwise

from gateway.errors import NotUnderstoodError
from gateway.sip.message import Message

Span = tuple[int, int]

_SDP = b"application/sdp"
_BOUNDARY = re.compile(rb";[ \t\r\n]*+(?i:boundary)[ \t]*+=[ \t]*+(?:\"([^\"]{1,70})\"|([^\s;\"]{1,70}))")
_PART_TYPE = re.compile(rb"(?im:^content-type[ \t]*+:[ \t]*+application/sdp[ \t]*+(?:;|\r?$))")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")


def sdp_span(message: Message) -> Span | None:
    """The span of the session description; None when there is none.

    NotUnderstoodError for several parts without a boundary between them, or several descriptions.
    """
    start, end = message.body
    value = message.first.get(b"content-type", b"")
    if start == end or value == b"":
        return None
    kind = value if value == _SDP else value.split(b";", 1)[0].strip().lower()
    if kind == _SDP:
        return start, end
    if not kind.startswith(b"multipart/"):
        return None
    boundary = _BOUNDARY.search(value)
    if boundary is None:
        raise NotUnderstoodError("a body of several parts that names no boundary")
    found = _parts(message.data[start:end], boundary[1] or boundary[2])
    if len(found) > 1:
        raise NotUnderstoodError(f"{len(found)} session descriptions in one body")
    return (start + found[0][0], start + found[0][1]) if found else None


def _parts(body: bytes, boundary: bytes) -> list[Span]:
    """The contents of the parts that are session descriptions."""
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(?:--)?[ \t]*+(?=\r?\n|\Z)")
    marks = list(delimiter.finditer(body))
    found = []
    for mark, following in pairwise(marks):
        head = _END_OF_HEAD.search(body, mark.end(), following.start())
        if head is not None and _PART_TYPE.search(body, mark.end(), head.start() + 1):
            found.append((head.end(), following.start()))
    return found
