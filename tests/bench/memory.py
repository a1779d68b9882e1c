"""Resident memory of the gateway."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import Figure
from tests.bench.parties import parties
from tests.lab.lab import lab

_CALLS = 1000


def measure() -> Iterator[Figure]:
    """With nothing, and with many calls up."""
    with lab() as it:
        gateway = it.gateway()
        with parties(it.net) as pair:
            before = _resident(gateway.process.pid)
            pair.call(range(_CALLS))
            after = _resident(gateway.process.pid)
    yield Figure("resident memory, 0 calls up", [before / 1024], "MiB")
    yield Figure(f"resident memory, {_CALLS} calls up", [after / 1024], "MiB")
    yield Figure("resident memory for a call", [(after - before) / _CALLS], "KiB")


def _resident(pid: int) -> int:
    """In KiB."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None, f"process {pid} has no memory"
    return int(found[1])
