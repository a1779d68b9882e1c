"""A switchboard (PBX) inside: phones of its own behind it, trunks, and calls that it forwards to the outside."""

import pytest

from gateway.engine import Settings
from gateway.networks import Networks
from tests.transcripts.flow import PUBLIC, Flow, Party
from tests.transcripts.messages import audio, sdp, sip
from tests.transcripts.test_callers import rings
from tests.transcripts.test_incoming_call import register

SHARED = Settings(media_hosts=("10.0.0.128/25", "10.0.0.12/32"))
DESK = "10.0.0.12"  # a phone of the PBX


@pytest.fixture
def shared() -> Flow:
    """A router whose operator lets every phone announce the PBX's phones."""
    return Flow(SHARED)


def pbx_of(flow: Flow) -> Party:
    return flow.phone("pbx", "10.0.0.11")


def test_a_phone_behind_the_pbx_hears_by_itself_if_the_operator_allows(shared: Flow) -> None:
    pbx = pbx_of(shared)
    pbx.asks("INVITE", sdp=audio(DESK, 16384)).leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5060;rport;branch=z9hG4bKcall-1-1INVITE",
        "Contact: <sip:pbx@203.0.113.1:5060>",
        "Content-Length: 92",
        "o=- 7 1 IN IP4 203.0.113.1",
        "c=IN IP4 203.0.113.1",
        "m=audio 20000 RTP/AVP 0",
    )
    shared.provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    assert shared.rtp == {"20000 -> 10.0.0.12:16384 rtp from 198.51.100.20"}
    pbx.asks("BYE")
    shared.provider.answers("200 OK", to=b"BYE")
    assert shared.open == set()


def test_and_not_without_his_word(flow: Flow) -> None:
    pbx = pbx_of(flow)
    pbx.asks("INVITE", sdp=audio(DESK, 16384)).passes()
    assert flow.open == set()
    assert flow.notices[-1].endswith("(inside.media_hosts)")
    # an address of somebody else in Contact is left alone, and nothing is leased for it
    pbx.asks("INVITE", call="call-2", contact=f"<sip:desk@{DESK}:5060>", sdp=audio("10.0.0.11", 16384))
    assert b"Contact: <sip:desk@10.0.0.12:5060>\r\n" in flow.provider.inbox[-1]
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}


def test_only_what_the_operator_named_is_shared(shared: Flow) -> None:
    pbx = pbx_of(shared)
    pbx.asks("INVITE", sdp=audio("10.0.0.13", 16384)).passes()
    pbx.asks("OPTIONS", contact="<sip:desk@10.0.0.13:5060>, <sip:desk@10.0.0.200:5060>, <sip:x@192.0.2.1>")
    assert shared.sip_ports == {"10.0.0.11:5060": 5060, "10.0.0.200:5060": 5062}
    outside = Flow(Settings(media_hosts=("192.0.2.0/24",)))
    pbx_of(outside).asks("OPTIONS", contact="<sip:desk@192.0.2.1:5060>")
    assert outside.sip_ports == {"10.0.0.11:5060": 5060}


def test_a_shared_address_counts_in_contact_via_and_routes(shared: Flow) -> None:
    pbx_of(shared).asks(
        "REGISTER", "sip:example.org", contact=f"<sip:desk@{DESK}:5070>", via="10.0.0.130:5080",
        headers=("Path: <sip:10.0.0.131:5090;lr>", "Record-Route: <sip:10.0.0.132;lr>"),
    ).leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5080;branch=z9hG4bKcall-1-1REGISTER",
        "Contact: <sip:desk@203.0.113.1:5070>",
        "Path: <sip:203.0.113.1:5090;lr>",
        "Record-Route: <sip:203.0.113.1:5062;lr>",
    )  # fmt: skip
    assert shared.sip_ports == {
        "10.0.0.11:5060": 5060,
        "10.0.0.12:5070": 5070,
        "10.0.0.130:5080": 5080,
        "10.0.0.131:5090": 5090,
        "10.0.0.132:5060": 5062,
    }


def test_a_shared_contact_is_registered_and_called_where_it_is(shared: Flow) -> None:
    pbx, desk = pbx_of(shared), shared.phone("desk", DESK)
    pbx.contact = f"<sip:desk@{DESK}:5060>"
    register(pbx, shared.provider, 600)
    shared.engine.callers.configure("registrar", 3600)
    shared.wait(599)
    assert shared.sip_ports == {"10.0.0.12:5060": 5062}
    assert rings(shared.provider, "sip:desk@203.0.113.1:5062")
    assert desk.inbox[-1].startswith(b"INVITE sip:desk@10.0.0.12:5060 ")
    assert not rings(shared.outside("100", "192.0.2.66"), "sip:desk@203.0.113.1:5062")


@pytest.mark.parametrize("name", ["Record-Route", "Path"])
def test_a_proxy_on_the_senders_host_listens_elsewhere_than_it_sends_from(flow: Flow, name: str) -> None:
    proxy = flow.phone("proxy", "10.0.0.11", 40001, contact="<sip:far@10.0.0.50>")
    passage = proxy.asks("SUBSCRIBE", via="10.0.0.11:40001", headers=(f"{name}: <sip:10.0.0.11:5080;lr>",))
    assert f"{name}: <sip:203.0.113.1:5080;lr>" in passage.text
    assert flow.sip_ports == {"10.0.0.11:40001": 40001, "10.0.0.11:5080": 5080}


def test_ports_that_nobody_may_have_in_routes(flow: Flow) -> None:
    pbx_of(flow).asks("OPTIONS", headers=("Record-Route: <sip:10.0.0.11:53;lr>",)).passes()
    assert flow.sip_ports == {}


def test_a_call_from_outside_is_forwarded_outside_with_the_pbx_in_the_middle(flow: Flow) -> None:
    """Two calls with a Call-ID each; the PBX hears both and speaks to both."""
    pbx, provider = pbx_of(flow), flow.provider
    register(pbx, provider)
    provider.asks("INVITE", "sip:pbx@203.0.113.1:5060", "in", sdp=audio("198.51.100.20", 40000))
    pbx.asks("INVITE", "sip:mobile@example.org", "out", sdp=audio("10.0.0.11", 18000))
    provider.answers("200 OK", tag="mobile", sdp=audio("198.51.100.30", 50000))
    pbx.answers("200 OK", to=b"INVITE", sdp=audio("10.0.0.11", 16384))
    assert flow.calls == 2
    assert flow.rtp == {
        "20000 -> 10.0.0.11:18000 rtp from 198.51.100.30",
        "20002 -> 10.0.0.11:16384 rtp from 198.51.100.20",
    }
    provider.asks("BYE", "sip:pbx@203.0.113.1:5060", "in")
    pbx.answers("200 OK", to=b"BYE")
    assert flow.rtp == {"20000 -> 10.0.0.11:18000 rtp from 198.51.100.30"}
    pbx.asks("BYE", call="out")
    provider.answers("200 OK", to=b"BYE")
    assert flow.open == set()
    assert flow.calls == 0


def test_a_call_that_is_forwarded_with_media_from_party_to_party_opens_nothing(flow: Flow) -> None:
    """The PBX tells each party outside of the other's address, and has none of its own in the call."""
    pbx, provider = pbx_of(flow), flow.provider
    register(pbx, provider)
    provider.asks("INVITE", "sip:pbx@203.0.113.1:5060", "in", sdp=audio("198.51.100.20", 40000))
    pbx.asks("INVITE", "sip:mobile@example.org", "out", sdp=audio("198.51.100.20", 40000)).leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5060;rport;branch=z9hG4bKout-1INVITE", "Contact: <sip:pbx@203.0.113.1:5060>"
    )
    provider.answers("200 OK", tag="mobile", sdp=audio("198.51.100.30", 50000))
    pbx.asks("ACK", call="out")
    pbx.answers("200 OK", to=b"INVITE", sdp=audio("198.51.100.30", 50000)).leaves_with(
        "Contact: <sip:pbx@203.0.113.1:5060>"
    )
    assert flow.calls == 2
    assert flow.open == set()
    # one stream of its own beside theirs is opened, and only that
    own = sdp("198.51.100.20", "m=audio 40000 RTP/AVP 0", "m=video 17000 RTP/AVP 34\nc=IN IP4 10.0.0.11")
    pbx.asks("INVITE", "sip:mobile@example.org", "third", sdp=own)
    assert flow.rtp == {"20000 -> 10.0.0.11:17000 rtp closed"}


@pytest.mark.parametrize("number", ["+493012345600", "00", ""])
def test_a_trunk_calls_any_number_of_its_block_at_the_registered_address(flow: Flow, number: str) -> None:
    pbx = flow.phone("pbx", "10.0.0.11", contact="<sip:+4930123456@10.0.0.11:5060>")
    register(pbx, flow.provider)
    uri = f"sip:{number}{'@' if number else ''}203.0.113.1:5060"
    assert rings(flow.provider, uri)
    assert pbx.inbox[-1].startswith(f"INVITE {uri.replace(PUBLIC, '10.0.0.11')} SIP/2.0".encode())
    assert not rings(flow.outside("100", "192.0.2.66"), uri)


def test_a_static_trunk_needs_no_registration(flow: Flow) -> None:
    """The PBX asks now and then whether the other end is there, and is called from it."""
    pbx, trunk = pbx_of(flow), flow.outside("trunk", "198.51.100.40")
    pbx.far = trunk
    for _ in range(200):
        pbx.asks("OPTIONS", call="ping")
        trunk.answers("200 OK", tag="t")
        flow.wait(60)
    assert rings(trunk, "sip:+493012345600@203.0.113.1:5060")


def test_phones_in_two_inside_networks_that_call_each_other_meet(flow: Flow) -> None:
    flow.engine.place(Networks(["10.0.0.0/24", "10.1.0.0/24"]), PUBLIC, PUBLIC)
    alice, dora = flow.phone("alice", "10.0.0.11"), flow.phone("dora", "10.1.0.11")
    register(dora, flow.provider)
    register(alice, flow.provider)
    assert flow.sip_ports == {"10.1.0.11:5060": 5060, "10.0.0.11:5060": 5062}
    alice.asks("INVITE", call="x", sdp=audio("10.0.0.11", 16384))
    via = b"Via: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKproxy\r\n"
    asked = flow.provider.inbox[-1].replace(b"\r\n", b"\r\n" + via, 1)
    forwarded = asked.replace(b"sip:service@example.org SIP", b"sip:dora@203.0.113.1:5060 SIP")
    flow.provider.sends(forwarded, "sip:dora@203.0.113.1:5060")
    assert b"INVITE sip:dora@10.1.0.11:5060 " in dora.inbox[-1]
    assert b"c=IN IP4 10.0.0.11\r\n" in dora.inbox[-1]
    dora.answers("200 OK", sdp=audio("10.1.0.11", 16384))
    flow.provider.sends(flow.provider.inbox[-1].replace(via, b""))
    assert b"c=IN IP4 10.1.0.11\r\n" in alice.inbox[-1]
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed", "20002 -> 10.1.0.11:16384 rtp closed"}


def test_a_register_of_a_phone_behind_the_pbx_is_the_phones_own(flow: Flow) -> None:
    """A proxy that passes on what phones send must share their addresses, or their contacts stay as they are."""
    proxy = pbx_of(flow)
    request = sip(
        "REGISTER sip:example.org SIP/2.0",
        [
            "Via: SIP/2.0/UDP 10.0.0.11:5060;branch=z9hG4bK2", f"Via: SIP/2.0/UDP {DESK}:5060;branch=z9hG4bK1",
            "From: <sip:desk@example.org>;tag=a", "To: <sip:desk@example.org>", "Call-ID: 1", "CSeq: 1 REGISTER",
            f"Contact: <sip:desk@{DESK}:5060>", "Path: <sip:10.0.0.11;lr>",
        ],
    )  # fmt: skip
    proxy.sends(request).leaves_with(
        "Via: SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bK2", "Path: <sip:203.0.113.1;lr>"
    )
    flow.provider.answers("200 OK", tag="r")
    # the way to it is the path over the proxy, which is known as one that talks
    flow.wait(3000)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}
    assert rings(flow.provider)


def test_a_call_is_followed_through_the_address_of_the_phone_behind_the_pbx(shared: Flow) -> None:
    pbx, desk, provider = pbx_of(shared), shared.phone("desk", DESK), shared.provider
    register(pbx, provider)
    provider.asks("INVITE", "sip:pbx@203.0.113.1:5060", sdp=audio("198.51.100.20", 40000))
    pbx.contact = f"<sip:desk@{DESK}:5060>"
    pbx.answers("200 OK", sdp=audio(DESK, 16384))
    public = f"sip:desk@203.0.113.1:{shared.sip_ports[f'{DESK}:5060']}"
    provider.asks("ACK", public)
    assert desk.inbox[-1].startswith(b"ACK ")
    assert shared.rtp == {"20000 -> 10.0.0.12:16384 rtp from 198.51.100.20"}
    provider.asks("BYE", public)
    desk.answers("200 OK", to=b"BYE")
    assert (shared.calls, shared.open) == (0, set())
    provider.asks("BYE", public).is_dropped()


def test_a_call_out_that_names_the_phone_behind_the_pbx_ends_there(shared: Flow) -> None:
    pbx, desk, provider = pbx_of(shared), shared.phone("desk", DESK), shared.provider
    pbx.asks("INVITE", sdp=audio(DESK, 16384), contact=f"<sip:desk@{DESK}:5060>")
    provider.answers("200 OK", tag="bob", sdp=audio("198.51.100.20", 40000))
    pbx.asks("ACK", contact=f"<sip:desk@{DESK}:5060>")
    public = f"sip:desk@203.0.113.1:{shared.sip_ports[f'{DESK}:5060']}"
    provider.asks("BYE", public)
    desk.answers("200 OK", to=b"BYE")
    assert (shared.calls, shared.open) == (0, set())
