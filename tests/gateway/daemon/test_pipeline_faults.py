"""What goes wrong on the way: nothing half rewritten leaves, and every packet has its verdict."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from gateway.calls.bindings import HolderKind
from rules.fake import FakeBackend
from rules.flows import Flow
from rules.model import Endpoint
from tests.gateway.daemon.clock import play, until
from tests.gateway.daemon.router import MAC, Router
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

SLOW = 0.2
PHONE_TOO = "10.0.0.6"
Failing = Callable[[FakeBackend], None]


def nat_fails(kernel: FakeBackend) -> None:
    kernel.fail_commit = "nat"


def a_set_fails(kernel: FakeBackend) -> None:
    kernel.fail_set = "sipmasq-out"


def nothing_can_be_cut(kernel: FakeBackend) -> None:
    kernel.fail_flows = True


def heal(kernel: FakeBackend) -> None:
    kernel.fail_commit = kernel.fail_set = None
    kernel.fail_flows = False


def calls_held(router: Router) -> list[str]:
    kinds = {HolderKind.CALL}
    return [str(holder) for row in router.engine.ledger for holder in row.holds if holder.kind in kinds]


@pytest.mark.parametrize("fail", [nat_fails, a_set_fails, nothing_can_be_cut])
def test_a_request_is_refused_and_leaves_no_trace_when_its_commit_fails(fail: Failing) -> None:
    async def story() -> None:
        async with Router() as router:
            fail(router.kernel)
            sent = router.outward(invite())
            await asyncio.sleep(0.5)
            assert sent.verdict == "dropped"
            [(interface, refusal, mac)] = router.wire.sent
            assert (interface, mac) == ("lan0", MAC)
            assert refusal.source == Endpoint(PROVIDER, 5060)
            assert refusal.destination == Endpoint(PHONE, 5060)
            assert refusal.payload.startswith(b"SIP/2.0 503 ")
            assert header(refusal.payload, "Retry-After") == "5"
            assert header(refusal.payload, "Via") == header(invite(), "Via")
            assert router.left == []
            assert not list(router.engine.calls)
            assert calls_held(router) == []
            ack = router.outward(within("ACK", refusal.payload, cseq=1))
            assert ack.verdict == "dropped"

    play(story())


def test_a_call_from_outside_is_refused_from_the_address_that_it_was_sent_to() -> None:
    async def story() -> None:
        async with Router() as router:
            router.outward(register(PHONE_TOO), phone=PHONE_TOO)
            router.outward(register())
            await asyncio.sleep(1)
            nat_fails(router.kernel)
            router.outward(invite())  # makes the commit that fails
            rung = router.inward(ring())
            await asyncio.sleep(0.5)
            assert rung.verdict == "dropped"
            interface, refusal, mac = router.wire.sent[-1]
            assert (interface, mac) == ("wan0", MAC)
            assert refusal.source == Endpoint(PUBLIC, 5062)
            assert refusal.destination == Endpoint(PROVIDER, 5060)
            assert refusal.payload.startswith(b"SIP/2.0 503 ")

    play(story())


def test_responses_and_acks_are_dropped_when_their_commit_fails() -> None:
    async def story() -> None:
        async with Router() as router:
            router.outward(register())
            await asyncio.sleep(1)
            rung = router.inward(ring())
            nat_fails(router.kernel)
            answered = router.outward(answer(rung.message, "200 OK", sdp(PHONE, 16384)))
            ack = router.outward(within("ACK", answered.message, call="in", cseq=1))
            await asyncio.sleep(0.5)
            assert (answered.verdict, ack.verdict) == ("dropped", "dropped")
            assert router.wire.sent == []

    play(story())


def test_the_rules_are_tried_again_a_second_later_and_the_next_call_works() -> None:
    async def story() -> None:
        async with Router() as router:
            nat_fails(router.kernel)
            router.outward(invite())
            await asyncio.sleep(0.5)
            heal(router.kernel)
            await asyncio.sleep(0.6)
            assert not await router.reconciler.verify()
            assert router.public_ports == {5060}
            before = len(router.wire.sent)
            sent = router.outward(invite(call="b"))
            await asyncio.sleep(0.1)
            assert sent.verdict == "accepted"
            assert len(router.wire.sent) == before

    play(story())


def test_after_a_failure_nothing_leaves_until_the_kernel_has_what_was_promised() -> None:
    async def story() -> None:
        async with Router() as router:
            nat_fails(router.kernel)
            first = router.outward(register())
            await asyncio.sleep(0.5)
            # the phone's address is leased since the first one, so this one changes nothing
            second = router.outward(register(cseq=2))
            await asyncio.sleep(0.1)
            assert (first.verdict, second.verdict) == ("dropped", "dropped")
            assert len(router.wire.sent) == 2
            heal(router.kernel)
            third = router.outward(register(cseq=3))
            await asyncio.sleep(0.1)
            assert third.verdict == "accepted"
            assert announced(third.message) == {5060} == router.public_ports

    play(story())


def test_a_copy_that_arrived_during_the_failing_commit_is_refused_as_well() -> None:
    async def story() -> None:
        async with Router(FakeBackend(delay=SLOW)) as router:
            nat_fails(router.kernel)
            first = router.outward(invite())
            await asyncio.sleep(SLOW / 2)
            copy = router.outward(invite())
            await until(lambda: first.verdict)
            heal(router.kernel)
            await asyncio.sleep(2)
            assert (first.verdict, copy.verdict) == ("dropped", "dropped")
            assert [refusal.payload[:11] for _, refusal, _ in router.wire.sent] == [b"SIP/2.0 503"] * 2
            assert router.public_ports == {5060}

    play(story())


def test_what_is_no_sip_waits_through_a_failing_commit_and_passes_as_it_came(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        async with Router() as router:
            nat_fails(router.kernel)
            router.outward(invite())
            keep_alive = router.outward(b"\r\n\r\n")
            await asyncio.sleep(0.5)
            assert keep_alive.verdict == "accepted"
            assert keep_alive.message == b"\r\n\r\n"

    play(story())
    assert "Traceback" not in caplog.text


def test_a_long_failure_is_tried_once_a_second_however_many_messages_came() -> None:
    async def story() -> None:
        async with Router() as router:
            nat_fails(router.kernel)
            for number in range(20):
                router.outward(register(cseq=number))
                await asyncio.sleep(0.05)
            await asyncio.sleep(2)
            before = router.kernel.commits
            await asyncio.sleep(10)
            # each try asks twice: with what changed, and by reading everything back
            assert router.kernel.commits - before <= 22

    play(story())


def test_a_packet_on_a_cut_flow_is_dropped_and_its_repetition_passes() -> None:
    async def story() -> None:
        async with Router(FakeBackend(delay=SLOW)) as router:
            router.kernel.conntrack = [_flow_without_rules()]
            sent = router.outward(register())
            await asyncio.sleep(1)
            assert sent.verdict == "dropped"
            assert router.wire.sent == []
            assert router.kernel.conntrack == []
            again = router.outward(register())
            assert again.verdict == "accepted"

    play(story())


def test_a_packet_that_came_on_the_flow_before_it_was_cut_is_dropped_too() -> None:
    async def story() -> None:
        async with Router(FakeBackend(delay=SLOW)) as router:
            router.kernel.conntrack = [_flow_without_rules()]
            router.outward(register())
            await asyncio.sleep(SLOW / 2)
            late = router.outward(invite())
            other = router.outward(invite(PHONE_TOO, call="b"), phone=PHONE_TOO)
            await asyncio.sleep(1)
            assert late.verdict == "dropped"
            assert other.verdict == "accepted"

    play(story())


def _flow_without_rules() -> Flow:
    """The phone's flow from before the gateway: masqueraded to some port."""
    phone, provider = Endpoint(PHONE, 5060), Endpoint(PROVIDER, 5060)
    return Flow(phone, provider, provider, Endpoint(PUBLIC, 1024))


@pytest.mark.parametrize("where", ["receive", "take_changes", "next_timer"])
def test_a_fault_in_the_engine_costs_one_packet(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with Router() as router:
            with monkeypatch.context() as fault:
                fault.setattr(router.engine, where, _breaks)
                struck = router.outward(register())
            assert struck.verdict == "dropped"
            assert [str(error) for error in router.door.complaints] == ["a fault"]
            sent = router.outward(register())
            await asyncio.sleep(1)
            assert sent.verdict == "accepted"

    play(story())


def test_a_fault_while_refusing_costs_one_packet(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with Router() as router:
            nat_fails(router.kernel)
            with monkeypatch.context() as fault:
                fault.setattr(router.engine, "refuse", _breaks)
                struck = [router.outward(invite()), router.outward(register())]
                await asyncio.sleep(0.1)
            assert [packet.verdict for packet in struck] == ["dropped", "dropped"]
            heal(router.kernel)
            await asyncio.sleep(2)
            assert router.outward(register(cseq=2)).verdict == "accepted"

    play(story())
    assert "no verdict for a datagram of 10.0.0.5:5060; dropped" in caplog.text


def test_a_verdict_that_the_kernel_does_not_take_is_the_fault_of_one_packet() -> None:
    async def story() -> None:
        async with Router() as router:
            broken = router.outward(register(), broken=True)
            whole = router.outward(register(PHONE_TOO), phone=PHONE_TOO)
            await asyncio.sleep(1)
            assert broken.verdict is not None
            assert whole.verdict == "accepted"
            assert not router.task.done()

    play(story())


def test_a_fault_in_the_rules_is_a_commit_that_failed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with Router() as router:
            with monkeypatch.context() as fault:
                fault.setattr(router.reconciler, "apply", _breaks)
                struck = router.outward(invite())
                await asyncio.sleep(0.1)
            assert struck.verdict == "dropped"
            assert len(router.wire.sent) == 1
            await asyncio.sleep(1)
            sent = router.outward(invite(call="b"))
            await asyncio.sleep(0.1)
            assert sent.verdict == "accepted"

    play(story())
    assert "a fault" in caplog.text


def test_a_refusal_that_cannot_be_sent_is_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with Router() as router:
            await router.move(None)  # without an address requests are refused at once
            router.wire.fails = True
            sent = router.outward(invite())
            assert sent.verdict == "dropped"
            assert router.door.complaints == []

    play(story())
    assert "cannot send on lan0" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_fault_in_a_timer_does_not_stop_the_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        async with Router() as router:
            router.outward(invite())
            await asyncio.sleep(30)
            with monkeypatch.context() as fault:
                fault.setattr(router.engine, "handle_timer", _breaks_once(router.engine.handle_timer))
                await asyncio.sleep(5)
            assert router.public_ports == {5060}

    play(story())


def test_at_the_end_what_waits_is_dropped_without_complaint(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with Router(FakeBackend(delay=SLOW)) as router:
            under_way = router.outward(register())
            await asyncio.sleep(SLOW / 2)
            waiting = router.outward(invite())
            router.task.cancel()
            await asyncio.sleep(0)
            router.pipeline.close()
            assert (under_way.verdict, waiting.verdict) == ("dropped", "dropped")

    with caplog.at_level(logging.DEBUG):
        play(story())
    assert "forgotten" not in caplog.text


def test_packets_of_a_queue_that_was_closed_meanwhile_are_let_be(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with Router(FakeBackend(delay=SLOW)) as router:
            sent = router.outward(register())
            await asyncio.sleep(SLOW / 2)
            router.door.close()
            await asyncio.sleep(1)
            assert sent.verdict == "dropped"

    play(story())
    assert "Traceback" not in caplog.text


def _breaks(*_: object) -> Any:
    raise ValueError("a fault")


def _breaks_once(function: Callable[[float], None]) -> Callable[[float], None]:
    faults = [ValueError("a fault")]

    def broken(now: float) -> None:
        if faults:
            raise faults.pop()
        function(now)

    return broken
