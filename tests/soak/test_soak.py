"""A hundredth of the soak; the whole of it is `python -m tests.soak`."""

import asyncio

import pytest

from tests.soak import daemon
from tests.soak.alone import Soak
from tests.soak.flat import Sample, grown

_FLAT = [Sample(number, 7 * number, 50_000, 20, 90_000, 0, 10_000, 5_000) for number in range(0, 400, 50)]


def test_ten_thousand_messages_and_five_hundred_calls_leave_nothing() -> None:
    samples = asyncio.run(Soak().run(10_000, 500))
    assert samples[-1].calls == 500
    assert samples[-1].messages >= 10_000
    assert grown(samples) == []


@pytest.mark.root
@pytest.mark.lab
def test_five_hundred_calls_through_a_router_leave_nothing() -> None:
    samples = list(daemon.run(500, wait=0))
    assert samples[-1].calls == 500
    assert grown(samples) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"resident": 53_000}, "memory grew by 3000 KiB"),
        ({"descriptors": 21}, "1 descriptors more are open"),
        ({"objects": 90_400}, "400 objects more"),
        ({"leased": 2}, "2 ports are leased after 350 calls"),
        ({"free": 9_998}, "2 ports fewer are free"),
        ({"written": 14_000}, "the state grew by 9000 KiB"),
    ],
)
def test_what_grows_is_told(change: dict[str, int], told: str) -> None:
    assert grown(_FLAT) == []
    wavers = {key: value for key, value in change.items() if key in ("resident", "written")}
    assert grown([*_FLAT[:-2], _FLAT[-2]._replace(**wavers), _FLAT[-1]._replace(**change)]) == [told]
