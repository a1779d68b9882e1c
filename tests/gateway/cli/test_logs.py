"""The log as lines to read and as JSON."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from gateway.cli.logs import LogFormat, LogLevel, start_logging
from gateway.daemon.journal import Journal
from gateway.notices import Notice, Subject

log = logging.getLogger("sipmasq")


class Start(Protocol):
    def __call__(self, form: LogFormat) -> None: ...


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts to log as in a new process."""
    root = logging.getLogger()
    level = root.level

    def begin(form: LogFormat) -> None:
        # within the test: pytest adds handlers of its own when it begins
        monkeypatch.setattr(root, "handlers", [])
        start_logging(LogLevel.INFO, form)

    yield begin
    root.setLevel(level)


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_each_line_is_an_object_with_time_level_subject_and_text(
    capsys: pytest.CaptureFixture[str], start: Start
) -> None:
    start(LogFormat.JSON)
    log.info("ready: %s", 'lan0 "behind"\nwan0 \udcff')
    log.debug("not said")
    (line,) = said(capsys)
    stamp = datetime.fromisoformat(str(line.pop("time")))
    assert stamp.tzinfo is not None
    assert abs(datetime.now(UTC) - stamp) < timedelta(minutes=1)
    assert line == {"level": "info", "subject": "gateway", "text": 'ready: lan0 "behind"\nwan0 \udcff'}


def test_a_notice_keeps_what_it_is_made_of(capsys: pytest.CaptureFixture[str], start: Start) -> None:
    start(LogFormat.JSON)
    journal = Journal()
    journal.write([Notice(Subject.REFUSED, "INVITE", "no port left")] * 3, 0)
    journal.write([Notice(Subject.CALL, "3f2a9c01", "10.0.0.11 up")], 60)
    lines = said(capsys)
    assert all(line.pop("time") for line in lines)
    assert lines == [
        {"level": "warning", "subject": "refused", "key": "INVITE", "text": "no port left"},
        {"level": "warning", "subject": "refused", "key": "INVITE", "text": "2 more (INVITE)", "withheld": 2},
        {"level": "info", "subject": "call", "key": "3f2a9c01", "text": "10.0.0.11 up"},
    ]


def test_a_fault_is_one_line_with_its_traceback(capsys: pytest.CaptureFixture[str], start: Start) -> None:
    start(LogFormat.JSON)
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        log.exception("it went wrong")
    (line,) = said(capsys)
    assert (line["level"], line["text"]) == ("error", "it went wrong")
    assert str(line["traceback"]).endswith("ZeroDivisionError: division by zero")


@pytest.mark.parametrize(("journal", "begins"), [("8:9", "INFO ready"), (None, "2")])
def test_text_has_a_time_where_the_journal_gives_none(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    start: Start,
    journal: str | None,
    begins: str,
) -> None:
    if journal is None:
        monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    else:
        monkeypatch.setenv("JOURNAL_STREAM", journal)
    start(LogFormat.TEXT)
    log.info("ready")
    line = capsys.readouterr().err
    assert line.startswith(begins)
    assert line.endswith(" INFO ready\n" if journal is None else "INFO ready\n")
