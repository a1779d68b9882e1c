"""What a service manager hears, and what happens when there is none."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.daemon.notify import Notifier, feed_watchdog, watchdog_interval


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(5)
        yield listening


def test_every_message_of_a_service(manager: socket.socket, tmp_path: Path) -> None:
    manager.bind(str(tmp_path / "notify"))
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    notifier.ready()
    notifier.watchdog()
    notifier.stopping()
    heard = [manager.recv(4096).decode() for _ in range(3)]
    assert heard == ["READY=1", "WATCHDOG=1", "STOPPING=1"]


def test_a_reload_says_when_it_began(manager: socket.socket, tmp_path: Path) -> None:
    manager.bind(str(tmp_path / "notify"))
    before = time.monotonic_ns() // 1000
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}).reloading()
    said, stamp = manager.recv(4096).decode().split("\n")
    assert said == "RELOADING=1"
    assert before <= int(stamp.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


def test_abstract_sockets_are_written_with_an_at_sign(manager: socket.socket) -> None:
    name = f"sipmasq-test-{os.getpid()}"
    manager.bind(f"\0{name}")
    Notifier({"NOTIFY_SOCKET": f"@{name}"}).ready()
    assert manager.recv(4096) == b"READY=1"


def test_without_a_manager_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    Notifier({}).ready()
    assert caplog.text == ""


def test_a_manager_that_is_gone_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
    assert "the service manager was not told READY=1: No such file or directory" in caplog.text


def test_the_watchdog_is_fed_when_it_watches_this_process() -> None:
    assert watchdog_interval({"WATCHDOG_USEC": "30000000"}) == 30
    assert watchdog_interval({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}) == 0.5
    assert watchdog_interval({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}) is None


@pytest.mark.parametrize("environment", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}])
def test_no_watchdog(environment: dict[str, str]) -> None:
    assert watchdog_interval(environment) is None


def test_the_watchdog_is_fed_only_while_all_goes_on(manager: socket.socket, tmp_path: Path) -> None:
    manager.bind(str(tmp_path / "notify"))
    manager.setblocking(False)
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})

    def fed() -> int:
        count = 0
        try:
            while manager.recv(4096) == b"WATCHDOG=1":
                count += 1
        except BlockingIOError:
            pass
        return count

    async def scene() -> None:
        goes_on = asyncio.Event()
        goes_on.set()
        feeding = asyncio.create_task(feed_watchdog(notifier, 0.06, goes_on.wait))
        await asyncio.sleep(0.2)
        assert fed() >= 3
        goes_on.clear()
        await asyncio.sleep(0.05)
        fed()
        await asyncio.sleep(0.2)
        assert fed() == 0
        goes_on.set()
        await asyncio.sleep(0.05)
        assert fed() >= 1
        time.sleep(0.2)  # noqa: ASYNC251  # the loop is stuck
        assert fed() == 0
        feeding.cancel()

    asyncio.run(scene())
