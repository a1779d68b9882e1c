"""Which legacy tables there are."""

from pathlib import Path

from rules.diff import TABLES

TABLES_IN_USE = Path("/proc/thread-self/net/ip_tables_names")


def tables_in_use() -> tuple[str, ...]:
    """The tables that exist in this namespace; to name another one to python-iptables would create it.

    Only root is told. Somebody else with CAP_NET_ADMIN takes it that those exist that our rules are in.
    """
    try:
        return tuple(TABLES_IN_USE.read_text().split())
    except PermissionError:
        return tuple(TABLES)
    except OSError:
        return ()
