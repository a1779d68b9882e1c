"""The scenarios, each with what is expected; a function returns what was seen or raises ScenarioError."""

import time
from collections.abc import Callable
from typing import NamedTuple

from lab.confinement import confinement
from lab.house import House
from lab.machines import ScenarioError, until
from lab.phones import Phone

_OLD, _NEW = "203.0.113.254/24", "203.0.113.253/24"


class Story(NamedTuple):
    """One scenario: its name, what is expected, and how to play it."""

    name: str
    expected: str
    play: Callable[[House], str]


def register(house: House) -> str:
    for phone in house.phones:
        phone.register()
    bound = house.router.run("sipmasq bindings")
    for phone in ("10.77.0.11", "10.77.0.12"):
        if phone not in bound:
            raise ScenarioError(f"no public port for {phone}: {bound}")
    return "4 registered"


def call_out(house: House) -> str:
    house.connect(house.alice, house.bob)
    heard = house.hear(house.alice, house.bob)
    return f"{heard}; {house.hang_up(house.alice, house.bob)}"


def be_called(house: House) -> str:
    house.connect(house.bob, house.alice)
    heard = house.hear(house.alice, house.bob)
    return f"{heard}; {house.hang_up(house.bob, house.alice)}"


def two_at_once(house: House) -> str:
    house.connect(house.alice, house.bob)
    house.connect(house.dave, house.carol)
    heard = house.hear(*house.phones)
    house.alice.command("hangup")
    house.bob.wait("CALL_CLOSED", after=len(house.bob.events) - 1)
    house.hear(house.carol, house.dave)
    return f"{heard}; {house.hang_up(house.dave, house.carol)}"


def hold(house: House) -> str:
    house.connect(house.alice, house.bob)
    house.hear(house.alice, house.bob)
    house.alice.command("hold")
    time.sleep(2)
    before = house.bob.heard(), house.alice.heard()
    time.sleep(3)
    held = house.alice.heard() - before[1]
    house.alice.command("resume")
    time.sleep(2)
    heard = house.hear(house.alice, house.bob)
    return f"held: alice {held}; resumed: {heard}; {house.hang_up(house.alice, house.bob)}"


def transfer(house: House) -> str:
    house.connect(house.alice, house.bob)
    house.hear(house.alice, house.bob, seconds=2)
    seen = len(house.carol.events)
    house.alice.command("transfer", "sip:carol@203.0.113.10")
    house.carol.wait("CALL_INCOMING", after=seen)
    house.carol.command("accept")
    house.carol.wait("CALL_ESTABLISHED", after=seen)
    heard = house.hear(house.carol, house.bob)
    house.alice.command("hangup")
    return f"{heard}; {house.hang_up(house.carol)}"


def cancel(house: House) -> str:
    house.ring(house.alice, house.bob)
    return "rang; " + house.hang_up(house.alice, house.bob)


def daemon_killed(house: House) -> str:
    house.connect(house.alice, house.bob)
    before = house.pid()
    house.router.run("systemctl kill --signal KILL sipmasq")
    heard = house.hear(house.alice, house.bob)
    took = until("another daemon runs", lambda: house.pid() not in (0, before) and house.is_whole(), 60)
    if not house.calls():
        raise ScenarioError("the new daemon does not know the call")
    return f"{heard}; whole again {took:.0f} s later; {house.hang_up(house.bob, house.alice)}"


def firewall_reloaded(house: House) -> str:
    house.connect(house.alice, house.bob)
    house.hear(house.alice, house.bob, seconds=2)
    house.router.run("systemctl reload nftables")
    heard = house.hear(house.alice, house.bob)
    took = until("the rules are whole", house.is_whole, 10)
    return f"{heard}; rules whole {took:.0f} s later; {house.hang_up(house.alice, house.bob)}"


def address_changed(house: House) -> str:
    interface = house.router.run(f"ip -o -4 addr show to {_OLD} | awk '{{print $2}}'").strip()
    house.connect(house.alice, house.bob)
    house.hear(house.alice, house.bob, seconds=2)
    house.router.run(f"ip addr del {_OLD} dev {interface}; ip addr add {_NEW} dev {interface}")
    try:
        until("the old address is in no rule", lambda: _OLD[:-3] not in house.router.run("sipmasq rules"), 10)
        heard = house.hear(house.bob)
        house.alice.command("hangup")
        seen = len(house.alice.events)
        took = until("alice registers anew", lambda: _has_registered(house.alice, seen), 75)
        house.bob.command("hangup")
        time.sleep(1)
        house.connect(house.bob, house.alice)
        house.hear(house.alice, house.bob)
        gone = house.hang_up(house.bob, house.alice)
    finally:
        house.router.run(f"ip addr del {_NEW} dev {interface}; ip addr add {_OLD} dev {interface}")
        for phone in (house.alice, house.carol):
            phone.command("uadel", f"sip:{phone.user}@203.0.113.10")
        time.sleep(3)
        for phone in (house.alice, house.carol):
            phone.register()
    return f"bob {heard}; registered after {took:.0f} s, then called: both heard; {gone}"


def _has_registered(phone: Phone, seen: int) -> bool:
    return any(event.type == "REGISTER_OK" for event in phone.events[seen:])


_UPGRADE = """
set -e
cd /root; rm -rf newer; package=$(ls /sipmasq/dist/sipmasq_*.deb | tail -n 1)
dpkg-deb --raw-extract "$package" newer
sed -i 's/^Version: .*/&+newer'$(date +%s)'/' newer/DEBIAN/control
dpkg-deb --root-owner-group -Zgzip -z1 --build newer newer.deb
"""


def upgraded(house: House) -> str:
    house.router.run(_UPGRADE, timeout=300)
    house.connect(house.alice, house.bob)
    house.hear(house.alice, house.bob, seconds=2)
    before, start = house.pid(), time.monotonic()
    heard_before = house.alice.heard(), house.bob.heard()
    house.router.run("DEBIAN_FRONTEND=noninteractive dpkg --force-confold --install /root/newer.deb", timeout=300)
    until("the new daemon runs", lambda: house.pid() not in (0, before) and house.is_whole(), 90)
    took = time.monotonic() - start
    heard = house.alice.heard() - heard_before[0], house.bob.heard() - heard_before[1]
    if min(heard) < 10 * took:
        raise ScenarioError(f"heard during {took:.0f} s: alice {heard[0]}, bob {heard[1]}")
    if not house.calls():
        raise ScenarioError("the new daemon does not know the call")
    after = house.hear(house.alice, house.bob)
    gone = house.hang_up(house.alice, house.bob)
    return f"during {took:.0f} s: alice {heard[0]}, bob {heard[1]}; then {after}; {gone}"


def rebooted(house: House) -> str:
    took = house.router.reboot()
    ready = until("the daemon is up by itself", lambda: house.pid() != 0 and house.is_whole(), 120)
    seen = time.monotonic()

    def is_reachable() -> bool:
        try:
            house.ring(house.bob, house.alice)
        except ScenarioError:
            house.bob.command("hangup")
            return False
        return True

    until("alice can be called", is_reachable, 120)
    reached = time.monotonic() - seen
    house.alice.command("accept")
    time.sleep(1)
    heard = house.hear(house.alice, house.bob)
    gone = house.hang_up(house.bob, house.alice)
    return f"back after {took:.0f} s, daemon {ready:.0f} s later, alice rang after {reached:.0f} s; {heard}; {gone}"


_BOTH = "both hear each other; after the end nothing is left in the router"
STORIES = (
    Story("register", "all phones are registered", register),
    Story("call out", _BOTH, call_out),
    Story("be called", _BOTH, be_called),
    Story("two calls, one RTP port", "all four hear; the end of one leaves the other", two_at_once),
    Story("hold and resume", "resumed, both hear each other again", hold),
    Story("transfer", "bob and carol hear each other", transfer),
    Story("cancel", "it rings, then nothing is left", cancel),
    Story("daemon killed in a call", "they go on talking; its successor knows the call", daemon_killed),
    Story("firewall reload in a call", "they go on talking; the rules are whole", firewall_reloaded),
    Story("address changed in a call", "bob still hears alice; she can be called within 75 s", address_changed),
    Story("package upgraded in a call", "they go on talking; the new daemon knows the call", upgraded),
    Story("confinement", "each line of the unit refuses what it is for", confinement),
    Story("router rebooted", "the daemon starts by itself; alice can be called", rebooted),
)
