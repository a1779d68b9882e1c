"""Which machines the DNS names for a provider, asked of a name server of our own."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from gateway.daemon import registrars
from gateway.daemon.registrars import follow_registrars, look_up
from gateway.daemon.resolver import NameServer
from tests.support.zone import Zone, zone
from tests.transcripts.flow import Flow
from tests.transcripts.test_incoming_call import register

SRV = "0 0 5060"
WHOLE = {
    "example.org NAPTR": """10 10 "s" "SIP+D2T" "" _sip._tcp.example.org.
                            20 10 "S" "sip+d2u" "" _sip._udp.pool.example.net.""",
    "_sip._udp.pool.example.net SRV": f"{SRV} a.example.net.\n{SRV} b.example.net. TTL 40",
    "_sip._udp.example.org SRV": f"{SRV} c.example.net.",
    "_sip._tcp.example.org SRV": f"{SRV} t.example.net.",
    "a.example.net A": "192.0.2.1\n192.0.2.2",
    "b.example.net A": "192.0.2.3\n127.0.0.1",
    "c.example.net A": "192.0.2.4 TTL 50",
    "t.example.net A": "192.0.2.99",
    "example.org A": "192.0.2.5",
}


@pytest.fixture
def server() -> Iterator[Zone]:
    where = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    where.bind(("127.0.0.1", 0))
    with zone(where, WHOLE) as made:
        yield made


def found(server: Zone, domain: str = "example.org") -> registrars.Found:
    return asyncio.run(look_up(domain, NameServer(*server.address)))


def all_of(*last: int) -> frozenset[str]:
    return frozenset(f"192.0.2.{number}" for number in last)


def test_all_machines_for_udp_belong_to_a_domain_for_the_shortest_ttl(server: Zone) -> None:
    assert found(server) == (all_of(1, 2, 3, 4, 5), 40, "")


def test_services_without_naptr_are_found_by_their_name(server: Zone) -> None:
    del server.table["example.org NAPTR"]
    assert found(server).addresses == all_of(4, 5)


def test_a_domain_may_be_a_mere_host(server: Zone) -> None:
    assert found(server, "c.example.net") == (all_of(4), 50, "")


def test_a_service_that_is_said_not_to_exist_is_none(server: Zone) -> None:
    server.table["_sip._udp.example.org SRV"] = "0 0 0 ."
    assert found(server).addresses == all_of(1, 2, 3, 5)
    assert ". A" not in server.asked


@pytest.mark.parametrize(
    ("domain", "problem"),
    [
        ("nobody.example", "there is no IPv4 address of it"),
        ("a..b", "A of a..b: A DNS label is empty."),
        ("x" * 64 + ".org", f"A of {'x' * 64}.org: A DNS label is > 63 octets long."),
    ],
)
def test_a_name_that_leads_nowhere(server: Zone, domain: str, problem: str) -> None:
    assert found(server, domain)[::2] == (all_of(), problem)


def test_what_cannot_be_asked_does_not_hide_the_rest(server: Zone) -> None:
    server.table["_sip._udp.pool.example.net SRV"] = "SERVFAIL"
    addresses, _, problem = found(server)
    assert addresses == all_of(4, 5)
    assert problem.startswith("SRV of _sip._udp.pool.example.net: ")


def test_a_name_server_that_is_silent_is_not_waited_for(server: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registrars, "LIFETIME", 0.2)
    server.table["example.org NAPTR"] = "silence"
    assert found(server)[::2] == (all_of(4, 5), "NAPTR of example.org: no name server answered in time")


def test_a_domain_cannot_make_us_ask_without_end(server: Zone) -> None:
    services = [f'1 1 "s" "SIP+D2U" "" s{number}.example.' for number in range(20)]
    server.table["example.org NAPTR"] = "\n".join(services)
    for number in range(20):
        hosts = [f"{SRV} h{number}-{host}.example." for host in range(20)]
        server.table[f"s{number}.example SRV"] = "\n".join(hosts)
    found(server)
    assert len([asked for asked in server.asked if asked.endswith(" SRV")]) == 4
    assert len([asked for asked in server.asked if asked.endswith(" A")]) == 32


class Days:
    """Lets `follow_registrars` run on a clock that goes from nap to nap, until the test has seen enough."""

    def __init__(self, server: Zone, flow: Flow, script: list[dict[str, str]]) -> None:
        self.server, self.flow, self.script = server, flow, script
        self.naps: list[float] = []
        self.known: list[frozenset[str]] = []

    async def sleep(self, seconds: float) -> None:
        """The nap after each look-up turns a page of the script; who looks for registrations waits."""
        if seconds == registrars._LOOK_EVERY:
            await asyncio.sleep(0.01)
            return
        self.naps.append(seconds)
        self.known.append(self.flow.engine.callers.known_of("example.org"))
        if not self.script:
            raise TimeoutError
        self.server.table |= self.script.pop(0)

    def run(self) -> None:
        following = follow_registrars(self.flow.engine, server=NameServer(*self.server.address), sleep=self.sleep)
        with suppress(ExceptionGroup):
            asyncio.run(following)


def registered(flow: Flow) -> Flow:
    register(flow.phone("alice", "10.0.0.11"), flow.provider)
    return flow


def test_the_ttl_says_when_to_ask_again_within_reason(server: Zone, flow: Flow) -> None:
    script = [{"example.org A": f"192.0.2.6 TTL {ttl}", "example.org NAPTR": "", "_sip._udp.example.org SRV": ""}
              for ttl in (0, 86400)]  # fmt: skip
    days = Days(server, registered(flow), script)
    days.run()
    assert days.naps == [40, 5, 3600]
    assert days.known == [all_of(1, 2, 3, 4, 5), all_of(6), all_of(6)]


def test_an_outage_leaves_what_was_known_and_is_said_once(
    server: Zone, flow: Flow, caplog: pytest.LogCaptureFixture
) -> None:
    fails = dict.fromkeys(WHOLE, "SERVFAIL")
    days = Days(server, registered(flow), [fails, fails, fails, dict(WHOLE)])
    days.run()
    assert days.naps == [40, 5, 10, 20, 40]
    assert set(days.known) == {all_of(1, 2, 3, 4, 5)}
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("registrar example.org: ")


def test_a_domain_is_forgotten_with_its_last_registration(server: Zone, flow: Flow) -> None:
    async def scene() -> None:
        engine = registered(flow).engine
        following = asyncio.create_task(follow_registrars(engine, server=NameServer(*server.address), sleep=brief))
        await until(lambda: engine.callers.known_of("example.org") == all_of(1, 2, 3, 4, 5))
        flow.wait(3601)
        await until(lambda: not engine.callers.known_of("example.org"))
        following.cancel()

    async def brief(seconds: float) -> None:
        await asyncio.sleep(0.01 if seconds == registrars._LOOK_EVERY else 3600)

    async def until(condition: Callable[[], bool]) -> None:
        for _ in range(500):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it took too long")

    asyncio.run(scene())


def test_addresses_are_not_looked_up_and_no_more_than_64_names(server: Zone, flow: Flow) -> None:
    alice = flow.phone("alice", "10.0.0.11")
    for number in range(70):
        domain = f"{number}.example" if number else "198.51.100.1"
        alice.asks("REGISTER", f"sip:{domain}", call=f"reg-{number}", to=f"<sip:alice@{domain}>")
        flow.provider.answers("200 OK", tag="r")

    async def scene() -> None:
        following = follow_registrars(flow.engine, server=NameServer(*server.address), sleep=never)
        with suppress(TimeoutError):
            await asyncio.wait_for(following, 1.5)

    async def never(seconds: float) -> None:
        await asyncio.sleep(3600)

    asyncio.run(scene())
    asked = {name.removesuffix(" NAPTR") for name in server.asked if name.endswith(" NAPTR")}
    assert asked == {f"{number}.example" for number in range(1, 65)}
