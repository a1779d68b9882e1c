"""The wall clock is set, by NTP after boot or by hand: nothing that runs goes by it."""

import asyncio
import re
import time
from pathlib import Path

import pytest

import gateway
import rules
from tests.gateway.daemon.clock import play
from tests.gateway.daemon.router import Router
from tests.gateway.daemon.talk import answer, invite, register

_WALL_CLOCK = re.compile(r"\btime\.(?:time|time_ns|localtime|gmtime|strftime)\(|\b(?:now|utcnow|today)\(\)")


@pytest.mark.parametrize("years", [-30, 30])
def test_a_jump_ends_no_registration_and_no_call_and_none_lasts_longer(
    years: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with Router() as router:
            sent = router.outward(register())
            await asyncio.sleep(0.1)
            router.inward(answer(sent.message, "200 OK"))
            router.outward(invite())
            await asyncio.sleep(0.1)
            before = router.public_ports
            assert len(before) > 1
            real = time.time
            monkeypatch.setattr(time, "time", lambda: real() + years * 365 * 86400)
            monkeypatch.setattr(time, "time_ns", lambda: time.time() * 1_000_000_000)
            await asyncio.sleep(30)
            assert router.public_ports == before
            # an INVITE that nobody answers ends when it is due, and so does what was registered
            await asyncio.sleep(86400)
            assert router.public_ports == set()

    play(story())


def test_only_the_store_of_the_state_asks_for_the_time_of_day() -> None:
    # the monotonic clock begins anew with the machine, so what outlasts that is told apart by the other; and the name
    # of a file that is set aside says when, for people
    packages = [Path(str(package.__file__)).parent for package in (gateway, rules)]
    asking = {
        str(path.relative_to(package.parent))
        for package in packages
        for path in package.rglob("*.py")
        if _WALL_CLOCK.search(path.read_text())
    }
    assert asking == {"gateway/state/store.py"}
