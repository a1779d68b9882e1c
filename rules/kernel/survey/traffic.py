"""The kinds of packets that calls are made of, as other people's chains see them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from rules.kernel.survey.foreign import Condition, ForeignChain, Hook, Passage, Subject, shared, span

Ports = tuple[tuple[int, int], ...]

_DESTINATION_NAT, _SOURCE_NAT = -100, 100  # priorities of the two
_UNPRIVILEGED: Ports = ((1024, 0xFFFF),)
_MEDIA_RANGE = 64  # ports; a narrower range is one of other services
_FEW_HOSTS = 8  # length of a prefix; who drops one so narrow means somebody else than the provider


@dataclass(frozen=True, slots=True)
class Site:
    """Where the gateway stands, as far as firewalls ask: interfaces, addresses (none if not known), and ports.

    `by_iptables` is whether its ACCEPT stands in iptables-legacy.
    """

    inside: Sequence[str]
    outside: str
    networks: Sequence[str]
    address: str | None
    sip_ports: Sequence[int]
    public_ports: tuple[int, int]
    media_ports: tuple[int, int]
    by_iptables: bool = True


@dataclass(frozen=True, slots=True)
class Traffic:
    """One kind of packets of calls between an inside interface and the outside one."""

    name: str
    inside: str
    outward: bool
    media: bool

    def first(self, site: Site, chain: ForeignChain) -> Passage:
        """What the first packet of such a flow looks like where the chain sees it."""
        return self._passage(site, chain, "new", answers=False)

    def later(self, site: Site, chain: ForeignChain) -> list[Passage]:
        """What the following ones look like, in flows that began on this side or on the other one."""
        return [self._passage(site, chain, "established", answers=answers) for answers in (False, True)]

    def _passage(self, site: Site, chain: ForeignChain, state: str, *, answers: bool) -> Passage:
        into, out = (self.inside, site.outside) if self.outward else (site.outside, self.inside)
        translated = chain.hook is not Hook.INGRESS and (
            chain.hook is not Hook.PREROUTING or chain.priority > _DESTINATION_NAT
        )
        here, there = self._addresses(site, chain, translated=translated)
        return Passage(
            into,
            # before routing a packet has no interface to leave by
            "" if chain.hook in (Hook.PREROUTING, Hook.INGRESS) else out,
            # the destination of an answer is set right without DNAT
            dnated=translated and self.outward is answers,
            sources=here,
            destinations=there,
            ports=self._ports(site, translated=translated),
            state=state,
        )

    def is_hit(self, condition: Condition, passage: Passage) -> bool | None:
        """Whether a condition that some of these packets meet is meant for them; None if nobody can tell."""
        match condition.subject:
            case Subject.PORT if condition.values and not condition.negated:
                return self._meets(condition.values, passage.ports or ())
            case Subject.SOURCE_PORT if condition.values and not condition.negated:
                return self._meets(condition.values, _UNPRIVILEGED)
            case Subject.PORT | Subject.SOURCE_PORT if condition.values:
                return True
            case Subject.SOURCE | Subject.DESTINATION if condition.values:
                remote = (condition.subject is Subject.DESTINATION) is self.outward
                return condition.negated or not remote or any(_is_wide(value) for value in condition.values)
            case _:
                return None

    def _addresses(
        self, site: Site, chain: ForeignChain, *, translated: bool
    ) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
        inside = tuple(site.networks) or None
        router = (f"{site.address}/32",) if site.address else None
        if not self.outward:
            return None, inside if translated else router
        hidden = chain.hook is Hook.POSTROUTING and chain.priority > _SOURCE_NAT
        return router if hidden else inside, None

    def _ports(self, site: Site, *, translated: bool) -> Ports:
        sip = tuple((port, port) for port in site.sip_ports)
        if not self.outward and not translated:
            return (site.media_ports,) if self.media else (*sip, site.public_ports)
        return _UNPRIVILEGED if self.media else sip

    def _meets(self, values: Iterable[str], ports: Ports) -> bool:
        least = _MEDIA_RANGE if ports == _UNPRIVILEGED else 1
        return any(shared(ports, span(value)) >= least for value in values)


def traffic(inside: Iterable[str]) -> Iterator[Traffic]:
    """Every kind, by inside interface."""
    for name in inside:
        yield Traffic("SIP from the phones", name, outward=True, media=False)
        yield Traffic("audio to the outside", name, outward=True, media=True)
        yield Traffic("SIP to the phones", name, outward=False, media=False)
        yield Traffic("audio to the phones", name, outward=False, media=True)


def _is_wide(prefix: str) -> bool:
    network = IPv4Network(prefix, strict=False)
    return network.prefixlen < _FEW_HOSTS and not IPv4Address(network.network_address).is_multicast
