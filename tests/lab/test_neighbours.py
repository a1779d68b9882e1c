"""A gateway beside Docker, ufw, firewalld or an nft ruleset: what `check` says is enough for calls to work."""

import json
import re
import time
from typing import NamedTuple

import pytest

from rules.model import Endpoint
from tests.lab.agent import Agent, connect, hang_up
from tests.lab.gateway import Gateway
from tests.lab.lab import Lab
from tests.lab.rtp import RtpEndpoint
from tests.support.journal import MissedError
from tests.support.neighbours import Neighbour
from tests.support.until import until

pytestmark = [pytest.mark.root, pytest.mark.lab]

ALL = ("SIP from the phones", "audio to the outside", "SIP to the phones", "audio to the phones")
NEIGHBOURS = {
    "docker.rules": ("the drop policy of chain FORWARD in nft table ip filter", ALL),
    "ufw.rules": ("the drop policy of chain FORWARD in nft table ip filter", ALL),
    "firewalld.nft": ("of chain filter_FWD_internal in nft table inet firewalld (reject)", ALL[:2]),
    "plain.nft": ("of chain strict in nft table inet wall (in lan0 udp port 1024-65535 reject)", ALL[:2]),
}


class House(NamedTuple):
    """A phone, somebody far away, and the ears of both."""

    lab: Lab
    gateway: Gateway
    home: Agent
    far: Agent
    ear: RtpEndpoint
    mouth: RtpEndpoint

    def check(self) -> list[dict[str, str]]:
        """What `check` says against firewalls."""
        said = json.loads(self.gateway.run("check", "--json", "--inside", "lan0", "--outside", "wan0").stdout)
        return [each for each in said if each["subject"] == "firewall" and each["severity"] != "ok"]

    def is_cut_off(self) -> bool:
        """Whether what the phone sends to its provider gets lost."""
        self.home.register(self.far.address)
        try:
            self.far.wait("REGISTER", timeout=0.5)
        except MissedError:
            return True
        return False

    def call_both_ways(self) -> None:
        """Each is called, and the far side speaks first: nothing that the phone has sent helps it in."""
        _, public = connect(self.home, self.far, self.far.address, self.ear.address, self.mouth.address)
        self._talk(public)
        hang_up(self.home, self.far)
        self.home.register(self.far.address)
        at = self.far.wait("REGISTER").source
        self.lab.net.router.run("conntrack", "-D", "-p", "udp")
        public, _ = connect(self.far, self.home, at, self.mouth.address, self.ear.address)
        self._talk(public)
        hang_up(self.far, self.home)

    def _talk(self, public: Endpoint) -> None:
        self.mouth.send(public, 3)
        assert len(self.ear.hear(3)) == 3
        self.ear.send(self.mouth.address, 3)
        assert {packet.source for packet in self.mouth.hear(3)} == {public}


@pytest.fixture
def house(lab: Lab) -> House:
    phone, far = lab.net.phones[0], lab.net.far[0]
    return House(
        lab,
        gateway=lab.gateway(),
        home=lab.agent(phone, lab.net.phone_address(0), user="home"),
        far=lab.agent(far, lab.net.far_address(0), user="far"),
        ear=lab.rtp(phone, lab.net.phone_address(0), 16384),
        mouth=lab.rtp(far, lab.net.far_address(0), 30000),
    )


@pytest.mark.parametrize("ruleset", NEIGHBOURS)
def test_after_what_check_says_to_add_calls_work_and_go_on_working(house: House, ruleset: str) -> None:
    where, stopped = NEIGHBOURS[ruleset]
    neighbour = Neighbour(house.lab.net.router, ruleset)
    assert house.is_cut_off()
    troubles = house.check()
    assert any(where in trouble["what"] for trouble in troubles)
    assert {kind for kind in ALL if any(kind in trouble["what"] for trouble in troubles)} >= set(stopped)
    for trouble in troubles:
        assert " drops calls on their way from " in trouble["what"]
        neighbour.follow(trouble["advice"])
    assert house.check() == []
    house.call_both_ways()
    neighbour.reload()
    assert house.check() == []
    house.call_both_ways()


@pytest.mark.parametrize("ruleset", ["docker.rules", "ufw.rules"])
def test_rules_of_iptables_legacy_need_nothing_added(house: House, ruleset: str) -> None:
    """There the gateway's own come first."""
    neighbour = Neighbour(house.lab.net.router, ruleset, "iptables-legacy")
    for _ in range(2):
        until("whole again", lambda: house.gateway.ask("differences") == [], timeout=2)
        assert house.check() == []
        house.call_both_ways()
        neighbour.reload()


def test_the_running_gateway_tells_each_trouble_once_while_it_lasts(house: House) -> None:
    router, gateway = house.lab.net.router, house.gateway
    neighbour = Neighbour(router, "firewalld.nft")
    told = r"firewall: rule with handle \d+ of chain filter_FWD_internal .*; let them pass by a policy: firewall-cmd "
    gateway.wait_log(told, timeout=5)
    neighbour.reload()
    neighbour = Neighbour(router, "plain.nft")
    gateway.wait_log("firewall: the drop policy of chain forward in nft table inet house drops calls", timeout=5)
    assert sum(bool(re.search(told, line)) for line in gateway.log) == 1
    router.run("nft", "flush", "ruleset")
    time.sleep(2)
    seen = len(gateway.log)
    neighbour.reload()
    gateway.wait_log("firewall: the drop policy of chain forward in nft table inet house", after=seen, timeout=5)


def test_a_gateway_that_starts_beside_them_tells_them(lab: Lab) -> None:
    Neighbour(lab.net.router, "ufw.rules")
    told = "firewall: the drop policy of chain FORWARD in nft table ip filter drops calls on their way from wan0"
    line = lab.gateway().wait_log(told, timeout=5)
    assert "; add to /etc/ufw/before.rules before COMMIT, then ufw reload: -A ufw-before-forward -i wan0" in line


def test_where_another_program_ceases_to_hide_the_inside_networks_the_gateway_does(lab: Lab) -> None:
    lab.net.router.run("iptables-legacy", "-t", "nat", "-F")
    neighbour = Neighbour(lab.net.router, "plain.nft")
    gateway = lab.gateway()
    assert gateway.ask("status")["masquerade"] == "others"
    lab.net.router.run("nft", "flush", "ruleset")
    until("it does", lambda: gateway.ask("status")["masquerade"] == "ours", timeout=8)
    neighbour.reload()
    until("it does not", lambda: gateway.ask("status")["masquerade"] == "others", timeout=8)


def test_a_masquerade_that_is_asked_first_takes_the_audio_from_its_port_until_its_priority_is_changed(
    house: House,
) -> None:
    router = house.lab.net.router
    router.run("iptables-legacy", "-t", "nat", "-D", "POSTROUTING", "-o", "wan0", "-j", "MASQUERADE", check=False)
    chain = "chain post {{ type nat hook postrouting priority {}; oifname wan0 masquerade\n}}"
    ruleset = "table ip home\ndelete table ip home\ntable ip home {{\n" + chain + "\n}}\n"
    router.run("nft", "-f", "-", stdin=ruleset.format("srcnat"))
    _, public = connect(house.home, house.far, house.far.address, house.ear.address, house.mouth.address)
    house.ear.send(house.mouth.address, 1)
    assert public not in {packet.source for packet in house.mouth.hear(1)}
    hang_up(house.home, house.far)
    [trouble] = house.check()
    assert "audio then leaves from other ports than announced" in trouble["what"]
    assert trouble["advice"].endswith(" with: type nat hook postrouting priority srcnat + 1")
    for _ in range(2):
        router.run("nft", "-f", "-", stdin=ruleset.format("srcnat + 1"))
        assert house.check() == []
        house.call_both_ways()


def test_a_masquerade_of_iptables_nft_is_better_left_to_the_gateway(house: House) -> None:
    router = house.lab.net.router
    rule = ("POSTROUTING", "-o", "wan0", "-j", "MASQUERADE")
    router.run("iptables-nft", "-t", "nat", "-A", *rule)
    until("it is theirs", lambda: house.gateway.ask("status")["masquerade"] == "others", timeout=8)
    [trouble] = house.check()
    assert "audio then leaves from other ports than announced" in trouble["what"]
    assert trouble["advice"].startswith("delete that rule, and the gateway hides the inside networks ")
    router.run("iptables-nft", "-t", "nat", "-D", *rule)
    until("it is ours", lambda: house.gateway.ask("status")["masquerade"] == "ours", timeout=8)
    assert house.check() == []
    house.call_both_ways()
