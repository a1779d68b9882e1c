"""The requests that the gateway answers itself, with a 503 (RFC 3261 section 21.5.4)."""

from typing import NamedTuple

from gateway.calls.dialog import Side, TransactionId
from gateway.errors import LimitError
from gateway.outcome import Drop, Outcome, Refuse
from gateway.sip.grammar import TRANSACTION_SECONDS
from gateway.sip.message import Message
from gateway.sip.response import is_own_tag, unavailable
from rules.model import Endpoint

_RETRY_AFTER = 5
_MOST = 4096


class _Refused(NamedTuple):
    """The hash of a refused request's bytes, and for how long it may be repeated."""

    copy: int
    until: float


class Refusals:
    """Remembers each refused request for as long as it may be repeated: its copies get the same answer.

    Of very many, those that came last.
    """

    def __init__(self) -> None:
        self._refused: dict[tuple[bytes, str, TransactionId], _Refused] = {}

    def is_ack(self, message: Message, sender: Side, phone: Endpoint, now: float) -> bool:
        """Whether it acknowledges our own 503 and so ends here; LimitError for a copy of what was refused."""
        if not self._refused:
            return False
        refused = self._refused.get(_name(message, sender, phone))
        known = refused is not None and refused.until > now
        if message.method == b"ACK":
            # the INVITE's branch says so (section 17.1.1.3), and where a sender makes a new one, our tag
            return known or is_own_tag(message.to_tag)
        if refused is not None and known and hash(message.data) == refused.copy:
            raise LimitError("refused a moment ago")
        return False

    def refuse(
        self, message: Message, sender: Side, phone: Endpoint, asked: Endpoint | None, asker: Endpoint, now: float
    ) -> Outcome:
        """The end of a message: `asker` is told, by `asked` to whom it wrote, unless it waits for no answer."""
        if not message.is_request or message.method == b"ACK" or asked is None:
            return Drop()
        name = _name(message, sender, phone)
        self._refused.pop(name, None)  # insertion order is order in time
        while self._refused:
            key, refused = next(iter(self._refused.items()))
            if refused.until > now and len(self._refused) < _MOST:
                break
            del self._refused[key]
        self._refused[name] = _Refused(hash(message.data), now + TRANSACTION_SECONDS)
        return Refuse(asked, asker, unavailable(message, _RETRY_AFTER))


def _name(message: Message, sender: Side, phone: Endpoint) -> tuple[bytes, str, TransactionId]:
    """One Call-ID may come to several phones of a house, and to one of them by several branches."""
    return message.call_id, phone.ip, TransactionId.of(message, sender)
