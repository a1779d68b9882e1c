"""Rows of ports in the ledger: all of one or none of it."""

import pytest

from gateway.calls.bindings import Holder, HolderKind, MediaAddress
from gateway.calls.ledger import Ledger
from gateway.errors import NoPortLeftError, NotUnderstoodError
from rules.errors import SipmasqError
from rules.model import Endpoint, Purpose

ONE, TWO = (Holder.of(HolderKind.CALL, name) for name in ("one", "two"))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger((20000, 20011), (5062, 5063), frozenset())


def at(port: int) -> Endpoint:
    return Endpoint("10.0.0.11", port)


def alone(port: int, rtcp: int | None = None) -> MediaAddress:
    return MediaAddress(at(port), at(rtcp or port + 1), Purpose.RTP)


def row(first: int, count: int) -> frozenset[MediaAddress]:
    ports = range(first, first + 2 * count, 2)
    return frozenset([MediaAddress(at(port), at(port + 1), Purpose.RTP, at(first)) for port in ports])


def ports(ledger: Ledger) -> dict[int, int]:
    return {row.inside.port: row.port for row in ledger}


def test_a_row_is_held_again_shrinks_and_is_shared(ledger: Ledger) -> None:
    ledger.hold_media(row(4001, 3), None, ONE, 0.0)
    assert ports(ledger) == {4001 + offset: 20000 + offset for offset in range(6)}
    ledger.hold_media(row(4001, 3), None, TWO, 0.0)
    ledger.hold_media(row(4001, 2), None, ONE, 0.0)
    assert len(ports(ledger)) == 6
    ledger.release(TWO)
    assert ports(ledger) == {4001 + offset: 20000 + offset for offset in range(4)}
    ledger.hold_media(frozenset([alone(4001)]), None, ONE, 0.0)
    assert ports(ledger) == {4001: 20000, 4002: 20001}


def test_rows_find_their_room_between_what_is_leased(ledger: Ledger) -> None:
    ledger.hold_media(frozenset([alone(6000), alone(6002)]), None, ONE, 0.0)
    ledger.hold_media(frozenset([alone(6002)]), None, ONE, 0.0)
    assert ports(ledger) == {6002: 20002, 6003: 20003}
    ledger.hold_media(row(4000, 4), None, TWO, 0.0)
    assert ports(ledger)[4000] == 20004
    assert ledger.media_pairs_left == 1


def test_a_row_and_a_part_of_it_are_one(ledger: Ledger) -> None:
    ledger.hold_media(row(4000, 2) | {alone(4002)}, None, ONE, 0.0)
    assert ports(ledger) == {4000 + offset: 20000 + offset for offset in range(4)}
    assert ledger.media_pairs_left == 4


@pytest.mark.parametrize(
    ("before", "wanted", "error"),
    [
        pytest.param([alone(4002)], row(4000, 2), NotUnderstoodError, id="its second stream stands elsewhere"),
        pytest.param([alone(4000)], row(4000, 2), NotUnderstoodError, id="its second stream is missing"),
        pytest.param([alone(3999)], row(4000, 2), NotUnderstoodError, id="its first is another's RTCP"),
        pytest.param([alone(7000, 4003)], row(4000, 2), NotUnderstoodError, id="its RTCP is another's"),
        pytest.param([], row(4000, 2) | row(4002, 2), NotUnderstoodError, id="two that overlap"),
        pytest.param([], row(4000, 2) | {alone(4001)}, NotUnderstoodError, id="speech on its RTCP"),
        pytest.param([], row(4000, 2) | {alone(4002, 4009)}, NotUnderstoodError, id="a part with other RTCP"),
        pytest.param([], row(4000, 2) | {alone(7000, 4001)}, NotUnderstoodError, id="RTCP in common"),
        pytest.param([alone(6000), alone(6002), alone(6004)], row(4000, 4), NoPortLeftError, id="no room"),
        pytest.param([], row(4000, 4) | {alone(6000), alone(6002), alone(6004)}, NoPortLeftError, id="none besides"),
    ],
)
def test_what_cannot_be_a_row_changes_nothing(
    ledger: Ledger, before: list[MediaAddress], wanted: frozenset[MediaAddress], error: type[SipmasqError]
) -> None:
    ledger.hold_media(frozenset(before), None, ONE, 0.0)
    kept, left = ports(ledger), ledger.media_pairs_left
    for attempt in (ledger.check_media, lambda streams: ledger.hold_media(streams, None, TWO, 0.0)):
        with pytest.raises(error):
            attempt(wanted)
    assert (ports(ledger), ledger.media_pairs_left) == (kept, left)


def test_a_row_whose_rtcp_place_was_taken_is_not_understood(ledger: Ledger) -> None:
    elsewhere = frozenset([alone(4000, 9001), alone(4002, 9003)])
    ledger.hold_media(elsewhere, None, ONE, 0.0)
    with pytest.raises(NotUnderstoodError, match="leased elsewhere"):
        ledger.hold_media(row(4000, 2), None, TWO, 0.0)
    assert len(ports(ledger)) == 4
