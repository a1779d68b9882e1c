"""The rows in an SQLite database; this file knows of SQLite and nothing of what the rows say.

Why it is so: a process may be killed between any two instructions, so what belongs together is one transaction. With
a write-ahead log a transaction is one append to a file; `synchronous = NORMAL` leaves it in the kernel's page cache,
which outlives the process, though not a power cut: that can cost the last transactions, and never the file, and after
it no call lives anyway. One gateway has the file for itself, and lets nobody else read it: it says who calls whom.
"""

import contextlib
import errno
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from gateway.errors import StateError
from gateway.snapshot import Kind, Row

SCHEMA = 1
"""Of the rows and their values; raised when an earlier version's can no longer be read."""

_APPLICATION = 0x53495051
_LOG_SIZE = 8 * 1024 * 1024  # bytes of the write-ahead log, twice what SQLite takes over into the database at a time
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NOT_WRITTEN = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT})
_NOT_WRITTEN_BY_SQLITE = frozenset(
    {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
)
_TABLES = """
CREATE TABLE things (kind TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key))
WITHOUT ROWID;
CREATE TABLE clock (boot TEXT NOT NULL, offset REAL NOT NULL, written REAL);
"""


class Kept(NamedTuple):
    """What was read: the rows, by how much the monotonic clock is ahead of theirs, and whether the machine ran on."""

    rows: list[Row]
    shift: float
    same_boot: bool


class Store:
    """The file at `path`, made where there is none, for its owner alone.

    StateError when it cannot be opened; DamagedError when what is there is no state of this version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _said(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            # written from one thread at a time, but not always the same
            self._db = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
        try:
            with _said(path):
                self._prepare()
        except BaseException:
            self._db.close()
            raise

    def read(self) -> Kept:
        """Everything that was written."""
        with _said(self.path):
            found = self._db.execute("SELECT kind, key, value FROM things").fetchall()
            clock = self._db.execute("SELECT boot, offset, written FROM clock").fetchone()
        try:
            rows = [Row(Kind(kind), bytes(key), bytes(value)) for kind, key, value in found]
        except (TypeError, ValueError) as error:
            raise DamagedError(f"{self.path}: {error}") from error
        boot, offset, written = clock if clock is not None else (_boot(), _offset(), None)
        if boot == _boot():
            return Kept(rows, 0.0, same_boot=True)
        shift = offset - _offset()
        # a clock that was set back, or has no battery, must not have what is kept last for years
        return Kept(rows, shift if written is None else min(shift, time.monotonic() - written), same_boot=False)

    def write(self, rows: Iterable[Row], *, afresh: bool = False) -> None:
        """Put these in the place of those of the same keys, or of all, in one transaction."""
        kept: list[Row] = []
        gone: list[tuple[Kind, bytes]] = []
        for row in rows:
            if row.value is None:
                gone.append((row.kind, row.key))
            else:
                kept.append(row)
        with _said(self.path), self._transaction():
            if afresh:
                self._db.execute("DELETE FROM things")
            self._db.executemany("DELETE FROM things WHERE kind = ? AND key = ?", gone)
            self._db.executemany("REPLACE INTO things VALUES (?, ?, ?)", kept)
            self._db.execute("UPDATE clock SET boot = ?, offset = ?, written = ?", (_boot(), *_clocks()))

    def forget(self, kinds: Iterable[Kind]) -> None:
        """Take away all of these kinds."""
        with _said(self.path), self._transaction():
            self._db.executemany("DELETE FROM things WHERE kind = ?", [(kind,) for kind in kinds])

    def close(self) -> None:
        """Let go of the file."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    def _prepare(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        ((application,),) = self._db.execute("PRAGMA application_id").fetchall()
        ((version,),) = self._db.execute("PRAGMA user_version").fetchall()
        ((tables,),) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchall()
        is_new = not (tables or application or version)
        # before anything is written: what belongs to somebody else stays as it is
        if not is_new and application != _APPLICATION:
            raise DamagedError(f"{self.path}: a database of something else")
        if not is_new and version != SCHEMA:
            raise DamagedError(f"{self.path}: of version {version}, this gateway reads {SCHEMA}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(f"PRAGMA journal_size_limit = {_LOG_SIZE}")  # what one large transaction took, it gives back
        if is_new:
            with self._transaction():
                for statement in _TABLES.split(";"):
                    self._db.execute(statement)
                self._db.execute("INSERT INTO clock VALUES (?, ?, ?)", (_boot(), *_clocks()))
                self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
                self._db.execute(f"PRAGMA user_version = {SCHEMA}")
        elif not self._db.execute("SELECT 1 FROM pragma_table_info('clock') WHERE name = 'written'").fetchall():
            self._db.execute("ALTER TABLE clock ADD COLUMN written REAL")
        ((verdict,),) = self._db.execute("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            raise DamagedError(f"{self.path}: {verdict}")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise


class DamagedError(StateError):
    """What the file holds is no state that this gateway wrote or can read."""


class ReadOnlyError(StateError):
    """The file is there and can be read, but not written."""


def read_copy(path: Path) -> Kept:
    """What a file says that cannot be written, where SQLite would want to; StateError."""
    with _said(path), tempfile.TemporaryDirectory(prefix="sipmasq-") as directory:
        for suffix in ("", "-wal"):
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                shutil.copyfile(beside, Path(directory, path.name + suffix))
        store = Store(Path(directory, path.name))
        try:
            return store.read()
        finally:
            store.close()


def set_aside(path: Path) -> Path:
    """Rename a file that is no use, with what SQLite keeps beside it; where it is now. StateError."""
    aside = path.with_name(f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}")
    with _said(path):
        while aside.exists():
            aside = aside.with_name(f"{aside.name}x")
        for suffix in ("-wal", "-shm", "-journal"):
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                beside.rename(aside.with_name(aside.name + suffix))
        path.rename(aside)
    return aside


@contextlib.contextmanager
def _said(path: Path) -> Iterator[None]:
    """Errors of SQLite and of files in words that name the file."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise StateError(f"{path}: another gateway uses it: give each its own state.path") from error
        kind = ReadOnlyError if error.sqlite_errorcode & 0xFF in _NOT_WRITTEN_BY_SQLITE else StateError
        raise kind(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:  # among them: not a database, malformed
        raise DamagedError(f"{path}: {error}") from error
    except OSError as error:
        kind = ReadOnlyError if error.errno in _NOT_WRITTEN and path.exists() else StateError
        raise kind(f"{error.filename or path}: {error.strerror}") from error


def _boot() -> str:
    return _BOOT.read_text().strip()


def _clocks() -> tuple[float, float]:
    """What the time of day is ahead of the monotonic clock, and that clock."""
    now = time.monotonic()
    return time.time() - now, now


def _offset() -> float:
    return _clocks()[0]
