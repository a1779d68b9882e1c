"""The unit for systemd says nothing that systemd does not understand, and shuts the gateway in well."""

import shutil
import subprocess
from pathlib import Path

import pytest

import gateway

UNIT = Path(gateway.__file__).parent / "data" / "sipmasq.service"

analyzed = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="without systemd nobody verifies a unit"
)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with a program in place of one that may not be installed here."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("=sipmasq ", "=/bin/true "))
    return path


def analyze(*arguments: str) -> tuple[int, str]:
    """Exit code and output of systemd-analyze."""
    done = subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


@analyzed
def test_systemd_understands_every_line(unit: Path) -> None:
    assert analyze("verify", str(unit)) == (0, "")
    unit.write_text(unit.read_text().replace("PrivateTmp=", "PrivateTemp="))
    assert "PrivateTemp" in analyze("verify", str(unit))[1]


@analyzed
def test_little_is_exposed(unit: Path) -> None:
    """0 is nothing, 100 everything; what is left are the capabilities and kinds of sockets that it works with."""
    threshold = ("security", "--offline=true", "--threshold=35", str(unit))
    assert analyze(*threshold)[0] == 0
    unit.write_text(unit.read_text().replace("SystemCallFilter=", "#").replace("CapabilityBoundingSet=", "#"))
    assert analyze(*threshold)[0] != 0


def test_the_unit_runs_the_program_and_feeds_its_watchdog() -> None:
    lines = UNIT.read_text().splitlines()
    for line in (
        "Type=notify",
        "ExecStart=sipmasq run",
        "ExecReload=kill -HUP $MAINPID",
        "ExecStopPost=sipmasq clean --if-stopped",
        "Restart=on-failure",
        "WatchdogSec=30",
        "StateDirectory=sipmasq",
    ):
        assert line in lines


def test_the_unit_starts_where_no_iptables_program_has_run_since_boot() -> None:
    """A path that must be there fails the unit before its first program, which would have made the lock."""
    assert "ReadWritePaths=-/run/xtables.lock" in UNIT.read_text().splitlines()
