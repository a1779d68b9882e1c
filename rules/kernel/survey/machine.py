"""Rights, forwarding, interfaces and ports of this machine."""

from collections.abc import Sequence
from pathlib import Path

from rules.errors import KernelError
from rules.kernel.forwarding import forwarding_is_on
from rules.kernel.queue_table import queue_owner
from rules.kernel.survey.finding import Finding, Severity
from rules.kernel.topology import Interface, Topology

_STATUS = Path("/proc/thread-self/status")
_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13}
_UDP_SOCKETS = Path("/proc/thread-self/net/udp")


def rights_findings(status: Path = _STATUS) -> list[Finding]:
    """Whether the process may program netfilter and send packets."""
    effective = next(
        int(line.split()[1], 16) for line in status.read_text().splitlines() if line.startswith("CapEff:")
    )
    missing = [name for name, bit in _CAPABILITIES.items() if not effective >> bit & 1]
    if missing:
        return [Finding(Severity.ERROR, "rights", f"{' and '.join(missing)} missing", "run as root")]
    return [Finding(Severity.OK, "rights", "sufficient")]


def forwarding_findings() -> list[Finding]:
    """Whether IPv4 packets are forwarded."""
    try:
        on = forwarding_is_on()
    except KernelError as error:
        return [Finding(Severity.ERROR, "forwarding", str(error), "mount /proc")]
    if on:
        return [Finding(Severity.OK, "forwarding", "net.ipv4.ip_forward is on")]
    advice = "the gateway turns it on with outside.masquerade = true; else: sysctl net.ipv4.ip_forward=1"
    return [Finding(Severity.WARNING, "forwarding", "net.ipv4.ip_forward is off", advice)]


def interface_findings(topology: Topology) -> list[Finding]:
    """Whether the interfaces exist, are up and have addresses."""
    return [
        *(_interface(interface, "inside.interface") for interface in topology.inside),
        _interface(topology.outside, "outside.interface"),
    ]


def _interface(interface: Interface, key: str) -> Finding:
    subject = f"interface {interface.name}"
    if not interface.exists:
        advice = f"create it, or correct {key}; the gateway waits for it"
        return Finding(Severity.ERROR, subject, "does not exist", advice)
    if not interface.up:
        advice = f"ip link set {interface.name} up, and look at its cable"
        return Finding(Severity.ERROR, subject, "is down", advice)
    if not interface.addresses:
        return Finding(Severity.ERROR, subject, "has no IPv4 address", "give it one; the gateway waits for it")
    return Finding(Severity.OK, subject, f"is up as {', '.join(interface.addresses)}")


def port_findings(ranges: Sequence[tuple[str, tuple[int, int]]], sockets: Path = _UDP_SOCKETS) -> list[Finding]:
    """A warning for each range, (configuration key, (first, last)), in which programs of this router listen.

    What arrives at such a port is the program's until a phone is given the port, and then the phone's.
    """
    listening = sorted(listening_ports(sockets))
    found = []
    for key, (first, last) in ranges:
        taken = [str(port) for port in listening if first <= port <= last]
        if taken:
            what = f"programs of this router use UDP port {', '.join(taken)}"
            advice = f"ss -lunp tells which; move them, or choose other ports in {key}"
            found.append(Finding(Severity.WARNING, key, what, advice))
    return found


def listening_ports(sockets: Path = _UDP_SOCKETS) -> set[int]:
    """UDP ports of this namespace that its own programs use; none where /proc does not tell."""
    try:
        lines = sockets.read_text().splitlines()[1:]
    except OSError:
        return set()
    return {int(line.split()[1].rpartition(":")[2], 16) for line in lines}


def queue_findings(number: int) -> list[Finding]:
    """Whether the packet queue is free."""
    owner = queue_owner(number)
    if owner is None:
        return [Finding(Severity.OK, f"packet queue {number}", "free")]
    advice = "end it unless it is the running gateway, or choose another queue number"
    return [Finding(Severity.WARNING, f"packet queue {number}", f"bound by {owner}", advice)]
