"""Packets through a real queue on a real router, seen by the hosts at both ends."""

import asyncio
import gc
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from gateway import wire
from rules.errors import KernelError, NotPermittedError
from rules.kernel.queue import MAX_PAYLOAD, PacketQueue, QueuedPacket
from rules.kernel.queue_table import queue_owner, read_queue_table
from tests.support.netns import Namespace, enter, hosts, link

pytestmark = pytest.mark.root

NUMBER = 3
PROVIDER = ("198.51.100.2", 5060)


@dataclass
class Path:
    """A phone and a provider on either side of a router that queues SIP; the sockets live on the hosts."""

    router: Namespace
    phone: socket.socket
    provider: socket.socket
    phone_mac: bytes

    def send(self, payload: bytes) -> None:
        self.phone.sendto(payload, PROVIDER)

    def arrives(self, timeout: float = 1.0) -> bytes | None:
        self.provider.settimeout(timeout)
        try:
            return self.provider.recv(65535)
        except TimeoutError:
            return None


@pytest.fixture
def path() -> Iterator[Path]:
    with hosts("phone", "router", "provider") as (phone, router, provider):
        link(phone, "eth0", router, "lan0")
        link(provider, "eth0", router, "wan0")
        phone.run("ip", "addr", "add", "10.0.0.2/24", "dev", "eth0")
        phone.run("ip", "route", "add", "default", "via", "10.0.0.1")
        router.run("ip", "addr", "add", "10.0.0.1/24", "dev", "lan0")
        router.run("ip", "addr", "add", "198.51.100.1/24", "dev", "wan0")
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        provider.run("ip", "addr", "add", "198.51.100.2/24", "dev", "eth0")
        provider.run("ip", "route", "add", "default", "via", "198.51.100.1")
        queue_udp(router, "FORWARD")
        mac = phone.run("cat", "/sys/class/net/eth0/address").strip()
        sender, receiver = phone.open_socket(), provider.open_socket()
        with sender, receiver:
            sender.bind(("10.0.0.2", 5060))
            receiver.bind(PROVIDER)
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
            yield Path(router, sender, receiver, bytes.fromhex(mac.replace(":", "")))


def queue_udp(host: Namespace, chain: str) -> None:
    host.run(
        "iptables-legacy", "-t", "mangle", "-A", chain, "-p", "udp", "--dport", "5060",
        "-m", "conntrack", "--ctstate", "NEW,ESTABLISHED", "-j", "NFQUEUE", "--queue-num", str(NUMBER),
    )  # fmt: skip


def pump(queue: PacketQueue, done: Callable[[], bool], timeout: float = 5.0) -> None:
    """Read the queue until `done`, or fail."""
    deadline = time.monotonic() + timeout
    while not done():
        left = deadline - time.monotonic()
        assert left > 0, f"not done in time; {queue.stats()}"
        if select.select([queue], [], [], min(left, 0.2))[0]:
            queue.on_readable()


def pump_for(queue: PacketQueue, seconds: float) -> None:
    """Read the queue for a while."""
    end = time.monotonic() + seconds
    pump(queue, lambda: time.monotonic() >= end, seconds + 5)


@pytest.mark.parametrize("size", [3, 1400, 4100, 40_000, 60_000])
def test_datagrams_of_any_size_are_rewritten_and_arrive(path: Path, size: int) -> None:
    sent = os.urandom(size)
    grown = sent + b"grown" * 300

    def check() -> None:
        seen: list[QueuedPacket] = []

        def rewrite(packet: QueuedPacket) -> None:
            seen.append(packet)
            datagram = wire.split(packet.payload)
            assert datagram.payload == sent
            packet.accept(wire.rebuild(packet.payload, datagram.header_length, grown))

        queue = PacketQueue(NUMBER, rewrite, fail_open=False)
        path.send(sent)
        pump(queue, lambda: bool(seen))
        assert path.arrives() == grown
        [packet] = seen
        assert packet.whole
        assert packet.in_interface == "lan0"
        assert packet.source_mac == path.phone_mac
        stats = queue.stats()
        assert (stats.received, stats.accepted, stats.rewritten, stats.dropped, stats.cut) == (1, 1, 1, 0, 0)
        assert (stats.overruns, stats.waiting, stats.dropped_full, stats.dropped_undelivered) == (0, 0, 0, 0)
        queue.close()

    path.router.call(check)


def test_what_cannot_be_carried_whole_passes_unchanged_and_is_never_rewritten(path: Path) -> None:
    largest = os.urandom(65535 - 28)

    def check() -> None:
        refused: list[ValueError] = []

        def receive(packet: QueuedPacket) -> None:
            assert not packet.whole
            assert len(packet.payload) == MAX_PAYLOAD
            try:
                packet.accept(packet.payload)
            except ValueError as error:
                refused.append(error)
            packet.accept()

        queue = PacketQueue(NUMBER, receive, fail_open=False)
        path.send(largest)
        pump(queue, lambda: bool(refused))
        assert path.arrives() == largest
        assert queue.stats().cut == 1
        queue.close()

    path.router.call(check)


def test_a_new_payload_beyond_what_can_be_carried_is_refused_and_the_packet_dropped(path: Path) -> None:
    def check() -> None:
        queue = PacketQueue(NUMBER, lambda packet: packet.accept(bytes(MAX_PAYLOAD + 1)), fail_open=False)
        path.send(b"small")
        pump(queue, lambda: queue.stats().dropped == 1)
        assert path.arrives(0.2) is None
        queue.close()

    path.router.call(check)


def test_a_held_packet_waits_while_others_pass_and_is_released_later(path: Path) -> None:
    def check() -> None:
        held: list[QueuedPacket] = []

        def receive(packet: QueuedPacket) -> None:
            if packet.payload.endswith(b"hold me"):
                packet.retain()
                held.append(packet)
            else:
                packet.accept()

        queue = PacketQueue(NUMBER, receive, fail_open=False)
        path.send(b"hold me")
        path.send(b"passes")
        pump(queue, lambda: queue.stats().received == 2)
        assert path.arrives() == b"passes"
        assert path.arrives(0.2) is None
        assert queue.stats().waiting == 1
        datagram = wire.split(held[0].payload)
        held[0].accept(wire.rebuild(held[0].payload, datagram.header_length, b"late, but there"))
        assert path.arrives() == b"late, but there"
        assert queue.stats().waiting == 0
        queue.close()

    path.router.call(check)


def test_an_exception_drops_its_packet_and_the_event_loop_goes_on(path: Path) -> None:
    def check() -> None:
        def receive(packet: QueuedPacket) -> None:
            if packet.payload.endswith(b"poison"):
                packet.retain()
                raise LookupError("on purpose")
            packet.accept()

        async def main() -> None:
            queue = PacketQueue(NUMBER, receive, fail_open=False)
            asyncio.get_running_loop().add_reader(queue, queue.on_readable)
            path.send(b"poison")
            path.send(b"good")
            assert await asyncio.to_thread(path.arrives) == b"good"
            assert await asyncio.to_thread(path.arrives, 0.2) is None
            stats = queue.stats()
            assert (stats.received, stats.accepted, stats.dropped, stats.waiting) == (2, 1, 1, 0)
            asyncio.get_running_loop().remove_reader(queue)
            queue.close()

        asyncio.run(main())

    path.router.call(check)


def test_packets_without_a_verdict_are_dropped(path: Path) -> None:
    def check() -> None:
        kept: list[QueuedPacket] = []

        def receive(packet: QueuedPacket) -> None:
            if not packet.payload.endswith(b"undecided"):
                packet.retain()
                kept.append(packet)

        queue = PacketQueue(NUMBER, receive, fail_open=False)
        path.send(b"undecided")
        path.send(b"forgotten")
        pump(queue, lambda: queue.stats().received == 2)
        assert queue.stats().waiting == 1
        kept.clear()
        gc.collect()
        assert queue.stats().waiting == 0
        assert queue.stats().dropped == 2
        assert path.arrives(0.2) is None
        queue.close()

    path.router.call(check)


def test_closing_drops_what_is_held_and_frees_the_queue(path: Path) -> None:
    def check() -> None:
        held: list[QueuedPacket] = []

        def receive(packet: QueuedPacket) -> None:
            packet.retain()
            held.append(packet)

        queue = PacketQueue(NUMBER, receive, fail_open=False)
        path.send(b"held at close")
        pump(queue, lambda: bool(held))
        queue.close()
        assert held[0].decided
        assert queue.stats().dropped == 1
        assert path.arrives(0.2) is None
        assert read_queue_table() == ()
        again = PacketQueue(NUMBER, lambda packet: packet.accept(), fail_open=False)
        path.send(b"the next owner's")
        pump(again, lambda: again.stats().accepted == 1)
        assert path.arrives() == b"the next owner's"
        again.close()

    path.router.call(check)


def test_a_second_verdict_is_refused(path: Path) -> None:
    def check() -> None:
        refused: list[RuntimeError] = []

        def receive(packet: QueuedPacket) -> None:
            packet.accept()
            for verdict in (packet.drop, packet.accept):
                try:
                    verdict()
                except RuntimeError as error:
                    refused.append(error)

        queue = PacketQueue(NUMBER, receive, fail_open=False)
        path.send(b"once")
        pump(queue, lambda: len(refused) == 2)
        assert path.arrives() == b"once"
        assert queue.stats().dropped == 0
        queue.close()

    path.router.call(check)


def test_no_more_packets_than_the_budget_are_handled_at_a_time(path: Path) -> None:
    def check() -> None:
        queue = PacketQueue(NUMBER, lambda packet: packet.accept(), fail_open=False, budget=4)
        for number in range(10):
            path.send(b"%d" % number)
        time.sleep(0.2)
        handled = []
        for _ in range(4):
            queue.on_readable()
            handled.append(queue.stats().received)
        assert handled == [4, 8, 10, 10]
        assert [path.arrives() for _ in range(10)] == [b"%d" % number for number in range(10)]
        queue.close()

    path.router.call(check)


@pytest.mark.parametrize("fail_open", [True, False])
def test_a_full_queue_lets_packets_pass_or_drops_them_as_asked(path: Path, fail_open: bool) -> None:
    def check() -> None:
        held: list[QueuedPacket] = []

        def hold(packet: QueuedPacket) -> None:
            packet.retain()
            held.append(packet)

        queue = PacketQueue(NUMBER, hold, fail_open=fail_open)
        for _ in range(41):
            for _ in range(100):
                path.send(b"x")
            pump_for(queue, 0.01)
        pump_for(queue, 0.2)
        assert len(held) == 4096
        assert (path.arrives(0.2) is not None) is fail_open
        assert (queue.stats().dropped_full > 0) is not fail_open
        queue.close()

    path.router.call(check)


def test_packets_lost_on_a_full_socket_are_counted(path: Path) -> None:
    def check() -> None:
        queue = PacketQueue(NUMBER, lambda packet: packet.accept(), fail_open=False)
        with socket.socket(fileno=os.dup(queue.fileno())) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for _ in range(100):
            path.send(bytes(1000))
        pump_for(queue, 0.3)
        stats = queue.stats()
        assert stats.overruns > 0
        assert stats.dropped_undelivered > 0
        assert stats.received + stats.dropped_undelivered == 100
        queue.close()

    path.router.call(check)


def test_two_namespaces_use_the_same_number_at_once() -> None:
    def check(first: Namespace, second: Namespace) -> None:
        queues, seen = {}, {}
        for host in (first, second):
            enter(host.name)
            seen[host] = list[bytes]()

            def receive(packet: QueuedPacket, mine: list[bytes] = seen[host]) -> None:
                mine.append(wire.split(packet.payload).payload)
                packet.accept()

            queues[host] = PacketQueue(NUMBER, receive, fail_open=False)
        for host, queue in queues.items():
            with host.open_socket() as sender:
                sender.sendto(host.name.encode(), ("127.0.0.1", 5060))
            pump(queue, lambda mine=seen[host]: bool(mine))  # type: ignore[misc]  # a lambda's default has no type
        for host, queue in queues.items():
            assert seen[host] == [host.name.encode()]
            queue.close()

    with hosts("one", "other") as (one, other):
        for host in (one, other):
            queue_udp(host, "OUTPUT")
        one.call(check, one, other)


def test_a_taken_number_names_who_has_it() -> None:
    def check() -> None:
        queue = PacketQueue(NUMBER, lambda packet: packet.accept(), fail_open=False)
        assert queue_owner(NUMBER) is not None
        with pytest.raises(KernelError, match=rf"queue {NUMBER} is taken by process {os.getpid()} \(.+\)"):
            PacketQueue(NUMBER, lambda packet: packet.accept(), fail_open=False)
        queue.close()
        assert queue_owner(NUMBER) is None

    with hosts("router") as (router,):
        router.call(check)


def test_without_rights_it_says_so() -> None:
    def check() -> None:
        os.setuid(65534)
        with pytest.raises(NotPermittedError, match="CAP_NET_ADMIN"):
            PacketQueue(NUMBER, lambda packet: packet.accept(), fail_open=False)

    with hosts("router") as (router,):
        router.call(check)
