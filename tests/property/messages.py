"""SIP messages and session descriptions as hypothesis draws them: valid ones in every spelling, and broken ones."""

from dataclasses import dataclass

from hypothesis import strategies as st

from rules.model import Endpoint

PHONE = Endpoint("10.0.0.11", 5060)
PROVIDER = Endpoint("198.51.100.1", 5060)
FOREIGN = ("198.51.100.7", "192.0.2.4", "172.16.3.9", "10.0.1.11", "phone.example.org")
TOKENS = st.text("abcXYZ019", min_size=1, max_size=8)
# even, and not the phone's SIP port
RTP_PORTS = st.integers(512, 30000).map(lambda number: 2 * number).filter(lambda port: port != PHONE.port)


@dataclass(frozen=True)
class Spelling:
    """How one message writes its headers: long or compact, any case, odd whitespace, folded or not."""

    compact: bool
    case: int
    colon: str

    def line(self, long: str, short: str, value: str) -> str:
        name = short if self.compact and short else long
        return (name, name.lower(), name.upper())[self.case] + self.colon + value


SPELLINGS = st.builds(
    Spelling, st.booleans(), st.integers(0, 2), st.sampled_from([": ", ":", " : ", "\t:\t", ":\r\n ", ": \r\n\t  "])
)


@st.composite
def name_addrs(draw: st.DrawFn, hosts: tuple[str, ...], ports: tuple[str, ...] = (":5060",)) -> str:
    """``"Alice" <sip:alice@10.0.0.11:5060;x=y>`` in its many forms."""
    hostport = draw(st.sampled_from(hosts)) + draw(st.sampled_from(ports))
    user = draw(st.sampled_from(["", "alice@", "10.0.0.11@", "a:10.0.0.11@"]))
    display = draw(st.sampled_from(["", '"Alice" ', '"<sip:x@10.0.0.11>" ', "Alice ", '"a\\"sip:10.0.0.11" ']))
    params = draw(st.sampled_from(["", ";transport=udp", ";lr", ";x=10.0.0.11"]))
    return draw(st.sampled_from([f"{display}<sip:{user}{hostport}{params}>", f"sip:{user}{hostport}"]))


@st.composite
def descriptions(draw: st.DrawFn, host: str) -> str:
    """A session description whose connection is `host`, for the session or for each stream."""
    line_end = draw(st.sampled_from(["\r\n", "\n"]))
    shared = draw(st.booleans())
    origin = draw(st.sampled_from([host, "192.0.2.4"]))
    lines = ["v=0", f"o=- {draw(st.integers(0, 2**40))} 1 IN IP4 {origin}", "s=-"]
    lines += [f"c=IN IP4 {host}"] if shared else []
    lines.append("t=0 0")
    for port in draw(st.lists(RTP_PORTS, max_size=4, unique=True)):
        kind = draw(st.sampled_from(["audio {} RTP/AVP 0 8", "video {} RTP/SAVPF 96", "image {} udptl t38"]))
        alive = draw(st.integers(0, 4)) > 0
        lines.append("m=" + kind.format(port if alive else 0))
        lines += draw(st.sampled_from([[], ["i=x"], ["b=AS:64"]]))
        lines += [] if shared else [f"c=IN IP4 {host}"]
        lines += draw(st.lists(st.sampled_from(["a=sendrecv", "a=rtpmap:0 PCMU/8000", "a=sendonly"]), max_size=3))
        if alive and "RTP" in kind and draw(st.booleans()):
            lines.append(f"a=rtcp:{port + 1}" + draw(st.sampled_from(["", f" IN IP4 {host}"])))
        if alive and draw(st.booleans()):
            lines.append(f"a=candidate:1 1 UDP 2130706431 {host} {port} typ host")
            lines += draw(
                st.sampled_from([[], [f"a=candidate:2 1 UDP 9 192.0.2.4 7 typ relay raddr {host} rport {port}"]])
            )
    return line_end.join(lines) + line_end


@st.composite
def requests(
    draw: st.DrawFn, host: str, own: st.SearchStrategy[str], methods: tuple[str, ...] = ("INVITE", "OPTIONS", "ACK")
) -> bytes:
    """A whole valid request that comes from `host` and names itself by `own`."""
    spelling = draw(SPELLINGS)
    method = draw(st.sampled_from(methods))
    # a description outside of a call's beginning belongs to a call that nobody here knows, and stays as it is
    body = draw(descriptions(host)) if method == "INVITE" and draw(st.booleans()) else ""
    from_, to = draw(own), draw(name_addrs(FOREIGN, ("", ":7000")))
    lines = [
        f"{method} sip:bob@example.org SIP/2.0",
        spelling.line("Via", "v", f"SIP/2.0/UDP {host}:5060;branch=z9hG4bK{draw(TOKENS)}"),
        spelling.line("Max-Forwards", "", "70"),
        spelling.line("From", "f", f"{from_};tag={draw(TOKENS)}"),
        spelling.line("To", "t", to),
        spelling.line("Call-ID", "i", f"{draw(TOKENS)}@10.0.0.11"),
        spelling.line("CSeq", "", f"{draw(st.integers(0, 2**31 - 1))} {method}"),
        spelling.line("Contact", "m", ", ".join(draw(st.lists(own, min_size=1, max_size=3)))),
        spelling.line("Subject", "s", "10.0.0.11 sip:10.0.0.11"),
    ]
    if body:
        lines.append(spelling.line("Content-Type", "c", "application/sdp"))
    if draw(st.booleans()):
        lines.append(spelling.line("Content-Length", "l", str(len(body))))
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


OURS = requests("10.0.0.11", name_addrs(("10.0.0.11",)))
OUR_INVITES = requests("10.0.0.11", name_addrs(("10.0.0.11",)), ("INVITE",))
THEIRS = requests("198.51.100.7", name_addrs(FOREIGN, ("", ":5060", ":7000")))


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
