"""Which addresses a phone may speak for."""

from gateway.errors import ForeignAddressError, NotUnderstoodError
from gateway.sip.grammar import DEFAULT_PORT, HIGHEST_PORT, LOWEST_PORT
from gateway.sip.message import Message
from gateway.sip.uri import hostports
from gateway.sip.via import top_sent_by
from rules.model import Endpoint

_MOST_ADDRESSES = 8  # of one phone in one message


def listening_at(message: Message, phone: Endpoint) -> list[Endpoint]:
    """The phone's source address, and where else on itself it says that it listens for SIP.

    ForeignAddressError for ports that are never opened, NotUnderstoodError for more addresses than any phone has.
    """
    addresses = [phone, *_other_addresses(message, phone)]
    if len(addresses) > _MOST_ADDRESSES:
        raise NotUnderstoodError(f"{len(addresses)} addresses of {phone.ip} in one message")
    for address in addresses:
        if not LOWEST_PORT <= address.port <= HIGHEST_PORT:
            raise ForeignAddressError(f"{phone} wants SIP at {address}; such ports are never opened")
    return addresses


def _other_addresses(message: Message, phone: Endpoint) -> list[Endpoint]:
    values = message.values(b"contact")
    top = message.first[b"via"] if message.is_request else b""
    if not _names_others(b" ".join((*values, top)), phone):
        return []
    named = [each for value in values for each in hostports(value, 0, len(value)) if not each.is_maddr]
    found = [(each.host, DEFAULT_PORT if each.port is None else each.port) for each in named]
    sent_by = top_sent_by(top)
    if sent_by is not None:
        found.append(sent_by)
    return sorted({Endpoint(*address) for address in found if address[0] == phone.ip} - {phone})


def _names_others(text: bytes, phone: Endpoint) -> bool:
    """Whether a text has the phone's host without its port: hardly ever so, and cheap to see."""
    port = b":%d" % phone.port
    _, *followers = text.split(phone.ip.encode())
    return bool([each for each in followers if not each.startswith(port) or each[len(port) :][:1].isdigit()])
