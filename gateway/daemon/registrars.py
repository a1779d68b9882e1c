"""Where else a provider calls from: the other machines that the DNS names for its domain (RFC 3263 section 4)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import dns.exception
import dns.name
import dns.resolver

from gateway.daemon.resolver import LIFETIME, LONGEST, SHORTEST, NameServer, asker, is_address, is_usable, reason
from gateway.engine import Engine

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]

_LOOK_EVERY = 1.0  # seconds between two looks at who is registered where
_SHORTEST_PAUSE, _LONGEST_PAUSE = 5.0, 600.0  # seconds after a failure, doubled each time
_MOST_DOMAINS = 64
_MOST_SERVICES, _MOST_HOSTS, _MOST_ADDRESSES = 4, 32, 128  # of one domain
_OVER_UDP = (b"sip+d2u", b"s")  # service and flag of a NAPTR record that names an SRV record


class Found(NamedTuple):
    """The addresses of a domain and for how many seconds they hold; `problem` says why there may be more of them."""

    addresses: frozenset[str]
    ttl: float
    problem: str = ""


async def follow_registrars(
    engine: Engine, *, server: NameServer | None = None, sleep: Sleep = asyncio.sleep
) -> None:
    """Keep the engine informed about the domains that phones are registered in, as long as they are."""
    following: dict[str, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as group:
        while True:
            wanted = list(islice(_names(engine.registrations.domains), _MOST_DOMAINS))
            for domain in following.keys() - wanted:
                following.pop(domain).cancel()
                engine.callers.know(domain, frozenset())
            for domain in wanted:
                if domain not in following:
                    following[domain] = group.create_task(_follow(engine, domain, server, sleep))
            await sleep(_LOOK_EVERY)


async def look_up(domain: str, server: NameServer | None = None) -> Found:
    """Everybody who takes or makes calls for a domain over UDP: by NAPTR, by SRV, and under its own name."""
    questions = _Questions(server)
    pointers = await questions.ask([domain], "NAPTR")
    named = [_text(each.replacement) for each in pointers if (each.service.lower(), each.flags.lower()) == _OVER_UDP]
    services = await questions.ask([f"_sip._udp.{domain}", *named][:_MOST_SERVICES], "SRV")
    # the root as a target means that there is no such service (RFC 2782)
    hosts = [domain, *(_text(each.target) for each in services if each.target != dns.name.root)]
    answers = await questions.ask(hosts[:_MOST_HOSTS], "A")
    usable = [record.address for record in answers if is_usable(record.address)]
    problem = questions.problem or ("" if usable else "there is no IPv4 address of it")
    return Found(frozenset(usable[:_MOST_ADDRESSES]), questions.ttl, problem)


class _Questions:
    """Questions about one domain: the shortest time that an answer holds, and the last problem, if there was one."""

    def __init__(self, server: NameServer | None) -> None:
        self._server = server
        self.ttl = LONGEST
        self.problem = ""

    async def ask(self, names: Iterable[str], kind: str) -> list[Any]:
        """The records of these names, asked for all at once; none of a name that has none or that nobody answers."""
        answers = await asyncio.gather(*(self._ask(name, kind) for name in dict.fromkeys(names)))
        return [record for answer in answers for record in answer]

    async def _ask(self, name: str, kind: str) -> Iterable[Any]:
        try:
            answer = await asker(self._server).resolve(name, kind, lifetime=LIFETIME, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except (dns.exception.DNSException, OSError) as error:
            self.problem = f"{kind} of {name}: {reason(error)}"
            return ()
        self.ttl = min(self.ttl, answer.chaining_result.minimum_ttl)
        return answer


async def _follow(engine: Engine, domain: str, server: NameServer | None, sleep: Sleep) -> None:
    """Have the engine know a domain's addresses; while it cannot be asked, those known before stand."""
    known = frozenset[str]()
    pause = _SHORTEST_PAUSE
    while True:
        found = await look_up(domain, server)
        known = found.addresses | known if found.problem and len(known) < _MOST_ADDRESSES else found.addresses
        engine.callers.know(domain, known)
        if not found.problem:
            pause = _SHORTEST_PAUSE
            await sleep(min(max(found.ttl, SHORTEST), LONGEST))
            continue
        if pause == _SHORTEST_PAUSE:
            log.warning("registrar %s: %s; asking again now and then", domain, found.problem)
        await sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _names(domains: Iterable[str]) -> Iterator[str]:
    return (domain for domain in domains if not is_address(domain))


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()
