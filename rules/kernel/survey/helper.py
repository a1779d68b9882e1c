"""The kernel's own SIP helper (nf_conntrack_sip, nf_nat_sip), which must not touch the same messages."""

from collections.abc import Sequence
from pathlib import Path

from rules.kernel.survey.finding import Finding, Severity
from rules.kernel.survey.foreign import Action, ForeignTable

_MODULE = Path("/sys/module/nf_conntrack_sip")
_AUTOMATIC = Path("/proc/sys/net/netfilter/nf_conntrack_helper")  # kernels before 6.0


def find_sip_helper(
    tables: Sequence[ForeignTable], module: Path = _MODULE, automatic: Path = _AUTOMATIC
) -> list[Finding]:
    """An error for each way in which the helper gets at SIP messages, or one finding that it does not."""
    found = [
        Finding(
            Severity.ERROR,
            "kernel SIP helper",
            f"{rule.where} gives SIP to the kernel's own helper, which rewrites the same messages",
            "delete that rule",
        )
        for table in tables
        for chain in table.chains.values()
        for rule in chain.rules
        if rule.action is Action.SIP_HELPER
    ]
    if module.exists() and _is_on(automatic):
        found.append(
            Finding(
                Severity.ERROR,
                "kernel SIP helper",
                "net.netfilter.nf_conntrack_helper=1 gives SIP on port 5060 to the kernel's own helper",
                "sysctl net.netfilter.nf_conntrack_helper=0, or unload nf_nat_sip and nf_conntrack_sip",
            )
        )
    return found or [Finding(Severity.OK, "kernel SIP helper", "not in use")]


def _is_on(switch: Path) -> bool:
    try:
        return switch.read_text().strip() == "1"
    except OSError:
        return False
