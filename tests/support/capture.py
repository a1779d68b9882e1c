"""Datagrams as they pass an interface: whole, in order, with the verdict on their checksum."""

import contextlib
import os
import re
import select
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rules.model import Endpoint
from tests.support.journal import Journal
from tests.support.netns import Namespace

_ETH_P_ALL = 3
_ETH_P_IP = 0x0800
_LINKTYPE_RAW = 101
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_STAMP = struct.Struct("qq")
_SIP_START = re.compile(rb"(?:SIP/2\.0 \d{3}|[A-Z]+ [a-z]+:\S+ SIP/2\.0\r\n)")


@dataclass(frozen=True, slots=True)
class Datagram:
    """One UDP datagram, put together again if it was fragmented; `time` is when the interface had all of it."""

    time: float
    source: Endpoint
    destination: Endpoint
    payload: bytes
    checksum_ok: bool
    fragments: int

    @property
    def is_sip(self) -> bool:
        return _SIP_START.match(self.payload) is not None

    @property
    def is_rtp(self) -> bool:
        # RFC 5761 section 4: packet types 192-223 in the second byte are RTCP
        data = self.payload
        return len(data) >= 12 and data[0] >> 6 == 2 and not 192 <= data[1] <= 223

    @property
    def text(self) -> str:
        return self.payload.decode(errors="replace")

    def __str__(self) -> str:
        start = self.text.partition("\r\n")[0] if self.is_sip else f"{len(self.payload)} bytes"
        return f"{self.source} -> {self.destination} {start}"


class Capture:
    """Everything UDP that passes `interface` of `host`, from now until `close`."""

    def __init__(self, host: Namespace, interface: str) -> None:
        self._datagrams: Journal[Datagram] = Journal(f"capture on {interface} of {host.name}")
        self._packets: list[tuple[float, bytes]] = []
        self._pieces: dict[bytes, dict[int, tuple[bool, bytes]]] = {}
        self._socket = host.open_socket(socket.AF_PACKET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 16 << 20)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind((interface, _ETH_P_ALL))
        self._lock = threading.Lock()
        self._wake = os.eventfd(0)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._thread.is_alive():
            os.eventfd_write(self._wake, 1)
            self._thread.join()
            self._socket.close()
            os.close(self._wake)

    @property
    def datagrams(self) -> Journal[Datagram]:
        """All so far, whatever the kernel has seen by now."""
        self._drain()
        return self._datagrams

    def select(self, match: Callable[[Datagram], bool]) -> list[Datagram]:
        return [datagram for datagram in self.datagrams if match(datagram)]

    def sip(self, start: str = "") -> list[Datagram]:
        """The SIP messages so far whose first line begins with `start`."""
        return self.select(lambda datagram: _starts(datagram, start))

    def wait_sip(self, start: str, *, timeout: float = 10, after: int = 0) -> Datagram:
        """The first SIP message whose first line begins with `start`."""
        return self.datagrams.wait(
            f"a SIP message with {start!r}", lambda datagram: datagram if _starts(datagram, start) else None,
            timeout=timeout, after=after,
        )[0]  # fmt: skip

    def rtp(self, source: str | None = None, destination: str | None = None) -> list[Datagram]:
        """The RTP packets so far between these IP addresses."""
        return self.select(lambda datagram: _is_rtp_between(datagram, source, destination))

    def wait_rtp(
        self, count: int, source: str | None = None, destination: str | None = None, *,
        timeout: float = 10, after: int = 0,
    ) -> list[Datagram]:  # fmt: skip
        """The first `count` RTP packets between these addresses, leaving out the first `after` datagrams."""
        return self.datagrams.wait(
            f"RTP from {source or 'anywhere'} to {destination or 'anywhere'}",
            lambda datagram: datagram if _is_rtp_between(datagram, source, destination) else None,
            timeout=timeout, after=after, count=count,
        )  # fmt: skip

    def save(self, path: Path) -> None:
        """Write what was seen as a pcap file, for a person to look at."""
        self._drain()
        with path.open("wb") as out:
            out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, _LINKTYPE_RAW))
            for when, packet in self._packets:
                size = len(packet)
                out.write(struct.pack("<IIII", int(when), int(when % 1 * 1e6), size, size) + packet)

    def _read(self) -> None:
        while True:
            ready, _, _ = select.select([self._socket.fileno(), self._wake], [], [])
            if self._wake in ready:
                return
            self._drain()

    def _drain(self) -> None:
        with self._lock, contextlib.suppress(OSError):  # nothing more to read, or closed
            while True:
                packet, [(_, _, stamp)], _, (_, protocol, *_) = self._socket.recvmsg(
                    65535, socket.CMSG_SPACE(_STAMP.size), socket.MSG_DONTWAIT
                )
                if protocol == _ETH_P_IP:
                    seconds, nanoseconds = _STAMP.unpack(stamp)
                    when = seconds + nanoseconds / 1e9
                    self._packets.append((when, packet))
                    self._take(when, packet)

    def _take(self, now: float, packet: bytes) -> None:
        header = (packet[0] & 15) * 4
        total = int.from_bytes(packet[2:4])
        if packet[9] != socket.IPPROTO_UDP:
            return
        fragment = int.from_bytes(packet[6:8])
        key = packet[4:6] + packet[12:20]
        pieces = self._pieces.setdefault(key, {})
        pieces[(fragment & 0x1FFF) * 8] = (bool(fragment & 0x2000), packet[header:total])
        whole = _joined(pieces)
        if whole is None:
            return
        del self._pieces[key]
        source, destination = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
        ports = struct.unpack("!HH", whole[:4])
        self._datagrams.append(
            Datagram(
                time=now,
                source=Endpoint(source, ports[0]),
                destination=Endpoint(destination, ports[1]),
                payload=whole[8:],
                checksum_ok=_checksum_ok(packet[12:20], whole),
                fragments=len(pieces),
            )
        )


def _starts(datagram: Datagram, start: str) -> bool:
    return datagram.is_sip and datagram.text.startswith(start)


def _is_rtp_between(datagram: Datagram, source: str | None, destination: str | None) -> bool:
    return datagram.is_rtp and source in (None, datagram.source.ip) and destination in (None, datagram.destination.ip)


def _joined(pieces: dict[int, tuple[bool, bytes]]) -> bytes | None:
    """The payload of a packet, None while a fragment is missing."""
    whole = b""
    more = True
    for offset in sorted(pieces):
        if offset != len(whole):
            return None
        more, piece = pieces[offset]
        whole += piece
    return None if more else whole


def _checksum_ok(addresses: bytes, datagram: bytes) -> bool:
    """RFC 768; a checksum of zero says that none was computed."""
    if datagram[6:8] == b"\0\0":
        return True
    data = addresses + struct.pack("!HH", socket.IPPROTO_UDP, len(datagram)) + datagram
    words = struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
    total: int = sum(words)
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF
