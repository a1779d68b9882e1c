"""The daemon in a namespace, started and stopped as an operator does, with faults put in where a test wants them."""

import json
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from gateway.cli.client import ask
from rules.kernel.queue_table import read_queue_table
from tests.netns.stage import listing
from tests.support.netns import Namespace
from tests.support.process import Process

_ROOT = Path(__file__).parents[3]


class Daemon:
    """`sipmasq run` on a router, once `ready` has been awaited; killed at the end of the block if it still lives.

    `settings` are lines of its configuration: ``{"sip.queue": 7}``. `patch` is Python text that is run first.
    """

    def __init__(
        self, router: Namespace, directory: Path, settings: Mapping[str, object] | None = None, *,
        name: str = "gateway", patch: str = "",
    ) -> None:  # fmt: skip
        self._config = directory / f"{name}.toml"
        self.settings: dict[str, object] = {
            "inside.interface": "lan0",
            "outside.interface": "wan0",
            "control.socket": str(directory / f"{name}.sock"),
            "state.path": str(directory / f"{name}.db"),
        }
        self.configure(settings or {})
        program = f"import asyncio\n{patch}\nfrom gateway.cli import main\nmain()"
        self.process = Process(
            router, name, sys.executable, "-c", program, "run", "--config", str(self._config),
            directory=directory, env={"PYTHONPATH": str(_ROOT)},
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()

    def ready(self) -> Self:
        self.wait_log("ready: ")
        return self

    def configure(self, settings: Mapping[str, object]) -> None:
        """Write these settings, beside the earlier ones, into the configuration file."""
        self.settings |= settings
        # a JSON string, number, boolean or list reads the same in TOML
        self._config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in self.settings.items()))

    def reload(self, settings: Mapping[str, object]) -> str:
        """Have it go over to these settings; the line in which it says what came of it."""
        self.configure(settings)
        seen = len(self.process.lines)
        self.process.signal(signal.SIGHUP)
        return self.wait_log("configuration (?:read again|refused)", after=seen)

    def wait_log(self, pattern: str, after: int = 0) -> str:
        """The first line of its log with `pattern` in it, leaving out the first `after` lines."""
        search = re.compile(pattern).search
        return self.process.lines.wait(
            f"a line like {pattern!r}", lambda line: line if search(line) else None, after=after
        )[0]

    def ask(self, command: str) -> Any:
        return ask(Path(str(self.settings["control.socket"])), command)


def queues(host: Namespace) -> list[int]:
    """The numbers of the packet queues that somebody holds on a host."""
    rows = host.call(read_queue_table)
    return sorted(row.number for row in rows or ())


def queue_rules(router: Namespace) -> set[str]:
    """Where the rules lead SIP to."""
    return set(re.findall(r"-j NFQUEUE (.*)", listing(router)))
