"""Other programs that know nothing of calls work on the router's tables and sets while people talk."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab.gateway import Gateway, RouterState, router_state
from tests.lab.lab import Lab
from tests.lab.phone import Call
from tests.lab.talk import connect, converse, hear
from tests.lab.topology import ROUTER_OUTSIDE
from tests.support.netns import Namespace
from tests.support.until import until

pytestmark = [pytest.mark.root, pytest.mark.lab]

PATIENCE = 2.0  # seconds until everything is whole again
FOREIGN = """\
*filter
:FORWARD DROP [0:0]
:WEB - [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i lan0 -o wan0 -j ACCEPT
-A FORWARD -j WEB
-A WEB -d 10.0.0.80/32 -p tcp -m tcp --dport 443 -j ACCEPT
COMMIT
*nat
-A PREROUTING -i wan0 -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.0.0.80
COMMIT
*mangle
-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
"""


def ours(state: RouterState) -> tuple[list[str], list[str]]:
    """Rules and sets of the gateway."""
    sets = [line.partition(" initval ")[0] for line in state.sets.splitlines()]
    counters = re.compile(r" packets \d+ bytes \d+")
    return (
        sorted(rule for rule in state.rules if "SIPMASQ" in rule),
        sorted(counters.sub("", line) for line in sets if "sipmasq-" in line),
    )


def theirs(state: RouterState) -> list[str]:
    """Rules of all others, in their order."""
    return [rule for rule in state.rules if "SIPMASQ" not in rule]


def everything_flushed(router: Namespace) -> None:
    for table in ("filter", "nat", "mangle"):
        for option in ("-F", "-X"):
            router.run("iptables-legacy", "-t", table, option)


def foreign_ruleset(router: Namespace) -> None:
    router.run("iptables-legacy-restore", stdin=FOREIGN)


def deleted_entries(router: Namespace) -> None:
    for entry in re.findall(r"add (sipmasq-in \S+)", router.run("ipset", "save")):
        router.run("ipset", "del", *entry.split())


def foreign_rule_first(router: Namespace) -> None:
    router.run("iptables-legacy", "-I", "FORWARD", "-p", "udp", "-m", "udp", "--dport", "16384:16400", "-j", "DROP")


@pytest.fixture
def talking(lab: Lab) -> tuple[Gateway, tuple[Call, Call]]:
    """Alice at home and bob far away in a call."""
    gateway = lab.gateway()
    lab.registrar()
    alice, bob = lab.phone("alice"), lab.far_phone("bob")
    for phone in (bob, alice):
        phone.register()
    calls = connect(alice, bob)
    hear(*calls)
    return gateway, calls


def test_a_call_and_its_rules_survive_whatever_others_do(
    lab: Lab, talking: tuple[Gateway, tuple[Call, Call]]
) -> None:
    gateway, calls = talking
    router = lab.net.router
    whole = ours(router_state(router))

    def is_whole() -> bool:
        return ours(router_state(router)) == whole and gateway.ask("differences") == []

    for doing in (everything_flushed, foreign_ruleset, deleted_entries, foreign_rule_first):
        seen = len(gateway.log)
        doing(router)
        begun = time.monotonic()
        left = theirs(router_state(router))
        gateway.wait_log("not as they should be, mending them: ", after=seen, timeout=PATIENCE)
        until(f"whole again after {doing.__name__}", is_whole, timeout=begun + PATIENCE - time.monotonic())
        assert theirs(router_state(router)) == left
        hear(*calls)
    forward = [rule for rule in router_state(router).rules if rule.startswith("filter -A FORWARD")]
    assert forward[0].endswith("-j SIPMASQ-FORWARD")
    assert forward[1].endswith("--dport 16384:16400 -j DROP")
    assert gateway.cli("rules", "--diff").strip() == "no difference: the kernel holds what is wanted"
    calls[0].hangup()
    converse(calls[0].phone, calls[1].phone)


_ENTRY = r"10\.0\.0\.\d+ \. \d+ \. [\d.]+"
IN_NFT = {
    "all flushed": "flush ruleset",
    "our table deleted": "delete table ip sipmasq",
    "an entry in the place of another": "delete element ip sipmasq sipmasq-in {{ {entry} }};"
    " add element ip sipmasq sipmasq-in {{ 10.0.0.99 . 9 . 192.0.2.1 }}",
}


@pytest.mark.parametrize("each_backend", ["nftables"], indirect=True)
@pytest.mark.usefixtures("each_backend")
def test_so_they_do_in_nftables(lab: Lab, talking: tuple[Gateway, tuple[Call, Call]]) -> None:
    """Whatever is changed there, one entry in the place of another as well, shows in its generation."""
    gateway, calls = talking
    router = lab.net.router

    def table() -> list[str]:
        listed = router.run("nft", "--stateless", "list", "table", "ip", "sipmasq")
        return sorted(line.strip(" \t,{}") for line in listed.replace("elements = ", "\n").splitlines())

    whole = table()
    for doing, commands in IN_NFT.items():
        entry = re.search(_ENTRY, router.run("nft", "list", "set", "ip", "sipmasq", "sipmasq-in"))
        assert entry
        seen = len(gateway.log)
        router.run("nft", commands.format(entry=entry[0]))
        begun = time.monotonic()
        gateway.wait_log("not as they should be, mending them: ", after=seen, timeout=PATIENCE)
        until(
            f"whole again after {doing}",
            lambda: gateway.ask("differences") == [] and table() == whole,
            timeout=begun + PATIENCE - time.monotonic(),
        )
        hear(*calls)


def test_two_that_both_want_to_be_first_do_not_fight_each_second(
    lab: Lab, talking: tuple[Gateway, tuple[Call, Call]]
) -> None:
    gateway, calls = talking
    program = """while :; do
        iptables-legacy -S FORWARD 1 | grep -q 192.0.2.9 || {
            iptables-legacy -D FORWARD -s 192.0.2.9 -j DROP
            iptables-legacy -I FORWARD -s 192.0.2.9 -j DROP
            echo moved
        }
        sleep 0.1
    done"""
    rival = lab.net.router.start("sh", "-c", program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        gateway.wait_log("another program insists on its place in a chain: ours is moved back with growing pauses")
        for _ in range(12):
            hear(*calls, packets=50)
    finally:
        rival.kill()
        said, _ = rival.communicate()
    assert 3 <= said.count(b"moved") <= 7
    assert sum("insists" in line for line in gateway.log) == 1
    [different] = gateway.cli("rules", "--diff", "--json") or [{}]
    assert different.get("difference", "misplaced") == "misplaced"


def test_a_stopped_holder_of_the_lock_is_said_and_what_broke_meanwhile_is_mended_when_it_goes_on(
    lab: Lab, tmp_path: Path
) -> None:
    lock = tmp_path / "xtables.lock"
    gateway = lab.gateway(env={"XTABLES_LOCKFILE": str(lock)})
    router = lab.net.router
    whole = ours(router_state(router))
    program = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print('held'); sys.stdin.read()"
    held = [sys.executable, "-u", "-c", program, str(lock)]
    with subprocess.Popen(held, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            holder.send_signal(signal.SIGSTOP)
            everything_flushed(router)
            gateway.wait_log(rf"lock: held by process {holder.pid} \(.*\), which is stopped", timeout=15)
            assert any("mending them: missing: chain filter" in line for line in gateway.log)
            assert gateway.ask("status")["rules"] > 0
            missing = gateway.cli("rules", "--diff", "--json")
            assert {"missing"} == {each["difference"] for each in missing}
            assert "jump" in {each["what"] for each in missing}
            assert "missing     mangle  INPUT " in gateway.cli("rules", "--diff")
            holder.send_signal(signal.SIGCONT)
            holder.communicate()
        finally:
            holder.kill()
    until("whole again", lambda: ours(router_state(router)) == whole, timeout=PATIENCE)
    assert ROUTER_OUTSIDE in gateway.ask("status")["address"]
    assert sum("which is stopped" in line for line in gateway.log if "could not be set" in line) == 1
