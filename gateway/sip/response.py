"""A response that the gateway gives itself (RFC 3261 section 8.2.6)."""

from hashlib import blake2s

from gateway.sip.message import Message, tag

_OWN = b"sipmasq-"
_COPIED = ((b"via", b"Via"), (b"from", b"From"), (b"to", b"To"), (b"call-id", b"Call-ID"), (b"cseq", b"CSeq"))


def unavailable(request: Message, retry_after: int) -> bytes:
    """503 Service Unavailable with Retry-After in seconds; the same again for a retransmitted request."""
    lines = [b"SIP/2.0 503 Service Unavailable"]
    for name, written in _COPIED:
        for value in request.values(name):
            extra = b";tag=" + _tag(request) if name == b"to" and not tag(value) else b""
            lines.append(written + b": " + value + extra)
    lines += [b"Retry-After: %d" % retry_after, b"Content-Length: 0", b"", b""]
    return b"\r\n".join(lines)


def is_own_tag(text: bytes) -> bool:
    """Whether this is the tag of a response of ours."""
    return text.startswith(_OWN)


def _tag(request: Message) -> bytes:
    """The same for every copy of a request, so that no state is needed (section 8.2.7)."""
    seed = request.call_id + request.value(b"via") + b"%d" % request.cseq
    return _OWN + blake2s(seed, digest_size=6).hexdigest().encode()
