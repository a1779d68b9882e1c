import pytest

from gateway.masquerade.inward import Inward
from gateway.masquerade.translation import Place
from rules.model import Endpoint
from tests.gateway.masquerade.pairs import ALICE, PUBLIC, Table


@pytest.fixture
def inward() -> Inward:
    return Inward(Table(), PUBLIC, ALICE)


@pytest.mark.parametrize("place", Place)
def test_a_leased_port_becomes_its_phone(inward: Inward, place: Place) -> None:
    assert inward.signalling(place, PUBLIC, 5062) == ("10.0.0.11", 5060)
    assert inward.signalling(place, PUBLIC, 5060) == ("10.0.0.12", 5060)
    assert inward.signalling(place, PUBLIC, None) == ("10.0.0.12", 5060)


def test_it_is_spelt_as_the_phone_spells_itself_there() -> None:
    table = Table()
    table.rows[0].unported.add(Place.CONTACT)
    inward = Inward(table, PUBLIC, ALICE)
    assert inward.signalling(Place.CONTACT, PUBLIC, 5062) == ("10.0.0.11", None)
    assert inward.signalling(Place.VIA, PUBLIC, 5062) == ("10.0.0.11", 5060)


def test_a_port_that_is_not_leased_means_the_receiver(inward: Inward) -> None:
    assert inward.signalling(Place.VIA, PUBLIC, 5999) == ("10.0.0.11", 5060)
    assert inward.signalling(Place.IDENTITY, PUBLIC, 5999) == ("10.0.0.11", 5999)
    assert inward.signalling(Place.CONTACT, PUBLIC, 20000) == ("10.0.0.11", 20000)


def test_nobody_elses_address_changes(inward: Inward) -> None:
    assert inward.signalling(Place.VIA, "198.51.100.1", 5062) is None
    assert inward.media(Endpoint("198.51.100.1", 20000)) is None
    assert inward.host("198.51.100.1") is None


def test_media(inward: Inward) -> None:
    assert inward.media(Endpoint(PUBLIC, 20002)) == ("10.0.0.12", 16384)
    assert inward.media(Endpoint(PUBLIC, 20008)) is None
    assert inward.media(Endpoint(PUBLIC, 5062)) is None


def test_the_public_host_alone_means_the_receiver(inward: Inward) -> None:
    assert inward.host(PUBLIC) == "10.0.0.11"
