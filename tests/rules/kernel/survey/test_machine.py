from pathlib import Path

import pytest

from rules.kernel.survey.finding import Severity
from rules.kernel.survey.machine import port_findings, rights_findings

UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  100: 00000000:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1234 2 00000000 0
  101: 0100007F:4E21 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1235 2 00000000 0
  102: 0100007F:4E20 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1236 2 00000000 0
"""


def test_ports_in_use_are_named_by_the_key_that_gives_them_away(tmp_path: Path) -> None:
    table = tmp_path / "udp"
    table.write_text(UDP)
    sip, media = port_findings(
        [("sip.ports", (5060, 5060)), ("sip.ports", (5061, 5061)), ("media.ports", (20000, 29999))], table
    )
    assert (sip.subject, sip.what) == ("sip.ports", "programs of this router use UDP port 5060")
    assert (media.subject, media.what) == ("media.ports", "programs of this router use UDP port 20000, 20001")
    assert "media.ports" in media.advice


@pytest.mark.parametrize(
    ("effective", "missing"),
    [
        ("000001ffffffffff", None),
        ("0000000000003000", None),
        ("0000000000001000", "CAP_NET_RAW missing"),
        ("0000000000000000", "CAP_NET_ADMIN and CAP_NET_RAW missing"),
    ],
)
def test_rights_are_the_effective_capabilities(tmp_path: Path, effective: str, missing: str | None) -> None:
    status = tmp_path / "status"
    status.write_text(f"Name:\tsipmasq\nCapPrm:\t0000000000000000\nCapEff:\t{effective}\n")
    [found] = rights_findings(status)
    assert found.severity is (Severity.ERROR if missing else Severity.OK)
    if missing:
        assert (found.what, found.advice) == (missing, "run as root")
