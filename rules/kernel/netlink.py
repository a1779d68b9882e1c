"""A blocking netlink socket to netfilter, for the thread that owns the kernel.

What changes with every call is written and read here by hand: pyroute2 takes 120 us to encode one set entry and 50 us
to decode one conntrack entry, a few microseconds do. It still encodes what is asked rarely.
"""

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence

from pyroute2.netlink import NETLINK_NETFILTER

from rules.errors import KernelError, NotPermittedError

NESTED = 0x8000
NET_ORDER = 0x4000
REQUEST, ACK, EXCLUSIVE, DUMP = 0x01, 0x04, 0x200, 0x300

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_FAMILY = struct.Struct("=BBH")  # nfgenmsg: family, version, resource
_ATTRIBUTE = struct.Struct("=HH")
_CODE = struct.Struct("=i")
_ERROR, _DONE = 2, 3
_TYPE = 0x3FFF
# <linux/netfilter/nfnetlink.h>
_BATCH_BEGIN, _BATCH_END, _GENERATION = 0x10, 0x11, 1
_BATCH_FAMILY = struct.Struct(">BBH")  # the resource, in the byte order of networks, is the subsystem
_SEQUENCE = struct.Struct("=I")
_SEQUENCE_BEFORE = 8  # bytes before a message's end of header
_SEND_BUFFER_FORCE = 32  # SO_SNDBUFFORCE
_SOL_NETLINK, _CAP_ACK = 270, 10
_CHUNK = 128 * 1024
_TIMEOUT = 10.0  # seconds; the kernel answers while it is asked
_BATCH = 64  # requests in flight, and
_BATCH_SIZE = 64 * 1024  # bytes of them: they must fit the send buffer, their answers the receive buffer

Request = tuple[int, int, bytes]
"""Command, flags and attributes."""
Part = tuple[bytes, int, int]
"""A buffer, and where in it something starts and ends."""
BODY = _HEADER.size + _FAMILY.size
"""Where the attributes of a message begin."""


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Kind, start and end of each attribute in a part of `data`."""
    while start + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE, start + _ATTRIBUTE.size, start + length
        start += (length + 3) & ~3


def family(part: Part) -> int:
    """The address family that an answer is about, by what precedes its attributes."""
    data, start, _end = part
    return data[start - _FAMILY.size]


class Netlink:
    """One netlink socket of a subsystem: ask, and read the answer, before the next question."""

    def __init__(self, subsystem: int, family: int = socket.AF_INET) -> None:
        self._subsystem = subsystem << 8
        self._family = _FAMILY.pack(family, 0, 0)
        self._socket = _open()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def dump(self, command: int, body: bytes) -> Iterator[Part]:
        """Each answer, from its attributes on; OSError as the kernel says."""
        with self._exchange([(command, REQUEST | DUMP, body)]):
            while True:
                for kind, data, start, end in self._receive():
                    if kind == _DONE:
                        return
                    if kind == _ERROR:
                        raise _error(data, start)
                    yield data, start + _FAMILY.size, end

    def tell(self, requests: Iterable[Request]) -> list[int]:
        """Send requests and return the error number of each, 0 for done."""
        codes: list[int] = []
        for batch in _batches(requests):
            with self._exchange((command, flags | REQUEST | ACK, body) for command, flags, body in batch):
                waiting = len(batch)
                while waiting:
                    for kind, data, start, _end in self._receive():
                        if kind == _ERROR:
                            codes.append(_error(data, start).errno or 0)
                            waiting -= 1
        return codes

    def ask(self, command: int, body: bytes) -> Part:
        """One question with one answer, from its attributes on; OSError as the kernel says."""
        answer: Part = (b"", 0, 0)
        with self._exchange([(command, REQUEST | ACK, body)]):
            while True:
                for kind, data, start, end in self._receive():
                    if kind != _ERROR:
                        answer = (data, start + _FAMILY.size, end)
                    elif (error := _error(data, start)).errno:
                        raise error
                    else:
                        return answer

    def transact(self, requests: Sequence[Request], generation: int) -> dict[int, int]:
        """All requests or none, if nothing changed since this generation; the error numbers of those refused.

        Refusals are keyed by the request's place, one of the whole by -1; none at all: it is done.
        """
        begin = _BATCH_FAMILY.pack(0, 0, self._subsystem >> 8) + attribute(_GENERATION, struct.pack(">I", generation))
        parts = [_HEADER.pack(_HEADER.size + len(begin), _BATCH_BEGIN, REQUEST, 0, 0) + begin]
        for number, (command, flags, body) in enumerate(requests, 1):
            last = ACK if number == len(requests) else 0
            kind, length = self._subsystem | command, BODY + len(body)
            parts.append(_HEADER.pack(length, kind, flags | last | REQUEST, number, 0) + self._family + body)
            parts.append(bytes(-length % 4))
        parts.append(_HEADER.pack(BODY, _BATCH_END, REQUEST, 0, 0) + _BATCH_FAMILY.pack(0, 0, self._subsystem >> 8))
        whole = b"".join(parts)
        # the kernel takes a batch as one packet
        self._socket.setsockopt(socket.SOL_SOCKET, _SEND_BUFFER_FORCE, 2 * len(whole) + _CHUNK)
        refused: dict[int, int] = {}
        with self._sent(whole):
            while True:
                for kind, data, start, _end in self._receive():
                    number = _SEQUENCE.unpack_from(data, start - _SEQUENCE_BEFORE)[0]
                    code = _error(data, start).errno if kind == _ERROR else 0
                    if code:
                        refused[number - 1] = code
                    if number in (0, len(requests)):
                        return refused

    @contextlib.contextmanager
    def _exchange(self, requests: Iterable[Request]) -> Iterator[None]:
        """Send, and read within the block. What the block leaves unread goes with the socket."""
        parts: list[bytes] = []
        for command, flags, body in requests:
            length = BODY + len(body)
            parts.append(_HEADER.pack(length, self._subsystem | command, flags, 0, 0) + self._family + body)
        with self._sent(b"".join(parts)):
            yield

    @contextlib.contextmanager
    def _sent(self, packet: bytes) -> Iterator[None]:
        try:
            self._socket.send(packet)
            yield
        except BaseException:
            self._socket.close()
            self._socket = _open()
            raise

    def _receive(self) -> Iterator[tuple[int, bytes, int, int]]:
        data = self._socket.recv(_CHUNK)
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, _flags, _sequence, _port = _HEADER.unpack_from(data, offset)
            yield kind, data, offset + _HEADER.size, offset + length
            offset += (length + 3) & ~3


def _open() -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    opened.settimeout(_TIMEOUT)
    opened.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)  # a refusal does not repeat what was asked
    return opened


def _error(data: bytes, start: int) -> OSError:
    code = -_CODE.unpack_from(data, start)[0]
    return OSError(code, os.strerror(code))


def _batches(requests: Iterable[Request]) -> Iterator[list[Request]]:
    batch: list[Request] = []
    size = 0
    for request in requests:
        if batch and (len(batch) == _BATCH or size + len(request[2]) > _BATCH_SIZE):
            yield batch
            batch, size = [], 0
        batch.append(request)
        size += len(request[2])
    if batch:
        yield batch


def refusal(what: str, code: int, reason: str | None = None) -> KernelError:
    """The error for what the kernel refused with an error number."""
    if code in (errno.EPERM, errno.EACCES):
        return NotPermittedError(f"{what}: not permitted; run as root (CAP_NET_ADMIN)")
    return KernelError(f"{what}: {reason or os.strerror(code)}")
