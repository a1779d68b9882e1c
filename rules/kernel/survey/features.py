"""What the rules need of kernel and iptables, tried out where nobody is harmed.

To ask for a legacy table creates it. So the trial is made by a thread in a network namespace of its own,
which is gone when the thread ends; that also loads the modules as the first real rule would.
"""

import ctypes
import errno
import os
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from rules.errors import KernelError
from rules.kernel.libraries import library_directories
from rules.kernel.queue_table import read_queue_table
from rules.kernel.survey import nfnetlink
from rules.kernel.survey.finding import Finding, Severity

_TABLES = ("nat", "filter", "mangle")
_TARGETS = ("NFQUEUE", "DNAT", "SNAT", "MASQUERADE")
_MATCHES = ("udp", "comment", "conntrack", "hashlimit", "set")
_ANY_PORT_MATCH = "string"
_SET_TYPES = ("hash:ip", "hash:ip,port", "hash:ip,port,ip")
_PACKAGE = "install iptables (Debian package iptables)"

_CLONE_NEWNET = 0x40000000
# <linux/netfilter_ipv4/ip_tables.h>
_GET_INFO, _GET_MATCH_REVISION, _GET_TARGET_REVISION = 64, 66, 67
_INFO_SIZE = 84
_REVISION_SIZE = 30
# <linux/netfilter/ipset/ip_set.h>
_IPSET = 6
_IPSET_TYPE_COMMAND = 13
_IPSET_PROTOCOL, _IPSET_TYPENAME, _IPSET_FAMILY = 1, 3, 5
_IPSET_VERSION = 6
_QUEUE = 3
_QUEUE_CONFIG = 2
_QUEUE_COMMAND = 1
_UNBIND_FAMILY = 4

_libc = ctypes.CDLL(None, use_errno=True)


def kernel_findings(*, any_port: bool, tables: Sequence[str] = _TABLES) -> list[Finding]:
    """One finding for each feature of the kernel that the rules need, `any_port` meaning sip.any_port.

    `tables` are the legacy ones that hold rules of ours; without any, nothing of iptables is needed.
    """
    found: list[Finding] = []
    thread = threading.Thread(target=lambda: found.extend(_trial(tables, any_port=any_port)), name="kernel trial")
    thread.start()
    thread.join()
    return found


def library_findings(*, any_port: bool) -> list[Finding]:
    """Whether iptables' extensions for the rules are installed, `any_port` meaning sip.any_port."""
    directories = library_directories()
    if directories is None:
        return [Finding(Severity.ERROR, "iptables", "its libraries are not installed", _PACKAGE)]
    needed = (*_TARGETS, *_MATCHES, *((_ANY_PORT_MATCH,) if any_port else ()))
    names = [name for name in needed if not _has_extension(directories[1], name)]
    if names:
        what = f"no extension for {', '.join(names)} in {directories[1]}"
        return [Finding(Severity.ERROR, "iptables", what, _PACKAGE)]
    return [Finding(Severity.OK, "iptables", f"its extensions are in {directories[1]}")]


def _has_extension(directory: Path, name: str) -> bool:
    return any((directory / f"lib{family}_{name}.so").exists() for family in ("xt", "ipt"))


def _trial(tables: Sequence[str], *, any_port: bool) -> Iterator[Finding]:
    if _libc.unshare(_CLONE_NEWNET) != 0:
        reason = os.strerror(ctypes.get_errno())
        yield Finding(
            Severity.WARNING,
            "kernel",
            f"its features cannot be tried out: no network namespace ({reason})",
            "run as root with CAP_SYS_ADMIN to have them checked",
        )
        return
    yield _finding("packet queues", _has_queues(), "load nfnetlink_queue (CONFIG_NETFILTER_NETLINK_QUEUE)")
    yield _finding("connection tracking", _has_conntrack(), "load nf_conntrack_netlink (CONFIG_NF_CT_NETLINK)")
    for name in tables:
        there = _answers(_GET_INFO, name, _INFO_SIZE)
        option = f"CONFIG_IP_NF_{name.upper()}"
        advice = f"load iptable_{name} ({option}; since Linux 6.17 with CONFIG_NETFILTER_XTABLES_LEGACY only)"
        yield _finding(f"legacy table {name}", there, advice)
    if not tables:
        return
    for name in _TARGETS:
        there = _answers(_GET_TARGET_REVISION, name, _REVISION_SIZE)
        yield _finding(f"target {name}", there, f"load the kernel module of iptables' target {name}")
    for name in _MATCHES:
        there = _answers(_GET_MATCH_REVISION, name, _REVISION_SIZE)
        yield _finding(f"match {name}", there, f"load the kernel module of iptables' match {name}")
    if any_port:
        there = _answers(_GET_MATCH_REVISION, _ANY_PORT_MATCH, _REVISION_SIZE)
        advice = f"load xt_{_ANY_PORT_MATCH} (CONFIG_NETFILTER_XT_MATCH_STRING), or set sip.any_port = false"
        yield _finding(f"match {_ANY_PORT_MATCH}", there, advice)
    for name in _SET_TYPES:
        advice = f"load ip_set_{name.replace(':', '_').replace(',', '')} (CONFIG_IP_SET)"
        yield _finding(f"set type {name}", _has_set_type(name), advice)


def _finding(subject: str, there: bool, advice: str) -> Finding:
    if there:
        return Finding(Severity.OK, subject, "available")
    return Finding(Severity.ERROR, subject, "this kernel does not have it", advice)


def _answers(request: int, name: str, size: int) -> bool:
    buffer = ctypes.create_string_buffer(name.encode(), size)
    length = ctypes.c_uint32(size)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        code = _libc.getsockopt(raw.fileno(), socket.IPPROTO_IP, request, buffer, ctypes.byref(length))
    # asked for revision 0: the kernel may have other ones only
    return code == 0 or ctypes.get_errno() == errno.EPROTONOSUPPORT


def _has_queues() -> bool:
    command = struct.pack(">BBH", _UNBIND_FAMILY, 0, socket.AF_INET)
    return _is_answered(_QUEUE, _QUEUE_CONFIG, nfnetlink.attribute(_QUEUE_COMMAND, command)) and (
        read_queue_table() is not None
    )


def _has_conntrack() -> bool:
    return (
        Path("/proc/thread-self/net/stat/nf_conntrack").exists()
        or Path("/proc/sys/net/netfilter/nf_conntrack_max").exists()
    )


def _has_set_type(name: str) -> bool:
    question = (
        nfnetlink.attribute(_IPSET_PROTOCOL, bytes([_IPSET_VERSION]))
        + nfnetlink.attribute(_IPSET_TYPENAME, name.encode() + b"\0")
        + nfnetlink.attribute(_IPSET_FAMILY, bytes([socket.AF_INET]))
    )
    return _is_answered(_IPSET, _IPSET_TYPE_COMMAND, question)


def _is_answered(subsystem: int, command: int, question: bytes) -> bool:
    try:
        nfnetlink.ask(subsystem, command, question)
    except KernelError:
        return False
    return True
