"""What phones and a provider say to one another, as the router sees it pass."""

import re

PUBLIC = "203.0.113.1"
PROVIDER = "198.51.100.7"
PHONE = "10.0.0.5"


def register(phone: str = PHONE, cseq: int = 1) -> bytes:
    """A phone asks its provider to send calls to it."""
    return _request(
        f"REGISTER sip:{PROVIDER}", phone, f"reg-{phone}", cseq, contact=f"Contact: <sip:me@{phone}:5060>"
    )


def invite(phone: str = PHONE, call: str = "a", cseq: int = 1, media: int = 16384) -> bytes:
    """A phone calls somebody and wants to hear at port `media`."""
    return _request(f"INVITE sip:bob@{PROVIDER}", phone, call, cseq, body=sdp(phone, media),
                    contact=f"Contact: <sip:me@{phone}:5060>")  # fmt: skip


def ring(phone: str = PHONE, call: str = "in", cseq: int = 1) -> bytes:
    """The provider calls a phone; the kernel has translated the packet, and the message still names the router."""
    return "\r\n".join((
        f"INVITE sip:me@{PUBLIC}:5060 SIP/2.0",
        f"Via: SIP/2.0/UDP {PROVIDER}:5060;branch=z9hG4bK{call}{cseq}",
        f"From: <sip:bob@{PROVIDER}>;tag=far",
        f"To: <sip:{phone}@{PROVIDER}>",
        f"Call-ID: {call}",
        f"CSeq: {cseq} INVITE",
        f"Contact: <sip:bob@{PROVIDER}:5060>",
        *_with(sdp(PROVIDER, 40000)),
    )).encode()  # fmt: skip


def within(method: str, answered: bytes, phone: str = PHONE, call: str = "a", cseq: int = 2) -> bytes:
    """The phone's ACK or BYE in the dialog that `answered`, the 2xx, made; a reply to a refusal likewise."""
    tag = re.search(rb"^To:.*;tag=([\w-]+)", answered, re.MULTILINE)
    assert tag is not None
    return _request(f"{method} sip:bob@{PROVIDER}", phone, call, cseq, to_tag=";tag=" + tag[1].decode())


def answer(request: bytes, status: str = "200 OK", body: str = "") -> bytes:
    """The far side's response to a request as it left the router, or arrived at a phone."""
    kept = [line for line in request.decode().split("\r\n") if re.match(r"(Via|From|To|Call-ID|CSeq):", line)]
    kept = [f"{line};tag=far" if line.startswith("To:") and ";tag=" not in line else line for line in kept]
    return "\r\n".join((f"SIP/2.0 {status}", *kept, *_with(body))).encode()


def sdp(host: str, port: int) -> str:
    """One stream of audio."""
    lines = ("v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", f"m=audio {port} RTP/AVP 0", "")
    return "\r\n".join(lines)


def header(message: bytes, name: str) -> str:
    """The first header line of that name, without it."""
    found = re.search(rf"^{name}: (.*?)\r$".encode(), message, re.MULTILINE)
    assert found is not None, message
    return found[1].decode()


def announced(message: bytes) -> set[int]:
    """The public ports that a message tells the world."""
    text = message.decode(errors="replace")
    ports = {int(port) for port in re.findall(rf"{PUBLIC}:(\d+)", text)}
    if f"c=IN IP4 {PUBLIC}" in text:
        ports |= {int(port) for port in re.findall(r"^m=audio (\d+)", text, re.MULTILINE)}
    return ports


def _request(
    start: str, phone: str, call: str, cseq: int, *, contact: str = "", to_tag: str = "", body: str = ""
) -> bytes:
    method = start.partition(" ")[0]
    lines = [
        f"{start} SIP/2.0",
        f"Via: SIP/2.0/UDP {phone}:5060;branch=z9hG4bK{call}{method}{cseq}",
        f"From: <sip:{phone}@{PROVIDER}>;tag=me",
        f"To: <sip:bob@{PROVIDER}>{to_tag}",
        f"Call-ID: {call}",
        f"CSeq: {cseq} {method}",
        *filter(None, [contact]),
        *_with(body),
    ]
    return "\r\n".join(lines).encode()


def _with(body: str) -> tuple[str, ...]:
    kind = ("Content-Type: application/sdp",) if body else ()
    return (*kind, f"Content-Length: {len(body)}", "", body)
