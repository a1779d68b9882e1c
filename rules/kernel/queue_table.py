"""The kernel's own table of bound packet queues, of the network namespace the calling thread is in."""

from dataclasses import dataclass
from pathlib import Path

TABLE = Path("/proc/thread-self/net/netfilter/nfnetlink_queue")


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One bound queue.

    `port_id` is its owner's netlink port, nearly always a process id. `waiting` packets have no verdict yet;
    `dropped_full` were lost because the queue was full, `dropped_undelivered` because the owner's socket was.
    """

    number: int
    port_id: int
    waiting: int
    dropped_full: int
    dropped_undelivered: int


def read_queue_table(path: Path = TABLE) -> tuple[QueueRow, ...] | None:
    """Every bound queue, or None where this kernel has no packet queues (or did not load them yet)."""
    try:
        text = path.read_text()
    except OSError:
        return None
    return tuple(_row(line) for line in text.splitlines())


def queue_owner(number: int) -> str | None:
    """Who holds the queue: ``process 812 (snort)``; None if it is free."""
    for row in read_queue_table() or ():
        if row.number == number:
            return f"process {row.port_id} ({_process_name(row.port_id)})"
    return None


def _row(line: str) -> QueueRow:
    # number, port id, waiting, copy mode, copy range, dropped full, dropped undelivered, last packet id, 1
    number, port_id, waiting, _mode, _range, full, undelivered, *_ = (int(field) for field in line.split())
    return QueueRow(number, port_id, waiting, full, undelivered)


def _process_name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "name unknown"
