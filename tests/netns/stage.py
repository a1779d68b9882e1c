"""A phone, a router and the outside, for tests of the real rules.

The outside has two addresses and no route to the phone: what reaches either was translated.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from rules.kernel.netfilter import Netfilter
from rules.kernel.nftables.variant import Nftables
from rules.kernel.variant import Variant
from rules.kernel.xtables import Xtables
from rules.model import Endpoint, Forward, Purpose, Setup
from rules.reconcile import Applied, Reconciler
from tests.support.netns import Namespace, hosts, link

PHONE, PHONE_TOO = "10.0.0.5", "10.0.0.6"
PEER, STRANGER = "203.0.113.7", "203.0.113.8"
ROUTER = "203.0.113.1"
VARIANTS: dict[str, Callable[[], Variant]] = {"iptables": Xtables, "nftables": lambda: Nftables(queue=False)}
PATIENCE = 0.3  # seconds to wait for a packet that may not come

SETUP = Setup(
    inside=("lan0",),
    outside="wan0",
    networks=("10.0.0.0/24",),
    address=ROUTER,
    sip_ports=(5060,),
    any_port=True,
    media_ports=(20000, 29999),
    queue=5060,
    on_failure="pass",
    masquerade=True,
)
RTP = Forward(Endpoint(PHONE, 16384), 20000, Purpose.RTP, frozenset({PEER}), "call 3f2a9c01")


class Line:
    """A UDP socket somewhere, which says what arrives and from where."""

    def __init__(self, host: Namespace, ip: str, port: int) -> None:
        self._socket = host.open_socket(kind=socket.SOCK_DGRAM)
        self._socket.bind((ip, port))
        self._socket.settimeout(PATIENCE)

    def send(self, ip: str, port: int, data: bytes = b"audio") -> None:
        self._socket.sendto(data, (ip, port))

    def receive(self) -> tuple[bytes, Endpoint] | None:
        """The next packet and its sender, None if none comes."""
        try:
            data, sender = self._socket.recvfrom(2048)
        except TimeoutError:
            return None
        return data, Endpoint(*sender)

    def sender(self) -> Endpoint | None:
        """Who sent the next packet."""
        received = self.receive()
        return received and received[1]

    def refused(self, ip: str, port: int) -> bool:
        """Whether a packet there is answered by ICMP; the socket speaks to nobody else afterwards."""
        self._socket.connect((ip, port))
        self._socket.send(b"anybody?")
        try:
            self._socket.recv(2048)
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            return False
        return False


@dataclass
class Scene:
    """What a story has at hand; it plays on the router."""

    phone: Namespace
    router: Namespace
    outside: Namespace
    rules: Reconciler
    variant: str

    def successor(self) -> Reconciler:
        """Another one, which knows nothing."""
        return Reconciler(Netfilter(VARIANTS[self.variant]()))

    def phone_line(self, port: int = 16384, ip: str = PHONE) -> Line:
        return Line(self.phone, ip, port)

    def outside_line(self, port: int = 9000, ip: str = PEER) -> Line:
        return Line(self.outside, ip, port)

    async def put(self, *forwards: Forward) -> Applied:
        self.rules.want({forward.inside: forward for forward in forwards})
        return await self._applied()

    async def _applied(self) -> Applied:
        at_once = await self.rules.apply()
        await self.rules.cut_stale()
        return Applied(at_once.cut | (await self.rules.apply()).cut)

    async def end(self, *forwards: Forward) -> Applied:
        self.rules.want(dict.fromkeys(forward.inside for forward in forwards))
        return await self._applied()


@dataclass(frozen=True)
class Stage:
    """The three hosts, wired."""

    phone: Namespace
    router: Namespace
    outside: Namespace
    variant: str = "iptables"

    def play(self, story: Callable[[Scene], Awaitable[None]]) -> None:
        """Run a story on the router, with rules of its own."""
        self.router.call(self._play, story)

    def _play(self, story: Callable[[Scene], Awaitable[None]]) -> None:
        async def run() -> None:
            rules = Reconciler(Netfilter(VARIANTS[self.variant]()))
            try:
                await story(Scene(self.phone, self.router, self.outside, rules, self.variant))
            finally:
                await rules.close()

        asyncio.run(run())


@contextlib.contextmanager
def stage(variant: str = "iptables") -> Iterator[Stage]:
    """Set up, and take down."""
    with hosts("phone", "router", "outside") as (phone, router, outside):
        link(phone, "eth0", router, "lan0")
        link(router, "wan0", outside, "eth0")
        for host, device, *addresses in (
            (phone, "eth0", f"{PHONE}/24", f"{PHONE_TOO}/24"),
            (router, "lan0", "10.0.0.1/24"),
            (router, "wan0", f"{ROUTER}/24"),
            (outside, "eth0", f"{PEER}/24", f"{STRANGER}/24"),
        ):
            for address in addresses:
                host.run("ip", "address", "add", address, "dev", device)
        phone.run("ip", "route", "add", "default", "via", "10.0.0.1")
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        yield Stage(phone, router, outside, variant)


def listing(router: Namespace) -> str:
    """Everything in the tables and sets, without what changes by itself."""
    tables = router.run("iptables-legacy-save")
    legacy = "".join(line for line in tables.splitlines(True) if line[0] != "#")
    return legacy + router.run("ipset", "save") + router.run("nft", "--stateless", "list", "ruleset")


def other_phone(forward: Forward, port: int) -> Forward:
    """The same for the second phone, at another port of the router."""
    return forward._replace(inside=Endpoint(PHONE_TOO, forward.inside.port), port=port, reason="call 5b1e0d77")
