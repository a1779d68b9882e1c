"""All measurements, or those that are named: `sudo make bench`, `python -m tests.bench engine rtp`."""

import signal
import sys
import time

from gateway.cli.table import Table, show
from tests.bench import calls, commit, engine, memory, queue, rtp, state, watch
from tests.bench.measure import Figure, Subject
from tests.support import netns

_SUBJECTS: dict[str, Subject] = {
    "engine": engine.measure,
    "state": state.measure,
    "queue": queue.measure,
    "commit": commit.measure,
    "watch": watch.measure,
    "calls": calls.measure,
    "rtp": rtp.measure,
    "memory": memory.measure,
}
_WITHOUT_NETWORK = {"engine", "state"}
_HEADINGS = ("", "figure", "median", "min", "max", "unit", "goal")
_RIGHT = frozenset({"median", "min", "max"})


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in _SUBJECTS]
    if unknown:
        sys.stderr.write(f"There is no {' and no '.join(unknown)}; choose among {', '.join(_SUBJECTS)}.\n")
        return 2
    names = names or list(_SUBJECTS)
    reason = netns.why_not()
    if reason is not None and not _WITHOUT_NETWORK.issuperset(names):
        sys.stderr.write(f"The bench {reason}: run 'sudo make bench'.\n")
        return 1
    # so that what was built is taken down on the way out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    rows: list[list[str]] = []
    failed: list[str] = []
    for name in names:
        started = time.monotonic()
        try:
            # a subject that fails half-way keeps what it has measured
            for figure in _SUBJECTS[name]():
                rows.append(_row(name, figure, rows))
        except (AssertionError, OSError) as error:
            failed.append(f"{name} failed: {error}")
        sys.stderr.write(f"{name}: measured for {time.monotonic() - started:.0f} s\n")
    if rows:
        show([Table(_HEADINGS, rows, _RIGHT)])
    for line in failed:
        sys.stderr.write(line + "\n")
    return 1 if failed else 0


def _row(name: str, figure: Figure, rows: list[list[str]]) -> list[str]:
    """The subject stands before the first of its figures only."""
    seen = any(row[0] == name for row in rows)
    return ["" if seen else name, *figure.row()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
