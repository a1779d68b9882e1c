"""The lock that iptables programs share."""

import fcntl
from pathlib import Path

import pytest

from rules.errors import KernelError
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


def test_who_does_not_let_go_is_to_be_looked_for(path: Path) -> None:
    path.touch()
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with (
            pytest.raises(KernelError, match=rf"held by another program; see who with 'fuser -v {path}'"),
            xtables_lock(0),
        ):
            pass
    with xtables_lock(0):
        pass


def test_a_lock_that_cannot_be_opened_is_named(path: Path) -> None:
    path.mkdir()
    with pytest.raises(KernelError, match=f"^{path}: Is a directory$"), xtables_lock():
        pass
