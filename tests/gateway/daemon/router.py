"""A router in memory: the real engine, pipeline and rules between a fake kernel, a fake queue and a fake wire."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self, cast

from gateway import wire
from gateway.calls.dialog import Side
from gateway.daemon.pipeline import Pipeline
from gateway.engine import Engine, Settings
from gateway.networks import Networks
from gateway.state.keeper import Keeper
from rules import text
from rules.errors import KernelError
from rules.fake import FakeBackend
from rules.kernel.inject import Injector
from rules.kernel.queue import PacketQueue, QueuedPacket
from rules.model import Endpoint, Setup
from rules.reconcile import Reconciler
from rules.ruleset import Rule
from tests.gateway.daemon.talk import PHONE, PROVIDER, PUBLIC, announced
from tests.rules.cases import SETUP

MAC = b"\x02\x00\x00\x00\x00\x05"
_INTERFACES = {1: "lan0", 2: "wan0", 3: "lan9"}


@dataclass
class RawPacket:
    """What the kernel hands over, and what became of it: a stand-in for netfilterqueue's own."""

    data: bytes
    indev: int
    outdev: int
    on_accept: Callable[["RawPacket"], None]
    verdict: str | None = None
    broken: bool = False

    def get_payload(self) -> bytes:
        return self.data

    def get_hw(self) -> bytes:
        return MAC + b"\0\0"

    def set_payload(self, data: bytes) -> None:
        self.data = data

    def accept(self) -> None:
        self._decide("accepted")
        self.on_accept(self)

    def drop(self) -> None:
        self._decide("dropped")

    def _decide(self, verdict: str) -> None:
        assert self.verdict is None, "a second verdict"
        self.verdict = verdict
        if self.broken:
            raise OSError("the kernel does not take this verdict")

    @property
    def message(self) -> bytes:
        """The SIP message that left, or would leave."""
        return wire.split(self.data).payload


@dataclass
class FakeWire:
    """The injector's place: what was sent, by which interface and to whom."""

    sent: list[tuple[str, wire.Datagram, bytes | None]] = field(default_factory=list)
    fails: bool = False

    def send(self, interface: str, datagram: bytes, mac: bytes | None) -> None:
        if self.fails:
            raise KernelError(f"cannot send on {interface}: refused on request")
        self.sent.append((interface, wire.split(datagram), mac))


class FakeDoor:
    """The queue's place: what a packet asks of it, and how it treats what `receive` raises."""

    def __init__(self, receive: Callable[[QueuedPacket], None]) -> None:
        self._receive = receive
        self._held: list[QueuedPacket] = []
        self.complaints: list[Exception] = []

    def interface_name(self, index: int) -> str:
        return _INTERFACES.get(index, "")

    def hold(self, packet: QueuedPacket) -> None:
        self._held.append(packet)

    def count_accepted(self, *, rewritten: bool) -> None:
        pass

    def count_dropped(self) -> None:
        pass

    def hand_over(self, raw: RawPacket) -> None:
        packet = QueuedPacket(cast(PacketQueue, self), cast(Any, raw))
        try:
            self._receive(packet)
        except Exception as error:  # noqa: BLE001  # as the real queue does
            self.complaints.append(error)
            packet.retained = False
        if not packet.decided and not packet.retained:
            packet.drop()

    def close(self) -> None:
        for packet in self._held:
            if not packet.decided:
                packet.drop()
        self._held.clear()


class Router:
    """Runs from `async with` on. A message that leaves before the kernel answers for it fails the test."""

    def __init__(
        self, kernel: FakeBackend | None = None, settings: Settings | None = None, keeper: Keeper | None = None
    ) -> None:
        self.kernel = kernel or FakeBackend()
        self.engine = Engine(settings or Settings())
        self.reconciler = Reconciler(self.kernel)
        self.wire = FakeWire()
        self.pipeline = Pipeline(self.engine, self.reconciler, cast(Injector, self.wire), keeper)
        self.pipeline.sides = {"lan0": Side.INSIDE, "wan0": Side.OUTSIDE}
        self.door = FakeDoor(self.pipeline.receive)
        self.left: list[RawPacket] = []
        self.too_early: list[str] = []

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.pipeline.commit_forever())
        await self.move(PUBLIC)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        self.pipeline.close()
        self.door.close()
        assert not self.too_early

    async def move(self, address: str | None, setup: Setup = SETUP) -> None:
        """Give the router this outside address, as the service does."""
        self.engine.place(Networks(setup.networks), address, address)
        self.pipeline.follow()
        await self.pipeline.configure(Setup(**{**_fields(setup), "address": address}))

    def outward(self, message: bytes, phone: str = PHONE, **options: Any) -> RawPacket:
        """A phone sends to its provider."""
        return self.hand_over(Endpoint(phone, 5060), Endpoint(PROVIDER, 5060), message, **options)

    def inward(self, message: bytes, phone: str = PHONE) -> RawPacket:
        """The provider sends to a phone."""
        return self.hand_over(Endpoint(PROVIDER, 5060), Endpoint(phone, 5060), message, devices=(2, 1))

    def hand_over(
        self, source: Endpoint, target: Endpoint, message: bytes, *, devices: tuple[int, int] = (1, 2),
        broken: bool = False,
    ) -> RawPacket:  # fmt: skip
        return self.raw(wire.build(source, target, message), devices, broken=broken)

    def raw(self, packet: bytes, devices: tuple[int, int] = (1, 2), *, broken: bool = False) -> RawPacket:
        """A packet as the kernel hands it over; what became of it by now."""
        raw = RawPacket(packet, *devices, self._leaves, broken=broken)
        self.door.hand_over(raw)
        return raw

    @property
    def public_ports(self) -> set[int]:
        """The ports that the kernel would forward just now."""
        return {int(rule.dport) for rule in self._rules() if rule.target == "DNAT" and rule.dport}

    @property
    def public_addresses(self) -> set[str]:
        """The addresses at which it would."""
        return {str(rule.destination) for rule in self._rules() if rule.target == "DNAT"}

    def _rules(self) -> list[Rule]:
        chains = self.kernel.tables["nat"].values()
        return [line for lines in chains for line in lines if isinstance(line, Rule)]

    def _leaves(self, raw: RawPacket) -> None:
        """The law that everything here is about."""
        self.left.append(raw)
        if raw.outdev == 2 and raw.data[9] == socket.IPPROTO_UDP:
            missing = announced(raw.message) - self.public_ports
            if missing:
                rules = "\n".join(text.line(rule) for rule in self._rules())
                self.too_early.append(f"{missing} announced, the kernel has:\n{rules}")


def _fields(setup: Setup) -> dict[str, Any]:
    return {name: getattr(setup, name) for name in setup.__dataclass_fields__}
