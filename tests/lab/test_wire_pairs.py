"""What the demo shows of a message: only what the gateway changed."""

from rules.model import Endpoint
from tests.lab.wire_pairs import pairs, parts
from tests.support.capture import Datagram

PHONE, ROUTER = Endpoint("10.0.0.11", 5060), Endpoint("198.51.100.1", 5060)
PROVIDER = Endpoint("198.51.100.10", 5060)


def seen(source: Endpoint, destination: Endpoint, *lines: str) -> Datagram:
    payload = "\r\n".join((*lines, "", "")).encode()
    return Datagram(0.0, source, destination, payload, checksum_ok=True, fragments=1)


def options(contact: str) -> tuple[str, ...]:
    return ("OPTIONS sip:p SIP/2.0", f"Contact: <sip:a@{contact}>", "Call-ID: 1", "CSeq: 1 OPTIONS")


def answer(via: str) -> tuple[str, ...]:
    return ("SIP/2.0 200 OK", f"Via: {via}", "i: 1", "CSeq: 1 OPTIONS")


def test_a_message_is_found_again_on_the_other_side() -> None:
    inside = [
        seen(PHONE, PROVIDER, *options("10.0.0.11")),
        seen(PHONE, PROVIDER, *options("10.0.0.11")),
        seen(PROVIDER, PHONE, *answer("10.0.0.11")),
    ]
    outside = [
        seen(ROUTER, PROVIDER, *options("198.51.100.1")),
        seen(PROVIDER, ROUTER, *answer("198.51.100.1")),
    ]
    first, second = pairs(inside, outside)
    assert first.outward
    assert list(first.changes()) == [("Contact: <sip:a@10.0.0.11>", "Contact: <sip:a@198.51.100.1>")]
    assert not second.outward
    assert list(second.changes()) == [("Via: 198.51.100.1", "Via: 10.0.0.11")]


def test_of_a_changed_line_the_changed_addresses_are_found() -> None:
    cut = parts(
        "Via: SIP/2.0/UDP 10.0.0.11:5060;received=10.0.0.11", "Via: SIP/2.0/UDP 1.2.3.4:5062;received=1.2.3.4"
    )
    assert [part for part in cut if part.before != part.after] == [
        ("10.0.0.11", "1.2.3.4"),
        ("5060", "5062"),
        ("10.0.0.11", "1.2.3.4"),
    ]
    assert "".join(part.before for part in cut) == "Via: SIP/2.0/UDP 10.0.0.11:5060;received=10.0.0.11"
