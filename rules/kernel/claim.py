"""One gateway a network namespace: two would fight over the same marks."""

import contextlib
import fcntl
import os
import time
from pathlib import Path

from rules.errors import KernelError, NotPermittedError

DIRECTORY = Path("/run/sipmasq")
_NAMESPACE = Path("/proc/self/ns/net")
_PATIENCE = 0.2  # seconds; whoever only looks holds the lock for less
_PAUSE = 0.01


class Claim:
    """That this process is the gateway of its network namespace; KernelError when another one is.

    A lock on a file that only root can open: a name that anybody may take would let anybody keep the gateway out. It
    goes with the process however that ends.
    """

    def __init__(self, directory: Path = DIRECTORY) -> None:
        try:
            self._path = _path(directory)
            directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._handle = _locked(self._path)
        except PermissionError as error:
            raise NotPermittedError(_refusal(error) + "; run as root") from error
        except OSError as error:
            raise KernelError(_refusal(error)) from error

    def close(self) -> None:
        """Let another one take over."""
        try:
            # while it is locked: afterwards it may be a successor's
            if _is_at(self._handle, self._path):
                self._path.unlink()
        except OSError:
            pass  # a file that stays claims nothing
        finally:
            os.close(self._handle)


def is_claimed(directory: Path = DIRECTORY) -> bool:
    """Whether a gateway runs in this network namespace; makes no file."""
    try:
        handle = os.open(_path(directory), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError as error:
        raise NotPermittedError(_refusal(error) + "; run as root") from error
    except OSError as error:
        raise KernelError(_refusal(error)) from error
    try:
        return not _lock(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def _path(directory: Path) -> Path:
    return directory / f"net-{_NAMESPACE.stat().st_ino}.lock"


def _locked(path: Path) -> int:
    """The open and locked file at this path."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            locked = _lock(handle, fcntl.LOCK_EX)
            # a predecessor that ends takes the file away between our opening it and its letting go
            if locked and _is_at(handle, path):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        if not locked:
            if time.monotonic() > deadline:
                raise KernelError("another sipmasq runs in this network namespace: end it first")
            time.sleep(_PAUSE)


def _lock(handle: int, how: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(handle, how | fcntl.LOCK_NB)
        return True
    return False


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


def _refusal(error: OSError) -> str:
    return f"this network namespace cannot be claimed: {error.filename or DIRECTORY}: {error.strerror}"
