"""What is ours in a kernel shared with others: names and marks, nothing else decides it.

A mark is the comment of a rule: ``sipmasq call 3f2a9c01 #1b2c3d4e``. The words are for the operator, the
number is a fingerprint of the rule's own text. Rules do not come back from the kernel as they were written,
so marks are all that is ever read back and compared.
"""

import hashlib
import re

NAME = "sipmasq"
"""The first word of every mark."""

PREROUTING = "SIPMASQ-PREROUTING"
POSTROUTING = "SIPMASQ-POSTROUTING"
MASQUERADE = "SIPMASQ-MASQUERADE"
FORWARD = "SIPMASQ-FORWARD"
INPUT = "SIPMASQ-INPUT"

SET_IN = "sipmasq-in"
SET_ANY = "sipmasq-any"
SET_OUT = "sipmasq-out"
SET_TO = "sipmasq-to"
SET_SIP = "sipmasq-sip"
SET_BANNED = "sipmasq-banned"

FLOOD = "flood,"
"""The first word in the reason of a rule that drops what is too much for the queue."""

FORWARDING_WAS_OFF = "IPv4 forwarding was off"
"""Part of a rule's reason while it is we who turned forwarding on."""

_LONGEST = 160  # a comment holds 255 characters, the chain listing should stay readable
_MARK = re.compile(NAME + r" (.+) #([0-9a-f]{8})")
_UNFIT = re.compile(r"[^\w .:;,@+/()<>=-]", re.ASCII)


def is_chain(name: str) -> bool:
    """Whether a chain of this name is ours."""
    return name.startswith("SIPMASQ-")


def is_set(name: str) -> bool:
    """Whether an ipset of this name is ours."""
    return name.startswith("sipmasq-")


def is_mark(comment: str) -> bool:
    """Whether a rule with this comment is ours."""
    return _MARK.fullmatch(comment) is not None


def label(reason: str) -> str:
    """The reason with what a comment cannot carry replaced: it may hold text of the network's making."""
    return _UNFIT.sub("?", reason)[:_LONGEST] or "?"


def mark(reason: str, text: str) -> str:
    """The comment for a rule of this reason and text."""
    return f"{NAME} {label(reason)} #{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def reason(comment: str) -> str:
    """The reason inside a mark."""
    found = _MARK.fullmatch(comment)
    return found[1] if found else comment
