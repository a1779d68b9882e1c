"""What a service manager is told: datagrams of sd_notify(3) to `$NOTIFY_SOCKET`."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping

log = logging.getLogger(__name__)


class Notifier:
    """Tells the service manager, where there is one; a manager that does not listen stops nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # "@" stands for the zero byte that an abstract address begins with
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self) -> None:
        """The start, or a reload, is done."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The configuration is being read again; `ready` ends that."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The end begins."""
        self._send("STOPPING=1")

    def watchdog(self) -> None:
        """Still alive."""
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.setblocking(False)
                out.sendto(text.encode(), self._address)
        except OSError as error:
            log.warning("the service manager was not told %s: %s", text.splitlines()[0], error.strerror)


def watchdog_interval(environment: Mapping[str, str] = os.environ) -> float | None:
    """Seconds within which the manager wants a sign of life; None if it waits for none from us."""
    allowed = environment.get("WATCHDOG_USEC", "")
    meant_for = environment.get("WATCHDOG_PID", str(os.getpid()))
    if not allowed.isdecimal() or int(allowed) == 0 or meant_for != str(os.getpid()):
        return None
    return int(allowed) / 1_000_000


async def feed_watchdog(notifier: Notifier, interval: float, progress: Callable[[], Awaitable[object]]) -> None:
    """Tell the manager three times an interval that all goes on: the event loop, and what `progress` waits for.

    It is told after each progress, and nothing while there is none.
    """
    while True:
        await progress()
        notifier.watchdog()
        await asyncio.sleep(interval / 3)
