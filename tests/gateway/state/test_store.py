"""The file: what is written is there again, who may read it, and what is no state is set aside."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.engine import Engine, Settings
from gateway.errors import StateError
from gateway.snapshot import Kind, Row
from gateway.state.keeper import Keeper
from gateway.state.store import Store
from rules.model import Endpoint
from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio

ROWS = [Row(kind, b"key", b"value of " + kind.encode()) for kind in Kind]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lib" / "state.db"


@pytest.fixture
def flow() -> Flow:
    """A gateway with a call that is up."""
    flow = Flow()
    alice: Party = flow.phone("alice", "10.0.0.11")
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    flow.provider.answers("200 OK", tag="b", sdp=audio("198.51.100.20", 40000))
    alice.asks("ACK")
    return flow


def engine() -> Engine:
    return Engine(Settings())


def keep(keeper: Keeper, engine: Engine) -> None:
    asyncio.run(keeper.keep(engine))


def known(engine: Engine) -> tuple[int, dict[Endpoint, int]]:
    return len(engine.calls), {binding.inside: binding.port for binding in engine.ledger}


def test_the_files_stay_as_large_as_what_is_in_them(path: Path) -> None:
    def write(count: int, value: bytes | None) -> None:
        store.write([Row(Kind.CALL, b"%d" % number, value) for number in range(count)])

    def sizes() -> tuple[int, int]:
        return path.stat().st_size, path.with_name(f"{path.name}-wal").stat().st_size

    store = Store(path)
    write(10_000, bytes(1000))
    write(10_000, None)
    before, log = sizes()
    assert log > 10_000_000
    for number in range(50):
        write(100, bytes([number]) * 1000)
        write(100, None)
    after, log = sizes()
    assert after == before
    assert log < 9_000_000
    store.close()


def test_what_is_written_is_there_again(path: Path) -> None:
    store = Store(path)
    store.write(ROWS)
    store.write([ROWS[0]._replace(value=b"another"), ROWS[1]._replace(value=None)])
    store.close()
    store = Store(path)
    kept = store.read()
    assert sorted(kept.rows) == sorted([ROWS[0]._replace(value=b"another"), *ROWS[2:]])
    assert (kept.shift, kept.same_boot) == (0.0, True)


def test_nobody_else_reads_it(path: Path) -> None:
    store = Store(path)
    store.write(ROWS)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}


def test_after_a_start_of_the_machine_the_clock_is_another(path: Path) -> None:
    store = Store(path)
    store.write(ROWS)
    store.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE clock SET boot = 'another', offset = offset + 5000, written = written - 6000")
    database.close()
    kept = Store(path).read()
    assert not kept.same_boot
    assert kept.shift == pytest.approx(5000, abs=1)


def test_a_clock_that_was_set_back_has_nothing_last_longer(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE clock SET boot = 'another', offset = offset + 3 * 365 * 86400")
    database.close()
    assert Store(path).read().shift == pytest.approx(0, abs=1)


def test_a_file_from_before_the_time_of_writing_was_kept_is_read(path: Path) -> None:
    store = Store(path)
    store.write(ROWS)
    store.close()
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE clock DROP COLUMN written")
        database.execute("UPDATE clock SET boot = 'another', offset = offset + 5000")
    database.close()
    store = Store(path)
    kept = store.read()
    assert len(kept.rows) == len(ROWS)
    assert kept.shift == pytest.approx(5000, abs=1)
    store.write([])


def test_what_was_written_survives_a_kill(path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from gateway.snapshot import Kind, Row
from gateway.state.store import Store
store = Store(Path({str(path)!r}))
for number in range(100):
    store.write([Row(Kind.CALL, b"%d" % number, b"value")])
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    assert len(Store(path).read().rows) == 100


def test_a_file_that_another_gateway_uses_is_its_own(path: Path) -> None:
    first = Store(path)
    first.write(ROWS)
    with pytest.raises(StateError, match=r"another gateway uses it: give each its own state\.path"):
        Store(path)


def text(path: Path) -> None:
    path.write_text("no database " * 1000)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def garbled(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    path.write_bytes(data)


def of_another_version(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 7")
    database.close()


def of_something_else(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE recipes (name TEXT)")
    database.close()


def with_a_row_that_says_nothing(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("UPDATE things SET value = x'c1' WHERE kind = 'call'")
    database.close()


@pytest.mark.parametrize(
    "damage", [text, cut, garbled, of_another_version, of_something_else, with_a_row_that_says_nothing]
)
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(
    path: Path, flow: Flow, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    first = Keeper(path)
    first.restored(engine)
    keep(first, flow.engine)
    first.close()
    damage(path)
    damaged = path.read_bytes()
    second = Keeper(path)
    assert known(second.restored(engine)) == (0, {})
    (aside,) = [each for each in path.parent.iterdir() if each.name.startswith("state.db.2")]
    assert aside.read_bytes() == damaged
    assert f"the state is damaged and was set aside as {aside}: " in caplog.text
    keep(second, flow.engine)
    second.close()
    third = Keeper(path)
    assert known(third.restored(engine)) == known(flow.engine)


def test_a_gateway_that_cannot_keep_goes_on_and_keeps_all_when_it_can(
    path: Path, flow: Flow, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    path.parent.write_text("in the way of a directory")
    keeper = Keeper(path)
    keeper.restored(engine)
    keep(keeper, flow.engine)
    keep(keeper, flow.engine)
    assert caplog.text.count("the state is not kept, a restart would end the calls: ") == 1
    assert keeper.trouble
    path.parent.unlink()
    monkeypatch.setattr("gateway.state.keeper._TRY_AGAIN", 0)
    keeper._not_before = 0
    keep(keeper, flow.engine)
    assert "the state can be kept again" in caplog.text
    assert not keeper.trouble
    keeper.close()
    assert known(Keeper(path).restored(engine)) == known(flow.engine)


def test_a_full_disk_is_no_damage(path: Path, flow: Flow) -> None:
    keeper = Keeper(path)
    keeper.restored(engine)
    store = keeper._store
    assert store is not None
    store._db.execute("PRAGMA max_page_count = 10")
    alice = flow.phone("alice", "10.0.0.11")
    for number in range(100):
        alice.asks("INVITE", call=f"call {number}", sdp=audio("10.0.0.11", 20000 + 2 * number))
    keep(keeper, flow.engine)
    assert keeper.trouble.endswith("database or disk is full")
    assert [each.name for each in path.parent.iterdir() if each.name.startswith("state.db.2")] == []


def test_what_can_be_read_and_not_written_is_known_again(
    path: Path, flow: Flow, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Keeper(path)
    first.restored(engine)
    keep(first, flow.engine)

    def prepare(store: Store) -> None:
        if store.path == path:
            store._db.execute("PRAGMA query_only = ON")
            store._db.execute("CREATE TABLE more (name TEXT)")
        real(store)

    # the file as a gateway that was killed leaves it: all that was written is in the log beside it
    left = path.parent.with_name("left")
    shutil.copytree(path.parent, left)
    first.close()
    shutil.rmtree(path.parent)
    left.rename(path.parent)
    real = Store._prepare
    monkeypatch.setattr(Store, "_prepare", prepare)
    keeper = Keeper(path)
    assert known(keeper.restored(engine)) == known(flow.engine)
    assert "attempt to write a readonly database" in keeper.trouble
    assert caplog.text.count("the state is not kept, a restart would end the calls: ") == 1
