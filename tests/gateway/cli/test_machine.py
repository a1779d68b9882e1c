"""What the command line finds out about a machine, and what it takes away from it."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.snapshot import Kind, Row
from gateway.state.store import Store
from rules.kernel.netfilter import Netfilter
from rules.reconcile import Reconciler
from tests.gateway.cli.command import program
from tests.gateway.scene import SETUP
from tests.lab.gateway import router_state
from tests.support.netns import Namespace, hosts, link

pytestmark = pytest.mark.root

CHECK = ("check", "--inside", "lan0", "--outside", "wan0")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "sipmasq.toml"
    path.write_text(f'control.socket = "{tmp_path}/control.sock"\nstate.path = "{tmp_path}/state.db"\n')
    return path


@pytest.fixture
def router() -> Iterator[Namespace]:
    """A machine that is fit for calls, with forwarding on."""
    with hosts("router", "world") as (router, world):
        link(router, "lan0", world, "lan")
        link(router, "wan0", world, "wan")
        router.run("ip", "addr", "add", "10.0.0.1/24", "dev", "lan0")
        router.run("ip", "addr", "add", "203.0.113.1/24", "dev", "wan0")
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        yield router


def at(router: Namespace, config: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and output of the program on a router."""
    done = subprocess.run(
        router.command(*program(*arguments, "--config", str(config))),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def lay_rules(forwarding_was_off: bool) -> None:
    """What a daemon that was killed leaves behind."""

    async def lay() -> None:
        reconciler = Reconciler(Netfilter())
        await reconciler.configure(replace(SETUP, forwarding_was_off=forwarding_was_off))
        await reconciler.close()

    asyncio.run(lay())


@contextmanager
def claimed(router: Namespace) -> Iterator[None]:
    """A gateway that runs on a router, as far as others can see."""
    program = "from rules.kernel.claim import Claim; claim = Claim(); print(flush=True); input(); claim.close()"
    gateway = router.start(sys.executable, "-c", program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert gateway.stdout is not None
    gateway.stdout.readline()
    try:
        yield
    finally:
        gateway.communicate(b"\n", timeout=10)


def test_check_is_content_with_a_fit_machine(config: Path, router: Namespace) -> None:
    code, out = at(router, config, *CHECK)
    assert code == 0
    assert out.splitlines()[-1] == "0 errors, 0 warnings: the gateway can run here"
    assert re.search(r"(?m)^ok +interface lan0 +is up as 10\.0\.0\.1$", out)


def test_check_says_what_to_do(config: Path, router: Namespace) -> None:
    router.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
    router.run("ip", "link", "del", "wan0")
    code, out = at(router, config, *CHECK, "--json")
    assert code == 1
    found = {finding["subject"]: finding for finding in json.loads(out)}
    assert found["interface wan0"]["severity"] == "error"
    assert found["forwarding"]["severity"] == "warning"
    assert "sysctl net.ipv4.ip_forward=1" in found["forwarding"]["advice"]
    code, out = at(router, config, *CHECK)
    assert code == 1
    assert out.splitlines()[-1] == "1 error, 1 warning: calls cannot work here before the errors are mended"


def test_check_looks_up_the_name_to_announce(config: Path, router: Namespace) -> None:
    config.write_text('outside.host = "gw.example.invalid"')
    code, out = at(router, config, *CHECK)
    assert code == 1
    assert re.search(r"(?m)^error +outside\.host +gw\.example\.invalid: .* +correct outside\.host", out)


@pytest.mark.parametrize("was_off", [True, False])
def test_clean_takes_everything_away_without_a_daemon(config: Path, router: Namespace, was_off: bool) -> None:
    router.run("iptables-legacy", "-A", "FORWARD", "-j", "ACCEPT")
    before = router_state(router)
    router.call(lay_rules, was_off)
    assert router_state(router) != before
    code, out = at(router, config, "clean")
    assert code == 0
    assert "removed " in out
    assert ("turned IPv4 forwarding off, as it was before" in out) is was_off
    assert "running" not in out
    assert router_state(router) == before._replace(forwarding="0" if was_off else "1")
    assert at(router, config, "clean") == (0, "there was nothing of sipmasq's to remove\n")


def test_clean_says_that_a_running_gateway_will_be_back(config: Path, router: Namespace) -> None:
    with claimed(router):
        words = at(router, config, "clean")
        code, values = at(router, config, "clean", "--json")
    assert words == (
        0,
        "there was nothing of sipmasq's to remove\n"
        "a gateway is running and will make its rules again: end it first to be rid of them\n",
    )
    said = {"removed": [], "forwarding_turned_off": False, "running": True, "skipped": False}
    assert (code, json.loads(values)) == (0, said)


def test_clean_if_stopped_touches_nothing_of_a_running_gateway(config: Path, router: Namespace) -> None:
    router.call(lay_rules, True)
    laid = router_state(router)
    with claimed(router):
        words = at(router, config, "clean", "--if-stopped")
    assert words == (0, "a gateway is running: nothing was removed\n")
    assert router_state(router) == laid
    code, out = at(router, config, "clean", "--if-stopped")
    assert (code, "removed " in out) == (0, True)
    assert router_state(router).rules == ()


@pytest.mark.parametrize(
    ("ended", "on_stop", "removes"),
    [
        ({"SERVICE_RESULT": "signal", "EXIT_STATUS": "KILL"}, "remove", False),
        ({"SERVICE_RESULT": "watchdog", "EXIT_STATUS": "ABRT"}, "remove", False),
        ({"SERVICE_RESULT": "exit-code", "EXIT_STATUS": "1"}, "remove", False),
        ({"SERVICE_RESULT": "exit-code", "EXIT_STATUS": "78"}, "remove", True),
        ({"SERVICE_RESULT": "success", "EXIT_STATUS": "0"}, "remove", True),
        ({"SERVICE_RESULT": "success", "EXIT_STATUS": "0"}, "keep", False),
    ],
)
def test_what_systemd_starts_again_finds_its_rules(
    config: Path,
    router: Namespace,
    monkeypatch: pytest.MonkeyPatch,
    ended: dict[str, str],
    on_stop: str,
    removes: bool,
) -> None:
    router.call(lay_rules, True)
    laid = router_state(router)
    config.write_text(f'{config.read_text()}state.on_stop = "{on_stop}"\n')
    for name, value in ended.items():
        monkeypatch.setenv(name, value)
    code, out = at(router, config, "clean", "--if-stopped")
    assert code == 0
    if removes:
        assert router_state(router).rules == ()
    else:
        assert out == "the next gateway is to find the rules: nothing was removed\n"
        assert router_state(router) == laid


def test_clean_forgets_calls_where_no_gateway_runs(config: Path, router: Namespace) -> None:
    path = config.with_name("state.db")
    rows = [Row(kind, b"key", b"value") for kind in Kind]
    store = Store(path)
    store.write(rows)
    store.close()
    with claimed(router):
        at(router, config, "clean")
    store = Store(path)
    assert len(store.read().rows) == len(rows)
    store.close()
    assert at(router, config, "clean")[0] == 0
    store = Store(path)
    assert {row.kind for row in store.read().rows} == {*Kind} - {Kind.CALL, Kind.MEDIA, Kind.ORPHAN}
    store.close()


def test_clean_needs_no_valid_configuration(config: Path, router: Namespace) -> None:
    router.call(lay_rules, False)
    config.write_text("nonsense")
    code, out = at(router, config, "clean")
    assert code == 0
    assert "removed " in out
