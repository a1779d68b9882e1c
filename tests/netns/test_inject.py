"""Datagrams sent past netfilter, received by a real neighbour."""

import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.wire import build
from rules.errors import KernelError, NotPermittedError
from rules.kernel.inject import Injector
from rules.model import Endpoint
from tests.support.netns import Namespace, hosts, link, run

pytestmark = pytest.mark.root

PROVIDER = Endpoint("203.0.113.9", 5060)
PHONE = Endpoint("10.0.0.2", 5070)


@dataclass
class Lan:
    router: Namespace
    phone: socket.socket
    mac: bytes

    def arrives(self) -> tuple[bytes, tuple[str, int]] | None:
        self.phone.settimeout(0.5)
        try:
            return self.phone.recvfrom(65535)
        except TimeoutError:
            return None


@pytest.fixture
def lan() -> Iterator[Lan]:
    with hosts("phone", "router") as (phone, router):
        link(phone, "eth0", router, "lan0")
        phone.run("ip", "addr", "add", "10.0.0.2/24", "dev", "eth0")
        phone.run("ip", "route", "add", "default", "dev", "eth0")
        router.run("ip", "addr", "add", "10.0.0.1/24", "dev", "lan0")
        # nothing that netfilter sees leaves this router
        router.run("iptables-legacy", "-P", "OUTPUT", "DROP")
        router.run("iptables-legacy", "-t", "mangle", "-P", "POSTROUTING", "DROP")
        mac = phone.run("cat", "/sys/class/net/eth0/address").strip()
        with phone.open_socket() as receiver:
            receiver.bind(PHONE)
            yield Lan(router, receiver, bytes.fromhex(mac.replace(":", "")))


def send(interface: str, datagram: bytes, mac: bytes | None) -> None:
    injector = Injector()
    try:
        injector.send(interface, datagram, mac)
    finally:
        injector.close()


@pytest.mark.parametrize("size", [1, 1472, 1473, 9000, 60_000])
def test_a_datagram_in_anothers_name_passes_every_rule_and_leaves_no_connection(lan: Lan, size: int) -> None:
    body = os.urandom(size)
    lan.router.call(send, "lan0", build(PROVIDER, PHONE, body), lan.mac)
    assert lan.arrives() == (body, PROVIDER)
    assert PROVIDER.ip not in lan.router.run("conntrack", "-L")


def test_it_reaches_only_the_neighbour_it_is_for(lan: Lan) -> None:
    lan.router.call(send, "lan0", build(PROVIDER, PHONE, b"stray"), b"\x02\0\0\0\0\x99")
    assert lan.arrives() is None


def test_a_link_without_addresses_needs_none() -> None:
    def check() -> None:
        # TUNSETIFF with IFF_TUN | IFF_NO_PI
        with Path("/dev/net/tun").open("r+b", buffering=0) as tun:
            fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"tun0", 0x0001 | 0x1000))
            run(["ip", "link", "set", "tun0", "up"])
            datagram = build(PROVIDER, PHONE, b"through the tunnel")
            send("tun0", datagram, None)
            while (packet := tun.read(2000))[0] >> 4 != 4:
                pass
            assert packet == datagram

    with hosts("router") as (router,):
        router.call(check)


def test_errors_say_where_and_why(lan: Lan) -> None:
    def check() -> None:
        datagram = build(PROVIDER, PHONE, b"x")
        with pytest.raises(KernelError, match="cannot send on nope0: No such device"):
            send("nope0", datagram, lan.mac)
        with pytest.raises(KernelError, match="cannot send on lan0: Ethernet needs the neighbour's address"):
            send("lan0", datagram, None)
        run(["ip", "link", "set", "lan0", "down"])
        with pytest.raises(KernelError, match="cannot send on lan0: Network is down"):
            send("lan0", datagram, lan.mac)
        os.setuid(65534)
        with pytest.raises(NotPermittedError, match="CAP_NET_RAW"):
            Injector()

    lan.router.call(check)
