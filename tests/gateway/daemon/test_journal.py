import logging

import pytest

from gateway.daemon.journal import Journal
from gateway.notices import Notice, Subject


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "sipmasq")
    return caplog


def passed(text: str = "a to b: no start line", key: str = "malformed") -> Notice:
    return Notice(Subject.PASSED, key, text)


def test_a_notice_is_one_line_of_its_subjects_level(log: pytest.LogCaptureFixture) -> None:
    Journal().write(
        [
            Notice(Subject.CALL, "3f2a9c01", "3f2a9c01 ended"),
            Notice(Subject.MISSED, "10.0.0.5", "5d1e7a02 10.0.0.5 with sip:you@there ended"),
            Notice(Subject.REGISTRATION, "sip:me@here", "sip:me@here at 10.0.0.5:5060 for 600 s"),
            Notice(Subject.ADDRESS, "", "announcing 203.0.113.1, was None"),
            passed("a to b: no start line"),
            Notice(Subject.REFUSED, "INVITE", "INVITE of a: no port left"),
        ],
        0,
    )
    assert [(record.levelname, record.message) for record in log.records] == [
        ("INFO", "call: 3f2a9c01 ended"),
        ("INFO", "missed call: 5d1e7a02 10.0.0.5 with sip:you@there ended"),
        ("INFO", "registration: sip:me@here at 10.0.0.5:5060 for 600 s"),
        ("INFO", "address: announcing 203.0.113.1, was None"),
        ("WARNING", "passed unchanged: a to b: no start line"),
        ("WARNING", "refused: INVITE of a: no port left"),
    ]


def test_of_a_kind_that_strangers_cause_one_is_logged_in_ten_seconds(log: pytest.LogCaptureFixture) -> None:
    journal = Journal()
    for tenths in range(250):
        journal.write([passed(f"number {tenths}")], tenths / 10)
    assert log.messages == [
        "passed unchanged: number 0",
        "passed unchanged: 99 more (malformed)",
        "passed unchanged: number 100",
        "passed unchanged: 99 more (malformed)",
        "passed unchanged: number 200",
    ]


def test_missed_calls_of_one_phone_do_not_fill_the_log(log: pytest.LogCaptureFixture) -> None:
    journal = Journal()
    for number in range(1000):
        journal.write([Notice(Subject.MISSED, "10.0.0.5", f"call {number}")], 0)
    journal.write([Notice(Subject.MISSED, "10.0.0.6", "another phone")], 0)
    journal.write([], 10)
    assert log.messages == [
        "missed call: call 0",
        "missed call: another phone",
        "missed call: 999 more (10.0.0.5)",
    ]


def test_how_many_more_there_were_is_said_although_no_other_comes(log: pytest.LogCaptureFixture) -> None:
    journal = Journal()
    journal.write([passed(), passed(), passed()], 0)
    journal.write([], 9.9)
    assert len(log.messages) == 1
    journal.write([], 10)
    journal.write([], 20)
    assert log.messages[1:] == ["passed unchanged: 2 more (malformed)"]


def test_one_kind_does_not_hide_another(log: pytest.LogCaptureFixture) -> None:
    Journal().write([passed("one", "malformed"), passed("two", "foreign address")], 0)
    Journal().write([Notice(Subject.REFUSED, "malformed", "three")], 0)
    assert len(log.messages) == 3


def test_calls_and_registrations_are_all_logged(log: pytest.LogCaptureFixture) -> None:
    journal = Journal()
    for number in range(500):
        journal.write([Notice(Subject.CALL, "same", str(number)), Notice(Subject.REGISTRATION, "same", "")], 0)
    assert len(log.messages) == 1000


def test_keys_of_a_strangers_invention_cost_neither_memory_nor_a_full_log(log: pytest.LogCaptureFixture) -> None:
    journal = Journal()
    for number in range(10_000):
        journal.write([Notice(Subject.REFUSED, f"{number}METHOD" + "x" * 1000, "of a phone")], number / 1000)
    assert len(log.messages) <= 65
    assert _held(journal) < 10_000
    journal.write([], 20)
    assert log.messages[-1] == "refused: 9935 more (others)"
    assert _held(journal) < 100


def _held(journal: Journal) -> int:
    """The characters of all keys that the journal remembers, and some for each of them."""
    return sum(64 + len(key) for _, key in journal._quiet)


def test_what_strangers_wrote_stays_within_its_line(log: pytest.LogCaptureFixture) -> None:
    forged = "sip:x\r\n2026-01-01 INFO ready\x1b[2J\u2028"
    Journal().write([passed(forged), Notice(Subject.REFUSED, "key\n", forged + "y" * 70_000)], 0)
    assert log.messages[0] == "passed unchanged: sip:x??2026-01-01 INFO ready?[2J?"
    assert len(log.messages[1]) < 500
