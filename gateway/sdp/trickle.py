"""Candidates that come after their description, in a body of their own (Trickle ICE, RFC 8840 section 9)."""

from gateway.sdp.candidate import Candidate, candidates_in
from gateway.sdp.grammar import DISCARD_PORT, NOWHERE
from gateway.sdp.session import UNSPECIFIED, Connection, Session, Stream
from gateway.sip.body import is_encoded, media_type
from gateway.sip.message import Message

_TRICKLED = b"application/trickle-ice-sdpfrag"


def trickled_in(message: Message) -> tuple[Candidate, ...]:
    """All addresses that a body of this type names; none when there is no such body, or none that can be read."""
    start, end = message.body
    if start == end or media_type(message) != _TRICKLED or is_encoded(message):
        return ()
    # its first line has its line end before it like any other
    return candidates_in(message.data, start - 1, end)


def description_of(candidates: tuple[Candidate, ...]) -> Session:
    """What they mean, as a description: RTP that is received nowhere but at these (RFC 8840 section 4.1.1)."""
    nowhere = Connection(UNSPECIFIED, NOWHERE, is_ipv4=True)
    stream = Stream(
        DISCARD_PORT, NOWHERE, 1, True, True, nowhere, None, None, b"sendrecv", 0, 0, candidates=candidates
    )  # fmt: skip
    return Session(None, None, (stream,), candidates)
