"""One gateway from start to end: what it opens, the tasks that keep it going, and how it leaves.

Order matters at both ends. The queue is bound before any rule leads into it, and forwarding is turned on only when
the masquerade is in place; at the end the rules go first.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Iterator

from gateway.calls.dialog import Side
from gateway.config import Config
from gateway.daemon import report
from gateway.daemon.control import ControlServer
from gateway.daemon.notify import Notifier, watchdog_interval
from gateway.daemon.pipeline import Pipeline
from gateway.daemon.resolver import follow, resolve
from gateway.engine import Engine, Settings
from gateway.errors import ControlError, ResolveError
from gateway.networks import Networks
from rules.errors import KernelError, SipmasqError
from rules.kernel.forwarding import forwarding_is_on, set_forwarding
from rules.kernel.inject import Injector
from rules.kernel.links import LinkWatch
from rules.kernel.netfilter import Netfilter
from rules.kernel.queue import PacketQueue
from rules.kernel.survey import masquerade_present
from rules.kernel.survey.machine import listening_ports
from rules.kernel.topology import Topology
from rules.model import Endpoint, Setup, Traffic
from rules.reconcile import Reconciler

log = logging.getLogger("sipmasq")

_VERIFY_AFTER = 1.0  # seconds without a commit before what the last one left is read back
_VERIFY_EVERY = 30.0
_COUNT_AT_MOST_EVERY = 15.0


class Service:
    """Everything that runs. `load` reads the configuration, again at each SIGHUP."""

    def __init__(self, load: Callable[[], Config]) -> None:
        self._load = load
        self._config = config = load()
        self._loop = asyncio.get_running_loop()
        self._notifier = Notifier()
        self._netfilter = Netfilter()
        self._reconciler = Reconciler(self._netfilter)
        self._injector = Injector()
        self._engine = Engine(_settings(config))
        self._pipeline = Pipeline(self._engine, self._reconciler, self._injector)
        self._queue: PacketQueue | None = None
        self._control: ControlServer | None = None
        self._topology: Topology | None = None
        self._host_address: str | None = None
        self._forwarding_was_off = False
        self._traffic: dict[Endpoint, Traffic] = {}
        self._started = self._loop.time()
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then leave the machine as it was found."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._pipeline.commit_forever())]
                await self._use(self._config)
                tasks += map(
                    group.create_task,
                    (self._follow(group), self._watch_rules(), self._count_traffic(), self._feed_watchdog()),
                )
                self._notifier.ready()
                log.info("ready: %s", self._summary())
                await self._stop.wait()
                self._notifier.stopping()
                for task in tasks:
                    task.cancel()
        except BaseExceptionGroup as group:
            # one task's error ends them all; the operator is told that one
            raise group.exceptions[0] from group
        finally:
            await self._leave()

    async def _use(self, config: Config) -> None:
        """Go over to a configuration; an error leaves the one before in force."""
        queue, control = self._queue, self._control
        if queue is None or _queue_of(config) != _queue_of(self._config):
            queue = self._open_queue(config)
        if control is None or config.control != self._config.control:
            control = ControlServer(config.control.socket, self._answer)
            await control.start()
        topology = await LinkWatch().snapshot(config.inside.interface, config.outside.interface)
        old_queue, self._queue = self._queue, queue
        old_control, self._control = self._control, control
        self._config = config
        self._engine.configure(_settings(config))
        self._pipeline.sides = _sides(config)
        self._host_address = await _first_address(config.outside.host)
        await self._place(topology)
        if old_queue is not None and old_queue is not queue:
            self._close_queue(old_queue)
        if old_control is not None and old_control is not control:
            await old_control.close()

    async def _place(self, topology: Topology) -> None:
        """Have engine and kernel follow the router's addresses and the operator's choices."""
        config = self._config
        outside, inside, networks = config.outside.interface, config.inside.interface, topology.networks
        masquerade = config.outside.masquerade
        if masquerade:
            where = await self._netfilter.call(lambda: masquerade_present(outside, networks, inside))
            masquerade = where is None
            turn_on = not forwarding_is_on()
            self._forwarding_was_off |= turn_on
        setup = Setup(
            inside=inside,
            outside=outside,
            networks=networks,
            address=topology.address,
            sip_ports=config.sip.ports,
            media_ports=config.media.ports,
            queue=config.sip.queue,
            on_failure=config.sip.on_failure,
            masquerade=masquerade,
            forwarding_was_off=self._forwarding_was_off,
        )
        announced = self._host_address if config.outside.host else topology.address
        self._topology = topology
        self._engine.place(Networks(networks), topology.address, announced if topology.address else None)
        self._pipeline.follow()
        await self._pipeline.configure(setup)
        if config.outside.masquerade and turn_on:
            set_forwarding(on=True)

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        """Follow what the outside world changes, under one configuration after the other."""
        while True:
            config = self._config
            following = [group.create_task(self._follow_links(config))]
            if config.outside.host:
                following.append(group.create_task(self._follow_host(config.outside.host)))
            try:
                await self._reload.wait()
            finally:
                for task in following:
                    task.cancel()
            self._reload.clear()
            self._notifier.reloading()
            try:
                await self._use(self._load())
            except SipmasqError as error:
                log.error("configuration refused, the one before stays: %s", error)  # noqa: TRY400  # it says it all
            else:
                log.info("configuration read again: %s", self._summary())
            self._notifier.ready()

    async def _follow_links(self, config: Config) -> None:
        changes = LinkWatch().changes(config.inside.interface, config.outside.interface)
        async with contextlib.aclosing(changes):
            async for topology in changes:
                if self._queue is not None:
                    self._queue.forget_interface_names()
                if topology != self._topology:
                    await self._replace(topology)

    async def _follow_host(self, host: str) -> None:
        async with contextlib.aclosing(follow(host)) as addresses:
            async for address in addresses:
                if address != self._host_address and self._topology is not None:
                    self._host_address = address
                    await self._replace(self._topology)

    async def _replace(self, topology: Topology) -> None:
        try:
            await self._place(topology)
        except KernelError as error:
            # the pipeline tries the rules again by itself
            log.error("not all could follow the change of addresses: %s", error)  # noqa: TRY400  # it says it all

    async def _watch_rules(self) -> None:
        """Read back what each burst of commits left, and now and then what others may have done to it."""
        verified, seen, since = 0, 0, 0.0
        while True:
            await asyncio.sleep(_VERIFY_AFTER)
            since += _VERIFY_AFTER
            seen, quiet = self._pipeline.commits, seen == self._pipeline.commits
            if (quiet and seen != verified) or since >= _VERIFY_EVERY:
                verified, since = seen, 0.0
                with _logged("the rules could not be read back"):
                    drift = await self._reconciler.verify()
                    if drift:
                        log.warning("the rules were not as they should be, mending them: %s", drift)
                        await self._reconciler.repair()

    async def _count_traffic(self) -> None:
        while True:
            await asyncio.sleep(min(_COUNT_AT_MOST_EVERY, self._config.media.silence / 10))
            with _logged("packets could not be counted"):
                self._traffic = await self._reconciler.counters()
                self._engine.observe(self._traffic, self._loop.time())
                self._pipeline.follow()

    async def _feed_watchdog(self) -> None:
        interval = watchdog_interval()
        while interval is not None:
            self._notifier.watchdog()
            await asyncio.sleep(interval / 2)

    async def _leave(self) -> None:
        """Forwarding first, then the rules, then the queue that they lead to."""
        if self._control is not None:
            await self._control.close()
        if self._queue is not None:
            self._loop.remove_reader(self._queue.fileno())
        try:
            # before the masquerade goes: what would be forwarded in between leaks
            if await self._reconciler.forwarding_was_off():
                set_forwarding(on=False)
            await self._reconciler.clean()
        finally:
            self._pipeline.close()
            if self._queue is not None:
                self._queue.close()
            await self._reconciler.close()
            self._injector.close()
            log.info("stopped")

    async def _answer(self, command: str) -> object:
        """What the other commands ask over the control socket."""
        now, engine = self._loop.time(), self._engine
        if command in ("calls", "bindings"):
            self._traffic = await self._reconciler.counters()
        match command:
            case "calls":
                return report.calls(engine, self._traffic, now)
            case "bindings":
                return report.bindings(engine, self._traffic, now)
            case "rules":
                return report.rules(self._reconciler.ruleset(), engine)
            case "status" if self._topology is not None and self._queue is not None:
                return report.status(
                    self._config,
                    self._topology,
                    engine,
                    self._reconciler.ruleset(),
                    self._queue.stats(),
                    uptime=now - self._started,
                    commit_seconds=self._pipeline.commit_seconds,
                )
            case _:
                raise ControlError(f"no such command: {command}")

    def _open_queue(self, config: Config) -> PacketQueue:
        queue = PacketQueue(config.sip.queue, self._pipeline.receive, fail_open=config.sip.on_failure == "pass")
        self._loop.add_reader(queue.fileno(), queue.on_readable)
        return queue

    def _close_queue(self, queue: PacketQueue) -> None:
        self._loop.remove_reader(queue.fileno())
        queue.close()

    def _summary(self) -> str:
        config, topology = self._config, self._topology
        inside = ", ".join(config.inside.interface)
        networks = ", ".join(topology.networks if topology is not None else ())
        announced = self._engine.ledger.public or "no address yet"
        return f"{inside} ({networks or 'no network yet'}) behind {config.outside.interface} ({announced})"


def _settings(config: Config) -> Settings:
    return Settings(
        media_ports=config.media.ports,
        media_source=config.media.source,
        media_silence=config.media.silence,
        public_ports=config.sip.public_ports,
        idle=config.sip.idle,
        taken_ports=frozenset(listening_ports()),
    )


def _sides(config: Config) -> dict[str, Side]:
    return {**dict.fromkeys(config.inside.interface, Side.INSIDE), config.outside.interface: Side.OUTSIDE}


def _queue_of(config: Config) -> tuple[int, str]:
    return config.sip.queue, config.sip.on_failure


async def _first_address(host: str) -> str | None:
    """The address of `outside.host` if it is known by now; nothing is announced until it is."""
    if not host:
        return None
    try:
        return (await resolve(host)).address
    except ResolveError as error:
        log.warning("no address to announce yet: %s", error)
        return None


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    """The kernel's refusal ends one round of a task, not the task."""
    try:
        yield
    except KernelError as error:
        log.error("%s: %s", what, error)  # noqa: TRY400  # the message says it all
