"""Commands on the machines, over one ssh connection each."""

import contextlib
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


class ScenarioError(Exception):
    """What was seen is not what was expected; the text says what was."""


class Machine:
    """One machine of the lab, reached as `vagrant ssh-config` says."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._ssh = ["ssh", "-F", str(folder / "ssh-config"), "-o", f"ControlPath={folder}/%n"]
        self._connect = ["-o", "ControlMaster=auto", "-o", "ControlPersist=600", "-o", "ServerAliveInterval=10"]

    def run(self, command: str, *, check: bool = True, timeout: float = 120, stdin: str | None = None) -> str:
        """Output of a shell command, run by root. Raises ScenarioError when it fails, unless that may be."""
        done = subprocess.run(
            [*self._ssh, *self._connect, self.name, "sudo sh -c " + _quoted(command)],
            input=stdin or "", capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise ScenarioError(
                f"{self.name}: '{command}' exits {done.returncode}: {(done.stdout + done.stderr).strip()}"
            )
        return done.stdout

    def connect(self, port: int) -> subprocess.Popen[bytes]:
        """A connection to a port of the machine's own loopback: what is written and read are its bytes."""
        return subprocess.Popen(
            [*self._ssh, *self._connect, "-W", f"127.0.0.1:{port}", self.name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def disconnect(self) -> None:
        """End the connection that the commands share."""
        subprocess.run([*self._ssh, "-O", "exit", self.name], capture_output=True, check=False)

    def reboot(self, timeout: float = 600) -> float:
        """Restart the machine in good order; after how many seconds it can be spoken to again."""
        before, start = self.run("cat /proc/sys/kernel/random/boot_id"), time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.run("systemctl reboot", check=False, timeout=10)
        self.disconnect()

        def is_back() -> bool:
            with contextlib.suppress(ScenarioError, subprocess.TimeoutExpired):
                return self.run("cat /proc/sys/kernel/random/boot_id", timeout=15) != before
            return False

        until(f"{self.name} is back", is_back, timeout)
        return time.monotonic() - start


def until(what: str, holds: Callable[[], bool], timeout: float) -> float:
    """Wait until something holds; how many seconds that took. Raises ScenarioError after `timeout` seconds."""
    start = time.monotonic()
    while not holds():
        if time.monotonic() - start > timeout:
            raise ScenarioError(f"not within {timeout:g} s: {what}")
        time.sleep(0.3)
    return time.monotonic() - start


def _quoted(command: str) -> str:
    return "'" + command.replace("'", "'\\''") + "'"
