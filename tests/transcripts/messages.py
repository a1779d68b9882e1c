"""SIP messages as phones and providers write them, and SDP bodies."""

from collections.abc import Iterable

from gateway.sip import message


def sip(start: str, headers: Iterable[str], body: str = "") -> bytes:
    """A message with its Content-Length; the header lines are given whole, and a body is SDP unless they say more."""
    lines = [start, *headers]
    if body and not any(line.startswith("Content-Type:") for line in lines):
        lines.append("Content-Type: application/sdp")
    lines += [f"Content-Length: {len(body)}", "", body]
    return "\r\n".join(lines).encode()


def sdp(host: str, *media: str) -> str:
    """A session description: the lines of each stream in one text, such as ``m=audio 16384 RTP/AVP 0``."""
    lines = ["v=0", f"o=- 7 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
    lines += [line.strip() for text in media for line in text.split("\n")]
    return "".join(f"{line}\r\n" for line in lines)


def audio(host: str, port: int | str, *more: str) -> str:
    """A description with one audio stream and further lines for it."""
    return sdp(host, "\n".join((f"m=audio {port} RTP/AVP 0", *more)))


def reply(request: bytes, status: str, tag: str = "", headers: Iterable[str] = (), body: str = "") -> bytes:
    """A response to a request as its receiver saw it (RFC 3261 section 8.2.6)."""
    parsed = message.parse(request)
    lines = []
    for written, name in (
        ("Via", b"via"),
        ("From", b"from"),
        ("To", b"to"),
        ("Call-ID", b"call-id"),
        ("CSeq", b"cseq"),
    ):
        for value in parsed.values(name):
            text = value.decode().strip()
            if written == "To" and tag and "tag=" not in text:
                text += f";tag={tag}"
            lines.append(f"{written}: {text}")
    return sip(f"SIP/2.0 {status}", [*lines, *headers], body)


def changed_lines(before: bytes, after: bytes) -> list[str]:
    """The lines of `after` that differ from their counterpart in `before`; added ones with a plus."""
    old, new = before.decode().split("\r\n"), after.decode().split("\r\n")
    if len(old) != len(new):
        return [f"+{line}" for line in new if line not in old]
    return [line for was, line in zip(old, new, strict=True) if was != line]
