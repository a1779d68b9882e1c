"""Session timers (RFC 4028): for how long a dialog stands without being refreshed."""

import re

from gateway.sip.grammar import LWS
from gateway.sip.message import Message

_DELTA = re.compile(LWS + rb"([0-9]{1,10})" + LWS + rb"(?:;|\Z)")
_LEAST = 90  # section 5
FOREVER = float("inf")


def session_interval(response: Message) -> float:
    """Seconds from the 2xx of an INVITE or UPDATE to the end of the session; without an interval it has none."""
    value = response.first.get(b"session-expires")
    if value is None:
        return FOREVER
    delta = _DELTA.match(value)
    return FOREVER if delta is None else float(max(_LEAST, int(delta[1])))
