"""The program and the daemon that it asks."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gateway.daemon.control import ControlServer
from tests.gateway.scene import Gateway

TREE = Path(__file__).parents[3]


def program(*arguments: str) -> list[str]:
    """The program as a process of its own."""
    return ["env", f"PYTHONPATH={TREE}", sys.executable, "-m", "gateway", *arguments]


@contextmanager
def answering(path: Path, gateway: Gateway) -> Iterator[None]:
    """A daemon's control socket, with what the daemon would say for this gateway."""
    commands: Mapping[str, Callable[[], object]] = {
        "status": gateway.status,
        "calls": gateway.calls,
        "bindings": gateway.bindings,
        "rules": gateway.rules,
        "differences": gateway.differences,
    }

    async def answer(command: str) -> object:
        return commands[command]()

    loop = asyncio.new_event_loop()
    server = ControlServer(path, answer)
    loop.run_until_complete(server.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(server.close())
        loop.close()
