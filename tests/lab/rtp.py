"""RTP from and to a plain socket on a host, for exact statements on who reached whom from which port."""

import struct
import time
from typing import NamedTuple, Self

from rules.model import Endpoint
from tests.support.netns import Namespace

_HEADER = struct.Struct("!BBHII")
_PCMU = 0
_SILENCE = b"\xff" * 160


class Heard(NamedTuple):
    """A packet that arrived: its number, and where it came from as seen here."""

    number: int
    source: Endpoint


class RtpEndpoint:
    """One transport address that sends numbered RTP packets and remembers what it hears."""

    def __init__(self, host: Namespace, address: str, port: int = 0) -> None:
        self._socket = host.open_socket()
        self._socket.bind((address, port))
        self.address = Endpoint(*self._socket.getsockname())
        self._next = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, to: Endpoint, count: int = 1) -> None:
        """Send the next `count` packets at once."""
        for _ in range(count):
            header = _HEADER.pack(0x80, _PCMU, self._next & 0xFFFF, self._next * len(_SILENCE), self.address.port)
            self._socket.sendto(header + _SILENCE, to)
            self._next += 1

    def hear(self, count: int, timeout: float = 2) -> list[Heard]:
        """Up to `count` packets; fewer if no more came in time."""
        heard: list[Heard] = []
        deadline = time.monotonic() + timeout
        while len(heard) < count and (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                packet, source = self._socket.recvfrom(2048)
            except TimeoutError:
                break
            heard.append(Heard(_HEADER.unpack_from(packet)[2], Endpoint(*source)))
        return heard

    def hears_nothing(self, timeout: float = 0.3) -> bool:
        """Whether nothing arrives for that long."""
        return not self.hear(1, timeout)

    def close(self) -> None:
        self._socket.close()
