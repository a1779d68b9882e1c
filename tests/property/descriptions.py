"""Session descriptions as hypothesis draws them: every kind of stream, connection lines anywhere, odd attributes."""

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
# one line each, with `host`, `port` and `rtcp` of its stream
_ADDRESSED = (
    "a=rtcp:{rtcp}",
    "a=rtcp:{rtcp} IN IP4 {host}",
    "a=candidate:1 1 UDP 2130706431 {host} {port} typ host",
    "a=candidate:2 1 UDP 9 192.0.2.4 7 typ relay raddr {host} rport {port}",
)
_PLAIN = (
    "a=sendrecv", "a=sendonly", "a=inactive", "a=rtpmap:0 PCMU/8000", "a=fmtp:0 x={host}", "a=ssrc:1 cname:a@{host}",
    "a=mid:{host}", "a=ice-ufrag:{port}", "a=x-address:{host}:{port}", "a=setup:actpass", "a=rtcp-mux",
)  # fmt: skip


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
    for port in draw(st.lists(RTP_PORTS, max_size=5, unique=True)):
        connection = draw(own if shared is None else st.none() | own | other)
        lines += draw(_streams(host, port, connection))
    line_end = draw(st.sampled_from(["\r\n", "\n"]))
    return line_end.join(lines) + line_end


@st.composite
def _streams(draw: st.DrawFn, host: str, port: int, connection: str | None) -> list[str]:
    kind = draw(st.sampled_from(_RTP + _OTHER))
    alive = draw(st.integers(0, 4)) > 0
    lines = ["m=" + kind.format(port if alive else 0), *draw(st.sampled_from([[], ["i=x"]]))]
    lines += [] if connection is None else [connection]
    lines += draw(st.sampled_from([[], ["b=AS:64"]]))
    attributes = draw(st.lists(st.sampled_from(_PLAIN), max_size=4))
    if alive and kind in _RTP and connection is not None and host in connection:
        attributes += draw(st.sampled_from([[], *([text] for text in _ADDRESSED)]))
    rtcp = port + draw(st.sampled_from([1, 1, 3]))
    return lines + [text.format(host=host, port=port, rtcp=rtcp) for text in attributes]
