"""A packet queue's netlink socket, read past the limits of NetfilterQueue.

The library copies at most 4016 bytes of a packet, whatever it is asked for, and reads into a buffer of that
size. So the copy range is set again behind its back, on a duplicate of its socket, and its `run_socket` is
given that duplicate, which receives as much as a packet can hold and stops after a budget of packets.
"""

import errno
import os
import socket
import struct
from collections import deque

_MESSAGE_SIZE = 128 * 1024  # a packet of 64 KiB and what netlink says about it

# <linux/netfilter/nfnetlink_queue.h> and <linux/netlink.h>
_CONFIG_MESSAGE = 3 << 8 | 2  # NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG
_REQUEST_AND_ACK = 0x01 | 0x04
_ERROR_MESSAGE = 2
_CFG_PARAMS, _CFG_MASK, _CFG_FLAGS = 2, 4, 5
_COPY_PACKET = 2
_FAIL_OPEN = 1
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port


class QueueSocket(socket.socket):
    """A duplicate of the library's socket that reads packets of any size, `left` of them."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(fileno=os.dup(descriptor))
        self.left = 0
        self.overruns = 0
        self._early: deque[bytes] = deque()
        self._buffer = bytearray(_MESSAGE_SIZE)
        self._view = memoryview(self._buffer)

    def configure(self, number: int, *, fail_open: bool) -> None:
        """Ask for packets in full length; OSError as the kernel answers."""
        attributes = _attribute(_CFG_PARAMS, struct.pack(">IB", 0xFFFF, _COPY_PACKET))
        attributes += _attribute(_CFG_MASK, struct.pack(">I", _FAIL_OPEN))
        attributes += _attribute(_CFG_FLAGS, struct.pack(">I", _FAIL_OPEN if fail_open else 0))
        body = struct.pack(">BBH", socket.AF_UNSPEC, 0, number) + attributes
        sequence = 0x7FFF0000  # far from the numbers that libnfnetlink counts from the time of day
        header = _HEADER.pack(_HEADER.size + len(body), _CONFIG_MESSAGE, _REQUEST_AND_ACK, sequence, 0)
        self.send(header + body)
        # the kernel has answered when send returns, but packets may have arrived before the answer
        while True:
            message = self._receive()
            _length, kind, _flags, answered, _port = _HEADER.unpack_from(message)
            if kind == _ERROR_MESSAGE and answered == sequence:
                break
            self._early.append(message)
        code = -struct.unpack_from("=i", message, _HEADER.size)[0]
        if code:
            raise OSError(code, os.strerror(code))

    def recv(self, _size: int, _flags: int = 0, /) -> bytes:
        """One message of whatever size; BlockingIOError if there is none or the budget is spent."""
        if self.left == 0:
            raise BlockingIOError(errno.EAGAIN, "the budget of packets is spent")
        self.left -= 1
        return self._early.popleft() if self._early else self._receive()

    def _receive(self) -> bytes:
        while True:
            try:
                length = self.recv_into(self._buffer, 0, socket.MSG_DONTWAIT)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.overruns += 1
            else:
                return bytes(self._view[:length])


def _attribute(kind: int, value: bytes) -> bytes:
    padding = bytes(-len(value) % 4)
    return struct.pack("=HH", 4 + len(value), kind) + value + padding
