"""Interfaces, addresses and routes of a real namespace, at rest and changing."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Iterator

import pytest

from rules.kernel.links import Interface, LinkWatch, Topology
from tests.support.netns import Namespace, hosts, link, run

pytestmark = pytest.mark.root

INSIDE = ("lan0",)
MISSING = Interface("lan0", exists=False, up=False, addresses=())


@pytest.fixture
def router() -> Iterator[Namespace]:
    with hosts("router", "world") as (router, world):
        link(router, "lan0", world, "lan")
        link(router, "wan0", world, "wan")
        router.run("ip", "addr", "add", "10.0.0.1/24", "dev", "lan0")
        router.run("ip", "addr", "add", "198.51.100.1/24", "dev", "wan0")
        yield router


def ip(*argv: str) -> None:
    run(["ip", *argv])


async def snapshot() -> Topology:
    return await LinkWatch().snapshot(INSIDE, "wan0")


def now() -> Topology:
    return asyncio.run(snapshot())


def test_a_snapshot_tells_what_ip_was_told(router: Namespace) -> None:
    router.run("ip", "addr", "add", "198.51.100.2/24", "dev", "wan0")
    router.run("ip", "addr", "add", "203.0.113.1/24", "dev", "wan0")
    router.run("ip", "route", "add", "192.168.5.0/24", "via", "10.0.0.9")
    router.run("ip", "route", "add", "192.168.6.0/24", "nexthop", "via", "10.0.0.8", "nexthop", "via", "10.0.0.9")
    router.run("ip", "route", "add", "192.168.7.0/24", "via", "10.0.0.9", "table", "77")
    router.run("ip", "route", "add", "blackhole", "192.168.8.0/24")
    found = router.call(now)
    assert found == Topology(
        inside=(Interface("lan0", exists=True, up=True, addresses=("10.0.0.1",)),),
        outside=Interface("wan0", exists=True, up=True, addresses=("198.51.100.1", "203.0.113.1", "198.51.100.2")),
        address="198.51.100.1",
        networks=("10.0.0.0/24", "192.168.5.0/24", "192.168.6.0/24", "192.168.7.0/24"),
    )
    router.run("ip", "route", "add", "default", "via", "203.0.113.254", "src", "198.51.100.2")
    assert router.call(now).address == "198.51.100.2"
    router.run("ip", "link", "set", "wan0", "down")
    assert not router.call(now).outside.up


def test_a_link_without_carrier_is_down(router: Namespace) -> None:
    router.run("ip", "link", "add", "far0", "type", "veth", "peer", "name", "far1")
    router.run("ip", "link", "set", "far0", "up")
    watch = LinkWatch()
    found = router.call(lambda: asyncio.run(watch.snapshot(["far0"], "wan0")))
    assert found.inside == (Interface("far0", exists=True, up=False, addresses=()),)


def watching() -> contextlib.aclosing[AsyncGenerator[Topology, None]]:
    return contextlib.aclosing(LinkWatch().changes(INSIDE, "wan0"))


async def following(changes: AsyncGenerator[Topology, None]) -> Topology:
    return await asyncio.wait_for(anext(changes), 3)


def test_an_address_that_changes_is_followed_at_once(router: Namespace) -> None:
    async def main() -> None:
        async with watching() as changes:
            assert (await following(changes)).address == "198.51.100.1"
            start = time.monotonic()
            ip("addr", "del", "198.51.100.1/24", "dev", "wan0")
            ip("addr", "add", "198.51.100.99/24", "dev", "wan0")
            found = await following(changes)
            if found.address is None:
                found = await following(changes)
            assert found.address == "198.51.100.99"
            assert time.monotonic() - start < 0.5

    router.call(lambda: asyncio.run(main()))


def test_a_route_and_the_address_of_a_link_that_is_down_are_followed_too(router: Namespace) -> None:
    async def main() -> None:
        async with watching() as changes:
            await following(changes)
            ip("route", "add", "192.168.5.0/24", "via", "10.0.0.9")
            assert (await following(changes)).networks == ("10.0.0.0/24", "192.168.5.0/24")
            ip("link", "set", "wan0", "down")
            assert not (await following(changes)).outside.up
            ip("addr", "add", "203.0.113.1/24", "dev", "wan0")
            assert (await following(changes)).outside.addresses == ("198.51.100.1", "203.0.113.1")

    router.call(lambda: asyncio.run(main()))


def test_an_interface_may_come_go_and_come_back_as_another(router: Namespace) -> None:
    async def main() -> None:
        ip("link", "del", "lan0")
        async with watching() as changes:
            assert (await following(changes)).inside == (MISSING,)
            for address in ("10.0.0.1", "10.7.0.1"):
                ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
                ip("link", "set", "lan1", "up")
                ip("link", "set", "lan0", "up")
                ip("addr", "add", f"{address}/24", "dev", "lan0")
                there = Interface("lan0", exists=True, up=True, addresses=(address,))
                while (found := await following(changes)).inside != (there,):
                    pass
                assert found.networks == (f"{address[:-1]}0/24",)
                ip("link", "del", "lan0")
                while (found := await following(changes)).inside != (MISSING,):
                    pass
                assert found.networks == ()

    router.call(lambda: asyncio.run(main()))


def test_a_burst_is_one_change_and_what_does_not_matter_is_none(router: Namespace) -> None:
    async def main() -> None:
        ip("link", "add", "other0", "type", "veth", "peer", "name", "other1")
        async with watching() as changes:
            before = await following(changes)
            ip("addr", "add", "172.16.0.1/24", "dev", "other0")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(changes), 0.3)
        async with watching() as changes:
            assert await following(changes) == before
            batch = "".join(f"addr add 10.{number}.0.1/24 dev lan0\n" for number in range(1, 31))
            run(["ip", "-batch", "-"], stdin=batch)
            found = await following(changes)
            assert len(found.networks) == 31

    router.call(lambda: asyncio.run(main()))


def test_lost_messages_do_not_lose_the_change(router: Namespace) -> None:
    async def main() -> None:
        errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context))
        async with watching() as changes:
            await following(changes)
            # far more messages than the monitor's socket holds, while the loop is not looking
            for action in ("add", "del"):
                batch = "".join(
                    f"route {action} 10.{high}.{low}.0/24 via 198.51.100.9\n"
                    for high in range(100, 110)
                    for low in range(250)
                )
                run(["ip", "-batch", "-"], stdin=batch)
            ip("addr", "add", "10.3.0.1/24", "dev", "lan0")
            assert "10.3.0.0/24" in (await following(changes)).networks
        assert errors == []

    router.call(lambda: asyncio.run(main()))
