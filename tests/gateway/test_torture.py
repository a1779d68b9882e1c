"""RFC 4475: nothing of these messages is ours, so nothing of them changes, and nothing they say opens anything."""

from pathlib import Path

import pytest

from gateway.calls.dialog import Side
from gateway.engine import Engine, Settings
from gateway.networks import Networks
from gateway.outcome import Release
from gateway.wire import Datagram
from rules.model import Endpoint

CORPUS = Path(__file__).parent.parent / "corpus" / "rfc4475"
MESSAGES = sorted(CORPUS.glob("*.dat"))
PHONE = Endpoint("10.0.0.11", 5060)
PROVIDER = Endpoint("198.51.100.1", 5060)


def test_the_corpus_is_whole() -> None:
    assert len(MESSAGES) == 49


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_a_torture_message_passes_as_it_came(path: Path, side: Side) -> None:
    engine = Engine(Settings(callers="any"))
    engine.place(Networks(["10.0.0.0/24"]), "203.0.113.1", "203.0.113.1")
    source, destination = (PHONE, PROVIDER) if side is Side.INSIDE else (PROVIDER, PHONE)
    outcome = engine.receive(Datagram(source, destination, path.read_bytes(), 20), side, 0.0)
    assert outcome == Release(None)
    assert not any(row.purpose.is_media for row in engine.ledger)
    assert all(row.inside == PHONE for row in engine.ledger)
    engine.handle_timer(1e6)
    assert list(engine.ledger) == []
    assert engine.next_timer() is None
