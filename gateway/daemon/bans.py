"""Has the kernel keep the bans that the engine decides on, and tells and lifts them for the operator."""

import asyncio
import logging

from gateway.bans import Bans
from gateway.errors import ControlError
from rules.errors import KernelError
from rules.kernel.netfilter import Netfilter

log = logging.getLogger("sipmasq")

_EVERY = 0.2  # seconds


class BanKeeper:
    """Brings the engine's bans into the set of the kernel, where each ends by itself, too."""

    def __init__(self, bans: Bans, netfilter: Netfilter) -> None:
        self._bans = bans
        self._netfilter = netfilter
        self._loop = asyncio.get_running_loop()
        self._failed = False

    async def keep_forever(self) -> None:
        """Follow the engine; what the kernel refuses is tried again. A predecessor's bans are over."""
        await self._netfilter.forget_bans()
        self._bans.renew()
        while True:
            await self._follow()
            await asyncio.sleep(_EVERY)

    async def answer(self, command: str) -> object:
        """``bans``, or ``lift ADDRESS``; ControlError for what is not banned."""
        address = command.partition(" ")[2]
        if address:
            if not self._bans.lift(address):
                raise ControlError(f"{address} is not banned")
            await self._follow()
        now = self._loop.time()
        return [
            {"address": ban.address, "seconds": now - ban.since, "expires_in": ban.until - now, "why": ban.why}
            for ban in self._bans
        ]

    async def _follow(self) -> None:
        now = self._loop.time()
        self._bans.expire(now)
        changes = self._bans.take_changes()
        if not changes:
            return
        until = {address: ban and max(1, round(ban.until - now)) for address, ban in changes.items()}
        try:
            await self._netfilter.ban(until)
            self._failed = False
        except KernelError as error:
            if not self._failed:  # a refusal that lasts is said once
                log.error("the bans could not be set: %s", error)  # noqa: TRY400  # the message says it all
            self._failed = True
            self._bans.renew()
