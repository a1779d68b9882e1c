"""Tries what each line of the unit forbids and prints 'probe: LINE refused' or 'probe: LINE done'."""

import ctypes
import mmap
import os
import socket
from collections.abc import Callable
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if getattr(_LIBC, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def _write(path: str) -> None:
    with Path(path).open("r+b"):
        pass


def _create(path: str) -> None:
    Path(path).write_text("probe")
    Path(path).unlink()


def _present(path: str) -> None:
    if not os.access(path, os.F_OK) or (Path(path).is_dir() and not any(Path(path).iterdir())):
        raise OSError(path)


def _executable_memory() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def _status(line: str, free: str) -> None:
    for each in Path("/proc/self/status").read_text().splitlines():
        if each.startswith(line) and each.split()[1] != free:
            raise OSError(each)


def _bit(path: str) -> None:
    Path(path).write_text("")
    try:
        Path(path).chmod(0o4755)
    finally:
        Path(path).unlink()


def _full_capabilities() -> None:
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    _status("CapBnd", f"{(1 << (last + 1)) - 1:016x}")


def _unusual_socket() -> None:
    socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET).close()


def _realtime() -> None:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


_PERSONALITY_LINUX32 = 0x0008
_NEWUTS = 0x04000000

DEEDS: dict[str, Callable[[], None]] = {
    "CapabilityBoundingSet": _full_capabilities,
    "NoNewPrivileges": lambda: _status("NoNewPrivs", "0"),
    "ProtectSystem": lambda: _create("/usr/probe"),
    "ProtectHome": lambda: _present("/home"),
    "PrivateTmp": lambda: _present("/tmp/probe-was-here"),
    "PrivateDevices": lambda: _present("/dev/vda"),
    "ProtectControlGroups": lambda: _write("/sys/fs/cgroup/cgroup.procs"),
    "ProtectKernelTunables": lambda: _write("/proc/sys/net/ipv4/conf/all/forwarding"),
    "ProtectClock": lambda: _call("clock_adjtime", 0, ctypes.create_string_buffer(512)),
    "ProtectHostname": lambda: socket.sethostname(socket.gethostname()),
    "ProtectKernelLogs": lambda: _present("/dev/kmsg"),
    "ProtectKernelModules": lambda: _present("/usr/lib/modules"),
    "LockPersonality": lambda: _call("personality", _PERSONALITY_LINUX32),
    "MemoryDenyWriteExecute": _executable_memory,
    "RestrictNamespaces": lambda: _call("unshare", _NEWUTS),
    "RestrictRealtime": _realtime,
    "RestrictSUIDSGID": lambda: _bit("/dev/shm/probe"),
    "RestrictAddressFamilies": _unusual_socket,
    "SystemCallFilter": lambda: _call("swapoff", b"/nowhere"),
}


def attempt(name: str) -> str:
    """How one deed ends, in a process of its own: a forbidden system call may kill it."""
    child = os.fork()
    if child == 0:
        try:
            DEEDS[name]()
        except FileNotFoundError:
            # a system call that complains of its argument went through
            os._exit(0 if name == "SystemCallFilter" else 1)
        except (OSError, ValueError):
            os._exit(1)
        os._exit(0)
    return "done" if os.waitpid(child, 0)[1] == 0 else "refused"


if __name__ == "__main__":
    for each in DEEDS:
        print(f"probe: {each} {attempt(each)}", flush=True)
