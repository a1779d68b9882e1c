"""A whole message in one direction: headers, body, and last of all Content-Length."""

from gateway.masquerade.body import session_edits
from gateway.masquerade.headers import header_edits
from gateway.masquerade.translation import Translation
from gateway.sdp.session import Session
from gateway.sip.body import lengths_around
from gateway.sip.fragment import fragment_in
from gateway.sip.message import Edit, Message, splice


def rewrite(message: Message, session: Session | None, translation: Translation) -> bytes:
    """The message with every translated address replaced; the very same bytes when there is none.

    `session` is the description parsed from the message's body, None when it has none.
    """
    edits = header_edits(message, translation)
    if session is not None:
        changes = session_edits(message.data, session, translation)
    elif (fragment := fragment_in(message)) is not None:
        changes = header_edits(fragment, translation)
    else:
        return splice(message.data, edits)
    growth = 0
    for start, end, text in changes:
        growth += len(text) - (end - start)
    edits += changes
    if growth:
        edits += _content_length(message, growth)
        edits += [(*span, b"%d" % (int(message.data[slice(*span)]) + growth)) for span in lengths_around(message)]
    return splice(message.data, edits)


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
