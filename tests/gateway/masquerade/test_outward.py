import pytest

from gateway.masquerade.outward import Outward
from gateway.masquerade.translation import Place
from rules.model import Endpoint
from tests.gateway.masquerade.pairs import ALICE, PUBLIC, Table


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def outward(table: Table) -> Outward:
    return Outward(table, PUBLIC, ALICE, b"10.0.0.")


@pytest.mark.parametrize("place", Place)
def test_a_bound_address_becomes_its_partner(outward: Outward, place: Place) -> None:
    assert outward.signalling(place, "10.0.0.11", 5060) == (PUBLIC, 5062)
    assert outward.signalling(place, "10.0.0.12", 5060) == (PUBLIC, 5060)


def test_a_port_is_written_only_where_it_must_be(outward: Outward) -> None:
    assert outward.signalling(Place.CONTACT, "10.0.0.11", None) == (PUBLIC, 5062)
    assert outward.signalling(Place.CONTACT, "10.0.0.12", None) == (PUBLIC, None)


def test_how_the_phone_spells_itself_is_remembered_for_each_place(outward: Outward, table: Table) -> None:
    row = table.of_inside(ALICE)
    assert row is not None
    outward.signalling(Place.CONTACT, "10.0.0.11", None)
    outward.signalling(Place.VIA, "10.0.0.11", 5060)
    assert row.unported == {Place.CONTACT}
    outward.signalling(Place.CONTACT, "10.0.0.11", 5060)
    assert row.unported == set()


@pytest.mark.parametrize(
    ("host", "port"),
    [("10.0.0.13", 5060), ("198.51.100.1", 5060), ("10.0.0.11", 16384), ("10.0.0.11", 0), (PUBLIC, 5062)],
)
@pytest.mark.parametrize("place", [Place.VIA, Place.CONTACT])
def test_nobody_elses_address_changes(outward: Outward, place: Place, host: str, port: int) -> None:
    assert outward.signalling(place, host, port) is None


def test_as_an_identity_any_address_of_the_sender_stands_for_it(table: Table) -> None:
    outward = Outward(table, PUBLIC, Endpoint("10.0.0.11", 5060), b"10.")
    assert outward.signalling(Place.IDENTITY, "10.0.0.11", 7000) == (PUBLIC, 7000)
    assert outward.signalling(Place.CONTACT, "10.0.0.11", 7000) is None
    assert outward.signalling(Place.IDENTITY, "10.0.0.11", 20002) is None, "that port is somebody else's out there"
    assert outward.signalling(Place.IDENTITY, "10.0.0.13", 7000) is None


def test_media(outward: Outward) -> None:
    assert outward.media(Endpoint("10.0.0.11", 16384)) == (PUBLIC, 20000)
    assert outward.media(Endpoint("10.0.0.11", 16386)) is None
    assert outward.media(ALICE) is None


def test_hosts(outward: Outward) -> None:
    assert outward.host("10.0.0.11") == PUBLIC
    assert outward.host("10.0.0.12") is None
