"""That one gateway runs in a network namespace, by a lock that only root can take."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rules.errors import KernelError, NotPermittedError
from rules.kernel import claim
from rules.kernel.claim import Claim, is_claimed
from tests.support.netns import hosts

TAKEN = "^another sipmasq runs in this network namespace: end it first$"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "_PATIENCE", 0.0)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def held(directory: Path) -> Iterator[Claim]:
    held = Claim(directory)
    yield held
    held.close()


def the_file(directory: Path) -> Path:
    return directory / f"net-{Path('/proc/self/ns/net').stat().st_ino}.lock"


def test_there_is_one_at_a_time(directory: Path) -> None:
    first = Claim(directory)
    with pytest.raises(KernelError, match=TAKEN):
        Claim(directory)
    first.close()
    Claim(directory).close()


@pytest.mark.usefixtures("held")
def test_the_file_is_its_owners(directory: Path) -> None:
    assert [path.stat().st_mode & 0o777 for path in (directory, the_file(directory))] == [0o755, 0o600]


def test_looking_takes_and_leaves_nothing(directory: Path) -> None:
    assert not is_claimed(directory)
    assert not directory.exists()
    first = Claim(directory)
    assert is_claimed(directory)
    assert is_claimed(directory)
    first.close()
    assert not is_claimed(directory)
    assert list(directory.iterdir()) == []


def test_a_gateway_that_was_killed_claims_nothing(directory: Path) -> None:
    program = f"""
import pathlib, time
from rules.kernel.claim import Claim
claim = Claim(pathlib.Path({str(directory)!r}))
print(flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        killed.stdout.readline()
        assert is_claimed(directory)
        killed.send_signal(signal.SIGKILL)
    assert the_file(directory).exists()
    assert not is_claimed(directory)
    Claim(directory).close()


def test_a_file_that_its_owner_takes_away_meanwhile_is_not_enough(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Claim(directory)
    lock = claim._lock

    def ending(handle: int, how: int) -> bool:
        monkeypatch.setattr(claim, "_lock", lock)
        first.close()
        return lock(handle, how)

    monkeypatch.setattr(claim, "_lock", ending)
    second = Claim(directory)
    assert is_claimed(directory)
    second.close()


def test_a_successors_file_stays(directory: Path) -> None:
    first = Claim(directory)
    the_file(directory).unlink()
    second = Claim(directory)
    first.close()
    assert is_claimed(directory)
    second.close()


@pytest.mark.root
@pytest.mark.usefixtures("held")
def test_each_namespace_has_its_own(directory: Path) -> None:
    with hosts("router") as (router,):
        assert not router.call(is_claimed, directory)


@pytest.mark.root
@pytest.mark.usefixtures("held")
def test_without_rights_it_says_what_to_do(directory: Path) -> None:
    def check() -> None:
        os.setuid(65534)
        for ask in (Claim, is_claimed):
            with pytest.raises(NotPermittedError, match=r"cannot be claimed: .*Permission denied; run as root"):
                ask(directory)

    with hosts("router") as (router,):
        router.call(Claim, directory)
        router.call(check)


def test_where_no_file_can_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KernelError, match=r"cannot be claimed: .*: Not a directory"):
        Claim(tmp_path / "file" / "run")
