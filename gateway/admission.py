"""Which SIP addresses a phone may speak for: its own, and those that the operator shares (`inside.media_hosts`).

Any other inside host's address is left as it is, for nobody opens what is not theirs; where that host has spoken for
itself, its address has a partner and is translated like any other.
"""

import re
from functools import lru_cache

from gateway.errors import ForeignAddressError, NotUnderstoodError
from gateway.networks import Inside, Networks
from gateway.sip.grammar import DEFAULT_PORT, HIGHEST_PORT, LOWEST_PORT
from gateway.sip.message import Message
from gateway.sip.uri import hostports
from gateway.sip.via import top_sent_by
from rules.model import Endpoint

_MOST_ADDRESSES = 8  # of one phone in one message
_PHONES_REMEMBERED = 4096


def listening_at(message: Message, phone: Endpoint, inside: Inside) -> list[Endpoint]:
    """The phone's source address, and where else it says that it, or a proxy before it, listens for SIP.

    ForeignAddressError for ports that are never opened, NotUnderstoodError for more addresses than any phone has.
    """
    addresses = [phone, *_other_addresses(message, phone, inside)]
    if len(addresses) > _MOST_ADDRESSES:
        raise NotUnderstoodError(f"{len(addresses)} SIP addresses of {phone.ip} in one message")
    for address in addresses:
        if not LOWEST_PORT <= address.port <= HIGHEST_PORT:
            raise ForeignAddressError(f"{phone} wants SIP at {address}; such ports are never opened")
    return addresses


def _other_addresses(message: Message, phone: Endpoint, inside: Inside) -> list[Endpoint]:
    first = message.first
    uris = message.values(b"contact")
    if b"record-route" in first or b"path" in first:
        uris += message.values(b"record-route") + message.values(b"path")
    top = first[b"via"] if message.is_request else b""
    text = b" ".join((*uris, top))
    if _elsewhere_at(phone).search(text) is None and not (
        inside.shared and _names_shared(text, inside.shared, b"%s:%d" % (phone.ip.encode(), phone.port))
    ):
        return []
    named = [each for value in uris for each in hostports(value) if not each.is_maddr]
    found = {Endpoint(each.host, DEFAULT_PORT if each.port is None else each.port) for each in named}
    sent_by = top_sent_by(top)
    if sent_by is not None:
        found.add(Endpoint(*sent_by))
    return sorted(each for each in found - {phone} if each.ip == phone.ip or inside.is_shared(each.ip))


def _names_shared(text: bytes, shared: Networks, own: bytes) -> bool:
    """Whether a text may have a shared address that is not the address `own`."""
    hint = shared.hint
    if not hint or not own.startswith(hint):
        return hint in text
    return _without(hint, own[len(hint) :]).search(text) is not None


@lru_cache(maxsize=_PHONES_REMEMBERED)
def _elsewhere_at(phone: Endpoint) -> re.Pattern[bytes]:
    """Finds the phone's host where another port than its own, or none, follows: hardly ever there."""
    return _without(phone.ip.encode(), b":%d" % phone.port)


def _without(begin: bytes, rest: bytes) -> re.Pattern[bytes]:
    """Finds `begin` where the number that `rest` ends with does not follow."""
    return re.compile(re.escape(begin) + rb"(?!" + re.escape(rest) + rb"(?![0-9]))")
