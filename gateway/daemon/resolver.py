"""The address behind `outside.host`, and how it changes; how all DNS questions are asked."""

import asyncio
import ipaddress
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import NamedTuple

import dns.asyncresolver
import dns.exception
import dns.resolver

from gateway.errors import ResolveError

log = logging.getLogger(__name__)

LIFETIME = 10.0  # seconds for all tries of one question
SHORTEST, LONGEST = 5.0, 3600.0  # seconds between two questions, whatever the TTL says
_SHORTEST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds after a failure, doubled each time


class Resolved(NamedTuple):
    """An address and for how many seconds it holds."""

    address: str
    ttl: float


class NameServer(NamedTuple):
    """A name server to ask in place of those of /etc/resolv.conf."""

    ip: str
    port: int


def asker(server: NameServer | None) -> dns.asyncresolver.Resolver:
    """Who asks DNS questions; made anew each time, since /etc/resolv.conf changes with the link to the provider.

    Raises dns.exception.DNSException if that names nobody.
    """
    resolver = dns.asyncresolver.Resolver(configure=server is None)
    if server is not None:
        resolver.nameservers = [server.ip]
        resolver.port = server.port
    return resolver


async def resolve(host: str, *, server: NameServer | None = None, prefer: str | None = None) -> Resolved:
    """The IPv4 address of a host: `prefer` if it is among several. ResolveError says why there is none."""
    if is_address(host):
        return Resolved(str(host), float("inf"))
    try:
        answer = await asker(server).resolve(host, "A", lifetime=LIFETIME)
    except (dns.exception.DNSException, OSError) as error:
        raise ResolveError(f"{host}: {reason(error)}") from error
    addresses: list[str] = [record.address for record in answer if is_usable(record.address)]
    if not addresses:
        raise ResolveError(f"{host} has no address that others can send to")
    # the order of several addresses often turns from answer to answer; that is no change
    address = prefer if prefer in addresses else addresses[0]
    return Resolved(address, answer.chaining_result.minimum_ttl)


async def follow(
    host: str,
    *,
    last: str | None = None,
    server: NameServer | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncGenerator[str, None]:
    """The host's address as soon as it is known, and again whenever it has become another; not `last`, known before.

    While the name cannot be resolved, the last address stands. Only for a literal address it ends.
    """
    pause = _SHORTEST_PAUSE
    while True:
        try:
            address, ttl = await resolve(host, server=server, prefer=last)
        except ResolveError as error:
            stands = f"; {last} stands" if last else ""
            log.warning("outside.host %s%s; asking again in %.0f s", error, stands, pause)
            await sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            continue
        pause = _SHORTEST_PAUSE
        if address != last:
            last = address
            yield address
        if ttl == float("inf"):
            return
        await sleep(min(max(ttl, SHORTEST), LONGEST))


def is_address(text: str) -> bool:
    """Whether a text is an IPv4 address."""
    try:
        ipaddress.IPv4Address(text)
    except ipaddress.AddressValueError:
        return False
    return True


def is_usable(text: str) -> bool:
    """Whether others can send to an address."""
    address = ipaddress.IPv4Address(text)
    return not (address.is_unspecified or address.is_loopback or address.is_multicast)


def reason(error: Exception) -> str:
    """Why a question has no answer, in plain words."""
    match error:
        case dns.resolver.NXDOMAIN():
            return "there is no such name"
        case dns.resolver.NoAnswer():
            return "the name has no IPv4 address"
        case dns.exception.Timeout():
            return "no name server answered in time"
        case dns.resolver.NoResolverConfiguration():
            return "/etc/resolv.conf names no name server"
        case _:
            return str(error)


async def first_address(host: str, known: str | None) -> str | None:
    """The address of `outside.host`, the `known` one if it cannot be asked for; nothing is announced without one."""
    if not host:
        return None
    try:
        return (await resolve(host, prefer=known)).address
    except ResolveError as error:
        log.warning("%s: %s", f"{known} stands" if known else "no address to announce yet", error)
        return known
