from pathlib import Path

import pytest

from rules.kernel.survey.features import library_findings
from rules.kernel.survey.finding import Severity


def test_missing_extensions_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XTABLES_LIBDIR", str(tmp_path))
    for name in ("xt_DNAT", "xt_SNAT", "xt_MASQUERADE", "xt_udp", "xt_comment", "xt_conntrack"):
        (tmp_path / f"lib{name}.so").touch()
    [found] = library_findings(any_port=False)
    assert found.severity is Severity.ERROR
    assert found.what == f"no extension for NFQUEUE, hashlimit, set in {tmp_path}"
    assert "install iptables" in found.advice
    for name in ("xt_NFQUEUE", "xt_hashlimit", "xt_set"):
        (tmp_path / f"lib{name}.so").touch()
    [found] = library_findings(any_port=False)
    assert found.severity is Severity.OK
    [found] = library_findings(any_port=True)
    assert found.what == f"no extension for string in {tmp_path}"
