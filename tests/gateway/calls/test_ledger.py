import pytest

from gateway.calls.bindings import Holder, HolderKind, MediaAddress
from gateway.calls.ledger import Ledger
from gateway.errors import ForeignAddressError, NoPortLeftError
from rules.model import Endpoint, Forward, Purpose

ALICE = Endpoint("10.0.0.11", 5060)
RTP, RTCP = Endpoint("10.0.0.11", 16384), Endpoint("10.0.0.11", 16385)
AUDIO = MediaAddress(RTP, RTCP, Purpose.RTP)
VIDEO = MediaAddress(Endpoint("10.0.0.11", 18000), Endpoint("10.0.0.11", 18001), Purpose.RTP)
FAX = MediaAddress(RTP, None, Purpose.UDPTL)
ONE, TWO = (Holder.of(HolderKind.CALL, name) for name in ("one", "two"))
REGISTRATION = Holder.of(HolderKind.REGISTRATION, "alice")
DESK, MOBILE = frozenset({"198.51.100.20"}), frozenset({"198.51.100.30"})


@pytest.fixture
def ledger() -> Ledger:
    return Ledger((20000, 20005), (5062, 5063), frozenset())


def hold(ledger: Ledger, holder: Holder, *streams: MediaAddress, sources: frozenset[str] | None = DESK) -> None:
    ledger.hold_media(frozenset(streams), sources, holder, 0.0)


def ports(ledger: Ledger) -> dict[Endpoint, int]:
    return {row.inside: row.port for row in ledger}


def test_rtp_gets_an_even_port_and_rtcp_the_one_beside(ledger: Ledger) -> None:
    hold(ledger, ONE, AUDIO)
    assert ports(ledger) == {RTP: 20000, RTCP: 20001}
    assert ledger.of_port(20001) is ledger.of_inside(RTCP)
    assert ledger.of_holder(ONE) == {RTP, RTCP}
    assert ledger.media_pairs_left == 2


def test_all_streams_or_none(ledger: Ledger) -> None:
    hold(ledger, ONE, AUDIO)
    ledger.take_changes()
    more = [MediaAddress(Endpoint("10.0.0.12", port), None, Purpose.UDPTL) for port in (4000, 4002, 4004)]
    with pytest.raises(NoPortLeftError, match=r"3 more port pairs needed, 2 free"):
        hold(ledger, TWO, *more)
    assert ports(ledger) == {RTP: 20000, RTCP: 20001}
    assert ledger.take_changes() == {}


def test_a_row_lives_as_long_as_somebody_holds_it(ledger: Ledger) -> None:
    hold(ledger, ONE, AUDIO)
    hold(ledger, TWO, AUDIO)
    ledger.release(ONE)
    assert ports(ledger) == {RTP: 20000, RTCP: 20001}
    ledger.release(TWO)
    assert ports(ledger) == {}
    assert ledger.media_pairs_left == 3


def test_a_pair_is_free_when_both_its_ports_are(ledger: Ledger) -> None:
    hold(ledger, ONE, AUDIO)
    hold(ledger, ONE, FAX)
    assert ports(ledger) == {RTP: 20000}
    assert ledger.media_pairs_left == 2
    ledger.release(ONE)
    assert ledger.media_pairs_left == 3


def test_holding_again_lets_go_of_the_rest(ledger: Ledger) -> None:
    hold(ledger, ONE, AUDIO, VIDEO)
    kept = ledger.of_inside(RTP)
    hold(ledger, ONE, AUDIO)
    assert set(ports(ledger)) == {RTP, RTCP}
    assert ledger.of_inside(RTP) is kept


def test_sip_of_the_same_holder_stays_when_its_media_go(ledger: Ledger) -> None:
    ledger.hold_signalling(ALICE, ONE, float("inf"), 0.0)
    hold(ledger, ONE, AUDIO)
    hold(ledger, ONE)
    assert set(ports(ledger)) == {ALICE}


def test_sources_of_all_holders_count(ledger: Ledger) -> None:
    hold(ledger, ONE, AUDIO, sources=DESK)
    hold(ledger, TWO, AUDIO, sources=MOBILE)
    row = ledger.of_inside(RTP)
    assert row is not None
    assert row.sources == DESK | MOBILE
    hold(ledger, TWO, AUDIO, sources=None)
    assert row.sources is None
    ledger.release(TWO)
    assert row.sources == DESK


def test_speech_and_fax_on_one_port_share_a_pair(ledger: Ledger) -> None:
    hold(ledger, ONE, AUDIO, FAX)
    assert ports(ledger) == {RTP: 20000, RTCP: 20001}
    assert ledger.media_pairs_left == 2


def test_each_rtcp_port_on_one_rtp_port_has_a_row(ledger: Ledger) -> None:
    named = Endpoint("10.0.0.11", 15001)
    hold(ledger, ONE, AUDIO, MediaAddress(RTP, named, Purpose.RTP))
    assert ports(ledger) == {RTP: 20000, RTCP: 20001, named: 20002}
    assert ledger.media_pairs_left == 1
    ledger.release(ONE)
    assert ledger.media_pairs_left == 3


def test_rtcp_of_another_call_on_the_same_rtp_port_has_a_row(ledger: Ledger) -> None:
    named = Endpoint("10.0.0.11", 17001)
    hold(ledger, ONE, AUDIO)
    hold(ledger, TWO, MediaAddress(RTP, named, Purpose.RTP))
    assert ports(ledger) == {RTP: 20000, RTCP: 20001, named: 20002}
    assert ledger.of_holder(TWO) == {RTP, named}
    ledger.release(ONE)
    assert ports(ledger) == {RTP: 20000, named: 20002}
    ledger.release(TWO)
    assert ledger.media_pairs_left == 3


def test_rtcp_that_finds_no_room_changes_nothing(ledger: Ledger) -> None:
    hold(ledger, ONE, AUDIO, VIDEO, MediaAddress(Endpoint("10.0.0.11", 19000), None, Purpose.UDPTL))
    before = ports(ledger)
    with pytest.raises(NoPortLeftError, match=r"1 more port pairs needed, 0 free"):
        hold(ledger, TWO, MediaAddress(RTP, Endpoint("10.0.0.11", 17001), Purpose.RTP))
    assert ports(ledger) == before


def test_an_rtcp_port_that_is_another_streams_rtp_port_has_that_row(ledger: Ledger) -> None:
    hold(ledger, ONE, AUDIO, MediaAddress(RTCP, Endpoint("10.0.0.11", 16386), Purpose.RTP))
    rows = ports(ledger)
    assert rows[RTP] % 2 == 0
    assert rows[RTCP] % 2 == 0
    assert rows[RTP] != rows[RTCP]


def test_rtcp_that_moves_takes_the_place_beside_its_rtp(ledger: Ledger) -> None:
    hold(ledger, ONE, AUDIO)
    elsewhere = Endpoint("10.0.0.11", 17001)
    hold(ledger, ONE, MediaAddress(RTP, elsewhere, Purpose.RTP))
    assert ports(ledger) == {RTP: 20000, elsewhere: 20001}


def test_media_on_a_sip_address_is_nobodys(ledger: Ledger) -> None:
    ledger.hold_signalling(ALICE, REGISTRATION, 100.0, 0.0)
    with pytest.raises(ForeignAddressError):
        hold(ledger, ONE, AUDIO, MediaAddress(ALICE, None, Purpose.UDPTL))
    assert set(ports(ledger)) == {ALICE}
    with pytest.raises(ForeignAddressError):
        hold(ledger, ONE, AUDIO._replace(rtcp=ALICE))
    assert set(ports(ledger)) == {ALICE}


def test_rtcp_that_would_only_by_its_number_be_on_a_sip_address_is_not_there(ledger: Ledger) -> None:
    ledger.hold_signalling(ALICE, REGISTRATION, 100.0, 0.0)
    beside = Endpoint("10.0.0.11", 5059)
    hold(ledger, ONE, MediaAddress(beside, ALICE, Purpose.RTP))
    assert ledger.of_holder(ONE) == {beside}


def candidate(port: int, rtcp: Endpoint | None = None) -> MediaAddress:
    return MediaAddress(Endpoint("10.0.0.11", port), rtcp, Purpose.RTP, is_candidate=True)


def test_candidates_have_what_is_left(ledger: Ledger) -> None:
    """Three pairs: for speech, one candidate, and RTCP that has no place beside its RTP."""
    named = [Endpoint("10.0.0.11", port) for port in (15001, 15003)]
    hold(
        ledger, ONE, AUDIO, candidate(15000), candidate(16384, named[0]), candidate(16384, named[1]), candidate(18000)
    )
    assert ports(ledger) == {Endpoint("10.0.0.11", 15000): 20002, RTP: 20000, RTCP: 20001, named[0]: 20004}
    assert ledger.of_holder(ONE) == set(ports(ledger))
    assert ledger.media_pairs_left == 0


def test_a_candidate_that_found_no_room_is_none_until_there_is_some(ledger: Ledger) -> None:
    hold(ledger, TWO, AUDIO, VIDEO)
    hold(ledger, ONE, candidate(4000), candidate(4002))
    assert not ledger.has(candidate(4002))
    ledger.release(TWO)
    hold(ledger, ONE, candidate(4000), candidate(4002))
    assert ledger.has(candidate(4002))
    assert not ledger.has(candidate(4002, RTCP))


def test_of_candidates_alone_one_must_find_room(ledger: Ledger) -> None:
    hold(ledger, TWO, AUDIO, VIDEO, MediaAddress(Endpoint("10.0.0.11", 19000), None, Purpose.UDPTL))
    with pytest.raises(NoPortLeftError, match="for any candidate"):
        hold(ledger, ONE, candidate(4000), candidate(4002))
    hold(ledger, ONE, candidate(16384), candidate(4002))
    assert ledger.of_holder(ONE) == {RTP}


def test_candidates_on_a_sip_address_are_left_out(ledger: Ledger) -> None:
    ledger.hold_signalling(ALICE, REGISTRATION, 100.0, 0.0)
    hold(ledger, ONE, AUDIO, candidate(5060), candidate(4000, ALICE))
    assert ledger.of_holder(ONE) == {RTP, RTCP, Endpoint("10.0.0.11", 4000)}
    assert ports(ledger)[ALICE] == 5060


def test_a_candidate_where_some_rtcp_is_has_its_row(ledger: Ledger) -> None:
    hold(ledger, ONE, AUDIO, candidate(16385))
    assert ports(ledger) == {RTP: 20000, RTCP: 20001}


@pytest.mark.parametrize("run", [None, RTP], ids=["alone", "in a row"])
def test_speech_and_fax_on_one_port_are_a_row_for_speech(ledger: Ledger, run: Endpoint | None) -> None:
    """In whatever order a set has them, which is another in each process."""
    speech = AUDIO._replace(run=run)
    for streams in ([speech, FAX._replace(run=run)], [FAX._replace(run=run), speech]):
        ledger.hold_media(streams, DESK, ONE, 0.0)
        row = ledger.of_inside(RTP)
        assert row is not None
        assert row.purpose is Purpose.RTP
        ledger.release(ONE)


def test_sip_on_a_media_address_is_nobodys(ledger: Ledger) -> None:
    hold(ledger, ONE, AUDIO)
    with pytest.raises(ForeignAddressError):
        ledger.hold_signalling(RTP, REGISTRATION, 100.0, 0.0)


def test_sip_never_gets_a_media_port() -> None:
    ledger = Ledger((20000, 20005), (5062, 5063), frozenset())
    ledger.hold_signalling(Endpoint("10.0.0.11", 20002), REGISTRATION, 100.0, 0.0)
    assert list(ports(ledger).values()) == [5062]


def test_holds_expire_at_their_time_and_can_be_prolonged(ledger: Ledger) -> None:
    ledger.hold_signalling(ALICE, REGISTRATION, 100.0, 0.0)
    ledger.hold_signalling(ALICE, REGISTRATION, 200.0, 50.0)
    ledger.hold_signalling(ALICE, ONE, 300.0, 50.0)
    assert ledger.expire(199.0) == []
    assert ledger.expire(200.0) == [(REGISTRATION, ALICE)]
    assert ledger.next_deadline() == 300.0
    assert ledger.expire(300.0) == [(ONE, ALICE)]
    assert ports(ledger) == {}
    assert ledger.next_deadline() is None


def test_a_hold_that_is_released_waits_for_nothing(ledger: Ledger) -> None:
    ledger.hold_signalling(ALICE, REGISTRATION, 100.0, 0.0)
    ledger.release(REGISTRATION)
    assert ledger.next_deadline() is None


def test_a_hold_may_be_shortened(ledger: Ledger) -> None:
    ledger.hold_signalling(ALICE, REGISTRATION, 200.0, 0.0)
    ledger.hold_signalling(ALICE, REGISTRATION, 100.0, 0.0)
    assert ledger.expire(100.0) == [(REGISTRATION, ALICE)]


def test_what_was_released_before_its_time_does_not_expire(ledger: Ledger) -> None:
    ledger.hold_signalling(ALICE, REGISTRATION, 100.0, 0.0)
    ledger.release(REGISTRATION)
    ledger.hold_signalling(ALICE, ONE, 500.0, 50.0)
    assert ledger.expire(100.0) == []
    assert ports(ledger) == {ALICE: 5060}


def test_changes_say_what_the_kernel_should_have(ledger: Ledger) -> None:
    ledger.hold_signalling(ALICE, REGISTRATION, 100.0, 0.0)
    hold(ledger, ONE, AUDIO)
    assert ledger.take_changes() == {
        ALICE: Forward(ALICE, 5060, Purpose.SIGNALLING, None, "phone 10.0.0.11:5060"),
        RTP: Forward(RTP, 20000, Purpose.RTP, DESK, "call one"),
        RTCP: Forward(RTCP, 20001, Purpose.RTCP, DESK, "call one"),
    }
    ledger.release(ONE)
    assert ledger.take_changes() == {RTP: None, RTCP: None}


def test_what_changes_nothing_for_the_kernel_is_no_change(ledger: Ledger) -> None:
    ledger.hold_signalling(ALICE, REGISTRATION, 100.0, 0.0)
    hold(ledger, ONE, AUDIO)
    ledger.take_changes()
    ledger.hold_signalling(ALICE, REGISTRATION, 500.0, 0.0)
    ledger.hold_signalling(ALICE, ONE, 500.0, 0.0)
    ledger.release(ONE, [ALICE])
    hold(ledger, ONE, AUDIO)
    ledger.release(TWO)
    ledger.release(ONE, [VIDEO.rtp])
    assert ledger.take_changes() == {}


def test_another_reason_is_a_change(ledger: Ledger) -> None:
    hold(ledger, ONE, AUDIO)
    hold(ledger, TWO, AUDIO)
    ledger.take_changes()
    ledger.release(ONE)
    changed = ledger.take_changes()[RTP]
    assert changed is not None
    assert changed.reason == "call two"


def test_new_ranges_are_for_new_leases(ledger: Ledger) -> None:
    hold(ledger, ONE, AUDIO)
    ledger.use_ports((30000, 30001), (6000, 6000), frozenset({5060}))
    hold(ledger, TWO, VIDEO)
    ledger.hold_signalling(ALICE, REGISTRATION, 100.0, 0.0)
    assert ports(ledger)[RTP] == 20000
    assert ports(ledger)[VIDEO.rtp] == 30000
    assert ports(ledger)[ALICE] == 6000
    ledger.release(ONE)
    ledger.release(TWO)
    assert ledger.media_pairs_left == 1


def test_a_smaller_range_does_not_lease_what_is_leased(ledger: Ledger) -> None:
    hold(ledger, ONE, AUDIO)
    ledger.use_ports((20000, 20001), (5062, 5063), frozenset())
    assert ledger.media_pairs_left == 0
    ledger.release(ONE)
    assert ledger.media_pairs_left == 1
