"""A message leaves when the kernel answers for what it announces, and not before."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from rules.model import Endpoint
from tests.lab.agent import Agent, connect, hang_up
from tests.lab.gateway import Gateway, router_state
from tests.lab.lab import Lab
from tests.lab.talk import traces_of_calls
from tests.support.capture import Capture
from tests.support.until import until

pytestmark = [pytest.mark.root, pytest.mark.lab]


class Scene(NamedTuple):
    """A phone that is known to the gateway, somebody far away, and the lock that all iptables programs take."""

    lab: Lab
    gateway: Gateway
    home: Agent
    far: Agent
    outside: Capture
    lock: Path

    @property
    def ear(self) -> Endpoint:
        return Endpoint(self.home.address.ip, 16384)

    @property
    def mouth(self) -> Endpoint:
        return Endpoint(self.far.address.ip, 30000)

    def connect(self) -> Endpoint:
        """A call out; where the far side was told to send."""
        return connect(self.home, self.far, self.far.address, self.ear, self.mouth)[1]


@pytest.fixture
def scene(lab: Lab) -> Scene:
    lock = lab.directory / "lock" / "xtables.lock"
    lock.parent.mkdir()
    # a lock of its own: the machine's is for others as well
    gateway = lab.gateway(env={"XTABLES_LOCKFILE": str(lock)})
    home = lab.agent(lab.net.phones[0], lab.net.phone_address(0))
    far = lab.agent(lab.net.far[0], lab.net.far_address(0))
    home.register(far.address)
    far.wait("REGISTER")
    return Scene(lab, gateway, home, far, lab.capture(lab.net.router, "wan0"), lock)


def test_a_message_waits_for_its_rules(scene: Scene) -> None:
    with held(scene.lock):
        scene.home.invite(scene.far.address, scene.ear)
        until("the INVITE in the queue", lambda: scene.gateway.ask("status")["queue"]["waiting"] == 1)
        assert scene.outside.sip("INVITE") == []
    invite = scene.far.wait("INVITE")
    rules = "\n".join(router_state(scene.lab.net.router).rules)
    assert f"--to-destination {scene.ear}" in rules
    assert f"--to-source {invite.media}" in rules


def test_a_message_whose_rules_the_kernel_refuses_is_answered_here(scene: Scene) -> None:
    away = scene.lock.parent.rename(scene.lock.parent.with_name("away"))
    scene.home.invite(scene.far.address, scene.ear)
    refusal = scene.home.wait("SIP/2.0 503")
    assert refusal.source == scene.far.address
    assert refusal.headers("Retry-After")
    assert scene.outside.sip("INVITE") == []
    away.rename(scene.lock.parent)
    scene.connect()
    hang_up(scene.home, scene.far)
    until("the end of all its rules", lambda: not traces_of_calls(scene.lab.net.router))


def test_a_firewall_that_was_reloaded_costs_no_call(scene: Scene) -> None:
    """Somebody flushed every table, ours included, and laid his own rules again."""
    scene.connect()
    before = router_state(scene.lab.net.router)
    hang_up(scene.home, scene.far)
    for table in ("nat", "mangle", "filter"):
        scene.lab.net.router.run("iptables-legacy", "-w", "-t", table, "-F")
    ear = scene.lab.rtp(scene.lab.net.phones[0], *scene.ear)
    mouth = scene.lab.rtp(scene.lab.net.far[0], *scene.mouth)
    # it notices within seconds by itself, and at the latest when a call needs its rules
    until("the queue's rules", lambda: any("NFQUEUE" in rule for rule in router_state(scene.lab.net.router).rules))
    public = scene.connect()
    assert len(router_state(scene.lab.net.router).rules) == len(before.rules)
    mouth.send(public, 3)
    assert len(ear.hear(3)) == 3
    assert scene.lab.net.leaks() == 0


@contextlib.contextmanager
def held(lock: Path) -> Iterator[None]:
    """Be an iptables program that takes its time."""
    with lock.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
