"""The daemon goes over to another configuration while it runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.daemon.daemon import Daemon, queue_rules, queues
from tests.gateway.daemon.talk import invite
from tests.netns.stage import PEER, PHONE, ROUTER, Line, Stage, listing, stage
from tests.support.netns import Namespace
from tests.support.until import until

pytestmark = pytest.mark.root


@pytest.fixture
def scene() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.fixture
def router(scene: Stage) -> Namespace:
    return scene.router


def sip_gets_through(scene: Stage) -> bool:
    """Whether an INVITE of the phone arrives, and names the router."""
    phone, provider = Line(scene.phone, PHONE, 5060), Line(scene.outside, PEER, 5060)
    phone.send(PEER, 5060, invite())
    received = provider.receive()
    return received is not None and f"Contact: <sip:me@{ROUTER}:5060>".encode() in received[0]


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
