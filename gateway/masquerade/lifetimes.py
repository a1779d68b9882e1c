"""Shorter lifetimes for the phone's own contacts in the registrar's answer (RFC 3261 sections 10.2.4 and 10.3).

Why it is so: nobody can tell a phone that the router's address has become another. One that was granted an hour would
not be found for as long; one that registers again each minute brings the registrar its new address by itself. What
the registrar granted stays granted, and other phones' contacts are not ours to speak of.
"""

from collections.abc import Iterable

from gateway.masquerade.translation import Pairs
from gateway.sip.contact import contacts, seconds
from gateway.sip.grammar import NOWHERE
from gateway.sip.message import Edit, Message
from rules.model import Endpoint, Purpose


def lifetime_edits(
    message: Message, pairs: Pairs, phone: Endpoint, most: int, wishes: Iterable[int] = ()
) -> list[Edit]:
    """The edits that leave no contact of the phone's host more than `most` seconds; none but for a 2xx to REGISTER.

    `wishes` are the seconds that its request asked for. Where the registrar names no lifetime they hold, so the
    answer gets an Expires if the shortest of them is too long.
    """
    if not 200 <= message.status < 300 or message.method != b"REGISTER":
        return []
    edits: list[Edit] = []
    is_told = False
    for name, value, start in message.headers:
        if name == b"expires":
            is_told = True
            digits = value.strip()
            if (seconds(value) or 0) > most:
                at = start + value.index(digits)
                edits.append((at, at + len(digits), b"%d" % most))
        elif name == b"contact":
            for contact in contacts(value):
                if contact.lifetime == NOWHERE or not _is_of(phone, Endpoint(contact.host, contact.port), pairs):
                    continue
                is_told = True
                if (contact.expires or 0) > most:
                    begin, end = contact.lifetime
                    edits.append((start + begin, start + end, b"%d" % most))
    if not is_told and min(wishes, default=0) > most:
        edits.append(_expires(message, most))
    return edits


def _is_of(phone: Endpoint, contact: Endpoint, pairs: Pairs) -> bool:
    if contact.ip != pairs.public:
        return False
    pair = pairs.of_port(contact.port)
    return pair is not None and pair.purpose is Purpose.SIGNALLING and pair.inside.ip == phone.ip


def _expires(message: Message, most: int) -> Edit:
    """One more header line, ended like the empty line before which it stands."""
    end = message.body[0]
    newline = b"\r\n" if message.data[end - 2 : end] == b"\r\n" else b"\n"
    at = end - len(newline)
    return at, at, b"Expires: %d%s" % (most, newline)
