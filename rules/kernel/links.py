"""The router's interfaces, addresses and routes, as they are and as they change."""

import asyncio
import errno
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from rules.errors import KernelError
from rules.kernel.topology import Address, Interface, Link, Route, Topology, derive

__all__ = ["Interface", "LinkWatch", "Topology"]

# <linux/rtnetlink.h>
_GROUPS = 0x1 | 0x10 | 0x40  # RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE
_UP_WITH_CARRIER = 0x1 | 0x40  # IFF_UP, IFF_RUNNING
_SETTLE = 0.05  # seconds: one change on a link comes as a burst of messages


class LinkWatch:
    """Looks at the links of this network namespace from within a running event loop."""

    async def snapshot(self, inside: Sequence[str], outside: str) -> Topology:
        """Inside and outside as they are now; a missing interface is said in the value.

        KernelError if the kernel does not answer.
        """
        try:
            return await _dump(inside, outside)
        except NetlinkError as error:
            raise KernelError(f"the kernel does not tell its links and addresses: {error}") from error

    async def changes(self, inside: Sequence[str], outside: str) -> AsyncGenerator[Topology, None]:
        """The topology now, and again each time it has become another; close the iterator to stop.

        Interfaces may not exist yet, vanish, and come back with another index.
        """
        with _Monitor() as monitor:
            last = None
            while True:
                monitor.changed.clear()
                now = await self.snapshot(inside, outside)
                if now != last:
                    last = now
                    yield now
                await monitor.changed.wait()
                await asyncio.sleep(_SETTLE)


class _Monitor:
    """An event that is set when links, addresses or routes changed; what exactly is for a dump to tell."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> "_Monitor":
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.setblocking(False)
        self._socket.bind((0, _GROUPS))
        self._loop.add_reader(self._socket, self._drain)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _drain(self) -> None:
        self.changed.set()
        while True:
            try:
                self._socket.recv(1)
            except BlockingIOError:
                return
            except OSError as error:
                # messages were lost: no harm, a dump follows anyway
                if error.errno != errno.ENOBUFS:
                    raise


async def _dump(inside: Sequence[str], outside: str) -> Topology:
    async with AsyncIPRoute(ext_ack=True, strict_check=True) as netlink:
        links = [_link(row) async for row in await netlink.get_links()]
        addresses = [_address(row) async for row in await netlink.get_addr(family=socket.AF_INET)]
        routes = [_route(row) async for row in await netlink.get_routes(family=socket.AF_INET)]
    return derive(links, addresses, routes, inside, outside)


def _link(row: Any) -> Link:
    return Link(row["index"], row.get_attr("IFLA_IFNAME"), row["flags"] & _UP_WITH_CARRIER == _UP_WITH_CARRIER)


def _address(row: Any) -> Address:
    peer = row.get_attr("IFA_ADDRESS")
    return Address(
        link=row["index"],
        ip=IPv4Address(row.get_attr("IFA_LOCAL") or peer),
        network=IPv4Network((peer, row["prefixlen"]), strict=False),
        scope=row["scope"],
        flags=row.get_attr("IFA_FLAGS") or row["flags"],
    )


def _route(row: Any) -> Route:
    gateway = row.get_attr("RTA_GATEWAY")
    source = row.get_attr("RTA_PREFSRC")
    return Route(
        links=_hops(row),
        network=IPv4Network((row.get_attr("RTA_DST") or 0, row["dst_len"])),
        table=row.get_attr("RTA_TABLE") or row["table"],
        kind=row["type"],
        gateway=IPv4Address(gateway) if gateway else None,
        source=IPv4Address(source) if source else None,
        metric=row.get_attr("RTA_PRIORITY") or 0,
    )


def _hops(row: Any) -> tuple[int, ...]:
    hops: Sequence[Mapping[str, int]] = row.get_attr("RTA_MULTIPATH") or ()
    first = row.get_attr("RTA_OIF")
    return (*((first,) if first else ()), *(hop["oif"] for hop in hops))
