"""What the rules do to packets: before, during and after a forward."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from rules.model import Endpoint, Forward, Purpose, Traffic
from tests.netns.stage import (
    PEER,
    PHONE,
    PHONE_TOO,
    ROUTER,
    RTP,
    SETUP,
    STRANGER,
    VARIANTS,
    Scene,
    Stage,
    other_phone,
    stage,
)

pytestmark = pytest.mark.root


@pytest.fixture(params=VARIANTS)
def wired(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with stage(request.param) as made:
        yield made


def test_media_goes_both_ways_by_the_announced_port_while_the_forward_lasts(wired: Stage) -> None:
    async def story(scene: Scene) -> None:
        phone, peer = scene.phone_line(), scene.outside_line()
        await scene.rules.configure(SETUP)
        peer.send(ROUTER, 20000)
        assert phone.sender() is None
        await scene.put(RTP)
        peer.send(ROUTER, 20000)
        assert phone.sender() == Endpoint(PEER, 9000)
        phone.send(PEER, 9000)
        assert peer.sender() == Endpoint(ROUTER, 20000)
        await scene.end(RTP)
        peer.send(ROUTER, 20000)
        assert phone.sender() is None
        phone.send(PEER, 9000)
        assert peer.sender() == Endpoint(ROUTER, 16384)  # plain masquerade again

    wired.play(story)


def test_the_phone_may_speak_first(wired: Stage) -> None:
    async def story(scene: Scene) -> None:
        phone, peer = scene.phone_line(), scene.outside_line()
        await scene.rules.configure(SETUP)
        await scene.put(RTP)
        phone.send(PEER, 9000)
        assert peer.sender() == Endpoint(ROUTER, 20000)
        peer.send(ROUTER, 20000)
        assert phone.sender() == Endpoint(PEER, 9000)
        await scene.end(RTP)
        peer.send(ROUTER, 20000)
        assert phone.sender() is None

    wired.play(story)


def test_a_flow_older_than_the_forward_is_cut_and_reported(wired: Stage) -> None:
    async def story(scene: Scene) -> None:
        phone, peer = scene.phone_line(), scene.outside_line()
        await scene.rules.configure(SETUP)
        phone.send(PEER, 9000)
        assert peer.sender() == Endpoint(ROUTER, 16384)
        assert (await scene.put(RTP)).cut == {RTP.inside}
        phone.send(PEER, 9000)
        assert peer.sender() == Endpoint(ROUTER, 20000)
        assert (await scene.put(RTP._replace(reason="call 3f2a9c02"))).cut == frozenset()

    wired.play(story)


def test_only_the_signalled_source_gets_in_from_whatever_port(wired: Stage) -> None:
    async def story(scene: Scene) -> None:
        phone, peer, stranger = scene.phone_line(), scene.outside_line(), scene.outside_line(ip=STRANGER)
        await scene.rules.configure(SETUP)
        await scene.put(RTP)
        stranger.send(ROUTER, 20000)
        assert phone.sender() is None
        scene.outside_line(9999).send(ROUTER, 20000)
        assert phone.sender() == Endpoint(PEER, 9999)
        await scene.put(RTP._replace(sources=frozenset({PEER, STRANGER})))
        stranger.send(ROUTER, 20000)
        assert phone.sender() == Endpoint(STRANGER, 9000)
        await scene.put(RTP)
        stranger.send(ROUTER, 20000)
        assert phone.sender() is None
        peer.send(ROUTER, 20000)
        assert phone.sender() == Endpoint(PEER, 9000)

    wired.play(story)


def test_media_that_is_early_is_neither_answered_nor_pinned(wired: Stage) -> None:
    async def story(scene: Scene) -> None:
        phone, peer = scene.phone_line(), scene.outside_line()
        await scene.rules.configure(SETUP)
        assert not scene.outside_line(9001).refused(ROUTER, 20000)
        peer.send(ROUTER, 20000)  # no forward yet
        await scene.put(RTP._replace(sources=frozenset()))
        peer.send(ROUTER, 20000)  # nobody may send yet
        assert phone.sender() is None
        await scene.put(RTP)
        peer.send(ROUTER, 20000)
        assert phone.sender() == Endpoint(PEER, 9000)

    wired.play(story)


@pytest.mark.parametrize("sources", [frozenset(), frozenset({PEER})], ids=["nobody named yet", "another named"])
def test_who_is_not_named_may_answer_the_phone_and_nothing_else(wired: Stage, sources: frozenset[str]) -> None:
    async def story(scene: Scene) -> None:
        phone, stranger = scene.phone_line(), scene.outside_line(ip=STRANGER)
        await scene.rules.configure(SETUP)
        await scene.put(RTP._replace(sources=sources))
        for _ in range(2):  # what was refused leaves no flow for the next packet to ride on
            stranger.send(ROUTER, 20000)
            assert phone.sender() is None
        phone.send(STRANGER, 9000)
        assert stranger.sender() == Endpoint(ROUTER, 20000)
        stranger.send(ROUTER, 20000)
        assert phone.sender() == Endpoint(STRANGER, 9000)
        scene.outside_line(9001, STRANGER).send(ROUTER, 20000)  # the phone did not write there
        assert phone.sender() is None
        assert await scene.rules.counters() == {RTP.inside: Traffic(1, 1)}
        await scene.end(RTP)
        stranger.send(ROUTER, 20000)
        assert phone.sender() is None

    wired.play(story)


def test_a_host_that_is_named_no_more_cannot_even_answer(wired: Stage) -> None:
    async def story(scene: Scene) -> None:
        phone, peer, stranger = scene.phone_line(), scene.outside_line(), scene.outside_line(ip=STRANGER)
        await scene.rules.configure(SETUP)
        await scene.put(RTP._replace(sources=frozenset({PEER})))
        for line, ip in ((peer, PEER), (stranger, STRANGER)):
            phone.send(ip, 9000)
            line.send(ROUTER, 20000)
            assert phone.sender() == Endpoint(ip, 9000)
        await scene.put(RTP._replace(sources=frozenset({"203.0.113.9"})))
        peer.send(ROUTER, 20000)
        assert phone.sender() is None
        # the phone still speaks with the other one, whom nobody ever named
        stranger.send(ROUTER, 20000)
        assert phone.sender() == Endpoint(STRANGER, 9000)

    wired.play(story)


def test_two_phones_use_one_port_at_once(wired: Stage) -> None:
    async def story(scene: Scene) -> None:
        one, two, peer = scene.phone_line(), scene.phone_line(ip=PHONE_TOO), scene.outside_line()
        await scene.rules.configure(SETUP)
        await scene.put(RTP, other_phone(RTP, 20002))
        for phone, port in ((one, 20000), (two, 20002)):
            phone.send(PEER, 9000)
            assert peer.sender() == Endpoint(ROUTER, port)
            peer.send(ROUTER, port)
            assert phone.sender() == Endpoint(PEER, 9000)

    wired.play(story)


@pytest.mark.parametrize("wired", ["iptables"], indirect=True)
def test_a_router_that_drops_by_policy_lets_announced_media_and_signalling_through(wired: Stage) -> None:
    async def story(scene: Scene) -> None:
        scene.router.run("iptables-legacy", "-P", "FORWARD", "DROP")
        phone, peer = scene.phone_line(), scene.outside_line()
        sip, provider = scene.phone_line(5060), scene.outside_line(5060)
        await scene.rules.configure(SETUP)
        phone.send(PEER, 9000)
        sip.send(PEER, 5060)
        assert (peer.sender(), provider.sender()) == (None, None)
        await scene.put(RTP, Forward(Endpoint(PHONE, 5060), 5060, Purpose.SIGNALLING, None, "registration"))
        phone.send(PEER, 9000)
        assert peer.sender() == Endpoint(ROUTER, 20000)
        peer.send(ROUTER, 20000)
        assert phone.sender() == Endpoint(PEER, 9000)
        provider.send(ROUTER, 5060)
        assert sip.sender() == Endpoint(PEER, 5060)
        sip.send(PEER, 5060)
        assert provider.sender() == Endpoint(ROUTER, 5060)

    wired.play(story)


def test_a_phone_is_reached_from_anywhere_though_its_port_was_answered_by_the_router_before(wired: Stage) -> None:
    async def story(scene: Scene) -> None:
        sip, provider = scene.phone_line(5060), scene.outside_line(5080)
        await scene.rules.configure(SETUP)
        provider.send(ROUTER, 5060)  # the router itself takes it, and conntrack remembers
        assert sip.sender() is None
        await scene.put(Forward(Endpoint(PHONE, 5060), 5060, Purpose.SIGNALLING, None, "registration"))
        provider.send(ROUTER, 5060)
        assert sip.sender() == Endpoint(PEER, 5080)

    wired.play(story)


def test_a_public_port_that_another_phones_flow_took_is_freed(wired: Stage) -> None:
    async def story(scene: Scene) -> None:
        one, two, provider = scene.phone_line(5060), scene.phone_line(5060, PHONE_TOO), scene.outside_line(5060)
        await scene.rules.configure(SETUP)
        two.send(PEER, 5060)
        assert provider.sender() == Endpoint(ROUTER, 5060)
        await scene.put(Forward(Endpoint(PHONE, 5060), 5060, Purpose.SIGNALLING, None, "registration"))
        one.send(PEER, 5060)
        assert provider.sender() == Endpoint(ROUTER, 5060)
        provider.send(ROUTER, 5060)
        assert one.sender() == Endpoint(PEER, 5060)

    wired.play(story)


def test_media_follows_to_a_new_address(wired: Stage) -> None:
    async def story(scene: Scene) -> None:
        phone, peer = scene.phone_line(), scene.outside_line()
        await scene.rules.configure(SETUP)
        await scene.put(RTP)
        phone.send(PEER, 9000)
        assert peer.sender() == Endpoint(ROUTER, 20000)
        scene.router.run("ip", "address", "add", "203.0.113.99/24", "dev", "wan0")
        assert (await scene.rules.configure(replace(SETUP, address="203.0.113.99"))).cut == {RTP.inside}
        phone.send(PEER, 9000)
        assert peer.sender() == Endpoint("203.0.113.99", 20000)
        peer.send("203.0.113.99", 20000)
        assert phone.sender() == Endpoint(PEER, 9000)
        peer.send(ROUTER, 20000)
        assert phone.sender() is None
        assert not await scene.rules.verify()

    wired.play(story)


def test_packets_are_counted_both_ways_and_only_those_let_in(wired: Stage) -> None:
    async def story(scene: Scene) -> None:
        phone, peer, stranger = scene.phone_line(), scene.outside_line(), scene.outside_line(ip=STRANGER)
        await scene.rules.configure(SETUP)
        anybody = other_phone(RTP, 20002)._replace(sources=None)
        await scene.put(RTP, anybody)
        for _ in range(3):
            peer.send(ROUTER, 20000)
            assert phone.sender()
        phone.send(PEER, 9000)
        stranger.send(ROUTER, 20000)
        stranger.send(ROUTER, 20002)
        assert phone.sender() is None
        assert await scene.rules.counters() == {RTP.inside: Traffic(3, 1), anybody.inside: Traffic(1, 0)}
        await scene.end(RTP)
        await scene.put(RTP)
        assert (await scene.rules.counters())[RTP.inside] == Traffic(0, 0)

    wired.play(story)
