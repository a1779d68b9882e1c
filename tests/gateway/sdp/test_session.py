import pytest

from gateway.errors import MalformedError
from gateway.sdp.session import Session, parse

HEAD = "v=0\no=- 1 1 IN IP4 10.0.0.11\ns=-\n"


def session(text: str) -> Session:
    data = text.encode("latin-1")
    return parse(data, 0, len(data))


def test_everything_in_its_place() -> None:
    text = HEAD + (
        "c=IN IP4 10.0.0.11\nt=0 0\na=sendonly\n"
        "m=audio 16384 RTP/AVP 0 8\na=rtpmap:0 PCMU/8000\n"
        "m=video 18000/2 RTP/SAVPF 96\ni=camera\nc=IN IP4 10.0.0.12/127\na=rtcp:18005 IN IP4 10.0.0.13\na=inactive\n"
        "m=image 4000 udptl t38"
    )
    data = text.encode()
    found = parse(data, 0, len(data))
    assert found.origin is not None
    assert found.connection is not None
    assert data[slice(*found.origin.span)] == data[slice(*found.connection.span)] == b"10.0.0.11"

    audio, video, image = found.streams
    assert (audio.port, audio.port_count) == (16384, 1)
    assert [data[slice(*stream.port_span)] for stream in found.streams] == [b"16384", b"18000", b"4000"]
    assert audio.connection is None
    assert audio.address == found.connection
    assert audio.direction == image.direction == b"sendonly"

    assert video.port_count == 2
    assert video.connection is not None
    assert data[slice(*video.connection.span)] == b"10.0.0.12"
    assert video.direction == b"inactive"
    assert video.rtcp is not None
    assert data[slice(*video.rtcp.port_span)] == b"18005"
    assert video.rtcp.connection is not None
    assert data[slice(*video.rtcp.connection.span)] == b"10.0.0.13"
    assert data[: video.connection_at].endswith(b"i=camera")
    assert data[audio.end :].startswith(b"m=video")
    assert image.end == len(data)

    assert (audio.is_rtp, video.is_rtp, image.is_rtp) == (True, True, False)


@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r"])
def test_any_line_end_will_do(line_end: str) -> None:
    text = (HEAD + "c=IN IP4 10.0.0.11\nm=audio 4000 RTP/AVP 0\na=sendonly\n").replace("\n", line_end)
    (stream,) = session(text).streams
    assert (stream.port, stream.direction) == (4000, b"sendonly")


@pytest.mark.parametrize("end", ["", "\r\n", "\r\n\r\n", "\n\n"])
def test_the_end_may_be_sloppy(end: str) -> None:
    assert len(session(HEAD + "m=audio 4000 RTP/AVP 0" + end).streams) == 1


def test_no_streams_are_a_session_too() -> None:
    assert session(HEAD).streams == ()
    assert session(HEAD + "a=sendonly\n").is_on_hold is False


def test_only_the_span_asked_for_is_read() -> None:
    data = b"v=1" + HEAD.encode() + b"!!!"
    assert parse(data, 3, len(data) - 3).streams == ()


@pytest.mark.parametrize(
    ("host", "is_ipv4"),
    [("10.0.0.11", True), ("0.0.0.0", True), ("media.example.org", False), ("h\xff", False)],
)
def test_hosts_that_are_names_keep_their_text(host: str, is_ipv4: bool) -> None:
    connection = session(HEAD + f"c=IN IP4 {host}\n").connection
    assert connection is not None
    assert (connection.host, connection.is_ipv4) == (host, is_ipv4)


def test_ipv6_is_not_ipv4() -> None:
    connection = session(HEAD + "c=IN IP6 2001:db8::1\n").connection
    assert connection is not None
    assert not connection.is_ipv4


def test_an_origin_that_cannot_be_read_is_left_alone() -> None:
    assert session("v=0\no=10.0.0.11\ns=-\n").origin is None


@pytest.mark.parametrize(
    ("lines", "on_hold"),
    [
        ("c=IN IP4 10.0.0.11\nm=audio 4000 RTP/AVP 0\n", False),
        ("c=IN IP4 10.0.0.11\na=sendonly\nm=audio 4000 RTP/AVP 0\n", True),
        ("c=IN IP4 10.0.0.11\na=sendonly\nm=audio 4000 RTP/AVP 0\na=sendrecv\n", False),
        ("c=IN IP4 10.0.0.11\nm=audio 4000 RTP/AVP 0\na=inactive\nm=video 0 RTP/AVP 31\n", True),
        ("c=IN IP4 10.0.0.11\nm=audio 4000 RTP/AVP 0\na=inactive\nm=video 4002 RTP/AVP 31\n", False),
        ("c=IN IP4 0.0.0.0\nm=audio 4000 RTP/AVP 0\n", True),
        ("c=IN IP4 10.0.0.11\nm=audio 0 RTP/AVP 0\n", False),
    ],
)
def test_on_hold(lines: str, on_hold: bool) -> None:
    assert session(HEAD + lines).is_on_hold is on_hold


@pytest.mark.parametrize("protocol", ["TCP/RTP/AVP", "TCP/MSRP", "tcp"])
def test_tcp_is_no_business_of_ours(protocol: str) -> None:
    (stream,) = session(HEAD + f"m=message 9 {protocol} *\n").streams
    assert not stream.is_udp
    assert not stream.is_rtp


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s=-\n",
        "v=1\n",
        "v=0",
        HEAD + "X=1\n",
        HEAD + "no line\n",
        HEAD + "\na=after an empty line\n",
        HEAD + " a=indented\n",
        HEAD + "z",
        HEAD + "c=IN IP4\n",
        HEAD + "c=IN IP4 \n",
        HEAD + "c=IN IP4 256.0.0.1\n",
        HEAD + "c=IN IP4 010.0.0.1\n",
        HEAD + "c=IN IP4 10.0.0\n",
        HEAD + "m=audio\n",
        HEAD + "m=audio x RTP/AVP 0\n",
        HEAD + "m=audio 65536 RTP/AVP 0\n",
        HEAD + "m=audio -1 RTP/AVP 0\n",
        HEAD + "m=audio 4000 RTP/AVP 0\na=rtcp:\n",
        HEAD + "m=audio 4000 RTP/AVP 0\na=rtcp:65536\n",
        HEAD + "m=audio 4000 RTP/AVP 0\na=rtcp:4001 IN IP4 300.0.0.1\n",
        HEAD + "m=audio 4000 RTP/AVP 0\n" * 65,
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(MalformedError):
        session(text)
