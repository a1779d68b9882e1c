"""Network namespaces as throw-away hosts."""

import contextlib
import ctypes
import itertools
import multiprocessing
import os
import shutil
import subprocess
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_numbers = itertools.count(1)
_CLONE_NEWNET = 0x40000000
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
        self.run("ip", "link", "set", "lo", "up")

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

    def delete(self) -> None:
        """Take the host away; links into it go with it."""
        run(["ip", "netns", "del", self.name], check=False)


def enter(name: str) -> None:
    """Move the calling thread into the namespace `name`."""
    with Path("/run/netns", name).open("rb") as handle:
        if _libc.setns(handle.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {name}")


def link(first: Namespace, first_name: str, second: Namespace, second_name: str) -> None:
    """Join two hosts by a veth pair whose ends carry the given interface names, both up."""
    run(["ip", "link", "add", first_name, "netns", first.name, "type", "veth",
         "peer", "name", second_name, "netns", second.name])  # fmt: skip
    first.run("ip", "link", "set", first_name, "up")
    second.run("ip", "link", "set", second_name, "up")


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


def _child(name: str, pipe: Connection, function: Callable[..., T], args: tuple[object, ...]) -> None:
    try:
        enter(name)
        pipe.send((True, function(*args)))
    except BaseException:  # noqa: BLE001  # the parent raises it; nothing may be lost in the child
        pipe.send((False, traceback.format_exc()))
