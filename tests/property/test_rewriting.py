"""What rewriting does to a message: nothing, or exactly the mapped addresses, and back again."""

import re
from collections.abc import Iterator
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
from tests.property.messages import NAMES, OUR_INVITES, OURS, PHONE, PROVIDER, REFERENCES, ROUTES, THEIRS

PUBLIC = "203.0.113.1"
PUBLIC_PORT = 5062  # 5060 is the router's own in these tests
_WITH_URIS = frozenset(name.lower() for name in ("From", "To", "Contact", *ROUTES, *REFERENCES, *NAMES))
_HOSTS = ("received", "maddr")
_ATTRIBUTES = ("rtcp", "candidates")  # of a session description, with addresses or ports in them
_VALUE = re.compile(r'(?:"(?:\\.|[^"\\])*"|<[^>]*>|[^,"<])+')
_CONNECTION = re.compile(r"(?m)^c=IN IP[46] ([^\s/]+)")
_CONTENT_LENGTH = re.compile(rb"(?im)^(content-length|l)([ \t]*:\s*)[0-9]+")


def engine() -> Engine:
    made = Engine(Settings(taken_ports=frozenset({5060}), callers="any"))
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
    table = {(row.inside.ip, row.inside.port): (PUBLIC, row.port) for row in gateway.ledger}
    try:
        before = _read(data)
    except ValueError:
        assume(False)  # a spelling that this parser does not know
    assert _mapped(before, table) == _read(left)


def _read(data: bytes) -> dict[str, Any]:
    """A message by sipmessage and sdp-transform: all that carries addresses, and the other headers as text.

    Of a description, the latter knows neither the count of an m-line nor more than one c= line below it: these are
    `counts`, and `connections` of the session and of each stream. ValueError for what sipmessage does not know.
    """
    head, _, body = data.partition(b"\r\n\r\n")
    unfolded = re.sub(rb"[ \t]*\r\n[ \t]+", b" ", head)
    tidy = re.sub(rb"(?m)^([A-Za-z-]+)[ \t]*:", rb"\1:", unfolded)
    vias, addresses, others = [], [], []
    parsed = sipmessage.Message.parse(tidy + b"\r\n\r\n" + body)
    for name, value in _values(parsed):
        if name == "via":
            vias.append(sipmessage.Via.parse(value))
        elif name in _WITH_URIS:
            addresses.append((name, sipmessage.Address.parse(value)))
        elif name != "content-length":
            others.append((name, value))
    text = body.decode()
    return {
        "vias": [(_where(via), dict(via.parameters)) for via in vias],
        "uris": [
            (_where(each.uri), dict(each.uri.parameters), name, each.uri.user, each.name, each.parameters)
            for name, each in addresses
        ],
        "others": others,
        "counts": re.findall(r"(?m)^m=\S+ \d+(/\d+)?", text),
        "connections": [_CONNECTION.findall(part) for part in re.split(r"(?m)^m=", text)],
        "sdp": sdp_transform.parse(re.sub(r"(?m)^(m=\S+ \d+)/\d+", r"\1", text)) if text else None,
    }


def _values(parsed: sipmessage.Message) -> Iterator[tuple[str, str]]:
    """Each value of each header; the parser itself does not part them where a comma is quoted."""
    for key in parsed.headers.keys():  # noqa: SIM118  # it is no mapping
        name = {"r": "refer-to", "b": "referred-by"}.get(key.lower(), key.lower())
        for line in parsed.headers.getlist(key):
            for value in _VALUE.findall(line) if name == "via" or name in _WITH_URIS else [line]:
                yield name, value.strip()


def _where(of: sipmessage.Via | sipmessage.URI) -> tuple[str, int]:
    return of.host, of.port or 5060


def _mapped(read: dict[str, Any], table: dict[tuple[str, int], tuple[str, int]]) -> dict[str, Any]:
    """The same with the bijection applied, written without a look at how the gateway does it."""
    for kind in ("vias", "uris"):
        read[kind] = [
            (table.get(where, where), _mapped_params(params, table), *rest) for where, params, *rest in read[kind]
        ]
    session = read["sdp"]
    if session is None:
        return read
    shared, *own = read["connections"]
    for media, hosts in zip(session["media"], own, strict=True):
        first = (hosts or shared)[0]
        if "TCP" not in media["protocol"]:
            media["port"] = table.get((first, media["port"]), ("", media["port"]))[1]
        for name in _ATTRIBUTES:
            for attribute in _listed(media.get(name)):
                host = attribute.get("ip") or attribute.get("address") or first
                attribute["port"] = table.get((host, attribute["port"]), ("", attribute["port"]))[1]
                related = attribute.get("raddr"), attribute.get("rport")
                if related in table:
                    attribute["raddr"], attribute["rport"] = table[related]
        if "remoteCandidates" in media:
            media["remoteCandidates"] = _mapped_text(media["remoteCandidates"], table)
        for attribute in media.get("invalid", ()):
            if attribute["value"].startswith("alt:"):
                attribute["value"] = _mapped_text(attribute["value"], table)
    read["connections"] = [[PUBLIC if host == PHONE.ip else host for host in hosts] for hosts in (shared, *own)]
    for where in _connections(session):
        key = "ip" if "ip" in where else "address"
        where[key] = PUBLIC if where[key] == PHONE.ip else where[key]
    return read


def _mapped_text(text: str, table: dict[tuple[str, int], tuple[str, int]]) -> str:
    """Addresses that have their port behind them."""
    for inside, outside in table.items():
        text = re.sub(r"\b{} {}\b".format(*inside), "{} {}".format(*outside), text)
    return text


def _mapped_params(params: dict[str, Any], table: dict[tuple[str, int], tuple[str, int]]) -> dict[str, Any]:
    mapped = {name: PUBLIC if params.get(name) == PHONE.ip else params[name] for name in _HOSTS if name in params}
    if params.get("rport") and "received" in params:
        seen = (params["received"], int(params["rport"]))
        mapped["rport"] = str(table.get(seen, seen)[1])
    return {**params, **mapped}


def _connections(session: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Everything in a description that has an address."""
    yield session["origin"]
    for part in (session, *session["media"]):
        yield from _listed(part.get("connection"))
        for name in _ATTRIBUTES:
            yield from (each for each in _listed(part.get(name)) if "address" in each or "ip" in each)


def _listed(found: Any) -> list[Any]:
    """An attribute as sdp-transform gives it: once, several times or not at all."""
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


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
