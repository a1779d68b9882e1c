"""Whether iptables or nftables would keep the rules, and what of it this kernel lacks."""

from rules.diff import TABLES
from rules.errors import KernelError, NotPermittedError
from rules.kernel.choice import INTERCEPTING, Backend, Choice, choose
from rules.kernel.survey.finding import Finding, Severity
from rules.ruleset import TableName

_SUBJECT = "rules.backend"


def backend_findings(wanted: Backend) -> tuple[Choice | None, list[Finding]]:
    """The choice and its reason; none where the kernel does not let itself be asked."""
    try:
        choice = choose(wanted)
    except NotPermittedError as error:
        return None, [Finding(Severity.ERROR, _SUBJECT, str(error), "run as root")]
    except KernelError as error:
        return None, [Finding(Severity.ERROR, _SUBJECT, str(error), 'set rules.backend = "iptables"')]
    found = [Finding(Severity.OK, _SUBJECT, f"{choice.backend}: {choice.why}")]
    if choice.backend == "nftables":
        found += map(_without, choice.missing)
    return choice, found


def legacy_tables(choice: Choice | None) -> tuple[TableName, ...]:
    """The legacy tables that would hold rules of ours."""
    if choice is None or choice.backend == "iptables":
        return TABLES
    return () if choice.intercepts else ("mangle",)


def _without(name: str) -> Finding:
    lacks = f"this kernel's nftables has no `{name}` expression"
    if name in INTERCEPTING:
        what = f"{lacks}: SIP is intercepted by iptables-legacy's table mangle instead, which takes an ipset as well"
        return Finding(Severity.OK, "interception", what)
    advice = f'load nft_{name}, or set rules.backend = "iptables"'
    return Finding(Severity.ERROR, f"nft {name}", lacks, advice)
