"""The lock that iptables programs share."""

import fcntl
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rules.errors import KernelError, LockedError
from rules.kernel import lock
from rules.kernel.lock import lock_path, xtables_lock


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XTABLES_LOCKFILE", str(tmp_path / "xtables.lock"))
    return tmp_path / "xtables.lock"


def test_it_is_where_iptables_looks_for_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lock_path() == path
    monkeypatch.delenv("XTABLES_LOCKFILE")
    assert lock_path() == Path("/run/xtables.lock")


def test_it_is_held_for_the_block_and_not_longer(path: Path) -> None:
    with xtables_lock(), path.open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another program that holds the lock until it is ended."""
    program = "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print('held'); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield other
        other.kill()


def test_who_does_not_let_go_is_named(path: Path, holder: "subprocess.Popen[str]") -> None:
    with (
        pytest.raises(LockedError, match=rf"^{path}: held by process {holder.pid} \(python.*\), and not let go$"),
        xtables_lock(0),
    ):
        pass
    holder.kill()
    holder.wait()
    with xtables_lock(0):
        pass


def test_who_is_stopped_while_holding_it_is_named(path: Path, holder: "subprocess.Popen[str]") -> None:
    holder.send_signal(signal.SIGSTOP)
    with (
        pytest.raises(LockedError, match=rf"process {holder.pid} .*, which is stopped: 'kill -CONT {holder.pid}'"),
        xtables_lock(0.1),
    ):
        pass


def test_who_cannot_be_seen_is_to_be_looked_for(
    path: Path, holder: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_LOCKS", path.parent / "none")
    with (
        pytest.raises(LockedError, match=rf"held by another program; see who with 'fuser -v {path}'"),
        xtables_lock(0),
    ):
        pass
    assert holder.poll() is None


def test_a_lock_that_cannot_be_opened_is_named(path: Path) -> None:
    path.mkdir()
    with pytest.raises(KernelError, match=f"^{path}: Is a directory$"), xtables_lock():
        pass
