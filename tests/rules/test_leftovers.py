"""What a predecessor's marks and sets tell of its forwards."""

import asyncio
from dataclasses import replace
from unittest.mock import Mock

import pytest

from rules import owner
from rules.fake import FakeBackend
from rules.leftovers import leftovers
from rules.model import Endpoint, Forward, Setup
from rules.reconcile import Reconciler
from tests.rules.cases import CLOSED, OPEN, PHONE, RTCP, RTP, SETUP

ELSEWHERE = PHONE._replace(inside=Endpoint("10.0.0.6", 5060), port=5062)


def left(setup: Setup, *forwards: Forward) -> FakeBackend:
    """The kernel after a gateway was killed."""
    kernel = FakeBackend()

    async def lay() -> None:
        reconciler = Reconciler(kernel)
        reconciler.want({forward.inside: forward for forward in forwards})
        await reconciler.configure(setup)

    asyncio.run(lay())
    return kernel


def found(setup: Setup, kernel: FakeBackend) -> list[Forward]:
    return leftovers(setup, asyncio.run(kernel.read()))


def test_every_forward_is_found_as_it_was() -> None:
    forwards = (PHONE, ELSEWHERE, RTP, RTCP, OPEN, CLOSED)
    assert sorted(found(SETUP, left(SETUP, *forwards))) == sorted(forwards)


def test_each_more_forward_takes_as_long_as_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    forwards = [
        RTP._replace(inside=Endpoint("10.0.0.5", 16384 + number), port=SETUP.media_ports[0] + number)
        for number in range(400)
    ]
    kernel = left(SETUP, *forwards)
    tried = Mock(wraps=owner.mark)
    monkeypatch.setattr(owner, "mark", tried)
    assert sorted(found(SETUP, kernel)) == forwards
    assert tried.call_count < 4 * len(forwards)  # the rules have two each


def test_those_for_another_address_say_nothing() -> None:
    kernel = left(SETUP, PHONE, RTP)
    assert found(replace(SETUP, address="203.0.113.2"), kernel) == []
    assert found(replace(SETUP, address=None), kernel) == []


def test_an_entry_without_its_rule_is_no_forward() -> None:
    kernel = left(SETUP, PHONE, RTP)
    kernel.tables["nat"]["SIPMASQ-PREROUTING"].clear()
    assert found(SETUP, kernel) == []


def test_a_successor_that_wants_what_it_found_changes_nothing() -> None:
    kernel = left(SETUP, PHONE, RTP, RTCP)
    before = kernel.commits

    async def succeed() -> None:
        successor = Reconciler(kernel)
        successor.want({forward.inside: forward for forward in await successor.leftovers(SETUP)})
        await successor.configure(SETUP)

    asyncio.run(succeed())
    assert kernel.commits == before
