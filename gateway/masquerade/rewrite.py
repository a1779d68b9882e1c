"""A whole message in one direction: headers, body, and last of all Content-Length."""

from collections.abc import Iterable

from gateway.masquerade.body import session_edits
from gateway.masquerade.candidates import candidate_edits
from gateway.masquerade.headers import header_edits
from gateway.masquerade.translation import Quoting, Translation
from gateway.sdp.session import Session
from gateway.sdp.trickle import trickled_in
from gateway.sip.body import is_encoded, lengths_around, media_type
from gateway.sip.fragment import fragment_in
from gateway.sip.message import Edit, Message, splice

_SIPFRAG = b"message/sipfrag"


def rewrite(
    message: Message, session: Session | None, translation: Translation, further: Iterable[Edit] = ()
) -> bytes:
    """The message with every translated address replaced; the very same bytes when there is none.

    `session` is the description parsed from the message's body, None when it has none. Of other bodies, fragments of
    messages (RFC 3420) and candidates that come later (RFC 8840) are translated. `further` are edits of headers that
    touch no address.
    """
    edits = header_edits(message, translation)
    edits += further
    changes = _body_edits(message, session, translation)
    if not changes:
        return splice(message.data, edits)
    growth = 0
    for start, end, text in changes:
        growth += len(text) - (end - start)
    edits += changes
    if growth:
        edits += _content_length(message, growth)
        edits += [(*span, b"%d" % (int(message.data[slice(*span)]) + growth)) for span in lengths_around(message)]
    return splice(message.data, edits)


def _body_edits(message: Message, session: Session | None, translation: Translation) -> list[Edit]:
    start, end = message.body
    if session is not None:
        return session_edits(message.data, session, translation)
    if start == end or is_encoded(message):
        return []
    if media_type(message) == _SIPFRAG:
        fragment = fragment_in(message)
        return [] if fragment is None else header_edits(fragment, Quoting(translation))
    return candidate_edits(trickled_in(message), translation)


def _content_length(message: Message, growth: int) -> list[Edit]:
    """None is written when there was none: over UDP the datagram's end is the body's (RFC 3261 section 18.3)."""
    length = message.body[1] - message.body[0] + growth
    for name, value, start in reversed(message.headers):
        if name == b"content-length":
            # folding and spaces around the number stay
            digits = value.strip()
            at = message.data.index(digits, start)
            return [(at, at + len(digits), b"%d" % length)]
    return []
