"""Notices what others change in the legacy tables, at a fraction of what reading them costs.

Nothing tells of a change there. But the kernel says where chains begin and how much there is in all for next to
nothing, and gives a whole table as bytes that are compared without understanding them. Both need no lock: each is
taken at one moment. Changes of our own are framed by `own_change`, in which the lock is held.
"""

import contextlib
import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from typing import NamedTuple

from rules import owner
from rules.errors import KernelError, NotPermittedError
from rules.plan import JUMPS
from rules.ruleset import TableName

# <linux/netfilter_ipv4/ip_tables.h>
_GET_INFO, _GET_ENTRIES = 64, 65
_INFO = struct.Struct("=32sI5I5III")  # name, hooks in use, where they begin, where their policies are, count, size
_REQUEST = struct.Struct("=32sI4x")
_NEXT = struct.Struct("=H")  # offset of the next entry,
_NEXT_AT = 90  # which stands here in struct ipt_entry,
_COUNTERS = slice(96, 112)  # and its counters here
_ZERO = bytes(16)
_HOOKS = 5
_VERDICT = struct.Struct("=i")
_VERDICT_AT = 112 + 32  # behind struct ipt_entry and struct xt_entry_target
_ACCEPT = -2  # -NF_ACCEPT - 1
_MARK = f"{owner.NAME} ".encode()
_CHAINS = tuple(jump.rule.target.encode() + b"\0" for jump in JUMPS)

_libc = ctypes.CDLL(None, use_errno=True)

_Frame = tuple[tuple[int, int, int], ...]
"""Of each of our rules in a built-in chain: the hook, and how many rules stand before and after it."""


class TableWatch:
    """Counts in `changes` how often somebody else was found to have changed one of our tables."""

    def __init__(self, tables: Iterable[TableName]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tables = {name: _Table(self._socket, name) for name in tables}

    @property
    def changes(self) -> int:
        """How many so far."""
        return sum(table.changes for table in self._tables.values())

    def look(self) -> None:
        """Compare every table with the last look; KernelError if one cannot be looked at."""
        for name, table in self._tables.items():
            with _said(name):
                table.look()

    @contextlib.contextmanager
    def own_change(self, name: TableName, *, of_jumps: bool) -> Iterator[None]:
        """What happens within the block is no change of others."""
        table = self._tables[name]
        with _said(name):
            table.look_briefly()
        try:
            yield
        finally:
            with _said(name):
                table.take(of_jumps=of_jumps)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Use(Enum):
    """Whose rules a table holds; a policy to drop is of others."""

    NONE = auto()
    OURS = auto()
    OTHERS = auto()


def use(name: TableName) -> Use:
    """Of a table that exists, for to look at another one creates it; KernelError if it cannot be read."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened, _said(name):
        return _Table(opened, name).use()


class _Content(NamedTuple):
    """A table without its counters, and where they were."""

    entries: bytearray
    counters: list[int]


class _Table:
    """What is known of one table.

    Own commits leave the content unknown until the next look. What others move about meanwhile shows in the frame,
    which the commits of every day do not change.
    """

    def __init__(self, opened: socket.socket, name: TableName) -> None:
        self._socket = opened
        self._name = name.encode()
        self._info = b""
        self._content: _Content | None = None
        self._frame: _Frame | None = None
        self.changes = 0

    def look_briefly(self) -> None:
        info = self._read_info()
        if info != self._info:
            self.changes += 1
            self._info, self._content, self._frame = info, None, None

    def look(self) -> None:
        self.look_briefly()
        _name, _hooks, *places, _count, size = _INFO.unpack(self._info)
        entries = self._read_entries(size)
        if entries is None:  # changed this moment, which the next look will find
            return
        known = self._content
        if known is not None and _masked(entries[:], known.counters) == known.entries:
            return
        content = _content(entries)
        frame = _frame(content.entries, places[:_HOOKS], places[_HOOKS:])
        if known is not None or self._frame not in (None, frame):
            self.changes += 1
        self._content, self._frame = content, frame

    def use(self) -> Use:
        entries = None
        while entries is None:  # changed between the two questions
            _name, hooks, *places, count, size = _INFO.unpack(self._read_info())
            entries = self._read_entries(size)
        if any(chain in entries for chain in _CHAINS):
            return Use.OURS
        policies = [at for hook, at in enumerate(places[_HOOKS:]) if hooks & 1 << hook]
        drops = any(_VERDICT.unpack_from(entries, at + _VERDICT_AT)[0] != _ACCEPT for at in policies)
        return Use.OTHERS if drops or count > len(policies) + 1 else Use.NONE  # one ends the table

    def take(self, *, of_jumps: bool) -> None:
        """Take the table as it is now for known."""
        self._info, self._content = self._read_info(), None
        if of_jumps:
            self._frame = None

    def _read_info(self) -> bytes:
        buffer = bytearray(self._name.ljust(_INFO.size, b"\0"))
        self._get(_GET_INFO, buffer)
        return bytes(buffer)

    def _read_entries(self, size: int) -> bytearray | None:
        request = _REQUEST.pack(self._name, size)
        buffer = bytearray(_REQUEST.size + size)
        buffer[: _REQUEST.size] = request
        try:
            self._get(_GET_ENTRIES, buffer)
        except BlockingIOError:
            return None
        del buffer[: _REQUEST.size]
        return buffer

    def _get(self, option: int, buffer: bytearray) -> None:
        # an array type of just this size would be garbage in a cycle
        first, length = ctypes.c_char.from_buffer(buffer), ctypes.c_uint32(len(buffer))
        option_value = ctypes.byref(first), ctypes.byref(length)
        if _libc.getsockopt(self._socket.fileno(), socket.IPPROTO_IP, option, *option_value):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


def _content(entries: bytearray) -> _Content:
    counters = []
    at = 0
    while at < len(entries):
        counters.append(at + _COUNTERS.start)
        at += _NEXT.unpack_from(entries, at + _NEXT_AT)[0]
    return _Content(_masked(entries, counters), counters)


def _masked(entries: bytearray, counters: list[int]) -> bytearray:
    """The entries with nothing at these places.

    Places of another table's layout hide no change: the first entry is where it was, so where the second is can be
    seen, and so on.
    """
    for at in counters:
        entries[at : at + len(_ZERO)] = _ZERO
    return entries


def _frame(entries: bytearray, begins: list[int], policies: list[int]) -> _Frame:
    frame: list[tuple[int, int, int]] = []
    for hook, (begin, policy) in enumerate(zip(begins, policies, strict=True)):
        ours: list[int] = []
        number, at = 0, begin
        while at < policy:
            following = at + _NEXT.unpack_from(entries, at + _NEXT_AT)[0]
            if entries.find(_MARK, at, following) >= 0:
                ours.append(number)
            number, at = number + 1, following
        frame += [(hook, before, number - 1 - before) for before in ours]
    return tuple(frame)


@contextlib.contextmanager
def _said(table: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES):
            raise NotPermittedError(f"iptables table {table}: not permitted; run as root (CAP_NET_ADMIN)") from error
        raise KernelError(f"iptables table {table} cannot be looked at: {error.strerror}") from error
