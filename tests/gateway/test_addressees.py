"""Whom inside hosts have written to, as far as it is kept."""

from gateway.addressees import Addressees


def test_the_last_time_counts_and_each_host_has_its_own() -> None:
    addressees = Addressees()
    addressees.note("10.0.0.11", "198.51.100.1", 1.0)
    addressees.note("10.0.0.11", "198.51.100.1", 2.0)
    assert addressees.last("10.0.0.11", "198.51.100.1") == 2.0
    assert addressees.last("10.0.0.11", "198.51.100.2") is None
    assert addressees.last("10.0.0.12", "198.51.100.1") is None


def test_one_host_cannot_push_out_what_another_knows() -> None:
    addressees = Addressees()
    addressees.note("10.0.0.12", "198.51.100.1", 0.0)
    for number in range(1000):
        addressees.note("10.0.0.11", f"192.0.2.{number}", 1.0 + number)
    assert addressees.last("10.0.0.12", "198.51.100.1") == 0.0
    assert [addressees.last("10.0.0.11", f"192.0.2.{number}") for number in (935, 936)] == [None, 937.0]


def test_hosts_without_end_are_not_kept() -> None:
    addressees = Addressees()
    for number in range(5000):
        addressees.note(f"host {number}", "198.51.100.1", float(number))
    assert [addressees.last(f"host {number}", "198.51.100.1") for number in (903, 904)] == [None, 904.0]
