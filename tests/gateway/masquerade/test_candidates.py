import pytest

from gateway.masquerade.candidates import candidate_edits
from gateway.masquerade.inward import Inward
from gateway.masquerade.outward import Outward
from gateway.sdp.candidate import candidates_in
from gateway.sip.message import splice
from tests.gateway.masquerade.pairs import ALICE, PUBLIC, Table

OUTWARD = Outward(Table(), PUBLIC, ALICE, b"10.0.0.")
INWARD = Inward(Table(), PUBLIC, ALICE)


def rewritten(line: str, direction: Outward | Inward) -> str:
    data = f"\na={line}\n".encode()
    return splice(data, candidate_edits(candidates_in(data, 0, len(data)), direction)).decode()[3:-1]


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("candidate:1 1 UDP 1 10.0.0.11 16384 typ host", "candidate:1 1 UDP 1 203.0.113.1 20000 typ host"),
        ("candidate:1 2 UDP 1 10.0.0.11 16385 typ host", "candidate:1 2 UDP 1 203.0.113.1 20001 typ host"),
        ("candidate:1 1 UDP 1 10.0.0.12 16384 typ host", "candidate:1 1 UDP 1 203.0.113.1 20002 typ host"),
        ("candidate:1 1 UDP 1 10.0.0.11 9000 typ host", "candidate:1 1 UDP 1 203.0.113.1 9000 typ host"),
        ("candidate:1 1 TCP 1 10.0.0.11 16384 typ host", "candidate:1 1 TCP 1 203.0.113.1 16384 typ host"),
        ("candidate:1 1 UDP 1 10.0.0.13 9000 typ host", "candidate:1 1 UDP 1 10.0.0.13 9000 typ host"),
        (
            "candidate:1 1 UDP 1 192.0.2.1 7 typ relay raddr 10.0.0.11 rport 16384",
            "candidate:1 1 UDP 1 192.0.2.1 7 typ relay raddr 203.0.113.1 rport 20000",
        ),
        (
            "candidate:1 1 TCP 1 192.0.2.1 7 typ srflx raddr 10.0.0.11 rport 16384",
            "candidate:1 1 TCP 1 192.0.2.1 7 typ srflx raddr 203.0.113.1 rport 16384",
        ),
        ("remote-candidates:1 10.0.0.12 16384", "remote-candidates:1 203.0.113.1 20002"),
        ("alt:1 1 : u p 10.0.0.11 16384", "alt:1 1 : u p 203.0.113.1 20000"),
        ("altc:1 IP4 10.0.0.11 16384/16385", "altc:1 IP4 203.0.113.1 20000/20001"),
        ("source-filter: incl IN IP4 10.0.0.11 192.0.2.1", "source-filter: incl IN IP4 203.0.113.1 192.0.2.1"),
        ("ccap:1 IN IP4 10.0.0.11", "ccap:1 IN IP4 203.0.113.1"),
    ],
)
def test_out_and_in_again(inside: str, outside: str) -> None:
    assert rewritten(inside, OUTWARD) == outside
    assert rewritten(outside, INWARD) == inside


@pytest.mark.parametrize(
    "line",
    [
        "candidate:1 1 UDP 1 203.0.113.1 9000 typ srflx raddr 192.0.2.1 rport 7",
        "candidate:1 1 UDP 1 203.0.113.1 9000 typ prflx",
        "remote-candidates:1 203.0.113.1 9000",
    ],
)
def test_a_public_port_that_stands_for_nobody_here_is_no_phones(line: str) -> None:
    assert rewritten(line, INWARD) == line


def test_a_learned_address_at_a_leased_port_is_the_phones_own() -> None:
    learned = "candidate:1 1 UDP 1 203.0.113.1 20000 typ srflx raddr 203.0.113.1 rport 20000"
    own = "candidate:1 1 UDP 1 10.0.0.11 16384 typ srflx raddr 10.0.0.11 rport 16384"
    assert rewritten(learned, INWARD) == own
