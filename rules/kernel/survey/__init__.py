"""Facts about this machine that decide whether calls will work, each with what to do.

Everything here looks and nothing changes. The functions are synchronous; those that read iptables-legacy
belong in the one thread that uses python-iptables.
"""

from collections.abc import Sequence

from rules.errors import KernelError, NotPermittedError
from rules.kernel.choice import Backend
from rules.kernel.survey.backend import backend_findings, legacy_tables
from rules.kernel.survey.barriers import find_barriers
from rules.kernel.survey.features import kernel_findings, library_findings
from rules.kernel.survey.finding import Finding, Severity
from rules.kernel.survey.foreign import ForeignTable
from rules.kernel.survey.helper import find_sip_helper
from rules.kernel.survey.legacy import read_legacy
from rules.kernel.survey.machine import (
    forwarding_findings,
    interface_findings,
    port_findings,
    queue_findings,
    rights_findings,
)
from rules.kernel.survey.masquerade import find_masquerade
from rules.kernel.survey.nft_watch import NftWatch
from rules.kernel.survey.nftables import read_nftables
from rules.kernel.survey.rivals import find_rivals
from rules.kernel.survey.traffic import Site
from rules.kernel.topology import Topology

__all__ = [
    "Finding",
    "NftWatch",
    "Severity",
    "Site",
    "judge",
    "masquerade_of_others",
    "masquerade_present",
    "read_legacy",
    "read_nftables",
    "site_of",
    "survey",
]


def survey(
    topology: Topology,
    *,
    sip_ports: Sequence[int],
    any_port: bool,
    public_ports: tuple[int, int],
    media_ports: tuple[int, int],
    queue: int,
    backend: Backend = "iptables",
) -> list[Finding]:
    """Everything worth knowing before the gateway runs on this machine."""
    ports = [("sip.ports", (port, port)) for port in sip_ports] + [("media.ports", media_ports)]
    choice, chosen = backend_findings(backend)
    tables = legacy_tables(choice)
    site = site_of(topology, sip_ports, public_ports, media_ports, by_iptables="filter" in tables)
    return [
        *rights_findings(),
        *chosen,
        *kernel_findings(any_port=any_port, tables=tables),
        *(library_findings(any_port=any_port) if tables else ()),
        *interface_findings(topology),
        *forwarding_findings(),
        *_firewall_findings(site),
        *port_findings(ports),
        *queue_findings(queue),
    ]


def masquerade_present(outside: str, networks: Sequence[str], inside: Sequence[str] = ("",)) -> str | None:
    """Where somebody else's rule already hides everything from `networks` that leaves by `outside`.

    Rules that ask for the interface where packets came in count if `inside` names them all. None if there is
    no such rule; KernelError or NotPermittedError if the rules cannot be read.
    """
    return find_masquerade(_foreign_tables(), outside, networks, inside)


def site_of(
    topology: Topology,
    sip_ports: Sequence[int],
    public_ports: tuple[int, int],
    media_ports: tuple[int, int],
    *,
    by_iptables: bool,
) -> Site:
    """Where the gateway stands, for firewalls."""
    return Site(
        inside=[interface.name for interface in topology.inside],
        outside=topology.outside.name,
        networks=topology.networks,
        address=topology.address,
        sip_ports=sip_ports,
        public_ports=public_ports,
        media_ports=media_ports,
        by_iptables=by_iptables,
    )


def judge(tables: Sequence[ForeignTable], site: Site) -> list[Finding]:
    """What other people's rules do to calls."""
    troubles = [*find_barriers(tables, site), *find_rivals(tables, site)]
    if not troubles:
        troubles = [Finding(Severity.OK, "firewall", "no rule or policy known to drop or bend calls")]
    what = (
        masquerade_of_others(tables, site)
        or "no rule of others hides the inside networks: outside.masquerade = true adds one"
    )
    return [*find_sip_helper(tables), *troubles, Finding(Severity.OK, "masquerade", what)]


def masquerade_of_others(tables: Sequence[ForeignTable], site: Site) -> str | None:
    """Where one of these tables hides the inside networks already."""
    return find_masquerade(tables, site.outside, site.networks, site.inside)


def _firewall_findings(site: Site) -> list[Finding]:
    try:
        return judge(_foreign_tables(), site)
    except NotPermittedError as error:
        return [Finding(Severity.ERROR, "firewall", str(error), "run as root")]
    except KernelError as error:
        return [Finding(Severity.WARNING, "firewall", str(error), "look at it by hand")]


def _foreign_tables() -> tuple[ForeignTable, ...]:
    return (*read_legacy(), *read_nftables())
