"""What `check` says of the choice between iptables and nftables."""

import pytest

from rules.errors import KernelError, NotPermittedError
from rules.kernel.choice import Choice
from rules.kernel.survey import Severity, backend
from rules.kernel.survey.finding import Finding


def findings(monkeypatch: pytest.MonkeyPatch, answer: Choice | KernelError) -> tuple[Choice | None, list[Finding]]:
    def choose(_wanted: str) -> Choice:
        if isinstance(answer, KernelError):
            raise answer
        return answer

    monkeypatch.setattr(backend, "choose", choose)
    return backend.backend_findings("auto")


def test_the_choice_is_named_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    choice, [said] = findings(monkeypatch, Choice("iptables", "in use here: legacy table nat", ("queue", "nat")))
    assert said == Finding(Severity.OK, "rules.backend", "iptables: in use here: legacy table nat")
    assert backend.legacy_tables(choice) == ("filter", "nat", "mangle")


def test_what_iptables_does_for_nftables_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    choice, [_, said] = findings(monkeypatch, Choice("nftables", "rules.backend says so", ("queue",)))
    assert (said.severity, said.subject) == (Severity.OK, "interception")
    assert "no `queue` expression: SIP is intercepted by iptables-legacy's table mangle instead" in said.what
    assert backend.legacy_tables(choice) == ("mangle",)


def test_what_nobody_does_for_it_is_one_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    _, [_, said] = findings(monkeypatch, Choice("nftables", "rules.backend says so", ("masq",)))
    assert said.severity is Severity.ERROR
    assert said.what == "this kernel's nftables has no `masq` expression"
    assert said.advice == 'load nft_masq, or set rules.backend = "iptables"'


def test_nftables_alone_needs_no_legacy_table(monkeypatch: pytest.MonkeyPatch) -> None:
    choice, said = findings(monkeypatch, Choice("nftables", "rules.backend says so", ()))
    assert len(said) == 1
    assert backend.legacy_tables(choice) == ()


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (NotPermittedError("not permitted"), "run as root"),
        (KernelError("no answer"), 'set rules.backend = "iptables"'),
    ],
)
def test_a_kernel_that_cannot_be_asked_is_an_error(
    monkeypatch: pytest.MonkeyPatch, error: KernelError, advice: str
) -> None:
    choice, said = findings(monkeypatch, error)
    assert choice is None
    assert said == [Finding(Severity.ERROR, "rules.backend", str(error), advice)]
