"""What a process may do to the machine, as capabilities(7) has it; given up, it does not come back.

The kernel loads its own modules whoever asks; only modprobe of ip_tables needs more rights than are kept, and
python-iptables runs it when it is imported.
"""

import ctypes
import os
from pathlib import Path

from rules.errors import KernelError, NotPermittedError

# <linux/capability.h>
_SETGID, _SETPCAP, _NET_ADMIN, _NET_RAW = 6, 8, 12, 13
_VERSION_3 = 0x20080522
# <linux/prctl.h>
_CAPBSET_READ, _CAPBSET_DROP, _SET_NO_NEW_PRIVS = 23, 24, 38

_KEPT = 1 << _NET_ADMIN | 1 << _NET_RAW
_HIGHEST = Path("/proc/sys/kernel/cap_last_cap")
_NO_FILE_FOR_OTHERS = 0o066  # and directories that can be entered, but not listed

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("thread", ctypes.c_int))


class _Sets(ctypes.Structure):
    """32 capabilities in each set."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


_Data = _Sets * 2


def drop_privileges() -> None:
    """Keep CAP_NET_ADMIN and CAP_NET_RAW alone, no supplementary group, and no way to gain anything by execve.

    Files made from now on are for their owner alone. The kernel keeps rights by thread: this is for the calling one
    and for those that it starts afterwards. Somebody other than root, who was given just these two, may keep
    groups and bounding set: only root can give them up, and nothing can be gained from them any more.
    NotPermittedError without the two.
    """
    may = _effective()
    if may & _KEPT != _KEPT:
        raise NotPermittedError("CAP_NET_ADMIN and CAP_NET_RAW are needed: run as root")
    os.umask(_NO_FILE_FOR_OTHERS)
    if may >> _SETGID & 1:
        os.setgroups([])
    if may >> _SETPCAP & 1:
        _narrow_bounding_set()
    _prctl(_SET_NO_NEW_PRIVS, 1)
    _call("capset", ctypes.byref(_Header(_VERSION_3, 0)), ctypes.byref(_Data(_Sets(_KEPT, _KEPT, 0))))


def _effective() -> int:
    data = _Data()
    _call("capget", ctypes.byref(_Header(_VERSION_3, 0)), ctypes.byref(data))
    return int(data[0].effective)


def _narrow_bounding_set() -> None:
    for number in range(int(_HIGHEST.read_text()) + 1):
        if not _KEPT >> number & 1 and _prctl(_CAPBSET_READ, number):
            _prctl(_CAPBSET_DROP, number)


def _prctl(option: int, argument: int) -> int:
    return _call("prctl", option, *map(ctypes.c_ulong, (argument, 0, 0, 0)))


def _call(name: str, *arguments: object) -> int:
    result = int(getattr(_libc, name)(*arguments))
    if result < 0:
        raise KernelError(f"privileges cannot be given up: {name}: {os.strerror(ctypes.get_errno())}")
    return result
