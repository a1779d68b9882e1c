"""The running gateway may do little, and does all its work with that."""

import ctypes
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rules.model import Endpoint
from tests.lab import lab as labs
from tests.lab.gateway import Gateway, router_state
from tests.lab.lab import Lab
from tests.lab.talk import connect, converse, hear
from tests.lab.topology import ROUTER_OUTSIDE

pytestmark = [pytest.mark.root, pytest.mark.lab]

BOTH = f"{1 << 12 | 1 << 13:016x}"
NONE = f"{0:016x}"
LITTLE = {
    "CapEff": BOTH, "CapPrm": BOTH, "CapInh": NONE, "CapAmb": NONE, "CapBnd": BOTH, "NoNewPrivs": "1", "Groups": "",
}  # fmt: skip
_NO_EXEC_GAIN = "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) and sys.exit('no MDWE'); "
_NO_EXEC_GAIN += "os.execvp(sys.argv[1], sys.argv[1:])"
# what gateway/data/sipmasq.service asks of systemd, as far as it can be had without
SANDBOX = """
set -e
writable() { mount --bind "$1" "$1"; }
touch /run/xtables.lock
mkdir -p /run/sipmasq
writable /run/sipmasq; writable /run/xtables.lock; writable "$0"
writable /proc/sys; writable /proc/sys/net/ipv4/ip_forward
mount -o remount,bind,ro /proc/sys
mount -o remount,bind,ro /
exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all,+net_admin,+net_raw,+chown,+setpcap "$@"
"""


@pytest.fixture
def open_lab() -> Iterator[Lab]:
    """A lab whose directory is for everybody."""
    with tempfile.TemporaryDirectory(prefix="sipmasq-lab-") as directory:
        Path(directory).chmod(0o777)
        with labs.lab(directory=Path(directory)) as made:
            yield made


def rights(gateway: Gateway) -> list[dict[str, str]]:
    """What each thread of a gateway has left."""
    found = []
    for status in Path(f"/proc/{gateway.process.pid}/task").glob("*/status"):
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        found.append({name: fields[name].strip() for name in LITTLE})
    return found


def do_everything(lab: Lab, gateway: Gateway) -> None:
    """Calls, another queue, another address in a call, an answer of the gateway's own."""
    alice, bob = lab.registered()
    converse(alice, bob)
    gateway.configure({"sip.queue": 7, "media.ports": "31000-31009"})
    assert "read again" in gateway.reload()
    hear(*connect(bob, alice))
    lab.net.change_outside_address("198.51.100.2")
    gateway.wait_log("announcing 198.51.100.2")
    alice.register_anew()
    lab.net.router.run("ip", "addr", "flush", "dev", "wan0")
    gateway.wait_log("announcing None")
    lab.net.router.run("ip", "route", "add", "default", "dev", "wan0")
    agent = lab.agent(lab.net.phones[0], lab.net.phone_address(0), 5070)
    agent.invite(Endpoint("203.0.113.20", 5060), media=Endpoint(agent.address.ip, 16384))
    assert agent.wait("SIP/2.0 503").headers("Retry-After")


@pytest.mark.usefixtures("each_backend")
def test_every_thread_keeps_two_capabilities_and_works_with_them(lab: Lab) -> None:
    found = router_state(lab.net.router)
    gateway = lab.gateway()
    do_everything(lab, gateway)
    held = rights(gateway)
    assert len(held) > 1
    assert all(each == LITTLE for each in held)
    assert gateway.stop() == 0
    assert router_state(lab.net.router) == found
    assert lab.net.leaks() == 0


@pytest.mark.usefixtures("each_backend")
def test_a_user_who_has_the_two_can_run_it(open_lab: Lab) -> None:
    lab, found = open_lab, router_state(open_lab.net.router)
    two = "+net_admin,+net_raw"
    gateway = lab.gateway(
        env={"XTABLES_LOCKFILE": str(lab.directory / "xtables.lock")},
        prefix=(
            "sh", "-c", 'mount -t tmpfs -o uid=65534,mode=755 none /run/sipmasq && exec "$@"', "sh",
            "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", two,
            "--ambient-caps", two,
        ),
    )  # fmt: skip
    do_everything(lab, gateway)
    # only root can narrow the bounding set; with NoNewPrivs nothing comes of it
    assert all(each | {"CapBnd": BOTH} == LITTLE for each in rights(gateway))
    assert gateway.socket.stat().st_uid == 65534
    code = gateway.stop()
    assert code == 0, gateway.log[-5:]
    assert router_state(lab.net.router) == found
    assert lab.net.leaks() == 0


def test_in_the_units_sandbox(lab: Lab) -> None:
    found = router_state(lab.net.router)
    refusing = ("python3", "-c", _NO_EXEC_GAIN) if can_refuse_exec_gain() else ()
    gateway = lab.gateway(prefix=("sh", "-c", SANDBOX, str(lab.directory), *refusing))
    do_everything(lab, gateway)
    assert all(each == LITTLE for each in rights(gateway))
    assert gateway.stop() == 0
    assert router_state(lab.net.router) == found


def can_refuse_exec_gain() -> bool:
    """Whether the kernel knows PR_SET_MDWE (Linux 6.3), which MemoryDenyWriteExecute stands for."""
    return int(ctypes.CDLL(None).prctl(66, 0, 0, 0, 0)) >= 0


def test_the_control_socket_is_for_its_group(open_lab: Lab) -> None:
    lab, somebody = open_lab, ("setpriv", "--reuid", "65534", "--clear-groups", "--regid")
    gateway = lab.gateway({"control.group": "daemon"})
    assert stat.S_IMODE(gateway.socket.stat().st_mode) == 0o660
    assert gateway.run("status", "--json", prefix=(*somebody, "daemon")).code == 0
    assert gateway.run("status", "--json", prefix=(*somebody, "nogroup")).code == 4
    # it may not give away a file any more
    gateway.configure({"control.socket": str(lab.directory / "other.sock")})
    assert "cannot be given to control.group daemon: restart the gateway" in gateway.reload()
    assert not (lab.directory / "other.sock").exists()
    assert gateway.ask("status")["announced"] == ROUTER_OUTSIDE
    # but to root alone it can
    gateway.configure({"control.group": ""})
    assert "read again" in gateway.reload()
    assert stat.S_IMODE((lab.directory / "other.sock").stat().st_mode) == 0o600


def test_a_clean_up_for_the_case_of_death_leaves_the_living_alone(lab: Lab) -> None:
    found = router_state(lab.net.router)
    gateway = lab.gateway()
    running = router_state(lab.net.router)
    assert "is running: nothing was removed" in gateway.cli("clean", "--if-stopped")
    assert router_state(lab.net.router) == running != found
    gateway.kill()
    assert gateway.cli("clean", "--if-stopped", "--json")["removed"]
    assert router_state(lab.net.router) == found
