"""Rules first, then the message. `Router` itself fails a test when a message leaves before its rules are there."""

import asyncio
import logging
from dataclasses import replace

import pytest

from gateway.calls.bindings import HolderKind
from gateway.engine import Settings
from rules.errors import KernelError
from rules.fake import FakeBackend
from rules.model import Endpoint
from tests.gateway.daemon.clock import play, until
from tests.gateway.daemon.router import Router
from tests.gateway.daemon.talk import (
    PHONE,
    PROVIDER,
    PUBLIC,
    announced,
    answer,
    header,
    invite,
    register,
    ring,
    sdp,
    within,
)
from tests.rules.cases import SETUP

SLOW = 0.2
PHONE_TOO = "10.0.0.6"


async def call_up(router: Router) -> bytes:
    """A call is answered; the 200 as the phone got it."""
    request = router.outward(invite())
    await asyncio.sleep(1)
    answered = router.inward(answer(request.message, "200 OK", sdp(PROVIDER, 40000)))
    await asyncio.sleep(1)
    router.outward(within("ACK", answered.message, cseq=1))
    await asyncio.sleep(1)
    return answered.message


@pytest.mark.parametrize(
    ("message", "ports"), [(invite(), {5060, 20000}), (register(), {5060})], ids=["INVITE", "REGISTER"]
)
def test_a_message_leaves_once_the_kernel_holds_its_forwards(message: bytes, ports: set[int]) -> None:
    async def story() -> None:
        async with Router(FakeBackend(delay=SLOW)) as router:
            sent = router.outward(message)
            await asyncio.sleep(SLOW * 0.9)
            assert sent.verdict is None
            await asyncio.sleep(SLOW * 0.2)
            assert sent.verdict == "accepted"
            assert announced(sent.message) == ports <= router.public_ports

    play(story())


def test_a_phone_answers_once_the_kernel_holds_its_ports() -> None:
    async def story() -> None:
        async with Router(FakeBackend(delay=SLOW)) as router:
            router.outward(register())
            await asyncio.sleep(1)
            rung = router.inward(ring())
            assert rung.verdict == "accepted"
            answered = router.outward(answer(rung.message, "200 OK", sdp(PHONE, 16384)))
            assert answered.verdict is None
            await asyncio.sleep(1)
            assert answered.verdict == "accepted"
            assert announced(answered.message) == {20000}

    play(story())


def test_messages_that_arrive_during_a_commit_share_the_next() -> None:
    async def story() -> None:
        async with Router(FakeBackend(delay=SLOW)) as router:
            before = router.kernel.commits
            first = router.outward(invite(call="0"))
            await asyncio.sleep(SLOW / 2)
            others = [router.outward(invite(call=str(n), media=16384 + 2 * n)) for n in range(1, 50)]
            await asyncio.sleep(SLOW)
            assert first.verdict == "accepted"
            assert {sent.verdict for sent in others} == {None}
            await asyncio.sleep(SLOW)
            assert {sent.verdict for sent in others} == {"accepted"}
            assert router.kernel.commits == before + 2

    play(story())


def test_a_message_without_changes_passes_at_once_when_nothing_is_pending() -> None:
    async def story() -> None:
        async with Router(FakeBackend(delay=SLOW)) as router:
            router.outward(register())
            await asyncio.sleep(1)
            before = router.kernel.commits
            again = router.outward(register())
            assert again.verdict == "accepted"
            assert announced(again.message) == {5060}
            await asyncio.sleep(1)
            assert router.kernel.commits == before

    play(story())


def test_a_repeated_message_waits_for_the_commit_that_the_first_one_needs() -> None:
    async def story() -> None:
        async with Router(FakeBackend(delay=SLOW)) as router:
            router.outward(invite())
            await asyncio.sleep(SLOW / 2)
            again = router.outward(invite())
            assert again.verdict is None
            await asyncio.sleep(SLOW)
            assert again.verdict == "accepted"

    play(story())


def test_what_only_goes_away_holds_nobody_up() -> None:
    async def story() -> None:
        async with Router(FakeBackend(delay=SLOW)) as router:
            answered = await call_up(router)
            bye = router.outward(within("BYE", answered))
            ended = router.inward(answer(bye.message))
            assert bye.verdict == ended.verdict == "accepted"
            await asyncio.sleep(SLOW / 2)
            assert 20000 in router.public_ports
            while_removing = router.outward(register(cseq=2))
            assert while_removing.verdict == "accepted"
            await asyncio.sleep(SLOW)
            assert 20000 not in router.public_ports

    play(story())


def test_a_call_that_nobody_ends_ends_by_its_timers() -> None:
    async def story() -> None:
        async with Router() as router:
            answered = await call_up(router)
            router.outward(within("BYE", answered))  # and its answer never comes
            await asyncio.sleep(31)
            assert 20000 in router.public_ports
            await asyncio.sleep(2)
            assert router.public_ports == {5060}
            assert not list(router.engine.calls)

    play(story())


def test_each_timer_is_followed_by_the_next() -> None:
    async def story() -> None:
        async with Router(settings=Settings(idle=100)) as router:
            router.outward(invite(), phone=PHONE)
            await asyncio.sleep(10)
            router.outward(invite(PHONE_TOO, call="b"), phone=PHONE_TOO)
            assert await gone(router, 20000) == pytest.approx(32, abs=0.1)
            assert await gone(router, 20002) == pytest.approx(42, abs=0.1)
            assert await gone(router, 5060) == pytest.approx(100, abs=0.1)
            assert await gone(router, 5062) == pytest.approx(110, abs=0.1)

    play(story())


async def gone(router: Router, port: int) -> float:
    """The seconds since the beginning when the kernel no longer forwards a port."""
    return await until(lambda: port not in router.public_ports)


def test_a_timer_that_comes_nearer_is_heeded() -> None:
    async def story() -> None:
        async with Router() as router:
            answered = await call_up(router)
            await asyncio.sleep(100)  # by now the next thing to happen is the phone's own expiry, in an hour
            router.outward(within("BYE", answered))
            assert await gone(router, 20000) == pytest.approx(103 + 32, abs=0.1)

    play(story())


def test_what_is_observed_ends_calls_through_follow() -> None:
    async def story() -> None:
        async with Router() as router:
            await call_up(router)
            loop = asyncio.get_running_loop()
            for _ in range(2):
                await asyncio.sleep(301)
                router.engine.observe(await router.reconciler.counters(), loop.time())
                router.pipeline.follow()
            await asyncio.sleep(1)
            assert router.public_ports == {5060}

    play(story())


def test_configure_returns_when_the_kernel_follows() -> None:
    async def story() -> None:
        async with Router(FakeBackend(delay=SLOW)) as router:
            router.outward(register())
            await asyncio.sleep(1)
            moved = asyncio.create_task(router.move("203.0.113.9"))
            await asyncio.sleep(SLOW * 0.9)
            assert not moved.done()
            await moved
            assert router.public_addresses == {"203.0.113.9"}

    play(story())


def test_a_new_address_is_not_announced_before_the_kernel_has_it() -> None:
    async def story() -> None:
        async with Router(FakeBackend(delay=SLOW)) as router:
            router.outward(register())
            await asyncio.sleep(1)
            moved = asyncio.create_task(router.move("203.0.113.9"))
            await asyncio.sleep(SLOW / 2)
            sent = [router.outward(register(cseq=2)), router.outward(invite())]
            assert not moved.done()
            assert [packet.verdict for packet in sent] == [None, None]
            await moved
            await asyncio.sleep(SLOW * 2)
            assert [packet.verdict for packet in sent] == ["accepted", "accepted"]
            assert [header(packet.message, "Contact") for packet in sent] == ["<sip:me@203.0.113.9:5060>"] * 2

    play(story())


def test_what_waited_with_an_old_address_is_dropped_and_leaves_with_the_new_when_repeated() -> None:
    async def story() -> None:
        async with Router(FakeBackend(delay=SLOW)) as router:
            under_way = router.outward(register())
            await asyncio.sleep(SLOW / 2)
            waiting = router.outward(invite())
            await router.move("203.0.113.9")
            await asyncio.sleep(1)
            assert (under_way.verdict, waiting.verdict) == ("dropped", "dropped")
            again = router.outward(invite())
            assert header(again.message, "Contact") == "<sip:me@203.0.113.9:5060>"

    play(story())


def test_setups_given_during_a_commit_are_one() -> None:
    async def story() -> None:
        async with Router(FakeBackend(delay=SLOW)) as router:
            router.outward(register())
            await asyncio.sleep(SLOW / 2)
            before = router.kernel.commits
            await asyncio.gather(router.move("203.0.113.8"), router.move("203.0.113.9"))
            assert router.public_addresses == {"203.0.113.9"}
            assert router.kernel.commits == before + 1

    play(story())


def test_configure_passes_the_kernels_refusal_on_and_the_setup_is_tried_again() -> None:
    async def story() -> None:
        async with Router() as router:
            router.outward(register())
            await asyncio.sleep(1)
            router.kernel.fail_commit = "nat"
            with pytest.raises(KernelError, match="refused on request"):
                await router.move("203.0.113.9")
            refused = router.outward(register(cseq=2))
            await asyncio.sleep(0.1)
            assert refused.verdict == "dropped"
            router.kernel.fail_commit = None
            await asyncio.sleep(1.1)
            assert router.public_addresses == {"203.0.113.9"}

    play(story())


def test_someone_who_no_longer_waits_for_configure_does_no_harm() -> None:
    async def story() -> None:
        async with Router(FakeBackend(delay=SLOW)) as router:
            impatient = asyncio.create_task(router.pipeline.configure(replace(SETUP, queue=7)))
            await asyncio.sleep(SLOW / 2)
            impatient.cancel()
            await asyncio.sleep(1)
            assert not router.task.done()

    play(story())


def test_what_is_not_understood_passes_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with Router() as router:
            sent = [router.outward(b"\r\n\r\n") for _ in range(5)]
            assert {packet.verdict for packet in sent} == {"accepted"}

    play(story())
    assert caplog.messages == ["passed unchanged: 10.0.0.5:5060 to 198.51.100.7:5060: no SIP/2.0 start line"]


def test_what_is_no_whole_udp_datagram_of_a_known_interface_passes_unchanged() -> None:
    async def story() -> None:
        async with Router() as router:
            whole = router.outward(invite(call="x"), devices=(3, 2))
            udp = whole.data
            cut = router.raw(udp[:2] + (9000).to_bytes(2, "big") + udp[4:])
            icmp = router.raw(udp[:9] + b"\x01" + udp[10:])
            for packet in (whole, cut, icmp):
                assert packet.verdict == "accepted"
                assert b"10.0.0.5:5060" in packet.data
            assert router.public_ports == set()

    play(story())


def test_a_result_too_big_for_a_packet_is_dropped_with_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with Router() as router:
            padding = b"X: " + b"x" * (65496 - len(invite())) + b"\r\n"
            sent = router.outward(invite().replace(b"Content-Type", padding + b"Content-Type"))
            await asyncio.sleep(1)
            assert sent.verdict == "dropped"

    with caplog.at_level(logging.WARNING):
        play(story())
    assert "a message of 10.0.0.5:5060 no longer fits a packet" in caplog.text


def test_commits_are_counted_and_timed() -> None:
    async def story() -> None:
        async with Router(FakeBackend(delay=SLOW)) as router:
            before = router.pipeline.commits
            router.outward(register())
            await asyncio.sleep(1)
            assert router.pipeline.commits == before + 1
            assert router.pipeline.commit_seconds == pytest.approx(SLOW)

    play(story())


def test_holders_of_a_released_register_are_known() -> None:
    async def story() -> None:
        async with Router() as router:
            sent = router.outward(register())
            await asyncio.sleep(1)
            router.inward(answer(sent.message).replace(b"Content-Length", b"Expires: 600\r\nContent-Length"))
            binding = router.engine.ledger.of_inside(Endpoint(PHONE, 5060))
            assert binding is not None
            assert HolderKind.REGISTRATION in {holder.kind for holder in binding.holds}
            assert binding.port == 5060
            assert PUBLIC in router.public_addresses

    play(story())
