"""Phones that try their ways before they speak (ICE, RFC 8445)."""

import pytest

from tests.lab.lab import Lab
from tests.lab.talk import connect, hear, traces_of_calls
from tests.lab.topology import ROUTER_OUTSIDE
from tests.support.until import until_none

pytestmark = [pytest.mark.root, pytest.mark.lab]

_STUN_COOKIE = b"\x21\x12\xa4\x42"  # RFC 8489 section 5


@pytest.mark.parametrize("inside_calls", [True, False])
def test_a_call_between_phones_that_check_their_candidates(lab: Lab, inside_calls: bool) -> None:
    lab.gateway()
    lab.registrar()
    alice, bob = lab.phone("alice", ice=True), lab.far_phone("bob", ice=True)
    for phone in (alice, bob):
        phone.register()
    at_bob = lab.capture(bob.host, "eth0")
    out, incoming = connect(*((alice, bob) if inside_calls else (bob, alice)))
    hear(out, incoming)
    out.hangup()
    assert min(*out.counts(), *incoming.counts()) >= 25
    told = [datagram.text for datagram in at_bob.datagrams if datagram.is_sip and b"a=candidate" in datagram.payload]
    assert told
    assert [text for text in told if alice.address in text] == []
    checks = [datagram for datagram in at_bob.datagrams if datagram.payload[4:8] == _STUN_COOKIE]
    assert {datagram.source.ip for datagram in checks} == {bob.address, ROUTER_OUTSIDE}
    until_none("a trace of the call", lambda: traces_of_calls(lab.net.router))
    assert lab.net.leaks() == 0
