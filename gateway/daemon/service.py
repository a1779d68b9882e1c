"""One gateway from start to end: what it opens, the tasks that keep it going, and how it leaves.

Order matters at both ends. The queue is bound before any rule leads into it, and read when the engine knows what is
inside: a predecessor's rules may lead there already, and what waits does not leak. Forwarding is turned on only when
the masquerade is in place. At the end it goes off first, then the rules go, and last the queue; with `state.on_stop`
"keep" nothing goes but the queue, and the next gateway finds its rules as it wants them. Rights that are not
needed for the rest are given up before the first thread starts, for the kernel keeps them by thread.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Iterator

from gateway.config import Config
from gateway.daemon import report
from gateway.daemon.bans import BanKeeper
from gateway.daemon.control import ControlServer
from gateway.daemon.losses import Losses
from gateway.daemon.memory import settle_memory, tidy_forever
from gateway.daemon.neighbours import Neighbours
from gateway.daemon.notify import Notifier, feed_watchdog, watchdog_interval
from gateway.daemon.pipeline import Pipeline
from gateway.daemon.registrars import follow_registrars
from gateway.daemon.resolver import first_address, follow
from gateway.daemon.rules_watch import RulesWatch
from gateway.daemon.settings import settings_of, sides_of
from gateway.engine import Engine
from gateway.errors import ControlError
from gateway.networks import Networks
from gateway.state.keeper import Keeper
from rules.errors import KernelError, SipmasqError
from rules.kernel.choice import choose, open_variant
from rules.kernel.claim import Claim
from rules.kernel.forwarding import forwarding_is_on, set_forwarding
from rules.kernel.inject import Injector
from rules.kernel.links import LinkWatch
from rules.kernel.netfilter import Netfilter
from rules.kernel.privileges import drop_privileges
from rules.kernel.queue import PacketQueue
from rules.kernel.survey import Site, masquerade_present, site_of
from rules.kernel.topology import Topology
from rules.model import Endpoint, Flood, Setup, Traffic
from rules.reconcile import Reconciler

log = logging.getLogger("sipmasq")

_COUNT_AT_MOST_EVERY = 15.0  # seconds
_TRY_AGAIN = 1.0


class Service:
    """Everything that runs. `load` reads the configuration, again at each SIGHUP."""

    def __init__(self, load: Callable[[], Config]) -> None:
        self._load = load
        self._config = config = load()
        self._loop = asyncio.get_running_loop()
        self._notifier = Notifier()
        self._choice = choose(config.rules.backend)
        log.info("rules by %s: %s", self._choice.backend, self._choice.why)
        self._netfilter = Netfilter(open_variant(self._choice))
        self._reconciler = Reconciler(self._netfilter)
        self._injector = Injector()
        self._claim = Claim()
        self._keeper = Keeper(config.state.path)
        self._engine = self._keeper.restored(lambda: Engine(settings_of(config)))
        settle_memory()
        self._pipeline = Pipeline(self._engine, self._reconciler, self._injector, self._keeper)
        self._bans = BanKeeper(self._engine.bans, self._netfilter)
        self._queue: PacketQueue | None = None
        self._control: ControlServer | None = None
        self._topology: Topology | None = None
        self._host_address: str | None = None
        self._traffic: dict[Endpoint, Traffic] = {}
        self._adopted = False
        self._started = self._loop.time()
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then leave the machine as it was found."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        try:
            await self._open()
            async with asyncio.TaskGroup() as group:
                works = (self._pipeline.commit_forever(), self._pipeline.cut_forever(), self._serve())
                tasks = [group.create_task(work) for work in works]
                await self._stop.wait()
                self._notifier.stopping()
                for task in tasks:
                    task.cancel()
        except BaseExceptionGroup as group:
            raise _first(group) from group
        finally:
            await self._leave()

    async def _open(self) -> None:
        """What takes more rights than are kept, which no thread but this one has so far."""
        self._control = self._open_control(self._config)
        drop_privileges()
        await self._control.start()

    async def _serve(self) -> None:
        await self._use(self._config, self._place)
        settle_memory()
        self._notifier.ready()
        log.info("ready: %s", self._summary())
        async with asyncio.TaskGroup() as group:
            for task in (
                self._follow(group),
                RulesWatch(self._reconciler, self._pipeline, self._mend).watch_forever(),
                Neighbours(self._netfilter, self._reconciler, self._site, self._hides, self._mend).watch_forever(),
                self._count_traffic(),
                self._feed_watchdog(),
                follow_registrars(self._engine),
                self._bans.keep_forever(),
                tidy_forever(self._netfilter.call, lambda: not self._engine.calls.names),
            ):
                group.create_task(task)

    async def _use(self, config: Config, place: Callable[[Topology, Setup], Awaitable[None]]) -> None:
        """Go over to a configuration; an error before all is ready to `place` leaves the one before in force."""
        async with contextlib.AsyncExitStack() as undo:
            queue, control = self._queue, self._control
            if queue is None or queue.number != config.sip.queue:
                queue = self._open_queue(config)
                undo.callback(queue.close)
            if control is None or config.control != self._config.control:
                control = self._open_control(config)
                undo.push_async_callback(control.close)
                await control.start()
            topology = await LinkWatch().snapshot(config.inside.interface, config.outside.interface)
            setup = await self._setup(config, topology)
            settings = settings_of(config)
            known = self._host_address if config.outside.host == self._config.outside.host else None
            host_address = await first_address(config.outside.host, known)
            undo.pop_all()
        if queue is self._queue and config.sip.on_failure != self._config.sip.on_failure:
            # the kernel is told when a queue is bound, and a number has one owner at a time
            self._queue = None
            self._close_queue(queue)
            self._queue = queue = self._open_queue(config)
        old_queue, self._queue = self._queue, queue
        old_control, self._control = self._control, control
        self._config = config
        self._engine.configure(settings)
        self._pipeline.sides = sides_of(config)
        self._host_address = host_address
        try:
            await place(topology, setup)
        finally:
            if old_queue is not None and old_queue is not queue:
                self._close_queue(old_queue)
            if old_control is not None and old_control is not control:
                await old_control.close()

    async def _setup(self, config: Config, topology: Topology) -> Setup:
        """What the rules are to be, by the router's addresses and the operator's choices."""
        outside, inside, networks = config.outside.interface, config.inside.interface, topology.networks
        masquerade = config.outside.masquerade
        if masquerade:
            where = await self._netfilter.call(lambda: masquerade_present(outside, networks, inside))
            masquerade = where is None
        return Setup(
            inside=inside,
            outside=outside,
            networks=networks,
            address=topology.address,
            sip_ports=config.sip.ports,
            any_port=config.sip.any_port,
            media_ports=config.media.ports,
            queue=config.sip.queue,
            on_failure=config.sip.on_failure,
            masquerade=masquerade,
            forwarding_was_off=config.outside.masquerade and not forwarding_is_on(),
            flood=Flood(config.sip.flood, config.sip.flood_burst, config.sip.flood_strangers),
        )

    async def _place(self, topology: Topology, setup: Setup) -> None:
        """Have engine and kernel stand where the router stands."""
        announced = self._host_address if self._config.outside.host else topology.address
        known = () if self._topology is None else (*self._topology.inside, self._topology.outside)
        missing = {interface.name for interface in known if not interface.exists}
        self._topology = topology
        for interface in (*topology.inside, topology.outside):
            if not interface.exists:
                log.warning(
                    "interface %s does not exist; waiting for it, nothing is translated until then", interface.name
                )
            elif interface.name in missing:
                log.info("interface %s is back", interface.name)
        self._engine.place(Networks(topology.networks), topology.address, announced if topology.address else None)
        if not self._adopted:  # before a message is read, and may lease what is in use
            calls = [name.holder for name in self._engine.calls.names]
            left = await self._reconciler.leftovers(setup)
            adopted = self._engine.orphans.adopt(left, calls, self._loop.time())
            self._adopted = True
            if adopted:
                log.warning("of the calls before, only what their rules say is known of %d ports", adopted)
        if self._queue is not None:
            self._loop.add_reader(self._queue.fileno(), self._queue.on_readable)
        self._pipeline.follow()
        await self._pipeline.configure(setup)
        self._engine.bans.renew()  # whoever took a set away, or emptied it, took them along
        if setup.forwarding_was_off:
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
                await self._use(self._load(), self._place_or_say)
            except SipmasqError as error:
                log.error("configuration refused, the one before stays: %s", error)  # noqa: TRY400  # it says it all
            else:
                log.info("configuration read again: %s", self._summary())
            self._notifier.ready()

    async def _follow_links(self, config: Config) -> None:
        while True:
            with _logged("the links could not be followed"):
                changes = LinkWatch().changes(config.inside.interface, config.outside.interface)
                async with contextlib.aclosing(changes):
                    async for topology in changes:
                        if self._queue is not None:
                            self._queue.forget_interface_names()
                        if topology != self._topology:
                            await self._replace(topology)
            await asyncio.sleep(_TRY_AGAIN)

    async def _follow_host(self, host: str) -> None:
        async with contextlib.aclosing(follow(host, last=self._host_address)) as addresses:
            async for address in addresses:
                if address != self._host_address and self._topology is not None:
                    self._host_address = address
                    await self._replace(self._topology)

    async def _replace(self, topology: Topology) -> None:
        """Follow a change of addresses, as soon as the kernel can be looked at."""
        while True:
            config = self._config
            with _logged("a change of addresses could not be followed yet"):
                setup = await self._setup(config, topology)
                if config is self._config:  # else it was read again meanwhile
                    break
                continue
            await asyncio.sleep(_TRY_AGAIN)
        await self._place_or_say(topology, setup)

    async def _place_or_say(self, topology: Topology, setup: Setup) -> None:
        with _logged("not all follows yet"):  # the pipeline tries the rules again by itself
            await self._place(topology, setup)

    def _site(self) -> Site | None:
        sip, media = self._config.sip, self._config.media
        if self._topology is None or self._topology.address is None:
            return None
        by_iptables = self._choice.backend == "iptables"
        return site_of(self._topology, sip.ports, sip.public_ports, media.ports, by_iptables=by_iptables)

    def _hides(self) -> bool | None:
        return self._reconciler.masquerades if self._config.outside.masquerade else None

    async def _mend(self) -> None:
        """Make the rules anew where they differ, by what the router is now."""
        if self._topology is not None:
            await self._replace(self._topology)

    async def _count_traffic(self) -> None:
        losses = Losses()
        while True:
            await asyncio.sleep(min(_COUNT_AT_MOST_EVERY, self._config.media.silence / 10))
            with _logged("packets could not be counted"):
                self._traffic = await self._reconciler.counters()
                self._engine.observe(self._traffic, self._loop.time())
                self._pipeline.follow()
            if self._queue is not None:
                losses.look(self._queue.stats())

    async def _feed_watchdog(self) -> None:
        interval = watchdog_interval()
        if interval is not None:
            # what the thread that owns the kernel is asked, it answers when it has done all before
            await feed_watchdog(self._notifier, interval, lambda: self._netfilter.call(lambda: None))

    async def _leave(self) -> None:
        """Forwarding first, then the rules, then the queue that they lead to."""
        if self._queue is not None:
            self._loop.remove_reader(self._queue.fileno())
        if self._control is not None:
            await self._control.close()
        try:
            # a start that did not come so far made none, and those of a gateway that runs here already are not ours
            if self._topology is not None:
                await self._keeper.keep(self._engine)
            if self._topology is not None and self._config.state.on_stop == "remove":
                self._keeper.forget_calls()
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
            self._keeper.close()
            self._claim.close()
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
            case "differences":
                return report.differences(await self._reconciler.verify(), self._reconciler.ruleset())
            case "status" if self._topology is not None and self._queue is not None:
                return report.status(
                    self._config,
                    self._topology,
                    engine,
                    self._reconciler.ruleset(),
                    self._queue.stats(),
                    hides=self._hides(),
                    flooded=await self._netfilter.flooded(),
                    uptime=now - self._started,
                    commit_seconds=self._pipeline.commit_seconds,
                    state=self._keeper.trouble or "kept",
                )
            case _ if command.partition(" ")[0] in ("bans", "lift"):
                return await self._bans.answer(command)
            case _:
                raise ControlError(f"no such command: {command}")

    def _open_queue(self, config: Config) -> PacketQueue:
        return PacketQueue(config.sip.queue, self._pipeline.receive, fail_open=config.sip.on_failure == "pass")

    def _open_control(self, config: Config) -> ControlServer:
        return ControlServer(config.control.socket, self._answer, group=config.control.group)

    def _close_queue(self, queue: PacketQueue) -> None:
        self._loop.remove_reader(queue.fileno())
        queue.close()

    def _summary(self) -> str:
        config, topology = self._config, self._topology
        inside = ", ".join(config.inside.interface)
        networks = ", ".join(topology.networks if topology is not None else ())
        announced = self._engine.ledger.public or "no address yet"
        return f"{inside} ({networks or 'no network yet'}) behind {config.outside.interface} ({announced})"


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """One task's error ends them all; the operator is told that one."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    """The kernel's refusal ends one round of a task, not the task."""
    try:
        yield
    except KernelError as error:
        log.error("%s: %s", what, error)  # noqa: TRY400  # the message says it all
