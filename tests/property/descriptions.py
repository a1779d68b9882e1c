"""Session descriptions as hypothesis draws them: every kind of stream, connection lines anywhere, odd attributes."""

from collections.abc import Iterable
from typing import NamedTuple

from hypothesis import strategies as st

# so far apart that no stream's RTCP meets another's; the phone's SIP port is none of them
RTP_PORTS = st.integers(64, 4000).map(lambda number: 16 * number)
_ELSEWHERE = ("192.0.2.4", "relay.example.org")
_RTP = (
    "audio {} RTP/AVP 0 8",
    "audio {} RTP/SAVP 0",
    "video {} RTP/SAVPF 96",
    "text {} RTP/AVP 98",
)
_OTHER = ("image {} udptl t38", "application {} UDP/DTLS/SCTP webrtc-datachannel", "message {} TCP/MSRP *")
# one line each, with the `host`, and the `port`, `rtcp` and `other` port of its place
_RTCP = ("a=rtcp:{rtcp}", "a=rtcp:{rtcp} IN IP4 {host}")
_HOST_CANDIDATE = "a=candidate:1 1 UDP 2130706431 {host} {port} typ host"
_ADDRESSED = (
    _HOST_CANDIDATE,
    "a=candidate:1 2 UDP 2130706430 {host} {rtcp} typ host",
    "a=candidate:5 1 UDP 8 {host} {other} typ host",
    "a=candidate:4 1 TCP 7 {host} 9 typ host tcptype active",
    "a=candidate:2 1 UDP 9 192.0.2.4 7 typ relay raddr {host} rport {port}",
    "a=remote-candidates:1 192.0.2.4 {port} 2 192.0.2.4 {rtcp}",
    "a=remote-candidates:1 {host} {port} 2 {host} {rtcp}",
    "a=alt:1 1 : user pass {host} {port}",
)
_PLAIN = (
    "a=sendrecv", "a=sendonly", "a=inactive", "a=rtpmap:0 PCMU/8000", "a=fmtp:0 x={host}", "a=ssrc:1 cname:a@{host}",
    "a=mid:{host}", "a=ice-ufrag:{port}", "a=x-address:{host}:{port}", "a=setup:actpass", "a=rtcp-mux",
)  # fmt: skip


class Place(NamedTuple):
    """Ports of a phone: where one stream receives, several over one (BUNDLE), or a row of them (``m=.../n``)."""

    port: int
    rtcp: int
    length: int
    rtcp_line: str

    def __str__(self) -> str:
        return f"{self.port}/{self.length}" if self.length else str(self.port)

    def lines(self, host: str, texts: Iterable[str]) -> list[str]:
        return [text.format(host=host, port=self.port, rtcp=self.rtcp, other=self.port + 9) for text in texts]


@st.composite
def _places(draw: st.DrawFn, port: int, *, may_be_row: bool) -> Place:
    length = draw(st.sampled_from([0, 0, 1, 2, 4])) if may_be_row else 0
    if length > 1:  # RTCP of a row is where its RTP says
        return Place(port, port + 1, length, "")
    return Place(port, port + draw(st.sampled_from([0, 1, 1, 3])), length, draw(st.sampled_from(["", *_RTCP])))


@st.composite
def descriptions(draw: st.DrawFn, host: str) -> str:
    """What a phone at `host` sends: its own address for the session, for some streams, or for each."""
    own = st.sampled_from([f"c=IN IP4 {host}", f"c=IN IP4 {host} "])
    other = st.sampled_from([*(f"c=IN IP4 {name}" for name in _ELSEWHERE), "c=IN IP6 2001:db8::1"])
    shared = draw(st.none() | own | other)
    origin = draw(
        st.sampled_from([f"IP4 {host}", f"IP4 {_ELSEWHERE[0]}", "IP4 phone.example.org", "IP6 2001:db8::1"])
    )
    lines = ["v=0", f"o=- {draw(st.integers(0, 2**40))} 1 IN {origin}", "s=-", f"i=at {host}"]
    lines += [] if shared is None else [shared]
    lines += ["t=0 0", *draw(st.lists(st.sampled_from(["a=sendrecv", "a=group:BUNDLE a", "a=tool:x"]), max_size=2))]
    for index, port in enumerate(draw(st.lists(RTP_PORTS, max_size=5, unique=True))):
        place = draw(_places(port, may_be_row=index < 2))
        for _ in range(1 if place.length > 1 else draw(st.sampled_from([1, 1, 2]))):
            first = st.just([]) if shared is not None else own.map(lambda line: [line])
            lines += draw(_streams(host, place, [*draw(first), *draw(st.lists(own | other, max_size=2))], shared))
    line_end = draw(st.sampled_from(["\r\n", "\n"]))
    return line_end.join(lines) + line_end


@st.composite
def _streams(draw: st.DrawFn, host: str, place: Place, connections: list[str], shared: str | None) -> list[str]:
    kind = draw(st.sampled_from(_RTP + _OTHER))
    alive = draw(st.integers(0, 4)) > 0
    lines = ["m=" + kind.format(place if alive else 0), *draw(st.sampled_from([[], ["i=x"]]))]
    lines += connections
    lines += draw(st.sampled_from([[], ["b=AS:64"]]))
    attributes = draw(st.lists(st.sampled_from(_PLAIN), max_size=4))
    if alive and "TCP" not in kind:
        addressed = draw(st.lists(st.sampled_from(_ADDRESSED), max_size=4, unique=True))
        if host not in (connections or [shared or ""])[0]:
            # nothing but a candidate opens the port that the others name
            attributes += [_HOST_CANDIDATE] if addressed else []
        elif kind in _RTP and place.rtcp_line:
            attributes += [place.rtcp_line] if place.rtcp != place.port else ["a=rtcp-mux", place.rtcp_line]
        attributes += addressed
    return lines + place.lines(host, attributes)
