"""Programs in the background, read line by line and ended by their own handles."""

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

from tests.support.journal import Journal
from tests.support.netns import Namespace


class Process:
    """A program on a host; what it prints is a journal of lines and a file `<name>.log` in `directory`."""

    def __init__(
        self, host: Namespace, name: str, *argv: str, directory: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.lines: Journal[str] = Journal(name)
        self._log = directory / f"{name}.log"
        # it must not outlive us even if we are killed, and must not signal our process group (kamailio does)
        self._popen = host.start(
            "setpriv", "--pdeathsig", "TERM", *argv,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, env={**os.environ, **(env or {})},
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def wait_line(self, pattern: str, timeout: float = 10) -> re.Match[str]:
        """The first line in which `pattern` is found."""
        return self.lines.wait(f"a line like {pattern!r}", re.compile(pattern).search, timeout=timeout)[0]

    def signal(self, number: signal.Signals) -> None:
        if self.running:
            self._popen.send_signal(number)

    def wait(self, timeout: float = 10) -> int:
        """Its exit code, once it has ended by itself."""
        try:
            code = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            last = "\n".join(list(self.lines)[-25:])
            raise AssertionError(f"{self.name} still runs after {timeout:g} s; it said last:\n{last}") from None
        self._reader.join(timeout)
        return code

    def stop(self, timeout: float = 10) -> int:
        """End it as an operator would, and return its exit code; what then still lives is killed."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it and its children at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self.wait()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with self._log.open("wb") as log, self._popen.stdout as output:
            for line in output:
                log.write(line)
                log.flush()
                self.lines.append(line.decode(errors="replace").rstrip())
        self.lines.end()
