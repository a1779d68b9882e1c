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
        ("candidate:1 1 TCP 1 10.0.0.11 9 typ host", "candidate:1 1 TCP 1 203.0.113.1 9 typ host"),
        ("candidate:1 1 UDP 1 10.0.0.13 9000 typ host", "candidate:1 1 UDP 1 10.0.0.13 9000 typ host"),
        (
            "candidate:1 1 UDP 1 192.0.2.1 7 typ relay raddr 10.0.0.11 rport 16384",
            "candidate:1 1 UDP 1 192.0.2.1 7 typ relay raddr 203.0.113.1 rport 20000",
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
    ("line", "expected"),
    [
        ("candidate:1 1 UDP 1 10.0.0.11 9000 typ host", "candidate:1 1 UDP 1 203.0.113.1 9 typ host"),
        ("candidate:1 1 UDP 1 10.0.0.11 20002 typ host", "candidate:1 1 UDP 1 203.0.113.1 9 typ host"),
        ("candidate:1 1 TCP 1 10.0.0.11 16384 typ host", "candidate:1 1 TCP 1 203.0.113.1 9 typ host"),
        (
            "candidate:1 1 UDP 1 192.0.2.1 7 typ relay raddr 10.0.0.11 rport 20002",
            "candidate:1 1 UDP 1 192.0.2.1 7 typ relay raddr 203.0.113.1 rport 9",
        ),
        (
            "candidate:1 1 TCP 1 192.0.2.1 7 typ srflx raddr 10.0.0.11 rport 16384",
            "candidate:1 1 TCP 1 192.0.2.1 7 typ srflx raddr 203.0.113.1 rport 9",
        ),
        ("alt:1 1 : u p 10.0.0.11 20002", "alt:1 1 : u p 203.0.113.1 9"),
        ("altc:1 IP4 10.0.0.11 16384/20002", "altc:1 IP4 203.0.113.1 20000/9"),
    ],
)
def test_an_address_without_a_lease_is_announced_at_nobodys_port(line: str, expected: str) -> None:
    assert rewritten(line, OUTWARD) == expected
    assert "10.0.0.12" not in rewritten(expected, INWARD)


@pytest.mark.parametrize("port", ["7078", "20000"])
def test_a_reflexive_address_is_where_its_base_is_reached(port: str) -> None:
    learned = f"candidate:1 1 UDP 1 203.0.113.1 {port} typ srflx raddr 10.0.0.11 rport 16384"
    mapped = "candidate:1 1 UDP 1 203.0.113.1 20000 typ srflx raddr 203.0.113.1 rport 20000"
    assert rewritten(learned, OUTWARD) == mapped
    assert rewritten(mapped, OUTWARD) == mapped


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("203.0.113.9 7078 typ srflx raddr 10.0.0.11 rport 16384", "203.0.113.9 7078 203.0.113.1 20000"),
        ("203.0.113.1 7078 typ srflx raddr 10.0.0.11 rport 9000", "203.0.113.1 7078 203.0.113.1 9"),
        ("203.0.113.1 7078 typ srflx raddr 0.0.0.0 rport 9", "203.0.113.1 7078 0.0.0.0 9"),
        ("203.0.113.1 7078 typ relay raddr 10.0.0.11 rport 16384", "203.0.113.1 7078 203.0.113.1 20000"),
    ],
    ids=["of another NAT", "no lease", "no base", "a relay"],
)
def test_what_is_not_proved_to_be_the_own_reflexive_address_keeps_its_port(line: str, expected: str) -> None:
    words = rewritten(f"candidate:1 1 UDP 1 {line}", OUTWARD).split()
    assert " ".join([*words[4:6], words[9], words[11]]) == expected


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
