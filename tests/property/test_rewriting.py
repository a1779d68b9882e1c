"""What rewriting does to a message: nothing, or exactly the mapped addresses, and back again."""

import re
from typing import Any

import sdp_transform  # type: ignore[import-untyped]  # it ships no types
import sipmessage
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.calls.dialog import Side
from gateway.engine import Engine, Settings
from gateway.networks import Networks
from gateway.outcome import Release
from gateway.sip import message
from gateway.wire import Datagram
from tests.property.messages import OUR_INVITES, OURS, PHONE, PROVIDER, THEIRS

PUBLIC = "203.0.113.1"
PUBLIC_PORT = 5062  # 5060 is the router's own in these tests
_CONTENT_LENGTH = re.compile(rb"(?im)^(content-length|l)([ \t]*:\s*)[0-9]+")


def engine() -> Engine:
    made = Engine(Settings(taken_ports=frozenset({5060})))
    made.place(Networks(["10.0.0.0/24"]), PUBLIC, PUBLIC)
    return made


def outward(gateway: Engine, data: bytes) -> bytes:
    outcome = gateway.receive(Datagram(PHONE, PROVIDER, data, 20), Side.INSIDE, 0.0)
    assert isinstance(outcome, Release)
    return data if outcome.payload is None else outcome.payload


def inward(gateway: Engine, data: bytes) -> bytes:
    outcome = gateway.receive(Datagram(PROVIDER, PHONE, data, 20), Side.OUTSIDE, 0.0)
    assert isinstance(outcome, Release)
    return data if outcome.payload is None else outcome.payload


@given(THEIRS)
def test_what_has_no_bound_address_passes_as_it_came(data: bytes) -> None:
    gateway = engine()
    assert outward(gateway, data) is data
    assert inward(gateway, data) is data


@given(OURS)
def test_rewriting_twice_is_rewriting_once(data: bytes) -> None:
    gateway = engine()
    once = outward(gateway, data)
    assert once != data
    assert outward(gateway, once) is once


@given(OURS)
def test_in_again_is_as_it_was_before_it_went_out(data: bytes) -> None:
    gateway = engine()
    assert inward(gateway, outward(gateway, data)) == data


@given(OURS)
def test_the_length_is_that_of_the_body(data: bytes) -> None:
    left = outward(engine(), data)
    parsed = message.parse(left)
    assert parsed.body[1] == len(left)
    assert parsed.value(b"content-length").strip() in (b"", b"%d" % (parsed.body[1] - parsed.body[0]))


@given(OURS)
def test_no_line_comes_goes_or_moves(data: bytes) -> None:
    before, after = data.split(b"\n"), outward(engine(), data).split(b"\n")
    assert len(before) == len(after)
    for was, now in zip(before, after, strict=True):
        if PHONE.ip.encode() not in was and b"m=" not in was and b"rtcp" not in was:
            assert _without_length(now) == _without_length(was) or was.strip().isdigit()


@given(OUR_INVITES)
def test_another_parser_sees_exactly_the_mapped_addresses_differ(data: bytes) -> None:
    gateway = engine()
    left = outward(gateway, data)
    before, after = _read(data), _read(left)
    assert _mapped(before, dict(_contacts_and_media(gateway))) == after


def _contacts_and_media(gateway: Engine) -> list[tuple[tuple[str, int], tuple[str, int]]]:
    return [((row.inside.ip, row.inside.port), (PUBLIC, row.port)) for row in gateway.ledger]


def _read(data: bytes) -> dict[str, Any]:
    """A message by sipmessage and sdp-transform: all that carries addresses, and the other headers as text."""
    unfolded = re.sub(rb"[ \t]*\r\n[ \t]+", b" ", data.partition(b"\r\n\r\n")[0])
    tidy = re.sub(rb"(?m)^([A-Za-z-]+)[ \t]*:", rb"\1:", unfolded)
    body = data.partition(b"\r\n\r\n")[2]
    try:
        parsed = sipmessage.Message.parse(tidy + b"\r\n\r\n" + body)
        uris = [address.uri for address in (parsed.from_address, *parsed.contact)]
        via = parsed.via[0]
    except ValueError:
        assume(False)  # a spelling that this parser does not know
    return {
        "via": (via.host, via.port, via.parameters),
        "uris": [((uri.host, uri.port), uri.user, uri.parameters) for uri in uris],
        "to": str(parsed.to_address),
        "call-id": parsed.call_id,
        "cseq": str(parsed.cseq),
        "subject": parsed.headers.getlist("Subject"),
        "sdp": sdp_transform.parse(body.decode()) if body else None,
    }


def _mapped(read: dict[str, Any], table: dict[tuple[str, int], tuple[str, int]]) -> dict[str, Any]:
    """The same with the bijection applied, written without a look at how the gateway does it."""
    read["via"] = (*table[read["via"][:2]], read["via"][2])
    read["uris"] = [(table[where], *rest) for where, *rest in read["uris"]]
    session = read["sdp"]
    if session is None:
        return read
    shared = session.get("connection")
    for media in session["media"]:
        host = media.get("connection", shared)["ip"]
        if (host, media["port"]) in table:
            media["port"] = table[host, media["port"]][1]
        for candidate in media.get("candidates", []):
            for ip, port in (("ip", "port"), ("raddr", "rport")):
                if (candidate.get(ip), candidate.get(port)) in table:
                    candidate[ip], candidate[port] = table[candidate[ip], candidate[port]]
        if "rtcp" in media:
            media["rtcp"]["port"] = table[host, media["rtcp"]["port"]][1]
    for connection in (shared, *(where for media in session["media"] for where in _connections(media))):
        if connection is not None:
            key = "ip" if "ip" in connection else "address"
            connection[key] = PUBLIC if connection[key] == PHONE.ip else connection[key]
    if session["origin"]["address"] == PHONE.ip:
        session["origin"]["address"] = PUBLIC
    return read


def _connections(media: dict[str, Any]) -> list[dict[str, Any]]:
    found = [media["connection"]] if "connection" in media else []
    return found + ([media["rtcp"]] if "address" in media.get("rtcp", {}) else [])


def _without_length(line: bytes) -> bytes:
    return _CONTENT_LENGTH.sub(rb"\1\2", line)


@given(st.sampled_from(["", ":5060"]), st.sampled_from(["", ":5060"]), st.sampled_from(["", ":5060"]))
def test_each_place_keeps_its_own_spelling(via: str, contact: str, identity: str) -> None:
    gateway = engine()
    data = (
        f"OPTIONS sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.11{via};branch=z9hG4bK1\r\n"
        f"From: <sip:10.0.0.11{identity}>;tag=1\r\nTo: <sip:bob@example.org>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
        f"Contact: <sip:10.0.0.11{contact}>\r\n\r\n"
    ).encode()
    left = outward(gateway, data)
    assert left.count(b"203.0.113.1:%d" % PUBLIC_PORT) == 3
    assert inward(gateway, left) == data
