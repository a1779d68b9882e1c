"""Where a session description stands in a body: as the whole of it, or as one part of several (RFC 2046)."""

import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

from gateway.errors import NotUnderstoodError
from gateway.sip.grammar import LWS, TOKEN, Span
from gateway.sip.message import Message

_SDP = b"application/sdp"
# A change in them would be seen as forgery (RFC 8551), if they can be read at all.
_SEALED = frozenset(
    {b"multipart/signed", b"multipart/encrypted", b"application/pkcs7-mime", b"application/x-pkcs7-mime"}
)
_MULTIPART = b"multipart/"
_PLAIN = frozenset({b"", b"identity", b"7bit", b"8bit", b"binary"})
_MOST_MULTIPARTS = 8  # in one body, beside or within each other
_BOUNDARY = re.compile(rb";[ \t\r\n]*+(?i:boundary)[ \t]*+=[ \t]*+(?:\"([^\"]{1,70})\"|([^\s;\"]{1,70}))")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_FIELD = re.compile(rb"\n(" + TOKEN + rb")[ \t]*+:[ \t]*+([^\r\n]*+(?:\r?\n[ \t][^\r\n]*+)*)")
_NUMBER = re.compile(LWS + rb"([0-9]{1,9})" + LWS + rb"\Z")


class Body(NamedTuple):
    """What can be read of a body.

    `sdp` is the session description, None when there is none; `lengths` are the numbers in Content-Length fields of
    the parts around it. `unread` is "encoded" or "sealed" (signed or encrypted) when there may be one that cannot be
    read or must not be changed, else empty.
    """

    sdp: Span | None = None
    lengths: tuple[Span, ...] = ()
    unread: str = ""


class _Part(NamedTuple):
    """One part, or the whole: its fields by lower-case name, its content, and the lengths written around that."""

    fields: dict[bytes, bytes]
    content: Span
    lengths: tuple[Span, ...] = ()

    @property
    def kind(self) -> bytes:
        """Its media type."""
        return self.fields.get(b"content-type", b"").split(b";", 1)[0].strip().lower()

    @property
    def encoding(self) -> bytes:
        """What must be undone before it can be read; empty when it stands there as it is."""
        names = (b"content-encoding", b"content-transfer-encoding")
        codings = [self.fields.get(name, b"").strip().lower() for name in names]
        return b" ".join(coding for coding in codings if coding not in _PLAIN)


_NOTHING = Body()


def look_into(message: Message) -> Body:
    """What can be read of a message's body.

    NotUnderstoodError for parts without a boundary between them, for several descriptions, and for more parts within
    parts than anybody sends.
    """
    start, end = message.body
    value = message.value(b"content-type")
    if start == end or value == b"":
        return _NOTHING
    if value == _SDP and b"content-encoding" not in message.first:
        return Body(message.body)
    encoding = message.first.get(b"content-encoding", b"")
    whole = _Part({b"content-type": value, b"content-encoding": encoding}, message.body)
    return _choice(list(_leaves(message.data, whole)))


def lengths_around(message: Message) -> tuple[Span, ...]:
    """The lengths of the parts in which the session description stands."""
    value = message.first.get(b"content-type", b"")
    return look_into(message).lengths if value.lstrip()[:1] in b"mM" else ()


def media_type(message: Message) -> bytes:
    """The type of the body in lower case, without its parameters; empty when none is given."""
    return message.first.get(b"content-type", b"").split(b";", 1)[0].strip().lower()


def is_encoded(message: Message) -> bool:
    """Whether the body as a whole must be decoded before it can be read."""
    return message.first.get(b"content-encoding", b"").strip().lower() not in _PLAIN


def _choice(leaves: list[_Part]) -> Body:
    """The one description among parts that have none within them, or why there may be one and is not read."""
    found = [leaf for leaf in leaves if leaf.kind == _SDP and not leaf.encoding]
    if len(found) > 1:
        raise NotUnderstoodError(f"{len(found)} session descriptions in one body")
    if found:
        return Body(found[0].content, found[0].lengths)
    sealed = [leaf for leaf in leaves if leaf.kind in _SEALED]
    encoded = [leaf for leaf in leaves if leaf.encoding and (leaf.kind == _SDP or leaf.kind.startswith(_MULTIPART))]
    return Body(unread="sealed" if sealed else "encoded" if encoded else "")


def _leaves(data: bytes, whole: _Part) -> Iterator[_Part]:
    """The parts that are not made of parts, or not of such as may be read."""
    waiting = [whole]
    multiparts = 0
    while waiting:
        part = waiting.pop()
        if not part.kind.startswith(_MULTIPART) or part.kind in _SEALED or part.encoding:
            yield part
            continue
        multiparts += 1
        if multiparts > _MOST_MULTIPARTS:
            raise NotUnderstoodError(f"more than {_MOST_MULTIPARTS} bodies of several parts in one")
        boundary = _BOUNDARY.search(part.fields[b"content-type"])
        if boundary is None:
            raise NotUnderstoodError("a body of several parts that names no boundary")
        waiting += _parts(data, part, boundary[1] or boundary[2])


def _parts(data: bytes, whole: _Part, boundary: bytes) -> Iterator[_Part]:
    """The parts behind the delimiters of a body, up to the closing one; if that is missing, up to the body's end."""
    delimiter = re.compile(rb"\r?\n--" + re.escape(boundary) + rb"(--)?[ \t]*+(?=\r?\n|\Z)")
    start, end = whole.content
    # the end of the line before a body belongs to its first delimiter
    marks = list(delimiter.finditer(data, start - 1, end))
    for mark, following in zip_longest(marks, marks[1:]):
        if mark[1] is not None:
            return
        until = end if following is None else following.start()
        head = _END_OF_HEAD.search(data, mark.end(), until)
        if head is None:
            continue
        fields: dict[bytes, bytes] = {}
        length = None
        for field in _FIELD.finditer(data, mark.end(), head.start() + 1):
            name = field[1].lower()
            if name == b"content-length" and name not in fields:
                length = _NUMBER.match(data, field.start(2), field.end())
            fields.setdefault(name, field[2])
        lengths = whole.lengths if length is None else (*whole.lengths, length.span(1))
        yield _Part(fields, (head.end(), until), lengths)
