"""Questions to netfilter over netlink, and the attributes of the answers."""

import os
import socket
import struct
from collections.abc import Iterator

from rules.errors import KernelError, NotPermittedError

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_FAMILY_HEADER = struct.Struct("=BBH")  # nfgenmsg: family, version, resource
_ATTRIBUTE = struct.Struct("=HH")
_REQUEST, _ACK, _DUMP = 0x01, 0x04, 0x300
_ERROR, _DONE = 2, 3
_TYPE_MASK = 0x3FFF  # without the nested and byte-order flags
_NETLINK_NETFILTER = 12
_BUFFER = 256 * 1024
_TIMEOUT = 5.0  # seconds; the kernel answers at once or never

Attributes = dict[int, bytes]


def dump(
    subsystem: int, command: int, question: bytes = b"", family: int = socket.AF_UNSPEC
) -> Iterator[tuple[int, Attributes]]:
    """Everything of one kind, as (family, attributes); KernelError as the kernel answers."""
    return _ask(subsystem, command, question, _REQUEST | _DUMP, family)


def ask(subsystem: int, command: int, question: bytes) -> list[tuple[int, Attributes]]:
    """One question; KernelError as the kernel answers."""
    return list(_ask(subsystem, command, question, _REQUEST | _ACK, socket.AF_UNSPEC))


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(data: bytes) -> Attributes:
    """The attributes in `data` by kind; of a repeated one the last."""
    return dict(each_attribute(data))


def each_attribute(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in `data` in order."""
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE_MASK, data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


def text(value: bytes) -> str:
    """A zero-terminated string."""
    return value.partition(b"\0")[0].decode(errors="replace")


def number(value: bytes) -> int:
    """A number in network byte order."""
    return int.from_bytes(value, "big")


def _ask(subsystem: int, command: int, question: bytes, flags: int, family: int) -> Iterator[tuple[int, Attributes]]:
    body = _FAMILY_HEADER.pack(family, 0, 0) + question
    kind = subsystem << 8 | command
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
        netlink.settimeout(_TIMEOUT)
        netlink.send(_HEADER.pack(_HEADER.size + len(body), kind, flags, 1, 0) + body)
        while True:
            try:
                data = netlink.recv(_BUFFER)
            except OSError as error:
                raise KernelError(f"netfilter does not answer: {error}") from error
            offset = 0
            while offset < len(data):
                length, kind, _flags, _sequence, _port = _HEADER.unpack_from(data, offset)
                content = data[offset + _HEADER.size : offset + length]
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    _raise_on_error(content)
                    return
                yield content[0], attributes(content[_FAMILY_HEADER.size :])
                offset += (length + 3) & ~3


def _raise_on_error(content: bytes) -> None:
    code = -struct.unpack_from("=i", content)[0]
    if code == 1:
        raise NotPermittedError("netfilter may not be asked: CAP_NET_ADMIN is needed, run as root")
    if code:
        raise KernelError(f"netfilter answers: {os.strerror(code)} (error {code})")
