"""The daemon that announces the address behind a name, and what becomes of it while it runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.daemon.daemon import Daemon
from tests.netns.stage import stage
from tests.support.netns import Namespace

pytestmark = pytest.mark.root

FIRST, SECOND = "203.0.113.77", "203.0.113.78"
# a name server that reads its answer from a file, of several addresses with another one first after the first answer
ZONE = """
import itertools, pathlib, types
import dns.asyncresolver, dns.exception
from gateway.daemon import resolver
resolver.SHORTEST = resolver._SHORTEST_PAUSE = resolver._LONGEST_PAUSE = 0.05
turns = itertools.count()
class Answer(list):
    chaining_result = types.SimpleNamespace(minimum_ttl=0)
class Resolver:
    def __init__(self, configure):
        pass
    async def resolve(self, host, kind, lifetime):
        addresses = pathlib.Path({path!r}).read_text().split()
        turn = next(turns)
        print(f"asked for {{host}}: {{turn}}", flush=True)
        if not addresses:
            raise dns.exception.Timeout
        if turn:
            addresses.reverse()
        return Answer(types.SimpleNamespace(address=ip) for ip in addresses)
dns.asyncresolver.Resolver = Resolver
"""


@pytest.fixture
def router() -> Iterator[Namespace]:
    with stage() as made:
        yield made.router


@pytest.fixture
def zone(tmp_path: Path) -> Path:
    """The file with the addresses of the name."""
    path = tmp_path / "zone"
    path.write_text(FIRST)
    return path


@pytest.fixture
def daemon(router: Namespace, zone: Path, tmp_path: Path) -> Iterator[Daemon]:
    """One that is about to start."""
    settings = {"outside.host": "gw.example.org"}
    with Daemon(router, tmp_path, settings, patch=ZONE.format(path=str(zone))) as made:
        yield made


def asked_again(daemon: Daemon) -> None:
    """Wait for some more questions to the name server, one of which has been answered in full."""
    for _ in range(3):
        daemon.wait_log("asked for gw.example.org", after=len(daemon.process.lines))


def announcements(daemon: Daemon) -> list[str]:
    return [line for line in daemon.process.lines if "announcing" in line]


def test_a_name_is_followed(daemon: Daemon, zone: Path) -> None:
    daemon.ready()
    assert daemon.ask("status")["announced"] == FIRST
    zone.write_text(SECOND)
    daemon.wait_log(f"announcing {SECOND}, was {FIRST}")
    assert daemon.process.stop() == 0


def test_a_reload_without_a_name_server_keeps_the_address(daemon: Daemon, zone: Path) -> None:
    daemon.ready()
    zone.write_text("")
    assert "read again" in daemon.reload({"media.silence": 77})
    daemon.wait_log(f"{FIRST} stands: gw.example.org: no name server answered in time")
    asked_again(daemon)
    assert len(announcements(daemon)) == 1
    assert daemon.ask("status")["announced"] == FIRST


def test_the_address_of_another_name_does_not_stand(daemon: Daemon, zone: Path) -> None:
    daemon.ready()
    zone.write_text("")
    assert "read again" in daemon.reload({"outside.host": "other.example.org"})
    assert daemon.ask("status")["announced"] is None


def test_of_several_addresses_one_is_kept(daemon: Daemon, zone: Path) -> None:
    zone.write_text(f"{FIRST} {SECOND}")
    daemon.ready()
    asked_again(daemon)
    assert "read again" in daemon.reload({"media.silence": 77})
    asked_again(daemon)
    assert len(announcements(daemon)) == 1
