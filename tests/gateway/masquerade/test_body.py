import pytest

from gateway.masquerade.body import session_edits
from gateway.masquerade.inward import Inward
from gateway.masquerade.outward import Outward
from gateway.sdp.session import parse
from gateway.sip.message import splice
from tests.gateway.masquerade.pairs import ALICE, PUBLIC, Table

OUTWARD = Outward(Table(), PUBLIC, ALICE, b"10.0.0.")
INWARD = Inward(Table(), PUBLIC, ALICE)


def rewritten(lines: str, direction: Outward | Inward = OUTWARD) -> list[str]:
    data = "".join(line + "\r\n" for line in ("v=0", *lines.split())).replace("_", " ").encode()
    return splice(data, session_edits(data, parse(data, 0, len(data)), direction)).decode().split("\r\n")[1:-1]


def after(lines: str) -> list[str]:
    return lines.replace("_", " ").split("|")


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param(
            "o=-_1_1_IN_IP4_10.0.0.11 c=IN_IP4_10.0.0.11 m=audio_16384_RTP/AVP_0",
            "o=-_1_1_IN_IP4_203.0.113.1|c=IN_IP4_203.0.113.1|m=audio_20000_RTP/AVP_0",
            id="one address for all",
        ),
        pytest.param(
            "c=IN_IP4_198.51.100.9 m=audio_16384_RTP/AVP_0 c=IN_IP4_10.0.0.11",
            "c=IN_IP4_198.51.100.9|m=audio_20000_RTP/AVP_0|c=IN_IP4_203.0.113.1",
            id="a connection of its own",
        ),
        pytest.param(
            "c=IN_IP4_10.0.0.11 m=audio_0_RTP/AVP_0 m=video_16384_RTP/AVP_31",
            "c=IN_IP4_203.0.113.1|m=audio_0_RTP/AVP_0|m=video_20000_RTP/AVP_31",
            id="a stream that is off keeps its zero",
        ),
        pytest.param(
            "m=audio_16384_RTP/AVP_0 c=IN_IP4_relay.example.org c=IN_IP4_10.0.0.11 c=IN_IP4_192.0.2.4",
            "m=audio_16384_RTP/AVP_0|c=IN_IP4_relay.example.org|c=IN_IP4_203.0.113.1|c=IN_IP4_192.0.2.4",
            id="one of several connections, behind a name",
        ),
        pytest.param(
            "c=IN_IP4_10.0.0.11 m=message_9_TCP/MSRP_*",
            "c=IN_IP4_203.0.113.1|m=message_9_TCP/MSRP_*",
            id="a stream without partner still does not show the inside",
        ),
        pytest.param(
            "c=IN_IP4_10.0.0.11 m=audio_16384_RTP/AVP_0 a=rtcp:16385_IN_IP4_10.0.0.11",
            "c=IN_IP4_203.0.113.1|m=audio_20000_RTP/AVP_0|a=rtcp:20001_IN_IP4_203.0.113.1",
            id="RTCP that is named",
        ),
        pytest.param(
            "c=IN_IP4_10.0.0.11 m=audio_18000_RTP/AVP_0 a=rtcp:18007",
            "c=IN_IP4_203.0.113.1|m=audio_20004_RTP/AVP_0|a=rtcp:20005",
            id="RTCP elsewhere lands beside",
        ),
        pytest.param(
            "o=-_1_1_IN_IP4_10.0.0.12 c=IN_IP4_198.51.100.9 m=audio_40000_RTP/AVP_0",
            "o=-_1_1_IN_IP4_10.0.0.12|c=IN_IP4_198.51.100.9|m=audio_40000_RTP/AVP_0",
            id="nothing of ours",
        ),
        pytest.param("s=10.0.0.11 a=x:10.0.0.11_16384", "s=10.0.0.11|a=x:10.0.0.11_16384", id="texts"),
    ],
)
def test_outward(before: str, expected: str) -> None:
    assert rewritten(before) == after(expected)


def test_inward_each_stream_goes_to_its_own_phone() -> None:
    before = "o=-_1_1_IN_IP4_203.0.113.1 c=IN_IP4_203.0.113.1 m=audio_20000_RTP/AVP_0 m=video_20002_RTP/AVP_31 i=x"
    expected = (
        "o=-_1_1_IN_IP4_10.0.0.11|c=IN_IP4_10.0.0.11|m=audio_16384_RTP/AVP_0|m=video_16384_RTP/AVP_31|i=x"
        "|c=IN_IP4_10.0.0.12"
    )
    assert rewritten(before, INWARD) == after(expected)


def test_inward_the_origin_is_whose_candidates_these_are() -> None:
    before = (
        "o=-_1_1_IN_IP4_203.0.113.1 c=IN_IP4_0.0.0.0 a=remote-candidates:1_203.0.113.1_20000"
        " m=audio_9_RTP/AVP_0 a=candidate:1_1_UDP_1_203.0.113.1_20002_typ_host"
    )
    expected = (
        "o=-_1_1_IN_IP4_10.0.0.12|c=IN_IP4_0.0.0.0|a=remote-candidates:1_10.0.0.11_16384"
        "|m=audio_9_RTP/AVP_0|a=candidate:1_1_UDP_1_10.0.0.12_16384_typ_host"
    )
    assert rewritten(before, INWARD) == after(expected)


def test_rtcp_that_did_not_land_beside_is_named() -> None:
    table = Table()
    table.rows[3].port = 20009
    before = "c=IN_IP4_10.0.0.11 m=audio_16384_RTP/AVP_0 a=sendrecv"
    expected = "c=IN_IP4_203.0.113.1|m=audio_20000_RTP/AVP_0|a=sendrecv|a=rtcp:20009"
    assert rewritten(before, Outward(table, PUBLIC, ALICE, b"10.0.0.")) == after(expected)


def test_a_line_added_to_an_unfinished_last_line() -> None:
    data = b"v=0\r\nc=IN IP4 203.0.113.1\r\nm=audio 20000 RTP/AVP 0\r\nm=video 20002 RTP/AVP 31"
    left = splice(data, session_edits(data, parse(data, 0, len(data)), INWARD))
    assert left.endswith(b"\r\nm=video 16384 RTP/AVP 31\r\nc=IN IP4 10.0.0.12")
    assert len(parse(left, 0, len(left)).streams) == 2
