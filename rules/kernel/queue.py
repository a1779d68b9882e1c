"""The packets that netfilter hands to us, each of which leaves with exactly one verdict."""

import logging
import os
import socket
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import netfilterqueue

from rules.errors import KernelError, NotPermittedError, UnsupportedError
from rules.kernel.queue_socket import QueueSocket
from rules.kernel.queue_table import queue_owner, read_queue_table

log = logging.getLogger(__name__)

MAX_PAYLOAD = 0xFFFF - 4
"""Bytes of the largest packet a queue can carry: a netlink attribute's length field counts its header."""

_MAX_WAITING = 4096  # packets without a verdict before the kernel drops, or with fail-open lets pass
_SOCKET_BUFFER = 8 * 1024 * 1024
_ETHERNET_ADDRESS = 6


class QueuedPacket:
    """One packet that waits for its verdict.

    `payload` is the IP datagram from its header on; `whole` is False when the kernel handed over less than
    its total length says: such a packet can be let go unchanged or dropped, not rewritten. `source_mac` is
    None on links without addresses. A packet is dropped when the callback ends without a verdict, unless it
    was retained; a retained one is dropped when it is forgotten.
    """

    __slots__ = (
        "__weakref__",
        "_door",
        "_raw",
        "decided",
        "in_interface",
        "payload",
        "retained",
        "source_mac",
        "whole",
    )

    def __init__(self, door: "PacketQueue", raw: netfilterqueue.Packet) -> None:
        self._door = door
        self._raw = raw
        self.decided = False
        self.retained = False
        self.payload = raw.get_payload()
        self.whole = is_whole(self.payload)
        self.in_interface = door.interface_name(raw.indev)
        hardware = raw.get_hw()
        self.source_mac = hardware[:_ETHERNET_ADDRESS] if hardware else None

    def accept(self, payload: bytes | None = None) -> None:
        """Let the packet go, with `payload` in place of what it held when given.

        Lengths and checksums in `payload` are the caller's. ValueError if a cut packet is to be replaced or
        the new one cannot be carried; RuntimeError if the packet has had its verdict.
        """
        self._refuse_second_verdict()
        if payload is not None:
            if not self.whole:
                raise ValueError("a packet that arrived cut cannot be rewritten")
            if not 0 < len(payload) <= MAX_PAYLOAD:
                raise ValueError(f"a packet of {len(payload)} bytes cannot be handed back (1-{MAX_PAYLOAD})")
            self._raw.set_payload(payload)
        self.decided = True
        self._raw.accept()
        self._door.count_accepted(rewritten=payload is not None)

    def drop(self) -> None:
        """Throw the packet away; RuntimeError if it has had its verdict."""
        self._refuse_second_verdict()
        self.decided = True
        self._raw.drop()
        self._door.count_dropped()

    def retain(self) -> None:
        """Keep the packet waiting past the end of the callback, until `accept` or `drop`."""
        self.retained = True
        self._door.hold(self)

    def _refuse_second_verdict(self) -> None:
        if self.decided:
            raise RuntimeError("the packet has had its verdict")

    def __del__(self) -> None:
        # 'decided' is missing when __init__ itself failed; the queue drops the packet then
        if not getattr(self, "decided", True):
            log.error("a retained packet was forgotten without a verdict; dropped")
            self.drop()


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Packets since the queue was bound.

    `accepted` counts the `rewritten` ones too. `overruns` is how often the kernel said that packets were lost
    on our socket. The last three are the kernel's own columns: packets `waiting` for a verdict now, lost
    because the queue was full, lost because our socket was.
    """

    received: int
    accepted: int
    rewritten: int
    dropped: int
    cut: int
    overruns: int
    waiting: int
    dropped_full: int
    dropped_undelivered: int


class PacketQueue:
    """Queue `number` of this network namespace, bound from construction to `close`.

    `receive` is called with every packet, from `on_readable`. With `fail_open` the kernel lets packets pass
    when the queue is full; else it drops them. `budget` packets are handled per call of `on_readable`.
    """

    def __init__(
        self,
        number: int,
        receive: Callable[[QueuedPacket], None],
        *,
        fail_open: bool,
        budget: int = 64,
    ) -> None:
        self.number = number
        self._receive = receive
        self._budget = budget
        self._received = self._accepted = self._rewritten = self._dropped = self._cut = 0
        self._held: weakref.WeakSet[QueuedPacket] = weakref.WeakSet()
        self._names: dict[int, str] = {}
        self._queue = _bind(number, self._hand_over)
        self._socket = QueueSocket(self._queue.get_fd())
        try:
            self._socket.configure(number, fail_open=fail_open)
        except OSError as error:
            self.close()
            raise KernelError(f"packet queue {number} cannot be set up: {error.strerror}") from error

    def fileno(self) -> int:
        """The descriptor to wait on for reading."""
        return self._socket.fileno()

    def on_readable(self) -> None:
        """Hand waiting packets, up to the budget, to `receive`; what is left keeps the socket readable."""
        self._socket.left = self._budget
        self._queue.run_socket(self._socket)

    def forget_interface_names(self) -> None:
        """Look the names up again: an interface was renamed."""
        self._names.clear()

    def stats(self) -> QueueStats:
        """What went through so far."""
        rows = [row for row in read_queue_table() or () if row.number == self.number]
        return QueueStats(
            self._received,
            self._accepted,
            self._rewritten,
            self._dropped,
            self._cut,
            self._socket.overruns,
            waiting=sum(row.waiting for row in rows),
            dropped_full=sum(row.dropped_full for row in rows),
            dropped_undelivered=sum(row.dropped_undelivered for row in rows),
        )

    def close(self) -> None:
        """Drop the packets still held and give the queue back; the kernel drops what was not read."""
        for packet in list(self._held):
            if not packet.decided:
                packet.drop()
        self._queue.unbind()
        self._socket.close()

    def interface_name(self, index: int) -> str:
        """Name of the interface, empty if it is none or gone."""
        name = self._names.get(index)
        if name is None:
            try:
                name = socket.if_indextoname(index) if index else ""
            except OSError:
                return ""
            self._names[index] = name
        return name

    def hold(self, packet: QueuedPacket) -> None:
        """Remember a retained packet, so that `close` can give it a verdict."""
        self._held.add(packet)

    def count_accepted(self, *, rewritten: bool) -> None:
        """A packet was let go."""
        self._accepted += 1
        self._rewritten += rewritten

    def count_dropped(self) -> None:
        """A packet was thrown away."""
        self._dropped += 1

    def _hand_over(self, raw: netfilterqueue.Packet) -> None:
        self._received += 1
        try:
            packet = QueuedPacket(self, raw)
        except Exception:  # whatever it is, the packet must not stay in the kernel for ever
            log.exception("a packet of queue %d could not be read; dropped", self.number)
            raw.drop()
            self.count_dropped()
            return
        self._cut += not packet.whole
        try:
            self._receive(packet)
        except Exception:  # the packet gets its verdict and the loop goes on, whatever went wrong
            log.exception("a packet of queue %d could not be handled; dropped", self.number)
            packet.retained = False
        if not packet.decided and not packet.retained:
            packet.drop()


def is_whole(payload: bytes) -> bool:
    """Whether as many bytes arrived as the IP header's total length says (RFC 791 section 3.1)."""
    return len(payload) >= 20 and len(payload) == int.from_bytes(payload[2:4], "big")


def _bind(number: int, receive: Callable[[netfilterqueue.Packet], None]) -> netfilterqueue.NetfilterQueue:
    try:
        queue = netfilterqueue.NetfilterQueue()
    except OSError as error:
        # the library names neither errno nor cause; without the kernel's table there are no queues at all
        if read_queue_table() is None and os.geteuid() == 0:
            raise UnsupportedError(
                "this kernel has no packet queues: load nfnetlink_queue (CONFIG_NETFILTER_NETLINK_QUEUE)"
            ) from error
        raise NotPermittedError("packet queues need CAP_NET_ADMIN: run as root") from error
    try:
        queue.bind(number, receive, max_len=_MAX_WAITING, sock_len=_SOCKET_BUFFER)
    except OSError as error:
        owner = queue_owner(number)
        if owner is None:
            raise KernelError(f"packet queue {number} cannot be bound: {error}") from error
        raise KernelError(
            f"packet queue {number} is taken by {owner}: end it, or choose another queue number"
        ) from error
    return queue
