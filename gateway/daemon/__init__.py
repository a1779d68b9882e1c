"""The running gateway: the only place where the engine, the rules and the clock meet."""

import asyncio
from collections.abc import Callable

from gateway.config import Config
from gateway.daemon.service import Service


def run(load: Callable[[], Config]) -> None:
    """Run one gateway in the foreground until a signal ends it.

    `load` reads the configuration, first now and again at each SIGHUP. Raises SipmasqError for what keeps it from
    running at all.
    """
    asyncio.run(_run(load))


async def _run(load: Callable[[], Config]) -> None:
    await Service(load).run()
