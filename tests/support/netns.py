"""Network namespaces as throw-away hosts."""

import array
import contextlib
import ctypes
import fcntl
import itertools
import multiprocessing
import os
import shutil
import socket
import struct
import subprocess
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_numbers = itertools.count(1)
_CLONE_NEWNET = 0x40000000
_SIOCETHTOOL = 0x8946
_ETHTOOL_STXCSUM = 0x17
_libc = ctypes.CDLL(None, use_errno=True)


def why_not() -> str | None:
    """Why namespaces cannot be made here, or None where they can."""
    if os.geteuid() != 0:
        return "needs root to make network namespaces"
    if shutil.which("ip") is None:
        return "needs the ip command (Debian package iproute2)"
    return None


class Namespace:
    """One host: a named network namespace with its loopback up."""

    def __init__(self, role: str) -> None:
        self.name = f"sm{os.getpid()}-{next(_numbers)}-{role}"
        run(["ip", "netns", "add", self.name])
        try:
            self.run("ip", "link", "set", "lo", "up")
        except BaseException:
            self.delete()
            raise

    def command(self, *argv: str) -> list[str]:
        """The command line that runs `argv` on this host."""
        return ["ip", "netns", "exec", self.name, *argv]

    def run(self, *argv: str, stdin: str | None = None, check: bool = True) -> str:
        """Run to the end and return what it printed on stdout."""
        return run(self.command(*argv), stdin=stdin, check=check)

    def start(self, *argv: str, **options: object) -> "subprocess.Popen[bytes]":
        """Start in the background; the caller ends it."""
        return subprocess.Popen(self.command(*argv), **options)  # type: ignore[call-overload, no-any-return]

    def call(self, function: Callable[..., T], *args: object) -> T:
        """Call `function` in a forked child that lives on this host and return what it returned.

        Needed for code that talks to the kernel of the namespace it runs in. An exception in the child is
        raised here as AssertionError with its traceback.
        """
        fork = multiprocessing.get_context("fork")
        ours, theirs = fork.Pipe(duplex=False)
        child = fork.Process(target=_child, args=(self.name, theirs, function, args))
        child.start()
        theirs.close()
        try:
            good, result = ours.recv()
        except EOFError:
            good, result = False, "the child died without an answer"
        finally:
            child.join()
        if not good:
            raise AssertionError(f"in namespace {self.name}:\n{result}")
        return result  # type: ignore[no-any-return]  # what crosses a pipe has no type

    def open_socket(
        self, family: int = socket.AF_INET, kind: int = socket.SOCK_DGRAM, proto: int = 0
    ) -> socket.socket:
        """A socket that lives on this host although this process does not; the caller closes it."""
        made: list[socket.socket | OSError] = []

        def make() -> None:
            try:
                enter(self.name)
                made.append(socket.socket(family, kind, proto))
            except OSError as error:
                made.append(error)

        # a thread of its own, because a namespace belongs to a thread and this one must keep its own
        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]

    def delete(self) -> None:
        """Take the host away; links into it go with it."""
        run(["ip", "netns", "del", self.name], check=False)


def enter(name: str) -> None:
    """Move the calling thread into the namespace `name`."""
    with Path("/run/netns", name).open("rb") as handle:
        if _libc.setns(handle.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {name}")


def link(first: Namespace, first_name: str, second: Namespace, second_name: str) -> None:
    """Join two hosts by a veth pair whose ends carry the given interface names, both up.

    The ends compute checksums as real cards do; by default a veth leaves them open, and a program that
    gets them wrong would not be noticed.
    """
    run(["ip", "link", "add", first_name, "netns", first.name, "type", "veth",
         "peer", "name", second_name, "netns", second.name])  # fmt: skip
    for host, name in ((first, first_name), (second, second_name)):
        _compute_checksums(host, name)
        host.run("ip", "link", "set", name, "up")


@contextlib.contextmanager
def hosts(*roles: str) -> Iterator[tuple[Namespace, ...]]:
    """Hosts for the length of a block, taken away however it ends."""
    made: list[Namespace] = []
    try:
        for role in roles:
            made.append(Namespace(role))  # noqa: PERF401  # what was made must be known when the next one fails
        yield tuple(made)
    finally:
        for host in made:
            host.delete()


def run(argv: Sequence[str], *, stdin: str | None = None, check: bool = True) -> str:
    """Run a command to the end; what it printed on stdout. A failure raises with its stderr."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)} exited {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def _compute_checksums(host: Namespace, interface: str) -> None:
    command = array.array("I", [_ETHTOOL_STXCSUM, 0])
    request = struct.pack("16sP16x", interface.encode(), command.buffer_info()[0])
    with host.open_socket() as handle:
        fcntl.ioctl(handle, _SIOCETHTOOL, request)


def _child(name: str, pipe: Connection, function: Callable[..., T], args: tuple[object, ...]) -> None:
    try:
        enter(name)
        pipe.send((True, function(*args)))
    except BaseException:  # noqa: BLE001  # the parent raises it; nothing may be lost in the child
        pipe.send((False, traceback.format_exc()))
