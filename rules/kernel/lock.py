"""The lock that all iptables programs of a machine share."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from rules.errors import KernelError, NotPermittedError

PATIENCE = 5.0  # seconds that another program may hold it
_PAUSE = 0.002


def lock_path() -> Path:
    """Where iptables looks for it, too."""
    return Path(os.environ.get("XTABLES_LOCKFILE", "/run/xtables.lock"))


@contextlib.contextmanager
def xtables_lock(patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock for a block; KernelError when another program keeps it for `patience` seconds."""
    path = lock_path()
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError as error:
        raise NotPermittedError(f"{path}: {error.strerror}; run as root") from error
    except OSError as error:
        raise KernelError(f"{path}: {error.strerror}") from error
    try:
        _acquire(handle, path, time.monotonic() + patience)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise KernelError(f"{path}: held by another program; see who with 'fuser -v {path}'") from None
            time.sleep(_PAUSE)
