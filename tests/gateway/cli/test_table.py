"""Pages as a pipe gets them."""

import pytest

from gateway.cli.table import Table, plain, printable, show


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    table = Table(("PUBLIC", "IN"), [("203.0.113.1:16384", "7"), ("x", "12345")], frozenset({"IN"}))
    assert list(plain(table)) == [
        "PUBLIC                IN",
        "203.0.113.1:16384      7",
        "x                  12345",
    ]


def test_rows_without_headings_are_just_rows() -> None:
    assert list(plain(Table((), [("calls", "3"), ("registrations", "")]))) == ["calls          3", "registrations"]


def test_nothing_steers_a_terminal() -> None:
    assert printable("Zoë \x1b[2J\r\n\u202e") == "Zoë ?[2J???"


def test_a_page_goes_from_top_to_bottom(capsys: pytest.CaptureFixture[str]) -> None:
    show(["sipmasq\x07", Table((), [("a\n", "b")]), "end"])
    assert capsys.readouterr().out == "sipmasq?\na?  b\nend\n"
