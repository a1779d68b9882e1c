"""The lock that all iptables programs of a machine share."""

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from rules.errors import KernelError, LockedError, NotPermittedError

PATIENCE = 5.0  # seconds that another program may hold it
_PAUSE = 0.002
_LOCKS = Path("/proc/locks")


def lock_path() -> Path:
    """Where iptables looks for it, too."""
    return Path(os.environ.get("XTABLES_LOCKFILE", "/run/xtables.lock"))


@contextlib.contextmanager
def xtables_lock(patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock for a block; LockedError when another program keeps it for `patience` seconds."""
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
                raise LockedError(f"{path}: held by {_holder(handle, path)}") from None
            time.sleep(_PAUSE)


def _holder(handle: int, path: Path) -> str:
    """Who holds the lock, and what to do about it, by the kernel's own table of locks."""
    inode = os.fstat(handle).st_ino
    for line in _read(_LOCKS).splitlines():
        # 1: FLOCK  ADVISORY  WRITE 812 00:1b:1234 0 EOF
        match line.split():
            case [_, "FLOCK", _, _, pid, file, *_] if file.endswith(f":{inode}"):
                name = _read(Path(f"/proc/{pid}/comm")).strip() or "name unknown"
                if re.search(r"^State:\s*[Tt]", _read(Path(f"/proc/{pid}/status")), re.MULTILINE):
                    return f"process {pid} ({name}), which is stopped: 'kill -CONT {pid}' has it go on; or end it"
                return f"process {pid} ({name}), and not let go"
    return f"another program; see who with 'fuser -v {path}'"


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
