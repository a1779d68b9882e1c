"""Tells when somebody changes nft rules, iptables-nft's among them; of iptables-legacy the kernel tells nobody."""

import asyncio
import contextlib
import socket
from typing import Self

from pyroute2.netlink import NETLINK_NETFILTER

from rules.errors import KernelError

# <linux/socket.h>, <linux/netlink.h>, <linux/netfilter/nfnetlink.h>
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_NFTABLES_GROUP = 7
_CHUNK = 65536


class NftWatch:
    """A subscription of this network namespace, KernelError if there can be none. A context manager."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, NETLINK_NETFILTER)
        try:
            self._socket.bind((0, 0))
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _NFTABLES_GROUP)
        except OSError as error:
            self._socket.close()
            raise KernelError(f"changes of nft rules cannot be followed: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    async def changed(self) -> None:
        """Wait until something has changed since the last call."""
        with contextlib.suppress(OSError):  # more than there was room for
            await asyncio.get_running_loop().sock_recv(self._socket, _CHUNK)
        while True:
            try:
                self._socket.recv(_CHUNK)
            except BlockingIOError:
                return
            except OSError:
                continue
