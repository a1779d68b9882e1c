"""The requests that the gateway answers itself, with a 503 (RFC 3261 section 21.5.4)."""

from typing import NamedTuple

from gateway.calls.dialog import Side
from gateway.errors import LimitError
from gateway.outcome import Drop, Outcome, Refuse
from gateway.sip.grammar import TRANSACTION_SECONDS
from gateway.sip.message import Message
from gateway.sip.response import unavailable
from rules.model import Endpoint

_RETRY_AFTER = 5


class _Refused(NamedTuple):
    """The hash of a refused request's bytes, and for how long it may be repeated."""

    copy: int
    until: float


class Refusals:
    """Remembers each refused request for as long as it may be repeated: its copies get the same answer."""

    def __init__(self) -> None:
        self._refused: dict[tuple[bytes, int, Side], _Refused] = {}

    def is_ack(self, message: Message, sender: Side, now: float) -> bool:
        """Whether it acknowledges our own 503 and so ends here; LimitError for a copy of what was refused."""
        refused = self._refused.get((message.call_id, message.cseq, sender))
        if refused is None or refused.until <= now:
            return False
        if message.method != b"ACK" and hash(message.data) == refused.copy:
            raise LimitError("refused a moment ago")
        return message.method == b"ACK"

    def refuse(self, message: Message, sender: Side, asked: Endpoint | None, asker: Endpoint, now: float) -> Outcome:
        """The end of a message: `asker` is told, by `asked` to whom it wrote, unless it waits for no answer."""
        if not message.is_request or message.method == b"ACK" or asked is None:
            return Drop()
        while self._refused:
            key, refused = next(iter(self._refused.items()))
            if refused.until > now:
                break
            del self._refused[key]
        self._refused[message.call_id, message.cseq, sender] = _Refused(hash(message.data), now + TRANSACTION_SECONDS)
        return Refuse(asked, asker, unavailable(message, _RETRY_AFTER))
