"""The engine with a kernel in memory: messages of every kind, calls that end in every way, years of them."""

import itertools
import os
from collections.abc import Iterator

from gateway.calls.dialog import Side
from gateway.engine import Engine, Settings
from gateway.networks import Networks
from gateway.outcome import Release
from gateway.snapshot import take_rows
from gateway.wire import Datagram
from rules.fake import FakeBackend
from rules.model import Endpoint, Setup
from rules.reconcile import Reconciler
from tests.bench.messages import Caller, answer, sdp
from tests.soak.flat import Sample, descriptors, objects, resident

_ROUNDS = 24
_AT_ONCE = 20
_LAN = "10.0.0.0/24"
_PUBLIC = "198.51.100.1"
_PROVIDER = Endpoint("198.51.100.10", 5060)
_FAR_MEDIA = Endpoint("198.51.100.20", 40000)
_PAUSE = 40.0  # seconds: longer than any transaction
_FOR_EVER = 100_000.0  # seconds: longer than any registration, and than any call may last
_NOT_SIP = b"\r\n\r\n"


class Soak:
    """One engine, its phones and its provider. Time passes when the story says so."""

    def __init__(self) -> None:
        self._kernel = FakeBackend()
        self._rules = Reconciler(self._kernel)
        self._engine = Engine(Settings())
        self._engine.place(Networks([_LAN]), _PUBLIC, _PUBLIC)
        self._phones = [
            Caller(f"alice{index}", Endpoint(f"10.0.0.{11 + index}", 5060), "bob", _PROVIDER.ip)
            for index in range(_AT_ONCE)
        ]
        self._numbers = itertools.count(1)
        self._now = 0.0
        self._calls = self._messages = 0

    async def run(self, messages: int, calls: int) -> list[Sample]:
        """So many of both, with a look at what is left after each of the rounds."""
        await self._rules.configure(
            Setup(("lan0",), "wan0", (_LAN,), _PUBLIC, (5060,), True, (20000, 29999), 5060, "drop", True)
        )
        return [
            await self._round(messages * number // _ROUNDS, calls * number // _ROUNDS)
            for number in range(1, _ROUNDS + 1)
        ]

    async def _round(self, messages: int, calls: int) -> Sample:
        """Go on until there were so many in all, and until all is over."""
        for phone in self._phones:
            self._ask(phone, phone.register(next(self._numbers)))
        while self._calls < calls:
            await self._talk(min(_AT_ONCE, calls - self._calls))
        for phone in itertools.cycle(self._phones):
            if self._messages >= messages:
                break
            self._ask(phone, phone.options(next(self._numbers)))
            self._send(phone, _NOT_SIP)
            if not next(self._numbers) % 64:
                await self._pass(_PAUSE)
        await self._pass(_FOR_EVER)
        self._engine.observe({}, self._now)
        assert not self._engine.calls.names, "a call is remembered although all is over"
        assert not list(self._engine.ledger), "something is leased although all is over"
        assert not self._kernel.entries, "the kernel holds an entry although all is over"
        own = os.getpid()
        return Sample(
            calls=self._calls,
            messages=self._messages,
            resident=resident(own),
            descriptors=descriptors(own),
            objects=objects(),
            leased=sum(binding.purpose.is_media for binding in self._engine.ledger),
            free=2 * self._engine.ledger.media_pairs_left,
        )

    async def _talk(self, count: int) -> None:
        """Calls at the same time, each of which ends in another way."""
        up = list(zip(self._phones, (next(self._numbers) for _ in range(count)), strict=False))
        ends = {number: end for (_, number), end in zip(up, itertools.cycle(("bye", "bye", "busy", "lost")))}
        for phone, number in up:
            invite = self._send(phone, phone.invite(number, Endpoint(phone.address.ip, 10000 + 2 * (number % 1000))))
            self._hear(phone, answer(invite, "180 Ringing", contact=_PROVIDER))
            if ends[number] == "busy":
                self._hear(phone, answer(invite, "486 Busy Here"))
                self._send(phone, phone.refused(number))
                continue
            self._hear(phone, answer(invite, "200 OK", contact=_PROVIDER, body=sdp("bob", _FAR_MEDIA)))
            self._send(phone, phone.ack(number, _PROVIDER))
        await self._commit()
        for phone, number in up:
            if ends[number] == "bye":
                self._ask(phone, phone.bye(number, _PROVIDER))
        self._calls += count
        await self._pass(_PAUSE)

    def _ask(self, phone: Caller, request: bytes) -> None:
        self._hear(phone, answer(self._send(phone, request), "200 OK"))

    def _send(self, phone: Caller, payload: bytes) -> bytes:
        """As it reaches the provider."""
        return self._through(Datagram(phone.address, _PROVIDER, payload, 20), Side.INSIDE)

    def _hear(self, phone: Caller, payload: bytes) -> None:
        self._through(Datagram(_PROVIDER, phone.address, payload, 20), Side.OUTSIDE)

    def _through(self, datagram: Datagram, sender: Side) -> bytes:
        self._messages += 1
        outcome = self._engine.receive(datagram, sender, self._now)
        assert isinstance(outcome, Release), outcome
        return outcome.payload or datagram.payload

    async def _pass(self, seconds: float) -> None:
        for now in self._times(self._now + seconds):
            self._now = now
            self._engine.handle_timer(now)
        await self._commit()

    def _times(self, until: float) -> Iterator[float]:
        """When something is due, and the end."""
        while (timer := self._engine.next_timer()) is not None and timer <= until:
            yield max(self._now, timer)
        yield until

    async def _commit(self) -> None:
        self._engine.take_notices()
        take_rows(self._engine)  # as if written down
        self._rules.want(self._engine.take_changes())
        await self._rules.apply()
        await self._rules.cut_stale()
