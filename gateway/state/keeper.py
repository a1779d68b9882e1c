"""Keeps the engine's state written down, and goes on without that where it cannot be.

A call is never refused because a disk is full: what could not be written is said once, `trouble` has it until it is
mended, and then everything is written anew.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from gateway.engine import Engine
from gateway.errors import StateError
from gateway.snapshot import OF_CALLS, DamagedStateError, Row, all_rows, forget_changes, restore, take_rows
from gateway.state.store import DamagedError, Kept, ReadOnlyError, Store, read_copy, set_aside

log = logging.getLogger("sipmasq")

_TRY_AGAIN = 5.0  # seconds


class Keeper:
    """The one owner of the file at `path`.

    Until `restored` nothing is read or written; afterwards one task at a time keeps.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._store: Store | None = None
        self._afresh = True
        self._not_before = 0.0
        self.trouble = ""

    def restored(self, make: Callable[[], Engine]) -> Engine:
        """An engine, as `make` makes it, that knows what was written; a file that is damaged is set aside."""
        engine = make()
        try:
            kept = self._read()
            restore(engine, kept.rows, shift=kept.shift, calls_live=kept.same_boot)
        except (DamagedError, DamagedStateError) as error:
            self._set_aside(error)
            return make()
        except StateError as error:
            self._fail(error)
            return engine
        # after a start of the machine, what ended with it is still written
        self._afresh = self._store is None or not kept.same_boot
        if kept.rows:
            log.info(
                "known again: %d calls, %d registrations", len(engine.calls), sum(1 for _ in engine.registrations)
            )
        return engine

    async def keep(self, engine: Engine) -> None:
        """Write down what changed."""
        if self._afresh and time.monotonic() < self._not_before:
            forget_changes(engine)
            return
        afresh = self._afresh
        rows = all_rows(engine) if afresh else take_rows(engine)
        if not rows and not afresh:
            return
        try:
            await asyncio.to_thread(self._write, rows, afresh=afresh)
        except (DamagedError, StateError) as error:
            self._fail(error)
        else:
            self._afresh = False
            if self.trouble:
                log.info("the state can be kept again in %s", self._path)
            self.trouble = ""

    def forget_calls(self) -> None:
        """No call goes on; the registrations stand."""
        try:
            if self._store is not None:
                self._store.forget(OF_CALLS)
        except StateError as error:
            self._fail(error)

    def close(self) -> None:
        """Let go of the file."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _read(self) -> Kept:
        """What was written, also where nothing can be written any more."""
        try:
            self._store = Store(self._path)
            return self._store.read()
        except ReadOnlyError as error:
            self._fail(error)
            return read_copy(self._path)

    def _write(self, rows: list[Row], *, afresh: bool) -> None:
        if self._store is None:
            try:
                self._store = Store(self._path)
            except DamagedError as error:
                self._set_aside(error)
                self._store = Store(self._path)
        self._store.write(rows, afresh=afresh)

    def _set_aside(self, error: Exception) -> None:
        self.close()
        self._afresh = True
        try:
            aside = set_aside(self._path)
        except StateError as refusal:
            self._fail(refusal)
        else:
            log.error("the state is damaged and was set aside as %s: %s", aside, error)

    def _fail(self, error: Exception) -> None:
        self.close()
        self._afresh = True
        self._not_before = time.monotonic() + _TRY_AGAIN
        if str(error) != self.trouble:
            log.error("the state is not kept, a restart would end the calls: %s", error)
        self.trouble = str(error)


def forget_calls(path: Path) -> None:
    """Have the calls in the file of a gateway that does not run forgotten; one that is no use says nothing of any."""
    if not path.exists():
        return
    try:
        store = Store(path)
    except DamagedError:
        return
    try:
        store.forget(OF_CALLS)
    finally:
        store.close()
