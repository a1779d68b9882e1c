from pathlib import Path

import pytest

from rules.kernel.survey.finding import Severity
from rules.kernel.survey.helper import find_sip_helper


@pytest.mark.parametrize(
    ("loaded", "switch", "in_use"), [(True, "1\n", True), (True, "0\n", False), (False, "1\n", False)]
)
def test_automatic_assignment_of_old_kernels_counts_only_with_the_helper(
    tmp_path: Path, loaded: bool, switch: str, in_use: bool
) -> None:
    module, automatic = tmp_path / "nf_conntrack_sip", tmp_path / "nf_conntrack_helper"
    if loaded:
        module.mkdir()
    automatic.write_text(switch)
    [found] = find_sip_helper([], module, automatic)
    assert found.severity is (Severity.ERROR if in_use else Severity.OK)
    if in_use:
        assert "nf_conntrack_helper=0" in found.advice


def test_new_kernels_have_no_automatic_assignment(tmp_path: Path) -> None:
    [found] = find_sip_helper([], tmp_path, tmp_path / "nf_conntrack_helper")
    assert found.severity is Severity.OK
