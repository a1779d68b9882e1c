"""The daemon in a real kernel: how it starts, goes over to another configuration, keeps its rules, and leaves."""

import contextlib
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.daemon.daemon import Daemon, queues
from tests.gateway.daemon.talk import invite
from tests.netns.stage import PEER, PHONE, ROUTER, Line, Stage, listing, stage
from tests.support.netns import Namespace, hosts, link
from tests.support.until import until

pytestmark = pytest.mark.root

NEVER_RESOLVED = """
import gateway.daemon.service as service
async def never(*_):
    print("resolving", flush=True)
    await asyncio.sleep(3600)
service.first_address = never
"""
OFTEN_VERIFIED = """
import gateway.daemon.rules_watch as rules_watch
import gateway.daemon.service as service
rules_watch._VERIFY_EVERY = 1.0
"""
SLOW_START = """
from rules.kernel.links import LinkWatch
snapshot = LinkWatch.snapshot
async def slow(*arguments):
    print("looking at the links", flush=True)
    await asyncio.sleep(0.5)
    return await snapshot(*arguments)
LinkWatch.snapshot = slow
"""

STUCK_ON_REQUEST = """
import os, signal, time
from rules.kernel.netfilter import Netfilter
os.environ |= {{"NOTIFY_SOCKET": {path!r}, "WATCHDOG_USEC": "300000"}}
begin = Netfilter.__init__
def remember(self, *arguments):
    begin(self, *arguments)
    # the thread, or the loop in the main one
    signal.signal(signal.SIGUSR1, lambda *_: self._thread.submit(time.sleep, 60) and None)
    signal.signal(signal.SIGUSR2, lambda *_: time.sleep(60))
Netfilter.__init__ = remember
"""


@pytest.fixture
def scene() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.fixture
def router(scene: Stage) -> Namespace:
    return scene.router


def queue_rules(router: Namespace) -> set[str]:
    """Where the rules lead SIP to."""
    return set(re.findall(r"-j NFQUEUE (.*)", listing(router)))


def sip_gets_through(scene: Stage) -> bool:
    """Whether an INVITE of the phone arrives, and names the router."""
    phone, provider = Line(scene.phone, PHONE, 5060), Line(scene.outside, PEER, 5060)
    phone.send(PEER, 5060, invite())
    received = provider.receive()
    return received is not None and f"Contact: <sip:me@{ROUTER}:5060>".encode() in received[0]


@contextlib.contextmanager
def queue_held(router: Namespace, number: int) -> Iterator[None]:
    """Another program that takes packets from a queue."""
    program = f"import netfilterqueue as n, time; q = n.NetfilterQueue(); q.bind({number}, print); time.sleep(60)"
    other = router.start(sys.executable, "-c", program)
    try:
        until("the queue is held", lambda: queues(router) == [number])
        yield
    finally:
        other.kill()
        other.wait()


def test_it_leaves_the_router_as_found(router: Namespace, tmp_path: Path) -> None:
    router.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
    router.run("iptables-legacy", "-t", "nat", "-A", "POSTROUTING", "-o", "other", "-j", "ACCEPT")
    for table in ("filter", "mangle"):
        router.run("iptables-legacy", "-t", table, "-S")  # looking makes an empty table
    before = listing(router)
    with Daemon(router, tmp_path) as daemon:
        daemon.ready()
        assert router.run("sysctl", "-n", "net.ipv4.ip_forward").strip() == "1"
        assert "SIPMASQ-FORWARD" in listing(router)
        assert queues(router) == [5060]
        assert daemon.process.stop() == 0
    assert listing(router) == before
    assert router.run("sysctl", "-n", "net.ipv4.ip_forward").strip() == "0"
    assert not (tmp_path / "gateway.sock").exists()


def test_missing_interfaces_are_waited_for(tmp_path: Path) -> None:
    with hosts("router", "other") as (router, other), Daemon(router, tmp_path) as daemon:
        daemon.wait_log("interface wan0 does not exist; waiting for it")
        daemon.ready()
        link(router, "lan0", other, "eth0")
        link(router, "wan0", other, "eth1")
        router.run("ip", "address", "add", "10.0.0.1/24", "dev", "lan0")
        router.run("ip", "address", "add", f"{ROUTER}/24", "dev", "wan0")
        daemon.wait_log(f"announcing {ROUTER}, was None")
        until("the networks are masqueraded", lambda: "ip saddr 10.0.0.0/24 masquerade" in listing(router))
        assert daemon.process.stop() == 0


def test_a_vanished_interface_is_no_end(scene: Stage, tmp_path: Path) -> None:
    with Daemon(scene.router, tmp_path) as daemon:
        daemon.ready()
        scene.router.run("ip", "link", "del", "wan0")
        daemon.wait_log(f"announcing None, was {ROUTER}")
        link(scene.router, "wan0", scene.outside, "eth0")
        scene.router.run("ip", "address", "add", f"{ROUTER}/24", "dev", "wan0")
        daemon.wait_log(f"announcing {ROUTER}, was None")
        assert daemon.process.stop() == 0


def test_a_second_gateway_in_the_same_namespace_gives_up_and_harms_nothing(router: Namespace, tmp_path: Path) -> None:
    with Daemon(router, tmp_path) as first:
        first.ready()
        before = listing(router)
        with Daemon(router, tmp_path, {"sip.queue": 7}, name="second") as second:
            second.wait_log("another sipmasq runs in this network namespace: end it first")
            assert second.process.wait() == 1
        assert listing(router) == before
        assert first.ask("status")
        assert not (tmp_path / "second.sock").exists()


def test_a_queue_that_another_program_holds_is_said_and_nothing_left(router: Namespace, tmp_path: Path) -> None:
    with queue_held(router, 5060), Daemon(router, tmp_path) as daemon:
        daemon.wait_log("packet queue 5060 is taken by process .*: end it, or choose another queue number")
        assert daemon.process.wait() == 1
        assert listing(router) == ""


def test_a_control_socket_that_another_gateway_answers_is_said_and_nothing_left(
    router: Namespace, tmp_path: Path
) -> None:
    with hosts("other") as (other,), Daemon(other, tmp_path) as first:
        first.ready()
        socket = first.settings["control.socket"]
        with Daemon(router, tmp_path, {"control.socket": socket}, name="second") as second:
            second.wait_log("another gateway runs with control.socket")
            assert second.process.wait() == 1
        assert listing(router) == ""
        assert queues(router) == []
        assert first.ask("status")


def test_another_queue_number_is_gone_over_to(scene: Stage, tmp_path: Path) -> None:
    with Daemon(scene.router, tmp_path) as daemon:
        daemon.ready()
        assert "read again" in daemon.reload({"sip.queue": 7})
        assert queue_rules(scene.router) == {"--queue-num 7"}
        assert queues(scene.router) == [7]
        assert sip_gets_through(scene)


def test_on_failure_can_be_changed(scene: Stage, tmp_path: Path) -> None:
    with Daemon(scene.router, tmp_path) as daemon:
        daemon.ready()
        assert "read again" in daemon.reload({"sip.on_failure": "pass"})
        assert queue_rules(scene.router) == {"--queue-num 5060 --queue-bypass"}
        assert sip_gets_through(scene)


def test_another_control_socket_and_other_interfaces_are_gone_over_to(scene: Stage, tmp_path: Path) -> None:
    with Daemon(scene.router, tmp_path) as daemon:
        daemon.ready()
        old = Path(str(daemon.settings["control.socket"]))
        answer = daemon.reload(
            {
                "control.socket": str(tmp_path / "new.sock"),
                "inside.interface": ["lan0", "lan1"],
                "outside.interface": "ppp0",
            }
        )
        assert "lan0, lan1 (10.0.0.0/24) behind ppp0" in answer
        assert not old.exists()
        assert daemon.ask("status")
        until("the rules name the new one", lambda: "-o ppp0" in listing(scene.router))
        assert "wan0" not in listing(scene.router)


def test_a_refused_configuration_changes_nothing(router: Namespace, tmp_path: Path) -> None:
    taken = tmp_path / "taken.sock"
    taken.write_text("")
    with Daemon(router, tmp_path) as daemon:
        daemon.ready()
        before = listing(router)
        old = dict(daemon.settings)
        assert "refused" in daemon.reload({"sip.queue": 7, "control.socket": str(taken)})
        assert queues(router) == [5060]
        assert listing(router) == before
        assert "refused" in daemon.reload({"sip.queue": 70_000})
        daemon.settings = old
        assert daemon.ask("status")
        assert daemon.process.stop() == 0


def test_a_configuration_that_the_kernel_does_not_take_at_once_is_tried_again(scene: Stage, tmp_path: Path) -> None:
    patch = """
from rules.errors import KernelError
from rules.reconcile import Reconciler
configure, refused = Reconciler._resync, []
async def once(self, setup):
    if setup.queue == 7 and not refused:
        refused.append(True)
        raise KernelError("refused on request")
    return await configure(self, setup)
Reconciler._resync = once
"""
    with Daemon(scene.router, tmp_path, patch=patch) as daemon:
        daemon.ready()
        assert "read again" in daemon.reload({"sip.queue": 7})
        daemon.wait_log("not all follows yet: refused on request")
        until("the rules lead to the new queue", lambda: queue_rules(scene.router) == {"--queue-num 7"})
        assert queues(scene.router) == [7]
        assert sip_gets_through(scene)


def test_a_mending_that_overlaps_a_reload_follows_the_new_configuration(scene: Stage, tmp_path: Path) -> None:
    patch = """
import asyncio
from gateway.daemon.service import Service
setup, delayed = Service._setup, []
async def slowly(self, config, topology):
    made = await setup(self, config, topology)
    if self._topology is not None and config.sip.queue != 7 and not delayed:
        delayed.append(True)
        print("mending", flush=True)
        await asyncio.sleep(1.5)
        print("mended", flush=True)
    return made
Service._setup = slowly
"""
    with Daemon(scene.router, tmp_path, patch=patch) as daemon:
        daemon.ready()
        scene.router.run("iptables-legacy", "-t", "mangle", "-F", "SIPMASQ-FORWARD")
        daemon.wait_log("mending")
        assert "read again" in daemon.reload({"sip.queue": 7})
        daemon.wait_log("mended")
        until("the rules lead to the new queue", lambda: queue_rules(scene.router) == {"--queue-num 7"})
        assert sip_gets_through(scene)


def test_the_watchdog_is_fed_in_time(router: Namespace, tmp_path: Path) -> None:
    patch = f"import os; os.environ.update(NOTIFY_SOCKET={str(tmp_path / 'notify')!r}, WATCHDOG_USEC='1000000')"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        with Daemon(router, tmp_path, patch=patch) as daemon:
            assert manager.recv(100) == b"READY=1"
            manager.settimeout(1)
            assert [manager.recv(100) for _ in range(4)] == [b"WATCHDOG=1"] * 4
            assert daemon.process.stop() == 0


def test_rules_that_somebody_deletes_are_mended(router: Namespace, tmp_path: Path) -> None:
    with Daemon(router, tmp_path, patch=OFTEN_VERIFIED) as daemon:
        daemon.ready()
        before = listing(router)
        router.run("iptables-legacy", "-t", "mangle", "-F")
        router.run("iptables-legacy", "-t", "mangle", "-X")
        daemon.wait_log("the rules were not as they should be, mending them")
        until("the rules are back", lambda: listing(router) == before)


def test_a_kernel_that_refuses_for_a_while_ends_no_task(scene: Stage, tmp_path: Path) -> None:
    patch = (
        OFTEN_VERIFIED
        + """
from rules.errors import KernelError
from rules.kernel.links import LinkWatch
from rules.reconcile import Reconciler
service._COUNT_AT_MOST_EVERY = 0.1
service._TRY_AGAIN = 0.1
started = []
def at_first(original, times):
    left = list(range(times))
    async def method(*arguments):
        if started and left:
            left.pop()
            raise KernelError("refused on request")
        return await original(*arguments)
    return method
Reconciler.verify = at_first(Reconciler.verify, 1)
Reconciler.counters = at_first(Reconciler.counters, 3)
LinkWatch.snapshot = at_first(LinkWatch.snapshot, 3)
summary = service.Service._summary
service.Service._summary = lambda self: started.append(True) or summary(self)
"""
    )
    with Daemon(scene.router, tmp_path, patch=patch) as daemon:
        daemon.ready()
        for what in (
            "the links could not be followed",
            "packets could not be counted",
            "the rules could not be read back",
        ):
            daemon.wait_log(f"{what}: refused on request")
        scene.router.run("ip", "address", "flush", "dev", "wan0")
        daemon.wait_log(f"announcing None, was {ROUTER}")
        assert daemon.process.stop() == 0


def test_it_can_be_stopped_while_it_starts(router: Namespace, tmp_path: Path) -> None:
    before = listing(router)
    settings = {"outside.host": "router.example.org"}
    with Daemon(router, tmp_path, settings, patch=NEVER_RESOLVED) as daemon:
        daemon.wait_log("resolving")
        daemon.process.signal(signal.SIGTERM)
        assert daemon.process.wait(5) == 0
    assert listing(router) == before
    assert queues(router) == []
    assert not (tmp_path / "gateway.sock").exists()


def test_a_start_that_the_kernel_refuses_says_so_and_leaves_nothing(router: Namespace, tmp_path: Path) -> None:
    patch = """
from rules.errors import KernelError
from rules.kernel.iptables import Tables
commit = Tables.commit
def refused(self, change):
    if change.table == "mangle" and change.replace:
        raise KernelError("table mangle: refused on request")
    commit(self, change)
Tables.commit = refused
"""
    with Daemon(router, tmp_path, patch=patch) as daemon:
        assert daemon.process.wait() == 1
        assert daemon.process.lines.wait(
            "the reason", lambda line: line if line.startswith("sipmasq: ") else None
        ) == ["sipmasq: table mangle: refused on request"]
    assert "sipmasq" not in listing(router).lower()
    assert queues(router) == []
    assert not (tmp_path / "gateway.sock").exists()


def test_after_a_crash_nothing_leaks_while_the_next_one_starts(scene: Stage, tmp_path: Path) -> None:
    with Daemon(scene.router, tmp_path) as first:
        os.kill(first.ready().process.pid, signal.SIGKILL)
        first.process.wait()
    assert queue_rules(scene.router) == {"--queue-num 5060"}
    with Daemon(scene.router, tmp_path, patch=SLOW_START) as second:
        second.wait_log("looking at the links")
        phone, provider = Line(scene.phone, PHONE, 5060), Line(scene.outside, PEER, 5060)
        phone.send(PEER, 5060, invite(call="early"))
        second.ready()
        received = until("the INVITE arrives", provider.receive)
        assert received is not None
        assert b"Call-ID: early" in received[0]
        assert PHONE.encode() not in received[0].replace(b"sip:10.0.0.5@", b"")
        assert second.process.stop() == 0


@pytest.mark.parametrize("stuck", [signal.SIGUSR1, signal.SIGUSR2], ids=["the kernel's thread", "the event loop"])
def test_the_watchdog_hears_nothing_of_a_gateway_that_is_stuck(
    router: Namespace, tmp_path: Path, stuck: signal.Signals
) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(5)
        with Daemon(router, tmp_path, patch=STUCK_ON_REQUEST.format(path=path)) as daemon:
            daemon.ready()
            assert [manager.recv(4096) for _ in range(4)] == [b"READY=1", *[b"WATCHDOG=1"] * 3]
            daemon.process.signal(stuck)
            time.sleep(0.3)
            heard(manager)  # what was under way
            time.sleep(1)
            assert heard(manager) == []


def heard(manager: socket.socket) -> list[bytes]:
    """What has been said to a service manager and is not read yet."""
    said: list[bytes] = []
    manager.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            said.append(manager.recv(4096))
    return said
