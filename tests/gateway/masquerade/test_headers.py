"""Which headers carry addresses, how those are written, and that the way back gives the same bytes.

In the values below ALICE stands for Alice's address, 10.0.0.11 with port 5060 or none inside and 203.0.113.1:5062
outside; ELSEWHERE is the same address without a port where nothing may touch it.
"""

import pytest

from gateway.masquerade.headers import header_edits
from gateway.masquerade.inward import Inward
from gateway.masquerade.outward import Outward
from gateway.sip.message import parse, splice
from tests.gateway.masquerade.pairs import ALICE, PUBLIC, Table

REQUEST = "OPTIONS sip:bob@example.org SIP/2.0"
NEEDED = ("Via: SIP/2.0/UDP 198.51.100.9", "From: <sip:a@b>;tag=1", "To: <sip:b@c>", "Call-ID: 1", "CSeq: 1 OPTIONS")
COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id"}

CARRY_URIS = [
    "From", "f", "To", "t", "Contact", "m", "Route", "Record-Route", "Path", "Service-Route", "Refer-To", "r",
    "Referred-By", "b", "Reply-To", "P-Asserted-Identity", "P-Preferred-Identity", "P-Associated-URI",
    "P-Called-Party-ID", "P-Served-User", "P-Charge-Info", "P-Profile-Key", "P-Refused-URI-List",
    "P-DCS-Trace-Party-ID", "Additional-Identity", "Remote-Party-ID", "Diversion", "History-Info",
    "Permission-Missing", "Refer-Events-At", "Trigger-Consent", "Policy-Contact", "Policy-ID", "Call-Info",
    "Alert-Info", "Error-Info", "Geolocation",
]  # fmt: skip
ONE_OF_EACH_PLACE = ["Contact", "Route", "Refer-To", "From", "P-Asserted-Identity"]
NEVER = [
    "Call-ID", "i", "Replaces", "Join", "Target-Dialog", "In-Reply-To", "Session-ID", "P-Charging-Vector",
    "Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate", "Authentication-Info",
    "Proxy-Authentication-Info", "Identity", "y", "Identity-Info", "n", "Security-Client", "Security-Server",
    "Security-Verify", "Subject", "s", "Reason", "Warning", "User-Agent", "Server", "Organization", "User-to-User",
    "Accept-Contact", "a", "Reject-Contact", "j", "Feature-Caps", "Event", "o", "P-Charging-Function-Addresses",
    "P-User-Database", "P-Visited-Network-ID", "P-Access-Network-Info", "Flow-Timer", "Geolocation-Error", "Date",
    "X-Contact", "Contact-X",
]  # fmt: skip

URIS = [
    "<sip:alice@ALICE>",
    "<sip:ALICE>",
    "<SIPS:alice@ALICE;transport=tcp;lr>;index=1",
    "sip:alice@ALICE",
    "sip:alice@ALICE;expires=60",
    "< sip:alice@ALICE >",
    "\r\n <sip:alice@ALICE>",
    "<sip:alice@ALICE>\r\n\t;p=1\r\n  ;q=2",
    "<sip:alice@ALICE>,<sip:a@example.org>\r\n ,  sip:ALICE,\t<sip:ALICE>",
    '"Alice, at home <sip:a@ELSEWHERE>" <sip:alice@ALICE>',
    r'"a \"quote\", \\" <sip:alice@ALICE>;x="; <sip:ELSEWHERE>, \" sip:ELSEWHERE"',
    '"<" <sip:alice@ALICE>, ">" <sip:alice@ALICE>',
    "Alice at ELSEWHERE <sip:alice@ALICE>",
    "<sip:alice%40home%2CELSEWHERE@ALICE>",
    "<sip:al;i=c,e?/ELSEWHERE:secret@ALICE>",
    "<sip:ELSEWHERE@ALICE;user=phone>",
    "<sip:alice@ALICE?Replaces=1%40ELSEWHERE&Route=%3Csip:ELSEWHERE%3E>",
    "<sip:alice@ALICE;x=ELSEWHERE?x=y;maddr=ELSEWHERE>",
    "<sip:[2001:db8::1]:5060>,<sip:alice@ALICE>,<sip:[::ffff:ELSEWHERE]:5060>",
    "<tel:+49-ELSEWHERE;phone-context=ELSEWHERE>, <sip:alice@ALICE>",
    "<http://ELSEWHERE:5060/sip:ELSEWHERE>, <sip:alice@ALICE>",
    "<xsip:alice@ELSEWHERE>, <x-sip:ELSEWHERE>, <sipx:ELSEWHERE>, <http://sip:pw@ELSEWHERE>, <sip:alice@ALICE>",
    "<sip:alice@ALICE>;x=sip:ELSEWHERE",
    "<sip:alice@ELSEWHERE.example.org>, <sip:alice@ALICE>, <sip:1ELSEWHERE>, <sip:ELSEWHERE:port>",
    '<sip:alice@ALICE>, "never closed <sip:ELSEWHERE>, <sip:ELSEWHERE>',
]
VIAS = [
    "SIP/2.0/UDP ALICE",
    "SIP/2.0/UDP ALICE;rport;branch=z9hG4bKELSEWHERE:5060",
    "SIP / 2.0 /\r\n UDP\tALICE ;branch=1",
    "SIP/2.0/UDP\r\n ALICE\r\n ;branch=1",
    "SIP/2.0/TCP ALICE;branch=1,SIP/2.0/UDP 198.51.100.1;branch=2, SIP/2.0/UDP\tALICE;branch=3",
    'SIP/2.0/UDP ALICE;x=", SIP/2.0/UDP ELSEWHERE;received=ELSEWHERE",SIP/2.0/UDP ALICE',
    "SIP/2.0/UDP [2001:db8::1]:5060;received=198.51.100.9, SIP/2.0/UDP ALICE",
    "SIP/2.0/UDP ELSEWHERE.example.org;maddr=example.org;branch=ELSEWHERE, SIP/2.0/UDP ALICE",
    "SIP/2.0/UDP ELSEWHERE:506012, SIP/2.0/UDP ALICE, SIP/2.0/UDP ELSEWHERE:x, SIP/2.0/UDP 1ELSEWHERE",
]


@pytest.fixture
def outward() -> Outward:
    return Outward(Table(), PUBLIC, ALICE, b"10.0.0.")


@pytest.fixture
def inward() -> Inward:
    return Inward(Table(), PUBLIC, ALICE)


def message(line: str, start: str = REQUEST) -> bytes:
    """The shortest message with this header line first, the only one of its name."""
    name = line.partition(":")[0].strip().lower()
    others = [text for text in NEEDED if not text.lower().startswith(COMPACT.get(name, name) + ":")]
    return "\r\n".join((start, line, *others, "", "")).encode()


def rewritten(data: bytes, direction: Outward | Inward) -> bytes:
    return splice(data, header_edits(parse(data), direction))


def assert_there_and_back(line: str, inside: str = "10.0.0.11:5060", outside: str = f"{PUBLIC}:5062") -> None:
    for elsewhere in ("10.0.0.11", PUBLIC):
        table = Table()
        text = line.replace("ELSEWHERE", elsewhere)
        here, there = message(text.replace("ALICE", inside)), message(text.replace("ALICE", outside))
        assert rewritten(here, Outward(table, PUBLIC, ALICE, b"10.0.0.")) == there
        assert rewritten(there, Inward(table, PUBLIC, ALICE)) == here


@pytest.mark.parametrize("name", CARRY_URIS)
def test_headers_that_route_or_identify(name: str) -> None:
    assert_there_and_back(f"{name}: <sip:alice@ALICE>;x=y, <sip:bob@example.org>")
    assert_there_and_back(f"{name}: <sip:alice@ALICE>", "10.0.0.11")
    assert_there_and_back(f"{name.upper()}\t:sip:alice@ALICE")


@pytest.mark.parametrize("name", NEVER)
def test_headers_that_do_not(name: str, outward: Outward, inward: Inward) -> None:
    for address in ("10.0.0.11:5060", f"{PUBLIC}:5062"):
        data = message(f'{name}: <sip:x@{address}>, uri="sip:{address}", SIP/2.0/UDP {address}')
        assert rewritten(data, outward) is data
        assert rewritten(data, inward) is data


@pytest.mark.parametrize("port", [":5060", ""])
@pytest.mark.parametrize("name", ONE_OF_EACH_PLACE)
@pytest.mark.parametrize("value", URIS)
def test_spellings_of_uris(value: str, name: str, port: str) -> None:
    assert_there_and_back(f"{name}: {value}", f"10.0.0.11{port}")


@pytest.mark.parametrize("port", [":5060", ""])
@pytest.mark.parametrize("name", ["Via", "v"])
@pytest.mark.parametrize("value", VIAS)
def test_spellings_of_vias(value: str, name: str, port: str) -> None:
    assert_there_and_back(f"{name}: {value}", f"10.0.0.11{port}")


@pytest.mark.parametrize("colon", [":", " : ", "\t:", ":\r\n  ", "\r\n :\r\n "])
def test_white_space_between_sent_by_and_port_stays(colon: str) -> None:
    assert_there_and_back("Via: SIP/2.0/UDP ALICE;branch=1", f"10.0.0.11{colon}5060", f"{PUBLIC}{colon}5062")


@pytest.mark.parametrize("sent_by", ["phone.example.org", "10.0.0.11", "10.0.0.11:5060"])
@pytest.mark.parametrize(
    "params", [";received={};rport={}", ";rport={1};received={0};branch=2", "; Rport\r\n = {1} ;RECEIVED= {0}"]
)
def test_where_a_hop_was_seen_is_one_address(params: str, sent_by: str) -> None:
    public = f"{PUBLIC}:5062" if sent_by.startswith("10.") else sent_by
    here, there = sent_by + params.format("10.0.0.11", 5060), public + params.format(PUBLIC, 5062)
    assert_there_and_back("Via: SIP/2.0/UDP ALICE", here, there)


@pytest.mark.parametrize("value", ["<sip:a@example.org;lr;maddr=ALICE;x=y>", "<sip:[2001:db8::1]:5060;MADDR=ALICE>"])
@pytest.mark.parametrize("name", ONE_OF_EACH_PLACE)
def test_maddr_is_an_address_without_a_port(name: str, value: str) -> None:
    assert_there_and_back(f"{name}: {value}", "10.0.0.11", PUBLIC)
    assert_there_and_back("Via: SIP/2.0/UDP h;maddr=ALICE;ttl=1", "10.0.0.11", PUBLIC)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("10.0.0.12 , SIP/2.0/UDP 10.0.0.11", "203.0.113.1 , SIP/2.0/UDP 203.0.113.1:5062"),
        ("198.51.100.1;received=10.0.0.11", "198.51.100.1;received=203.0.113.1"),
        ("198.51.100.1;received=10.0.0.13", "198.51.100.1;received=10.0.0.13"),
        ("10.0.0.11:7000", "10.0.0.11:7000"),
        ("10.0.0.11:0", "10.0.0.11:0"),
        ("h;received=10.0.0.11;rport=7000", "h;received=10.0.0.11;rport=7000"),
        ("h;received=10.0.0.11;rport=x", "h;received=203.0.113.1;rport=x"),
    ],
)
def test_via_outward(outward: Outward, before: str, after: str) -> None:
    assert rewritten(message(f"Via: SIP/2.0/UDP {before}"), outward) == message(f"Via: SIP/2.0/UDP {after}")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("203.0.113.1:5062;received=203.0.113.1", "10.0.0.11:5060;received=10.0.0.11"),
        ("203.0.113.1:5999;rport=x", "10.0.0.11:5060;rport=x"),
        ("198.51.100.1:5062", "198.51.100.1:5062"),
    ],
)
def test_via_inward(inward: Inward, before: str, after: str) -> None:
    assert rewritten(message(f"Via: SIP/2.0/UDP {before}"), inward) == message(f"Via: SIP/2.0/UDP {after}")


@pytest.mark.parametrize("port", [":5060", ""])
@pytest.mark.parametrize(
    "uri",
    [
        "sip:ALICE",
        "SIPS:al;x=y@ALICE;transport=udp?Subject=10.0.0.11",
        "sip:10.0.0.11:x@ALICE",
        "sip:a@ALICE;maddr=h",
    ],
)
def test_the_request_uri(uri: str, port: str) -> None:
    table = Table()
    here = message("X: y", f"OPTIONS {uri.replace('ALICE', '10.0.0.11' + port)} SIP/2.0")
    there = message("X: y", f"OPTIONS {uri.replace('ALICE', PUBLIC + ':5062')} SIP/2.0")
    assert rewritten(here, Outward(table, PUBLIC, ALICE, b"10.0.0.")) == there
    assert rewritten(there, Inward(table, PUBLIC, ALICE)) == here


@pytest.mark.parametrize(
    "uri", ["tel:+49-203.0.113.1", "http://203.0.113.1/", "x-sip:203.0.113.1", "<sip:203.0.113.1>"]
)
def test_a_request_uri_of_another_kind(uri: str, inward: Inward) -> None:
    data = message("X: y", f"OPTIONS {uri} SIP/2.0")
    assert rewritten(data, inward) is data


def test_the_reason_phrase_is_no_uri(inward: Inward) -> None:
    data = message("X: y", "SIP/2.0 302 sip:alice@203.0.113.1:5062 SIP/2.0")
    assert rewritten(data, inward) is data


def test_each_kind_of_place_keeps_its_own_spelling() -> None:
    def text(unported: str, ported: str) -> bytes:
        return message(
            f"Via: SIP/2.0/UDP {unported};received=10.0.0.11;rport=5060\r\nRoute: <sip:{ported};lr>\r\n"
            f"Contact: <sip:{unported}>\r\nRefer-To: <sip:{ported}>\r\nReply-To: <sip:{ported}>\r\nX: "
        ).replace(b"From: <sip:a@b>", b"From: <sip:%s>" % unported.encode())

    table = Table()
    here, there = text("10.0.0.11", "10.0.0.11:5060"), text(f"{PUBLIC}:5062", f"{PUBLIC}:5062")
    there = there.replace(b"=10.0.0.11;rport=5060", b"=203.0.113.1;rport=5062")
    assert rewritten(here, Outward(table, PUBLIC, ALICE, b"10.0.0.")) == there
    assert rewritten(there, Inward(table, PUBLIC, ALICE)) == here
