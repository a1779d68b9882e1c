"""When datagrams pass an interface, by the kernel's own clock."""

import socket
import struct
from typing import Self

from tests.support.netns import Namespace

_ETH_P_ALL = 3
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_TIME = struct.Struct("@ll")
_BUFFER = 16 << 20


class Tap:
    """Everything that passes `interface` of `host`, both ways, from now on; read when it is all over."""

    def __init__(self, host: Namespace, interface: str) -> None:
        self._socket = host.open_socket(socket.AF_PACKET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind((interface, _ETH_P_ALL))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def first(self, text: bytes) -> float:
        """Take what has passed; when the first packet with `text` in it did, in seconds of some clock."""
        found: float | None = None
        while True:
            try:
                packet, extra, _, _ = self._socket.recvmsg(0xFFFF, 64, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            if found is None and text in packet:
                seconds, nanoseconds = _TIME.unpack_from(extra[0][2])
                found = seconds + nanoseconds / 1e9
        if found is None:
            raise AssertionError(f"no packet with {text!r} passed")
        return found
