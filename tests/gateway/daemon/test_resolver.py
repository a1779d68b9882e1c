"""The address behind a name, asked of a name server of our own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import dns.message
import dns.rcode
import dns.rrset
import pytest

from gateway.daemon import resolver
from gateway.daemon.resolver import NameServer, follow, resolve
from gateway.errors import ResolveError

HOST = "gw.example.org"


class Zone(asyncio.DatagramProtocol):
    """A name server for HOST. Each of `answers` serves one question, the last one all further ones.

    An answer is its records ("NAME TTL TYPE DATA,DATA"), or the name of an error, or silence.
    """

    def __init__(self) -> None:
        self.answers: list[Sequence[str] | str | None] = []
        self.transport: asyncio.DatagramTransport | None = None

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None or self.transport is None:
            return
        response = dns.message.make_response(dns.message.from_wire(data), recursion_available=True)
        if isinstance(answer, str):
            response.set_rcode(dns.rcode.from_text(answer))
        else:
            response.answer = [_rrset(record) for record in answer]
        self.transport.sendto(response.to_wire(), sender)


def _rrset(record: str) -> dns.rrset.RRset:
    name, ttl, kind, data = record.split()
    return dns.rrset.from_text(name, int(ttl), "IN", kind, *data.split(","))


@asynccontextmanager
async def zone(*answers: Sequence[str] | str | None) -> AsyncIterator[NameServer]:
    transport, serving = await asyncio.get_running_loop().create_datagram_endpoint(Zone, ("127.0.0.1", 0))
    serving.answers, serving.transport = list(answers), transport
    try:
        yield NameServer(*transport.get_extra_info("sockname"))
    finally:
        transport.close()


def address(ip: str, ttl: int = 300) -> list[str]:
    return [f"{HOST}. {ttl} A {ip}"]


def test_a_literal_address_holds_for_ever() -> None:
    assert asyncio.run(resolve("203.0.113.5")) == ("203.0.113.5", float("inf"))


def test_a_name_holds_for_its_ttl() -> None:
    async def scene() -> None:
        async with zone(address("203.0.113.5", 77)) as server:
            assert await resolve(HOST, server=server) == ("203.0.113.5", 77)

    asyncio.run(scene())


def test_an_alias_holds_for_the_shortest_ttl_on_the_way() -> None:
    async def scene() -> None:
        alias = [f"{HOST}. 20 CNAME dyn.example.net.", "dyn.example.net. 600 A 203.0.113.5"]
        async with zone(alias) as server:
            assert await resolve(HOST, server=server) == ("203.0.113.5", 20)

    asyncio.run(scene())


def test_of_several_addresses_the_one_in_use_is_kept() -> None:
    async def scene() -> None:
        several = address("203.0.113.5,203.0.113.6")
        async with zone(several) as server:
            for used in ("203.0.113.5", "203.0.113.6"):
                assert (await resolve(HOST, server=server, prefer=used)).address == used
            assert (await resolve(HOST, server=server, prefer="203.0.113.9")).address in (
                "203.0.113.5",
                "203.0.113.6",
            )

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("NXDOMAIN", f"{HOST}: there is no such name"),
        ([], f"{HOST}: the name has no IPv4 address"),
        ("SERVFAIL", f"{HOST}: .*SERVFAIL"),
        (address("0.0.0.0"), f"{HOST} has no address that others can send to"),
        (address("127.0.0.1"), f"{HOST} has no address that others can send to"),
    ],
)
def test_why_there_is_no_address(answer: Sequence[str] | str, said: str) -> None:
    async def scene() -> None:
        async with zone(answer) as server:
            with pytest.raises(ResolveError, match=said):
                await resolve(HOST, server=server)

    asyncio.run(scene())


def test_a_name_server_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "LIFETIME", 0.2)

    async def scene() -> None:
        async with zone(None) as server:
            with pytest.raises(ResolveError, match="no name server answered in time"):
                await resolve(HOST, server=server)

    asyncio.run(scene())


class Clock:
    """Sleeps in no time and remembers for how long."""

    def __init__(self, naps: int) -> None:
        self.naps: list[float] = []
        self._most = naps

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        if len(self.naps) == self._most:
            raise TimeoutError


async def followed(clock: Clock, *answers: Sequence[str] | str) -> list[str]:
    """The addresses that a follower yields until the clock has had enough."""
    seen: list[str] = []
    async with zone(*answers) as server, aclosing(follow(HOST, server=server, sleep=clock.sleep)) as addresses:
        with contextlib.suppress(TimeoutError):
            async for each in addresses:
                seen.append(each)  # noqa: PERF401  # what was seen before the end must be kept
    return seen


def test_only_changes_are_told() -> None:
    clock = Clock(4)
    answers = [address(ip) for ip in ("203.0.113.5", "203.0.113.5", "203.0.113.6", "203.0.113.5")]
    assert asyncio.run(followed(clock, *answers)) == ["203.0.113.5", "203.0.113.6", "203.0.113.5"]


def test_the_ttl_says_when_to_ask_again_within_reason() -> None:
    clock = Clock(3)
    asyncio.run(followed(clock, *(address("203.0.113.5", ttl) for ttl in (0, 60, 86400))))
    assert clock.naps == [5, 60, 3600]


def test_an_outage_leaves_the_last_address(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock(5)
    answers = [address("203.0.113.5"), "NXDOMAIN", "NXDOMAIN", address("203.0.113.6"), "NXDOMAIN"]
    assert asyncio.run(followed(clock, *answers)) == ["203.0.113.5", "203.0.113.6"]
    assert clock.naps == [300, 1, 2, 300, 1]
    assert f"{HOST}: there is no such name; 203.0.113.5 stands" in caplog.text


def test_a_name_that_does_not_exist_is_asked_for_less_and_less_often() -> None:
    clock = Clock(9)
    assert asyncio.run(followed(clock, "NXDOMAIN")) == []
    assert clock.naps == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_the_address_in_force_is_kept_and_not_told_again() -> None:
    async def scene() -> list[str]:
        seen: list[str] = []
        clock = Clock(2)
        several, other = address("203.0.113.5,203.0.113.6"), address("203.0.113.5")
        async with (
            zone(several, other) as server,
            aclosing(follow(HOST, last="203.0.113.6", server=server, sleep=clock.sleep)) as addresses,
        ):
            with contextlib.suppress(TimeoutError):
                async for each in addresses:
                    seen.append(each)  # noqa: PERF401  # what was seen before the end must be kept
        return seen

    assert asyncio.run(scene()) == ["203.0.113.5"]


def test_a_literal_address_is_told_once() -> None:
    async def scene() -> list[str]:
        return [each async for each in follow("203.0.113.5")]

    assert asyncio.run(scene()) == ["203.0.113.5"]
