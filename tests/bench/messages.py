"""SIP as desk phones and providers write it, with the headers and the length that are usual."""

from typing import NamedTuple

from rules.model import Endpoint

_INVITE = """\
INVITE sip:{peer}@{domain} SIP/2.0
Via: SIP/2.0/UDP {address};branch=z9hG4bK{number:08x};rport
From: "Alice" <sip:{user}@{domain}>;tag={number:08x}
To: <sip:{peer}@{domain}>
Call-ID: {call_id}
CSeq: 1 INVITE
Contact: <sip:{user}@{address}>
Max-Forwards: 70
User-Agent: Desk Phone 7.3.1
Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY, PRACK
Supported: replaces, timer, 100rel
Allow-Events: talk, hold, conference
Session-Expires: 1800
Min-SE: 90
Accept: application/sdp, application/dtmf-relay
Content-Type: application/sdp
Content-Length: {length}

"""
_IN_DIALOG = """\
{method} sip:{peer}@{far} SIP/2.0
Via: SIP/2.0/UDP {address};branch=z9hG4bK{number:08x}{method};rport
From: "Alice" <sip:{user}@{domain}>;tag={number:08x}
To: <sip:{peer}@{domain}>;tag={tag}
Call-ID: {call_id}
CSeq: {cseq} {method}
Contact: <sip:{user}@{address}>
Max-Forwards: 70
User-Agent: Desk Phone 7.3.1
Content-Length: 0

"""
_OUT_OF_DIALOG = """\
{method} sip:{domain} SIP/2.0
Via: SIP/2.0/UDP {address};branch=z9hG4bK{number:08x};rport
From: "Alice" <sip:{user}@{domain}>;tag={number:08x}
To: <sip:{user}@{domain}>
Call-ID: {method}-{user}@{address.ip}
CSeq: {number} {method}
Contact: <sip:{user}@{address}>
Max-Forwards: 70
User-Agent: Desk Phone 7.3.1
Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY, PRACK
Expires: 3600
Content-Length: 0

"""
_SDP = """\
v=0
o={user} 20518 20518 IN IP4 {media.ip}
s=-
c=IN IP4 {media.ip}
t=0 0
m=audio {media.port} RTP/AVP 9 8 0 18 101
a=rtpmap:9 G722/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:18 G729/8000
a=fmtp:18 annexb=no
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a=sendrecv
"""
_ANSWERED_WITH = ("via", "from", "to", "call-id", "cseq", "record-route")


class Caller(NamedTuple):
    """A user agent that calls `peer` through the provider `domain`; it receives SIP at `address`."""

    user: str
    address: Endpoint
    peer: str
    domain: str

    def invite(self, number: int, media: Endpoint) -> bytes:
        """The INVITE of a new call; `number` makes its names."""
        body = sdp(self.user, media)
        return self._written(_INVITE, number, length=len(body)) + body

    def ack(self, number: int, far: Endpoint) -> bytes:
        """The ACK of the call's 200, to the contact that it named."""
        return self._written(_IN_DIALOG, number, method="ACK", cseq=1, far=far, tag=_tag(number))

    def bye(self, number: int, far: Endpoint) -> bytes:
        """The end of the call."""
        return self._written(_IN_DIALOG, number, method="BYE", cseq=2, far=far, tag=_tag(number))

    def refused(self, number: int) -> bytes:
        """The ACK of a final response other than 2xx."""
        return self._written(
            _IN_DIALOG.replace("{number:08x}{method};rport", "{number:08x};rport"), number,
            method="ACK", cseq=1, far=self.domain, tag=_tag(number),
        )  # fmt: skip

    def register(self, number: int) -> bytes:
        """Register the address for an hour, or again."""
        return self._written(_OUT_OF_DIALOG, number, method="REGISTER")

    def options(self, number: int) -> bytes:
        """What keeps the way open."""
        return self._written(_OUT_OF_DIALOG, number, method="OPTIONS")

    def _written(self, template: str, number: int, **values: object) -> bytes:
        fields = {**self._asdict(), "number": number, "call_id": f"{number:08x}-7d21@{self.address.ip}", **values}
        return _wire(template.format(**fields))


def sdp(user: str, media: Endpoint) -> bytes:
    """A description of one audio stream."""
    return _wire(_SDP.format(user=user, media=media))


def answer(request: bytes, status: str, *, contact: Endpoint | None = None, body: bytes = b"") -> bytes:
    """The response to a request as it arrived; the tag follows from the Call-ID. `contact` is a REGISTER's own."""
    head = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    named = [(line.partition(":")[0].lower(), line) for line in head]
    number = next(line.split()[1].partition("-")[0] for name, line in named if name == "call-id")
    lines = [f"SIP/2.0 {status}"]
    for name, line in named:
        if name in _ANSWERED_WITH:
            fresh = name == "to" and ";tag=" not in line
            lines.append(line + (f";tag=far{number}" if fresh else ""))
        elif name == "contact" and contact is None:
            lines.append(f"{line};expires=3600")
    if contact is not None:
        lines.append(f"Contact: <sip:far@{contact}>")
    lines += ["Server: Provider 2.4", "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE", "Supported: timer"]
    if body:
        lines.append("Content-Type: application/sdp")
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def _tag(number: int) -> str:
    return f"far{number:08x}"


def _wire(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()
