"""The gateway under test, run as an operator runs it, and what it leaves in the router's kernel."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gateway.cli.client import ask
from tests.support.netns import Namespace
from tests.support.process import Process

# as `sipmasq` does, from this tree wherever the tests are started
_PYTHON = ("env", f"PYTHONPATH={Path(__file__).parents[2]}", sys.executable, "-m")
_COMMAND = (*_PYTHON, "gateway")


class RouterState(NamedTuple):
    """What a gateway must leave as it found it."""

    rules: tuple[str, ...]
    sets: str
    nftables: str
    forwarding: str


class Said(NamedTuple):
    """How a command ended and what it said."""

    code: int
    stdout: str
    stderr: str


class Gateway:
    """`sipmasq run` on a router between `inside` and wan0, once it says that it is ready, or without `wait` at once.

    `settings` are further lines of its configuration: ``{"media.source": "any"}``.
    `prefix` is a command that runs it, `module` what is run in its place.
    """

    def __init__(
        self,
        router: Namespace,
        directory: Path,
        settings: Mapping[str, object] | None = None,
        inside: Sequence[str] = ("lan0",),
        name: str = "gateway",
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        module: str = "gateway",
        *,
        wait: bool = True,
    ) -> None:
        self._router = router
        self._config = directory / f"{name}.toml"
        self.socket = directory / f"{name}.sock"
        self._settings: dict[str, object] = {
            "control.socket": str(self.socket),
            "state.path": str(directory / f"{name}.db"),
        }
        self.configure(settings or {})
        notify = directory / f"{name}.notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(str(notify))
            notify.chmod(0o777)  # as a service manager's is
            self.process = Process(
                router, name,
                *prefix, *_PYTHON, module, "run", *(word for lan in inside for word in ("--inside", lan)),
                "--outside", "wan0", "--config", str(self._config),
                directory=directory, env={"NOTIFY_SOCKET": str(notify), **(env or {})},
            )  # fmt: skip
            try:
                if wait:
                    self._wait_ready(ready)
            except BaseException:
                self.process.kill()
                raise
            finally:
                notify.unlink()

    @property
    def log(self) -> list[str]:
        """What it has logged so far."""
        return list(self.process.lines)

    def configure(self, settings: Mapping[str, object]) -> None:
        """Write these settings, beside the earlier ones, into the configuration file."""
        self._settings |= settings
        # a JSON string, number, boolean or list reads the same in TOML
        self._config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in self._settings.items()))

    def reload(self) -> str:
        """Have it read its configuration again; the line in which it says what came of it."""
        seen = len(self.process.lines)
        self.process.signal(signal.SIGHUP)
        return self.wait_log("configuration (?:read again|refused)", after=seen)

    def wait_log(self, pattern: str, after: int = 0, timeout: float = 10) -> str:
        """The first line of its log with `pattern` in it, leaving out the first `after` lines."""
        search = re.compile(pattern).search
        return self.process.lines.wait(
            f"a line like {pattern!r}", lambda line: line if search(line) else None, timeout=timeout, after=after
        )[0]

    def stop(self, timeout: float = 10) -> int:
        """End it as a service manager would; its exit code."""
        return self.process.stop(timeout)

    def kill(self) -> None:
        """End it without a chance to clean up."""
        self.process.kill()

    def run(self, *arguments: str, prefix: tuple[str, ...] = ()) -> Said:
        """Run a command to its end, on the router and with its configuration; `prefix` takes rights away."""
        command = self._router.command(*prefix, *_COMMAND, *arguments, "--config", str(self._config))
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return Said(done.returncode, done.stdout, done.stderr)

    def ask(self, command: str) -> Any:
        """What the running gateway itself answers to ``status``, ``calls``, ``bindings`` or ``rules``."""
        return ask(self.socket, command)

    def cli(self, *arguments: str) -> Any:
        """What a command answers if all is well, parsed where `--json` was asked for."""
        said = self.run(*arguments)
        if said.code != 0:
            raise AssertionError(f"sipmasq {' '.join(arguments)} exited {said.code}: {said.stderr.strip()}")
        return json.loads(said.stdout) if "--json" in arguments else said.stdout

    def _wait_ready(self, ready: socket.socket) -> None:
        ready.settimeout(0.2)
        for _ in range(100):
            try:
                if b"READY=1" in ready.recv(4096).splitlines():
                    return
            except TimeoutError:
                if not self.process.running:
                    break
        last = "\n".join(self.log[-25:]) or "(nothing)"
        raise AssertionError(f"the gateway did not get ready; it said last:\n{last}")


def router_state(router: Namespace) -> RouterState:
    """What a router's kernel holds of rules, sets and forwarding; empty tables and counters left out."""
    return RouterState(
        rules=tuple(_rules(router.run("iptables-legacy-save"))),
        sets=router.run("ipset", "save"),
        nftables=router.run("nft", "--stateless", "list", "ruleset"),
        forwarding=router.run("sysctl", "-n", "net.ipv4.ip_forward").strip(),
    )


def conntrack(router: Namespace, *filters: str) -> list[str]:
    """The router's flows as conntrack prints them: `conntrack(router, "-p", "udp", "--dport", "20000")`."""
    return router.run("conntrack", "-L", *filters).splitlines()


def _rules(saved: str) -> list[str]:
    rules = []
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A"):
            rules.append(f"{table} {line}")
        elif re.match(r":\S+ (?!ACCEPT)", line):
            rules.append(f"{table} {line.partition(' [')[0]}")
    return rules
