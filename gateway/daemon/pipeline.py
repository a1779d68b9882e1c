"""From the queue through the engine to the verdict, and the rules in between.

Why it is so: a message that announces an address may only leave when the kernel answers for it, and a commit costs
milliseconds whatever it holds. So one task commits for everybody: messages that arrive while it works wait together
and share the next commit. They share the writing of the state, too: a gateway that is killed must know afterwards of
all that its messages promised. When a commit fails, all that wait are taken back one by one: those that came
meanwhile may build on what is taken back, and until a commit succeeds nobody knows what the kernel has.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from gateway import wire
from gateway.calls.dialog import Side
from gateway.daemon.journal import Journal
from gateway.engine import Engine
from gateway.errors import MalformedError
from gateway.outcome import Drop, Outcome, Refuse, Release
from gateway.snapshot import must_be_kept, should_be_kept
from gateway.state.keeper import Keeper
from rules.errors import KernelError, SipmasqError
from rules.kernel.inject import Injector
from rules.kernel.queue import QueuedPacket
from rules.model import Endpoint, Setup
from rules.reconcile import Reconciler

log = logging.getLogger("sipmasq")

_RETRY_SECONDS = 1.0
_KEEP_WITHIN = 5.0
_GATHER_SECONDS = 0.25  # a look at the kernel's flows costs the same for one call as for a hundred


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A packet whose rules are not in the kernel yet, and the address that was announced when it came."""

    packet: QueuedPacket
    datagram: wire.Datagram
    sender: Side
    outcome: Release
    public: str | None

    def is_on(self, flows: frozenset[Endpoint]) -> bool:
        """Whether it rides on a flow of one of these inside addresses."""
        return self.datagram.source in flows or self.datagram.destination in flows


class Pipeline:
    """Owns the packets between queue and verdict, and is the only one that has rules committed.

    `sides` says on which side each interface is. `commits` counts what reached the kernel, `commit_seconds` is how
    long the last one took.
    """

    def __init__(
        self, engine: Engine, reconciler: Reconciler, injector: Injector, keeper: Keeper | None = None
    ) -> None:
        self._engine = engine
        self._keeper = keeper
        self._reconciler = reconciler
        self._injector = injector
        self._loop = asyncio.get_running_loop()
        self._journal = Journal()
        self._dirty = asyncio.Event()
        self._stale = asyncio.Event()
        self._adding = False
        self._changed = False
        self._committing = False
        self._refusal = ""
        self._batch: list[_Waiting] = []
        self._waiting: list[_Waiting] = []
        self._setups: list[tuple[Setup, asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._keep_later: asyncio.TimerHandle | None = None
        self.sides: Mapping[str, Side] = {}
        self.commits = 0
        self.commit_seconds = 0.0

    @property
    def is_refused(self) -> bool:
        """Whether the last commit failed, and is tried again each second."""
        return bool(self._refusal)

    def receive(self, packet: QueuedPacket) -> None:
        """Take one packet from the queue; it has its verdict now or after the next commit."""
        sender = self.sides.get(packet.in_interface)
        if sender is None or not packet.whole:
            packet.accept()
            return
        try:
            datagram = wire.split(packet.payload)
        except MalformedError:
            packet.accept()
            return
        outcome = self._engine.receive(datagram, sender, self._loop.time())
        self.follow()
        if isinstance(outcome, Release) and (self._adding or self._committing):
            packet.retain()
            self._waiting.append(_Waiting(packet, datagram, sender, outcome, self._engine.ledger.public))
            self._dirty.set()
        else:
            self._decide(packet, datagram, outcome)

    def follow(self) -> None:
        """Pass on what the engine changed: rules, log lines, its next timer."""
        changes = self._engine.take_changes()
        if changes:
            self._reconciler.want(changes)
            # what only goes away keeps nobody waiting
            self._adding |= any(forward is not None for forward in changes.values())
            self._changed = True
            self._dirty.set()
        if self._keeper is not None:
            self._see_to_state(self._keeper)
        now = self._loop.time()
        self._journal.write(self._engine.take_notices(), now)
        self._arm(now)

    async def configure(self, setup: Setup) -> None:
        """Have the kernel follow this setup; returns when it does. KernelError when it does not."""
        done = self._loop.create_future()
        self._setups.append((setup, done))
        self._adding = self._changed = True
        self._dirty.set()
        await done

    async def commit_forever(self) -> None:
        """Commit what is wanted whenever it changed, and decide on the packets that waited for it."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            self._batch, self._waiting = self._waiting, []
            # messages that wait for nothing new keep those behind them waiting, too: none overtakes another
            self._adding, self._committing = False, self._adding or bool(self._batch)
            changes, self._changed = self._changed, False
            started = self._loop.time()
            try:
                cut = await self._commit()
            except Exception as error:  # a fault of ours is met like the kernel's refusal
                expected = isinstance(error, KernelError)
                if not expected or str(error) != self._refusal:  # a refusal that lasts is said once
                    log.exception("the rules could not be set: %s", error, exc_info=not expected)  # noqa: TRY401  # not always
                self._refusal = str(error)
                self._adding |= self._committing
                self._changed |= changes
                self._batch += self._waiting
                self._waiting = []
                self._finish(partial(self._taken_back, why=str(error)))
                self._try_again()
            else:
                self._stale.set()
                if self._refusal:
                    log.info("the rules could be set again")
                self._refusal = ""
                if changes:
                    self.commits += 1
                    self.commit_seconds = self._loop.time() - started
                # what came meanwhile may have come before the cut
                self._batch += [waiting for waiting in self._waiting if waiting.is_on(cut)]
                self._waiting = [waiting for waiting in self._waiting if not waiting.is_on(cut)]
                self._finish(partial(self._unless_stale, cut=cut))
            self._committing = False

    async def cut_forever(self) -> None:
        """End the flows that committed changes made wrong, where no packet had to wait for that."""
        while True:
            await self._stale.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            self._stale.clear()
            try:
                await self._reconciler.cut_stale()
            except KernelError as error:
                log.error("flows that are over could not be ended: %s", error)  # noqa: TRY400  # the message says it all
                self._loop.call_later(_RETRY_SECONDS, self._stale.set)

    def close(self) -> None:
        """Give up on what still waits."""
        for waiting in self._batch + self._waiting:
            if not waiting.packet.decided:
                waiting.packet.drop()
        self._batch, self._waiting = [], []
        for timer in (self._timer, self._retry, self._keep_later):
            if timer is not None:
                timer.cancel()

    async def _commit(self) -> frozenset[Endpoint]:
        """Everything wanted, in one go; the inside addresses whose flows had to be cut."""
        cut: frozenset[Endpoint] = frozenset()
        if self._keeper is not None:
            # before the kernel: rules that nobody knows of go at the next start, and what is missing is made
            await self._keeper.keep(self._engine)
        if self._setups:
            setups, self._setups = self._setups, []
            setup, _ = setups[-1]
            try:
                cut = (await self._reconciler.configure(setup)).cut
            except Exception as error:
                for _, done in setups:
                    if not done.done():
                        done.set_exception(error)
                raise
            for _, done in setups:
                if not done.done():
                    done.set_result(None)
        return cut | (await self._reconciler.apply()).cut

    def _see_to_state(self, keeper: Keeper) -> None:
        """What a message tells of is written down before it leaves; how long things last, within seconds."""
        if must_be_kept(self._engine):
            self._adding = True
            self._dirty.set()
        elif self._keep_later is None and (keeper.trouble or should_be_kept(self._engine)):
            self._keep_later = self._loop.call_later(_KEEP_WITHIN, self._keep_now)

    def _keep_now(self) -> None:
        self._keep_later = None
        self._dirty.set()

    def _finish(self, outcome_of: Callable[[_Waiting], Outcome]) -> None:
        """Give each packet of the batch its verdict; what goes wrong with one is its own."""
        for waiting in self._batch:
            if waiting.packet.decided:  # its queue was closed meanwhile
                continue
            try:
                self._decide(waiting.packet, waiting.datagram, outcome_of(waiting))
            except Exception:  # whatever it is, the packet must not stay in the kernel for ever
                log.exception("no verdict for a datagram of %s; dropped", waiting.datagram.source)
                if not waiting.packet.decided:
                    waiting.packet.drop()
        self._batch = []
        self.follow()

    def _unless_stale(self, waiting: _Waiting, cut: frozenset[Endpoint]) -> Outcome:
        """A packet on a flow that was just cut carries the old translation; its sender will repeat it.

        So will that of a message that names the address before this one.
        """
        renamed = waiting.outcome.payload is not None and waiting.public != self._engine.ledger.public
        return Drop() if renamed or waiting.is_on(cut) else waiting.outcome

    def _taken_back(self, waiting: _Waiting, why: str) -> Outcome:
        if waiting.outcome.payload is None:  # what goes on as it came promises nothing of ours
            return waiting.outcome
        return self._engine.refuse(waiting.datagram, waiting.sender, why, self._loop.time())

    def _try_again(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        self._retry = self._loop.call_later(_RETRY_SECONDS, self._dirty.set)

    def _decide(self, packet: QueuedPacket, datagram: wire.Datagram, outcome: Outcome) -> None:
        match outcome:
            case Release(payload):
                self._release(packet, datagram, payload)
            case Drop():
                packet.drop()
            case Refuse(source, destination, payload):
                packet.drop()
                try:
                    answer = wire.build(source, destination, payload)
                    self._injector.send(packet.in_interface, answer, packet.source_mac)
                except SipmasqError as error:
                    log.warning("%s gets no answer: %s", destination, error)

    def _release(self, packet: QueuedPacket, datagram: wire.Datagram, payload: bytes | None) -> None:
        if payload is None:
            packet.accept()
            return
        try:
            packet.accept(wire.rebuild(packet.payload, datagram.header_length, payload))
        except (MalformedError, ValueError) as error:
            log.warning("a message of %s no longer fits a packet; dropped: %s", datagram.source, error)
            packet.drop()

    def _arm(self, now: float) -> None:
        when = self._engine.next_timer()
        if self._timer is not None:
            if self._timer.when() == when and not self._timer.cancelled():
                return
            self._timer.cancel()
            self._timer = None
        if when is not None:
            self._timer = self._loop.call_at(max(when, now), self._wake)

    def _wake(self) -> None:
        self._timer = None
        try:
            self._engine.handle_timer(self._loop.time())
        finally:
            self.follow()
