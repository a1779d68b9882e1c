"""RFC 4475: whatever a torture message is full of, the addresses that are ours change in it, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.calls.dialog import Side
from gateway.engine import Engine, Settings
from gateway.networks import Networks
from gateway.outcome import Release
from gateway.wire import Datagram
from rules.model import Endpoint
from tests.gateway.routing import described_hosts, lone_hosts, places, with_each

CORPUS = Path(__file__).parent.parent / "corpus" / "rfc4475"
MESSAGES = sorted(CORPUS.glob("*.dat"))
PHONE = Endpoint("10.0.0.11", 5060)
PROVIDER = Endpoint("198.51.100.1", 5060)
PUBLIC = "203.0.113.1"
# Not whole, of another version, or against a rule that rewriting relies on; the others that RFC 4475 calls invalid
# are so in what nobody here reads.
MALFORMED = frozenset(
    {
        "baddn", "badvers", "bigcode", "clerr", "insuf", "mcl01", "mismatch01", "mismatch02", "multi01", "ncl",
        "scalar02", "scalarlg", "trws",
    }
)  # fmt: skip


def router() -> Engine:
    """It needs port 5060 itself, so that the phone's address gets another port outside."""
    engine = Engine(Settings(taken_ports=frozenset({5060}), callers="any"))
    engine.place(Networks(["10.0.0.0/24"]), PUBLIC, PUBLIC)
    return engine


def through(engine: Engine, data: bytes, side: Side) -> bytes:
    source, destination = (PHONE, PROVIDER) if side is Side.INSIDE else (PROVIDER, PHONE)
    outcome = engine.receive(Datagram(source, destination, data, 20), side, 0.0)
    assert isinstance(outcome, Release)
    return data if outcome.payload is None else outcome.payload


def test_the_corpus_is_whole() -> None:
    assert len(MESSAGES) == 49


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_a_torture_message_passes_as_it_came(path: Path, side: Side) -> None:
    engine = router()
    data = path.read_bytes()
    assert through(engine, data, side) is data
    assert not any(row.purpose.is_media for row in engine.ledger)
    assert all(row.inside == PHONE for row in engine.ledger)
    engine.handle_timer(1e6)
    assert list(engine.ledger) == []
    assert engine.next_timer() is None


@pytest.mark.parametrize("port", [b":5060", b""], ids=["with port", "without"])
@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_with_the_phones_address_in_it_out_and_in_again(path: Path, port: bytes) -> None:
    original = path.read_bytes()
    assert places(original), "there is no message without a place"
    for spans in choices(original):
        engine = router()
        here, there = with_each(original, spans, b"10.0.0.11" + port), with_each(original, spans, b"203.0.113.1:5062")
        if path.stem in MALFORMED:
            assert through(engine, here, Side.INSIDE) is here
            assert engine.counters["passed: malformed"] == 1
            continue
        assert through(engine, here, Side.INSIDE) == there
        assert through(engine, there, Side.OUTSIDE) == here


def choices(data: bytes) -> Iterator[list[tuple[int, int]]]:
    """Each place alone, then all at once."""
    found = places(data)
    for place in found:
        yield [place]
    yield found


@pytest.mark.parametrize(
    "path", [path for path in MESSAGES if lone_hosts(path.read_bytes())], ids=lambda path: path.stem
)
def test_with_the_phones_address_where_no_port_stands(path: Path) -> None:
    data, engine = path.read_bytes(), router()
    here, there = (with_each(data, lone_hosts(data), host) for host in (b"10.0.0.11", b"203.0.113.1"))
    if path.stem in MALFORMED:
        assert through(engine, here, Side.INSIDE) is here
        return
    assert through(engine, here, Side.INSIDE) == there
    assert through(engine, there, Side.OUTSIDE) == here


@pytest.mark.parametrize(
    "path", [path for path in MESSAGES if described_hosts(path.read_bytes())], ids=lambda path: path.stem
)
def test_with_the_phones_address_in_the_description_out_and_in_again(path: Path) -> None:
    data, engine = path.read_bytes(), router()
    spans = described_hosts(data)
    growth = 9 * len(spans) - sum(end - start for start, end in spans)
    here = _with_length(with_each(data, spans, b"10.0.0.11"), growth)
    left = through(engine, here, Side.INSIDE)
    if path.stem in MALFORMED or path.stem == "dblreq":  # where it stands behind the end of the message
        assert left is here
        return
    assert left.count(b"203.0.113.1") == len(spans)
    assert b"10.0.0.11" not in left
    assert through(engine, left, Side.OUTSIDE) == here


def _with_length(data: bytes, growth: int) -> bytes:
    """The same with its Content-Length, if it has one, following the body."""
    length = re.compile(rb"(?im)^((?:content-length|l)\s*:\s*)(\d+)")
    return length.sub(lambda found: found[1] + b"%d" % (int(found[2]) + growth), data)
