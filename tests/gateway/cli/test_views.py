"""What people read of the answers."""

import pytest

from gateway.cli import views
from gateway.cli.table import Table


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00"), (59.9, "0:59"), (187, "3:07"), (3600, "1:00:00"), (86399, "23:59:59"), (176_461, "2 d 1:01:01")],
)
def test_durations_are_shown_as_clocks_do(seconds: float, shown: str) -> None:
    assert views.duration(seconds) == shown


def test_findings_end_with_a_verdict() -> None:
    def found(severity: str) -> dict[str, str]:
        return {"severity": severity, "subject": "queue 5060", "what": "is free", "advice": ""}

    assert views.findings([found("ok")])[-1] == "0 errors, 0 warnings: the gateway can run here"
    assert views.findings([found("error"), found("error"), found("warning")])[-1] == (
        "2 errors, 1 warning: calls cannot work here before the errors are mended"
    )


def test_a_call_with_several_ports_is_named_once() -> None:
    media = {"public": "203.0.113.1:16384", "inside": "10.0.0.5:16384", "purpose": "rtp", "sources": None,
             "packets_in": 3, "packets_out": None}  # fmt: skip
    call = {"label": "3f2a9c01", "direction": "outgoing", "phone": "10.0.0.5", "peer": "bob", "state": "talking",
            "on_hold": True, "seconds": 61, "media": [media, {**media, "sources": []}]}  # fmt: skip
    [table] = views.calls([call])
    assert isinstance(table, Table)
    assert table.rows == [
        ("3f2a9c01", "out", "10.0.0.5", "bob", "talking, on hold", "1:01",
         "203.0.113.1:16384", "10.0.0.5:16384", "rtp", "any", "3", "-"),
        ("",) * 6 + ("203.0.113.1:16384", "10.0.0.5:16384", "rtp", "nobody yet", "3", "-"),
    ]  # fmt: skip


def test_a_clean_up_says_what_will_come_back() -> None:
    answer = {"removed": ["set sipmasq-in"], "forwarding_turned_off": True, "running": True, "skipped": False}
    assert views.cleaned(answer) == [
        "removed set sipmasq-in",
        "turned IPv4 forwarding off, as it was before",
        "a gateway is running and will make its rules again: end it first to be rid of them",
    ]


def test_networks_of_callers_are_named() -> None:
    assert views.callers("any") == "any: everybody"
    assert views.callers(["198.51.100.0/24", "203.0.113.7"]) == (
        "198.51.100.0/24, 203.0.113.7, and where a phone is registered"
    )
