"""The UDP connections the kernel tracks, over netlink; in the one thread that owns the kernel.

The kernel finds an entry at once only by all its addresses, and the far ones are not known. So it walks its
whole table (5 ms for 262144 buckets) and hands out what matches: by a walk for each address asked for, or by one
walk that hands out all of UDP, whichever costs less.
"""

import errno
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_CTNETLINK
from pyroute2.netlink.nfnetlink.nfctsocket import (
    FILTER_FLAG_CTA_IP_DST,
    FILTER_FLAG_CTA_IP_SRC,
    FILTER_FLAG_CTA_PROTO_NUM,
    IPCTNL_MSG_CT_DELETE,
    IPCTNL_MSG_CT_GET,
)

from rules.errors import KernelError
from rules.flows import Flow, Search
from rules.kernel.netlink import NESTED, NET_ORDER, Netlink, attribute, refusal
from rules.model import Endpoint

_ENTRY = 85  # buckets walked in the time it takes to hand out one entry
_LIMITS = Path("/proc/sys/net/netfilter")

# <linux/netfilter/nfnetlink_conntrack.h>: a tuple as the kernel writes it, from its own header on
_TUPLE = struct.Struct("=12x4s4x4s8xB7x2s6x2s")  # source, target, protocol, source port, target port
_LENGTH = struct.Struct("=H")
_TUPLE_ORIG, _TUPLE_IP, _TUPLE_PROTO = 1, 1, 2
_FILTER, _FILTER_ORIG_FLAGS = 25, 1
_SOURCE, _TARGET = 1, 2
_FLAGS = {_SOURCE: FILTER_FLAG_CTA_IP_SRC, _TARGET: FILTER_FLAG_CTA_IP_DST}
_UDP = attribute(1, bytes([socket.IPPROTO_UDP]))


class Conntrack:
    """Finds and deletes UDP entries."""

    def __init__(self) -> None:
        self._netlink = Netlink(NFNL_SUBSYS_CTNETLINK)

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()

    def flows(self, search: Search) -> list[Flow]:
        """The entries that the search touches."""
        filters = [_wanted({_SOURCE: ip}) for ip in {inside.ip for inside in search.insides}]
        filters += [_wanted({_TARGET: ip}) for ip in {public.ip for public in search.publics}]
        walks = len(filters)
        if (
            search.thorough
            or search.bare
            or search.borrowed
            or (walks > 1 and _limit("nf_conntrack_count") * _ENTRY < _limit("nf_conntrack_buckets") * (walks - 1))
        ):
            filters = [_wanted({})]
        insides = {_pack(each) for each in search.insides}
        publics = {_pack(each) for each in search.publics}
        return [flow for each in filters for flow in self._dump(each, insides, publics, search)]

    def cut(self, flows: Iterable[Flow]) -> None:
        """Delete entries; one that has ended is no error."""
        requests = [(IPCTNL_MSG_CT_DELETE, 0, _original(flow)) for flow in flows]
        try:
            codes = self._netlink.tell(requests)
        except OSError as error:
            raise KernelError(f"deleting conntrack entries: {error}") from error
        for code in codes:
            if code not in (0, errno.ENOENT):
                raise refusal("deleting conntrack entries", code)

    def _dump(self, wanted: bytes, insides: set[bytes], publics: set[bytes], search: Search) -> Iterator[Flow]:
        try:
            for data, start, _end in self._netlink.dump(IPCTNL_MSG_CT_GET, wanted):
                source, target, protocol, sport, dport = _TUPLE.unpack_from(data, start)
                if protocol != socket.IPPROTO_UDP:
                    continue
                reply = start + (_LENGTH.unpack_from(data, start)[0] + 3 & ~3)
                ends = (source + sport, target + dport, *_reply(data, reply))
                if (
                    ends[0] in insides
                    or ends[2] in insides
                    or ends[1] in publics
                    or ends[3] in publics
                    or search.wants(source == ends[3][:4])
                ):  # few are, and only those are worth an object
                    yield Flow(*map(_unpack, ends))
        except OSError as error:
            raise refusal("reading conntrack entries", error.errno or 0, str(error)) from error


def _limit(name: str) -> int:
    try:
        return int((_LIMITS / name).read_text())
    except OSError:
        return 0


def _reply(data: bytes, start: int) -> tuple[bytes, bytes]:
    source, target, _protocol, sport, dport = _TUPLE.unpack_from(data, start)
    return source + sport, target + dport


def _pack(end: Endpoint) -> bytes:
    return socket.inet_aton(end.ip) + end.port.to_bytes(2, "big")


def _unpack(end: bytes) -> Endpoint:
    return Endpoint(socket.inet_ntoa(end[:4]), int.from_bytes(end[4:], "big"))


def _wanted(addresses: Mapping[int, str]) -> bytes:
    """Asks for the UDP entries whose first packet had these addresses."""
    flags = FILTER_FLAG_CTA_PROTO_NUM
    for kind in addresses:
        flags |= _FLAGS[kind]
    asked = b"".join(attribute(kind, socket.inet_aton(ip)) for kind, ip in addresses.items())
    number = struct.pack("=I", flags)
    return _tuple(asked, _UDP) + attribute(_FILTER | NESTED, attribute(_FILTER_ORIG_FLAGS, number))


def _original(flow: Flow) -> bytes:
    source, target = _pack(flow.source), _pack(flow.target)
    addresses = attribute(_SOURCE, source[:4]) + attribute(_TARGET, target[:4])
    return _tuple(addresses, _UDP + attribute(2 | NET_ORDER, source[4:]) + attribute(3 | NET_ORDER, target[4:]))


def _tuple(addresses: bytes, protocol: bytes) -> bytes:
    inner = attribute(_TUPLE_IP | NESTED, addresses) if addresses else b""
    return attribute(_TUPLE_ORIG | NESTED, inner + attribute(_TUPLE_PROTO | NESTED, protocol))
