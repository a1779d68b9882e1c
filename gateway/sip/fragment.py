"""Fragments of SIP messages in bodies (RFC 3420): perhaps a start line, and header fields."""

import re

from gateway.sip.grammar import TOKEN
from gateway.sip.message import Header, Message, long_name

_MOST_FIELDS = 64
_START_LINE = re.compile(
    rb"(?:(?i:SIP/2\.0) ([1-6][0-9]{2})(?: [^\n]*+)?|(" + TOKEN + rb") ([^ \r\n]++) (?i:SIP/2\.0))\r?(?:\n|\Z)"
)
_FIELD = re.compile(rb"(" + TOKEN + rb")[ \t]*+:[ \t]*+([^\n]*+(?:\n[ \t][^\n]*+)*)(?:\n|\Z)")
_END = re.compile(rb"\r?(?:\n|\Z)")


def fragment_in(message: Message) -> Message | None:
    """The fragment that is a message's body, as a message in its own right whose spans stand in the same data.

    None when something in it is neither start line nor header field.
    """
    start, end = message.body
    data = message.data
    line = _START_LINE.match(data, start, end)
    status, method, uri = (None, b"", (start, start)) if line is None else (line[1], line[2] or b"", line.span(3))
    position = start if line is None else line.end()
    headers: list[Header] = []
    while (ending := _END.match(data, position, end)) is None:
        field = _FIELD.match(data, position, end)
        if field is None or len(headers) >= _MOST_FIELDS:
            return None
        headers.append((long_name(field[1]), field[2], field.start(2)))
        position = field.end()
    first = {name: value for name, value, _ in reversed(headers)}
    return Message(
        data, bool(method), method, int(status or 0), uri, headers, first, (ending.end(), end),
        first.get(b"call-id", b""), 0,
    )  # fmt: skip
