"""A hundredth of the soak; the whole of it is `python -m tests.soak`."""

import asyncio

import pytest

from tests.soak import daemon
from tests.soak.alone import Soak
from tests.soak.flat import Sample, grown

_FLAT = [Sample(number, 7 * number, 50_000, 20, 90_000, 0) for number in range(0, 400, 50)]


def test_ten_thousand_messages_and_five_hundred_calls_leave_nothing() -> None:
    samples = asyncio.run(Soak().run(10_000, 500))
    assert samples[-1].calls == 500
    assert samples[-1].messages >= 10_000
    assert grown(samples) == []


@pytest.mark.root
@pytest.mark.lab
def test_five_hundred_calls_through_a_router_leave_nothing() -> None:
    samples = daemon.run(500, wait=0)
    assert samples[-1].calls == 500
    assert grown(samples) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"resident": 53_000}, "memory grew by 3000 KiB"),
        ({"descriptors": 21}, "1 descriptors more are open"),
        ({"objects": 90_400}, "400 objects more"),
        ({"ports": 2}, "2 ports are leased after 350 calls"),
    ],
)
def test_what_grows_is_told(change: dict[str, int], told: str) -> None:
    assert grown(_FLAT) == []
    grows = [*_FLAT[:-2], _FLAT[-2]._replace(resident=change.get("resident", 50_000)), _FLAT[-1]._replace(**change)]
    assert grown(grows) == [told]
