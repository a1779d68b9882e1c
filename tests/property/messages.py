"""SIP messages as hypothesis draws them: valid ones in every spelling, and broken ones."""

from dataclasses import dataclass

from hypothesis import strategies as st

from rules.model import Endpoint
from tests.property.descriptions import descriptions

PHONE = Endpoint("10.0.0.11", 5060)
PROVIDER = Endpoint("198.51.100.1", 5060)
FOREIGN = ("198.51.100.7", "192.0.2.4", "172.16.3.9", "10.0.1.11", "phone.example.org", "[2001:db8::7]")
TOKENS = st.text("abcXYZ019", min_size=1, max_size=8)
# the others that may hold URIs, by what a phone keeps its own spelling for
ROUTES = ("Route", "Record-Route", "Path", "Service-Route")
REFERENCES = ("Refer-To", "Call-Info", "Error-Info", "Refer-Events-At")
NAMES = (
    "Reply-To", "Referred-By", "P-Asserted-Identity", "P-Preferred-Identity", "P-Associated-URI", "P-Called-Party-ID",
    "Remote-Party-ID", "Diversion", "History-Info",
)  # fmt: skip
_COMPACT = {
    "Via": "v", "From": "f", "To": "t", "Call-ID": "i", "Contact": "m", "Subject": "s", "Content-Type": "c",
    "Content-Length": "l", "Refer-To": "r", "Referred-By": "b",
}  # fmt: skip
_FREE_TEXT = ("Subject", "User-Agent", "Reason", "Warning", "Replaces", "Target-Dialog", "Organization")


@dataclass(frozen=True)
class Spelling:
    """How one message writes its headers: long or compact, any case, odd whitespace, folded or not."""

    compact: bool
    case: int
    colon: str
    comma: str

    def line(self, name: str, value: str) -> str:
        name = _COMPACT.get(name, name) if self.compact else name
        return (name, name.lower(), name.upper())[self.case] + self.colon + value

    def lines(self, name: str, values: list[str]) -> list[str]:
        """Several values on one line, or a line for each."""
        return [self.line(name, each) for each in ([self.comma.join(values)] if self.comma else values)]


SPELLINGS = st.builds(
    Spelling,
    st.booleans(),
    st.integers(0, 2),
    st.sampled_from([": ", ":", " : ", "\t:\t", ":\r\n ", ": \r\n\t  "]),
    st.sampled_from(["", ",", ", ", " ,\r\n "]),
)


@st.composite
def name_addrs(draw: st.DrawFn, hosts: tuple[str, ...], ports: tuple[str, ...] = ("", ":5060", ":7000")) -> str:
    """``"Alice" <sip:alice@10.0.0.11:5060;x=y>`` in its many forms."""
    host = draw(st.sampled_from(hosts))
    hostport = host + draw(st.sampled_from(ports))
    scheme = draw(st.sampled_from(["sip", "sip", "sips"]))
    user = draw(
        st.sampled_from(["", "alice@", "10.0.0.11@", "a:10.0.0.11@", "al%40i%2Cce@", "a;b=c,d?/e@", "+49-1@"])
    )
    if not draw(st.integers(0, 3)):
        return f"{scheme}:{draw(st.sampled_from(['', 'alice@', 'a:10.0.0.11@']))}{hostport}"
    display = draw(
        st.sampled_from(
            ["", '"Alice" ', '"<sip:x@10.0.0.11>" ', "Alice ", '"a\\"sip:10.0.0.11" ', '"a, <b>;c" ', '"\\\\"', '""']
        )
    )
    params = draw(
        st.sampled_from(["", ";transport=udp", ";lr", ";x=10.0.0.11", ";maddr=192.0.2.4", f";maddr={host};lr"])
    )
    after = draw(st.sampled_from(["", ";index=1", ' ; x="; <sip:10.0.0.11>"', "\r\n ;q=0.5"]))
    return f"{display}<{scheme}:{user}{hostport}{params}>{after}"


@st.composite
def hops(draw: st.DrawFn, sent_by: str, host: str, port: str) -> str:
    """One via-parm; behind its sent-by may stand where it was seen to come from."""
    slash = draw(st.sampled_from(["/", "/", " / "]))
    seen = draw(
        st.sampled_from(["", ";rport", f";received={host}", f";received={host};rport={port}", f";maddr={host}"])
    )
    return f"SIP{slash}2.0{slash}UDP {sent_by}{seen};branch=z9hG4bK{draw(TOKENS)}"


@st.composite
def messages(
    draw: st.DrawFn,
    host: str,
    ports: tuple[str, ...] = (":5060",),
    methods: tuple[str, ...] = ("INVITE", "OPTIONS", "ACK"),
) -> bytes:
    """A whole valid message that comes from `host`, names itself in many places and others beside it.

    `ports` are the ways to write its port; each kind of place has one of them.
    """
    spelling = draw(SPELLINGS)
    method = draw(st.sampled_from(methods))
    is_request = draw(st.integers(0, 3)) > 0
    # a description outside of a call's beginning belongs to a call that nobody here knows, and stays as it is
    body = draw(descriptions(host)) if method == "INVITE" and is_request and draw(st.booleans()) else ""

    def own() -> st.SearchStrategy[str]:
        return name_addrs((host,), (draw(st.sampled_from(ports)),))

    def several(mine: st.SearchStrategy[str]) -> list[str]:
        return draw(st.lists(mine | name_addrs(FOREIGN), min_size=1, max_size=3))

    sent_by = host + draw(st.sampled_from(ports))
    vias = [
        draw(hops(sent_by, host, "5060")),
        *draw(st.lists(hops(draw(st.sampled_from(FOREIGN)), "192.0.2.4", "7"), max_size=2)),
    ]
    identity, contact = own(), own()
    lines = [
        *spelling.lines("Via", vias),
        spelling.line("From", f"{draw(identity)};tag={draw(TOKENS)}"),
        spelling.line("To", draw(identity | name_addrs(FOREIGN))),
        spelling.line("Call-ID", f"{draw(TOKENS)}@10.0.0.11"),
        spelling.line("CSeq", f"{draw(st.integers(0, 2**31 - 1))} {method}"),
        *spelling.lines("Contact", [draw(contact), *several(contact)][:3]),
    ]
    for kind in (ROUTES, REFERENCES, NAMES):
        mine = own()
        for name in draw(st.lists(st.sampled_from(kind), max_size=2, unique=True)):
            lines += spelling.lines(name, several(mine))
    lines += [
        spelling.line(name, '<sip:10.0.0.11:5060>;x="10.0.0.11"')
        for name in draw(st.lists(st.sampled_from(_FREE_TEXT), max_size=2, unique=True))
    ]
    if body:
        lines.append(spelling.line("Content-Type", "application/sdp"))
    if draw(st.booleans()):
        lines.append(spelling.line("Content-Length", str(len(body))))
    start = f"{method} sip:bob@example.org SIP/2.0" if is_request else "SIP/2.0 200 sip:10.0.0.11"
    return ("\r\n".join([start, *draw(st.permutations(lines))]) + "\r\n\r\n" + body).encode()


OURS = messages(PHONE.ip, ("", ":5060"))
OUR_INVITES = messages(PHONE.ip, ("", ":5060"), ("INVITE",))
THEIRS = messages("198.51.100.7", ("", ":5060", ":7000"))


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """A valid message with some bytes replaced, removed, repeated, or its end cut off."""
    data = bytearray(draw(OURS | THEIRS))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 3)):
            case 0:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                del data[at : at + draw(st.integers(1, 20))]
            case 2:
                data[at:at] = data[at : at + draw(st.integers(1, 40))]
            case _:
                del data[at:]
    return bytes(data)


_PIECES = st.sampled_from(
    [
        b"INVITE sip:a@10.0.0.11 SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n", b"Via: SIP/2.0/UDP 10.0.0.11;branch=x\r\n",
        b"From: <sip:a@10.0.0.11>;tag=1\r\n", b"To: sip:b@c\r\n", b"Call-ID: 1\r\n", b"CSeq: 1 INVITE\r\n",
        b"Contact: *\r\n", b"Contact: <sip:a@10.0.0.11:99999>\r\n", b"Content-Type: application/sdp\r\n",
        b"Content-Length: 9\r\n", b"\r\n", b"\n", b"\r", b" ", b"\t", b'"', b"\\", b"<", b">", b";", b",", b":", b"=",
        b"v=0\r\n", b"c=IN IP4 10.0.0.11\r\n", b"m=audio 5000 RTP/AVP 0\r\n", b"m=audio 5060 RTP/AVP 0\r\n",
        b"a=rtcp:5001\r\n", b"\xff\xfe", b"10.0.0.11", b"sip:", b"Expires: 0\r\n", b"REGISTER sip:x SIP/2.0\r\n",
        b"CSeq: 1 REGISTER\r\n", b"Via: SIP/2.0/UDP 203.0.113.1:5060;received=203.0.113.1;rport=5060\r\n",
    ]
)  # fmt: skip
GARBAGE = st.binary(max_size=200) | st.lists(_PIECES, max_size=30).map(b"".join) | mutilated()
