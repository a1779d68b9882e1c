"""The gateway is killed again and again, at any moment and under load: those who talk hear nothing of it.

`SIPMASQ_KILLS=200 pytest tests/lab/test_crash.py` kills more often than the usual run does.
"""

import math
import os
import random
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping

import pytest

from gateway.calls.call import CallId
from rules.model import Endpoint
from tests.lab.agent import connect, hang_up
from tests.lab.conftest import LabMaker
from tests.lab.gateway import Gateway, RouterState, router_state
from tests.lab.lab import Lab
from tests.lab.rtp import RtpEndpoint
from tests.lab.sdp import audio
from tests.lab.sipp import Sipp
from tests.lab.talk import traces_of_calls
from tests.lab.topology import PROVIDER
from tests.support.netns import Namespace
from tests.support.until import until

pytestmark = [pytest.mark.root, pytest.mark.lab]

KILLS = int(os.environ.get("SIPMASQ_KILLS", "10"))
SILENCE = 20  # seconds
LABEL = re.compile(r"sipmasq call ([0-9a-f]{8}) ")


class Audio:
    """Two that send to each other without a pause, a packet each 10 ms, until `end`."""

    def __init__(self, one: RtpEndpoint, to_other: Endpoint, other: RtpEndpoint, to_one: Endpoint) -> None:
        self._ways = ((one, to_other, other), (other, to_one, one))
        self._over = threading.Event()
        self._sent = 0
        self._heard: dict[int, list[int]] = {0: [], 1: []}
        self._threads = [threading.Thread(target=self._send)]
        self._threads += [threading.Thread(target=self._listen, args=(way,)) for way in (0, 1)]
        for thread in self._threads:
            thread.start()

    def end(self) -> tuple[int, list[list[int]]]:
        """How many were sent each way, and which of them never arrived."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        return self._sent, [sorted(set(range(1, self._sent + 1)) - set(heard)) for heard in self._heard.values()]

    def _send(self) -> None:
        while not self._over.wait(0.01):
            for source, to, _ in self._ways:
                source.send(to)
            self._sent += 1

    def _listen(self, way: int) -> None:
        hearer = self._ways[way][2]
        while True:
            heard = hearer.hear(50, timeout=0.5)
            self._heard[way] += [each.number for each in heard]
            if not heard and self._over.is_set():
                return


def labels(router: Namespace) -> set[str]:
    """The calls that have rules or set entries."""
    state = router_state(router)
    return set(LABEL.findall("\n".join(state.rules) + state.sets))


def foreign(router: Namespace) -> list[str]:
    """The rules of others."""
    return [rule for rule in router_state(router).rules if "sipmasq" not in rule.lower()]


def forwarded_twice(router: Namespace) -> list[str]:
    """Public ports and inside addresses with more than one rule."""
    rules = [rule for rule in router_state(router).rules if "-j DNAT" in rule]
    ports = Counter(port for rule in rules for port in re.findall(r"--dport (\d+)", rule))
    insides = Counter(inside for rule in rules for inside in re.findall(r"--to-destination (\S+)", rule))
    return [name for name, count in (ports + insides).items() if count > 1]


def established(gateway: Gateway) -> set[str]:
    """The calls that are up, and not for so long that silence could end them."""
    calls = gateway.ask("calls")
    return {call["label"] for call in calls if call["state"] == "up" and call["seconds"] < SILENCE / 2}


def settled(gateway: Gateway) -> bool:
    """Whether the kernel holds what is wanted, no more and no less."""
    return not gateway.ask("differences")


def uncounted(router: Namespace) -> RouterState:
    """What the router holds, whatever it has counted."""
    state = router_state(router)
    return state._replace(sets=re.sub(r" packets \d+ bytes \d+", "", state.sets))


class Sightings:
    """Which calls had rules or were known, each time that somebody looked."""

    def __init__(self, router: Namespace) -> None:
        self._router = router
        self._seen: list[tuple[float, set[str]]] = []

    def look(self, gateway: Gateway) -> None:
        known = {call["label"] for call in gateway.ask("calls")}
        self._seen.append((time.time(), known | labels(self._router)))

    def too_late(self, ended: Mapping[str, float]) -> dict[str, float]:
        """Those seen more than 5 s after their end, and for how long after it."""
        late: dict[str, float] = {}
        for when, seen in self._seen:
            late |= {label: when - ended[label] for label in seen & ended.keys() if when - ended[label] > 5}
        return late


def ends(load: Sipp) -> dict[str, float]:
    """When the one who hung up was answered, by the call's label."""
    found: dict[str, float] = {}
    for message in load.messages():
        if not message.sent and message.text.startswith("SIP/2.0 200") and "CSeq: 2 BYE" in message.text:
            name = re.search(r"^Call-ID: *(\S+)", message.text, re.MULTILINE)
            assert name is not None
            found.setdefault(CallId(name[1].encode(), "").label, message.at)
    return found


def killed_while_starting(lab: Lab) -> None:
    starting = lab.gateway(wait=False)
    time.sleep(random.uniform(0, 1))
    starting.kill()


@pytest.mark.timeout(240 + 6 * KILLS)
def test_nobody_who_talks_notices_that_the_gateway_is_killed(make_lab: LabMaker) -> None:
    """A call that both ends gave up while nobody was there to read that has no media, and ends by that."""
    lab = make_lab(phones=2, far=1)
    router = lab.net.router
    lab.net.firewall()
    found = foreign(router)
    settings = {"media.silence": SILENCE}
    gateway = lab.gateway(settings)
    home = lab.agent(lab.net.phones[0], lab.net.phone_address(0))
    far = lab.agent(lab.net.far[0], lab.net.far_address(0))
    far_too = lab.agent(lab.net.far[0], lab.net.far_address(0), 5070)
    mine, theirs = lab.rtp(lab.net.phones[0], home.address.ip, 16384), lab.rtp(lab.net.far[0], far.address.ip, 40000)
    to_far, to_home = connect(home, far, far.address, audio(mine.address), audio(theirs.address))
    (live,) = gateway.ask("calls")
    lab.sipp(lab.net.provider, PROVIDER, "answer", calls=1_000_000, linger=32000, trace=False)
    load = lab.sipp(
        lab.net.phones[1], lab.net.phone_address(1), "invite", calls=1_000_000, rate=5, hold=400, media_port=None
    )
    talk = Audio(mine, to_far, theirs, to_home)
    sightings = Sightings(router)
    longest = 0.0
    forgotten: dict[str, float] = {}
    try:
        for kill in range(KILLS):
            short = home.another()
            connect(short, far_too, far_too.address, audio(Endpoint(home.address.ip, 18000)), audio(theirs.address))
            over = labels(router) & {call["label"] for call in gateway.ask("calls") if "18000" in str(call["media"])}
            time.sleep(random.uniform(0, 0.5))
            up = established(gateway)
            hang_up(short, far_too)
            time.sleep(random.choice([0, random.uniform(0, 0.5)]))
            gateway.kill()
            if kill % 3 == 2:
                killed_while_starting(lab)
            started = time.monotonic()
            gateway = lab.gateway(settings)
            ready = time.monotonic()
            longest = max(longest, ready - started)
            known = {call["label"]: call for call in gateway.ask("calls")}
            forgotten = dict.fromkeys(up - over - known.keys(), time.time()) | forgotten
            assert known[live["label"]]["media"][0]["public"] == live["media"][0]["public"]
            assert forwarded_twice(router) == []
            until("the rules as they are wanted", lambda: settled(gateway))  # noqa: B023  # it is called here and now
            assert over
            until("the ended call's rules gone", lambda: not over & labels(router))  # noqa: B023
            assert time.monotonic() - ready < 5
            assert foreign(router) == found
            sightings.look(gateway)
        load.process.signal(signal.SIGUSR1)  # no more new calls; it ends when those that are up have ended
        load.process.wait(120)
    finally:
        load.close()
        sent, lost = talk.end()
    ended = ends(load)
    sys.stdout.write(
        f"\n{KILLS} kills, the longest restart {longest:.1f} s; {sent} packets each way, {sum(map(len, lost))} lost;"
        f" of the load {len(ended)} calls ended, {load.failed} were given up by their ends\n"
    )
    assert sent > KILLS * 100
    assert lost == [[], []]
    assert longest < 10
    assert load.successful > KILLS
    # those that had ended by then; an answer passes the gateway a moment before its receiver logs it
    assert {label for label, when in forgotten.items() if ended.get(label, math.inf) > when + 0.2} == set()
    hang_up(home, far)
    until("no rule of the live call", lambda: live["label"] not in labels(router))
    until("no rule of a call that ended", lambda: not ended.keys() & labels(router))
    assert sightings.too_late(ended) == {}
    until("no rule of any call", lambda: not labels(router), timeout=3 * SILENCE)
    assert gateway.ask("calls") == []
    assert {row["purpose"] for row in gateway.ask("bindings")} <= {"sip"}


@pytest.mark.usefixtures("each_backend")
def test_a_gateway_that_is_stopped_keeps_the_calls_if_it_is_to(make_lab: LabMaker) -> None:
    """So it is brought up to date without a pause in what is heard."""
    lab = make_lab()
    router = lab.net.router
    gateway = lab.gateway({"state.on_stop": "keep"})
    home = lab.agent(lab.net.phones[0], lab.net.phone_address(0))
    far = lab.agent(lab.net.far[0], lab.net.far_address(0))
    mine, theirs = lab.rtp(lab.net.phones[0], home.address.ip, 16384), lab.rtp(lab.net.far[0], far.address.ip, 40000)
    to_far, to_home = connect(home, far, far.address, audio(mine.address), audio(theirs.address))
    talk = Audio(mine, to_far, theirs, to_home)
    before = uncounted(router)
    try:
        assert gateway.stop() == 0
        assert uncounted(router) == before
        successor = lab.gateway({"state.on_stop": "remove"})
        assert uncounted(router) == before
        assert len(successor.ask("calls")) == 1
        time.sleep(0.5)
    finally:
        sent, lost = talk.end()
    assert sent > 50
    assert lost == [[], []]
    assert successor.stop() == 0
    assert traces_of_calls(router) == []
    third = lab.gateway()
    assert third.ask("calls") == []
    assert [row["purpose"] for row in third.ask("bindings")] == ["sip"]


@pytest.mark.usefixtures("each_backend")
def test_a_call_goes_on_when_the_state_is_lost(make_lab: LabMaker) -> None:
    lab = make_lab()
    router = lab.net.router
    gateway = lab.gateway()
    home = lab.agent(lab.net.phones[0], lab.net.phone_address(0))
    far = lab.agent(lab.net.far[0], lab.net.far_address(0))
    mine, theirs = lab.rtp(lab.net.phones[0], home.address.ip, 16384), lab.rtp(lab.net.far[0], far.address.ip, 40000)
    to_far, to_home = connect(home, far, far.address, audio(mine.address), audio(theirs.address))
    talk = Audio(mine, to_far, theirs, to_home)
    before = uncounted(router)
    try:
        gateway.kill()
        (lab.directory / "gateway.db-wal").unlink()  # SQLite would mend the file from it
        (lab.directory / "gateway.db").write_text("nonsense" * 1000)
        successor = lab.gateway()
        assert uncounted(router) == before
        assert "the state is damaged and was set aside as " in "\n".join(successor.log)
        time.sleep(0.5)
    finally:
        sent, lost = talk.end()
    assert sent > 50
    assert lost == [[], []]
    hang_up(home, far)
    until("no trace of the call", lambda: not traces_of_calls(router))
