"""The network of the lab.

    phones 10.0.0.11, .12 ...        router              internet             far phones 203.0.113.20, .21 ...
        eth0 --- switch --- lan0 10.0.0.1   wan0 198.51.100.1 --- 198.51.100.254   203.0.113.1 --- eth0
                                                      |
                                           provider 198.51.100.10 eth0

With several LANs the phones take turns: the second one is 10.0.1.12, behind lan1 of the router, 10.0.1.1.
Nothing on the right side has a route to 10.0.0.0/8: whoever believes a private address there talks to nobody.
Each host there counts the packets it gets from or for such an address.
"""

import contextlib
import json
from collections.abc import Iterator

from tests.support.netns import Namespace, hosts, link

ROUTER_INSIDE = "10.0.0.1"
ROUTER_OUTSIDE = "198.51.100.1"
PROVIDER = "198.51.100.10"
_GATEWAY_OUTSIDE = "198.51.100.254"
_GATEWAY_FAR = "203.0.113.1"
_PRIVATE = "10.0.0.0/8"


class Network:
    """The hosts, joined up. `phones` are inside, `far` are on the provider's side of the router."""

    def __init__(
        self,
        phones: tuple[Namespace, ...],
        switch: Namespace,
        router: Namespace,
        internet: Namespace,
        provider: Namespace,
        far: tuple[Namespace, ...],
        lans: int = 1,
    ) -> None:
        self.phones, self.switch, self.router = phones, switch, router
        self.internet, self.provider, self.far = internet, provider, far
        self.outside_address = ROUTER_OUTSIDE
        self.lans = tuple(f"lan{number}" for number in range(lans))
        self._join_inside()
        self._join_outside()
        for host in self._outside_hosts():
            _count_private(host)

    def phone_address(self, index: int) -> str:
        return f"10.0.{index % len(self.lans)}.{11 + index}"

    def far_address(self, index: int) -> str:
        return f"203.0.113.{20 + index}"

    def leaks(self) -> int:
        """How many packets from or for a private address were seen on the provider's side."""
        return sum(_counted_private(host) for host in self._outside_hosts())

    def masquerade(self) -> None:
        """Make the router an ordinary one: it forwards, and hides the inside network."""
        self.router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.router.run("iptables-legacy", "-w", "-t", "nat", "-A", "POSTROUTING", "-o", "wan0", "-j", "MASQUERADE")

    def firewall(self) -> None:
        """Make the router drop what it forwards, but for what the inside began."""
        forward = ("iptables-legacy", "-w", "-A", "FORWARD")
        self.router.run(*forward, "-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-i", "wan0", "-j", "ACCEPT")
        self.router.run(*forward, "-i", "lan0", "-j", "ACCEPT")
        self.router.run("iptables-legacy", "-w", "-P", "FORWARD", "DROP")

    def change_outside_address(self, address: str) -> None:
        """Give the router another outside address, as a provider does overnight."""
        self.router.run("ip", "addr", "del", f"{self.outside_address}/24", "dev", "wan0")
        self.reconnect(address)

    def reconnect(self, address: str) -> None:
        """Have the outside interface, which has none, get an address and the default route."""
        self.outside_address = address
        _address(self.router, "wan0", address, _GATEWAY_OUTSIDE)

    def unplug_outside(self) -> None:
        """Take the outside interface away, as a line that is down takes ppp0."""
        self.router.run("ip", "link", "del", "wan0")

    def plug_outside(self) -> None:
        """Have an outside interface again, by the old name, without an address."""
        link(self.internet, "router", self.router, "wan0")
        _attach_all(self.internet, "net", ["router"])

    def _join_inside(self) -> None:
        for number, lan in enumerate(self.lans):
            _bridge(self.switch, lan)
            link(self.switch, f"router{number}", self.router, lan)
            _address(self.router, lan, f"10.0.{number}.1")
            _attach_all(self.switch, lan, [f"router{number}"])
        for index, phone in enumerate(self.phones):
            number = index % len(self.lans)
            link(self.switch, f"phone{index}", phone, "eth0")
            _address(phone, "eth0", self.phone_address(index), f"10.0.{number}.1")
            _attach_all(self.switch, self.lans[number], [f"phone{index}"])

    def _join_outside(self) -> None:
        self.internet.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        _bridge(self.internet, "net")
        _address(self.internet, "net", _GATEWAY_OUTSIDE)
        link(self.internet, "router", self.router, "wan0")
        link(self.internet, "provider", self.provider, "eth0")
        _address(self.router, "wan0", self.outside_address, _GATEWAY_OUTSIDE)
        _address(self.provider, "eth0", PROVIDER, _GATEWAY_OUTSIDE)
        _attach_all(self.internet, "net", ["router", "provider"])
        _bridge(self.internet, "far")
        _address(self.internet, "far", _GATEWAY_FAR)
        for index, phone in enumerate(self.far):
            link(self.internet, f"far{index}", phone, "eth0")
            _address(phone, "eth0", self.far_address(index), _GATEWAY_FAR)
        _attach_all(self.internet, "far", [f"far{index}" for index in range(len(self.far))])

    def _outside_hosts(self) -> tuple[Namespace, ...]:
        return (self.internet, self.provider, *self.far)


@contextlib.contextmanager
def network(phones: int = 1, far: int = 1, lans: int = 1) -> Iterator[Network]:
    """A network with so many phones on each side, those inside in so many LANs, for the length of a block."""
    inside = [f"phone{index}" for index in range(phones)]
    outside = [f"far{index}" for index in range(far)]
    with hosts("switch", "router", "internet", "provider", *inside, *outside) as made:
        switch, router, internet, provider, *rest = made
        yield Network(tuple(rest[:phones]), switch, router, internet, provider, tuple(rest[phones:]), lans)


def _bridge(host: Namespace, name: str) -> None:
    host.run("ip", "link", "add", name, "type", "bridge")
    host.run("ip", "link", "set", name, "up")


def _attach_all(host: Namespace, bridge: str, interfaces: list[str]) -> None:
    for interface in interfaces:
        host.run("ip", "link", "set", interface, "master", bridge)


def _address(host: Namespace, interface: str, address: str, default_via: str | None = None) -> None:
    host.run("ip", "addr", "add", f"{address}/24", "dev", interface)
    if default_via is not None:
        host.run("ip", "route", "add", "default", "via", default_via)


def _count_private(host: Namespace) -> None:
    host.run(
        "nft", "-f", "-",
        stdin=f"""table ip lab {{
            counter private {{ }}
            chain seen {{
                type filter hook prerouting priority -300;
                ip saddr {_PRIVATE} counter name private
                ip daddr {_PRIVATE} counter name private
            }}
        }}""",
    )  # fmt: skip


def _counted_private(host: Namespace) -> int:
    listing = json.loads(host.run("nft", "--json", "list", "counter", "ip", "lab", "private"))
    return sum(int(item["counter"]["packets"]) for item in listing["nftables"] if "counter" in item)
