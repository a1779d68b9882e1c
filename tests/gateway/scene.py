"""A gateway with a registered phone in a call, for those who look at it from outside."""

from collections.abc import Mapping

from gateway.calls.dialog import Side
from gateway.config import load
from gateway.daemon import report
from gateway.engine import Engine, Settings
from gateway.networks import Networks
from gateway.wire import Datagram
from rules.diff import Actual, compare
from rules.kernel.queue import QueueStats
from rules.kernel.topology import Interface, Topology
from rules.model import Endpoint, Forward, Setup, Traffic
from rules.plan import plan
from rules.ruleset import Ruleset
from tests.rules.cases import held

PHONE = Endpoint("10.0.0.11", 5060)
PROVIDER = Endpoint("198.51.100.10", 5060)
NOW = 240.0
SETUP = Setup(
    inside=("lan0",),
    outside="wan0",
    networks=("10.0.0.0/24",),
    address="203.0.113.1",
    sip_ports=(5060,),
    any_port=True,
    media_ports=(20000, 29999),
    queue=5060,
    on_failure="drop",
    masquerade=True,
)
TOPOLOGY = Topology(
    inside=(Interface("lan0", exists=True, up=True, addresses=("10.0.0.1",)),),
    outside=Interface("wan0", exists=True, up=True, addresses=("203.0.113.1",)),
    address="203.0.113.1",
    networks=("10.0.0.0/24",),
)
QUEUE = QueueStats(12, 11, 9, 1, 0, 0, waiting=0, dropped_full=2, dropped_undelivered=3)
TRAFFIC = {Endpoint("10.0.0.11", 16384): Traffic(500, 480)}


class Gateway:
    """An engine at work, the rules that follow from it, and what it answers."""

    def __init__(self) -> None:
        self.engine = Engine(Settings())
        self.engine.place(Networks(SETUP.networks), SETUP.address, SETUP.address)
        self._forwards: dict[Endpoint, Forward | None] = {}

    def send(self, payload: bytes, now: float) -> None:
        self.engine.receive(Datagram(PHONE, PROVIDER, payload, 20), Side.INSIDE, now)

    def receive(self, payload: bytes, now: float) -> None:
        self.engine.receive(Datagram(PROVIDER, PHONE, payload, 20), Side.OUTSIDE, now)

    @property
    def label(self) -> str:
        """The short name of its call."""
        return next(iter(self.engine.calls)).label

    @property
    def ruleset(self) -> Ruleset:
        self._forwards |= self.engine.take_changes()
        return plan(SETUP, [forward for forward in self._forwards.values() if forward is not None])

    def status(self, *, hides: bool | None = True) -> report.Row:
        config = load(None, inside=["lan0"], outside="wan0")
        return report.status(
            config, TOPOLOGY, self.engine, self.ruleset, QUEUE,
            hides=hides, flooded=4, uptime=3600.0, commit_seconds=0.0031,
        )  # fmt: skip

    def calls(self, traffic: Mapping[Endpoint, Traffic] = TRAFFIC) -> list[report.Row]:
        return report.calls(self.engine, traffic, NOW)

    def bindings(self) -> list[report.Row]:
        return report.bindings(self.engine, TRAFFIC, NOW)

    def rules(self) -> list[report.Row]:
        return report.rules(self.ruleset, self.engine)

    def differences(self, actual: Actual | None = None) -> list[report.Row]:
        """As if the kernel held this; by default just what is wanted."""
        return report.differences(compare(self.ruleset, actual or held(self.ruleset)), self.ruleset)


def registered_phone() -> Gateway:
    """Since 100, for 600 seconds."""
    gateway = Gateway()
    gateway.send(register("REGISTER sip:example.org SIP/2.0", "10.0.0.11"), 100.0)
    gateway.receive(register("SIP/2.0 200 OK", "203.0.113.1"), 100.0)
    gateway.engine.handle_timer(NOW)
    return gateway


def phone_in_call(peer: str = "sip:bob@example.org") -> Gateway:
    """The registered phone called somebody at 200; all transactions are over."""
    gateway = registered_phone()
    gateway.send(invite(f"INVITE {peer} SIP/2.0", PHONE.ip, 16384, peer=peer), 200.0)
    gateway.receive(invite("SIP/2.0 200 OK", "198.51.100.7", 9000, peer=peer, to_tag=";tag=b"), 200.0)
    gateway.engine.handle_timer(NOW)
    return gateway


def register(first: str, contact: str) -> bytes:
    """A REGISTER, or the answer to it, after its first line."""
    return message(
        first,
        "Via: SIP/2.0/UDP 10.0.0.11;branch=z9hG4bK1",
        "From: <sip:alice@example.org>;tag=a",
        "To: <sip:alice@example.org>",
        "Call-ID: register",
        "CSeq: 1 REGISTER",
        f"Contact: <sip:alice@{contact}>;expires=600",
        "",
    )


def invite(
    first: str,
    host: str,
    port: int,
    *,
    peer: str = "sip:bob@example.org",
    to_tag: str = "",
    direction: str = "sendrecv",
) -> bytes:
    """An INVITE, or the answer to it, that describes audio at `host` and `port`."""
    body = message(
        "v=0",
        f"o=- 1 1 IN IP4 {host}",
        "s=-",
        f"c=IN IP4 {host}",
        "t=0 0",
        f"m=audio {port} RTP/AVP 0",
        f"a={direction}",
    )
    head = message(
        first,
        "Via: SIP/2.0/UDP 10.0.0.11;branch=z9hG4bK2",
        "From: <sip:alice@example.org>;tag=a",
        f"To: <{peer}>{to_tag}",
        "Call-ID: c1",
        "CSeq: 2 INVITE",
        "Content-Type: application/sdp",
        f"Content-Length: {len(body)}",
        "",
    )
    return head + body


def message(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()
