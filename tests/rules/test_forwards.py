import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.forwards import Forwards
from rules.model import Endpoint, Forward
from tests.rules.cases import OPEN, RTP
from tests.rules.strategies import PORTS, changes


def test_two_may_swap_their_ports_at_once() -> None:
    table = Forwards()
    table.update({RTP.inside: RTP, OPEN.inside: OPEN})
    table.update({RTP.inside: RTP._replace(port=OPEN.port), OPEN.inside: OPEN._replace(port=RTP.port)})
    assert table.at(RTP.port) == OPEN._replace(port=RTP.port)


def test_a_port_that_is_held_is_refused_and_nothing_changes() -> None:
    table = Forwards()
    table.update({RTP.inside: RTP})
    with pytest.raises(ValueError, match=r"port 20000 is asked for 10\.0\.0\.6:16384"):
        table.update({OPEN.inside: OPEN._replace(port=RTP.port)})
    assert dict(table) == {RTP.inside: RTP}


def test_a_forward_under_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"for 10\.0\.0\.6:16384 is given as 10\.0\.0\.5:16384"):
        Forwards().update({OPEN.inside: RTP})


@given(st.lists(changes(), max_size=8))
def test_ports_and_insides_agree_whatever_happens(batches: list[dict[Endpoint, Forward | None]]) -> None:
    table = Forwards()
    for batch in batches:
        before = dict(table)
        try:
            table.update(batch)
        except ValueError:
            assert dict(table) == before
        for port in PORTS:
            holder = table.at(port)
            assert [f for f in table.values() if f.port == port] == ([holder] if holder else [])
