"""Session descriptions (RFC 8866) as phones write them, and the one thing that tests read in them."""

import re
from collections.abc import Iterable

from rules.model import Endpoint

UNSPECIFIED = "0.0.0.0"  # what old phones put in a c= line to hold a call (RFC 3264 section 8.4)


def audio(media: Endpoint, direction: str = "sendrecv", host: str | None = None, more: Iterable[str] = ()) -> str:
    """One stream of audio; `host` is said in its c= line in place of the address, `more` are lines at the end."""
    attributes = ("a=rtpmap:0 PCMU/8000", f"a={direction}", *more)
    return _session(media.ip, host or media.ip, f"m=audio {media.port} RTP/AVP 0", *attributes)


def fax(media: Endpoint) -> str:
    """Fax over UDPTL in place of any audio (ITU-T T.38 annex D)."""
    return _session(media.ip, media.ip, f"m=image {media.port} udptl t38", "a=T38FaxVersion:0")


def media_of(text: str) -> Endpoint:
    """Where a message's description wants its only stream."""
    connection = re.search(r"^c=IN IP4 (\S+)", text, re.MULTILINE)
    stream = re.search(r"^m=\w+ (\d+)", text, re.MULTILINE)
    assert connection is not None, f"no session description in:\n{text}"
    assert stream is not None
    return Endpoint(connection[1], int(stream[1]))


def _session(origin: str, host: str, *stream: str) -> str:
    lines = ("v=0", f"o=- 1 1 IN IP4 {origin}", "s=-", f"c=IN IP4 {host}", "t=0 0", *stream)
    return "".join(f"{line}\r\n" for line in lines)
