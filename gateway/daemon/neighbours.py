"""Tells the operator in the log what `check` would say of other programs' rules: at start, and when they change."""

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable

from rules.errors import KernelError
from rules.kernel.netfilter import Netfilter
from rules.kernel.survey import (
    Finding,
    NftWatch,
    Severity,
    Site,
    judge,
    masquerade_of_others,
    read_legacy,
    read_nftables,
)
from rules.reconcile import Reconciler

log = logging.getLogger("sipmasq")

_SETTLE = 1.0  # seconds; a program changes many rules in a row
_LOOK_EVERY = 10.0  # for changes of iptables-legacy, of which nobody tells
_NUMBER = re.compile(r"\b(handle|rule) \d+")  # another one after each reload


class Neighbours:
    """Says each thing once for as long as it is so. `site` is None while the gateway has no place.

    `hides` tells whether the gateway hides the inside networks itself, None if the operator will not have that. Where
    it does beside another program, or neither does, `mend` is called: the gateway does what is left to do.
    """

    def __init__(
        self,
        netfilter: Netfilter,
        reconciler: Reconciler,
        site: Callable[[], Site | None],
        hides: Callable[[], bool | None],
        mend: Callable[[], Awaitable[None]],
    ) -> None:
        self._netfilter = netfilter
        self._reconciler = reconciler
        self._site = site
        self._hides = hides
        self._mend = mend
        self._said: set[str] = set()
        self._judged_for: Site | None = None
        self._disturbances = -1

    async def watch_forever(self) -> None:
        """Look, and again after each change."""
        try:
            watch = NftWatch()
        except KernelError as error:
            log.warning("%s: sipmasq check tells what they do to calls", error)
            return
        with watch:
            while True:
                try:
                    await self._look()
                except KernelError as error:
                    advice = "sipmasq check tells what they do to calls"
                    self._say(Finding(Severity.WARNING, "firewall", f"rules of others not read: {error}", advice))
                await self._change(watch)
                await asyncio.sleep(_SETTLE)

    async def _change(self, watch: NftWatch) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(watch.changed(), _LOOK_EVERY)
            if self._site() != self._judged_for:
                return None
            with contextlib.suppress(KernelError):
                if await self._reconciler.disturbances() != self._disturbances:
                    return None

    async def _look(self) -> None:
        self._judged_for = site = self._site()
        if site is None:
            return
        self._disturbances = await self._reconciler.disturbances()
        legacy = await self._netfilter.call(read_legacy)
        tables = (*legacy, *await asyncio.to_thread(read_nftables))
        findings = await asyncio.to_thread(judge, tables, site)
        troubles = [finding for finding in findings if finding.severity is not Severity.OK]
        for finding in troubles:
            self._say(finding)
        self._said &= {_named(finding) for finding in troubles}
        hides, is_hidden = self._hides(), masquerade_of_others(tables, site) is not None
        if hides == is_hidden:
            await self._mend()

    def _say(self, finding: Finding) -> None:
        if _named(finding) not in self._said:
            self._said.add(_named(finding))
            level = logging.ERROR if finding.severity is Severity.ERROR else logging.WARNING
            log.log(level, "%s: %s; %s", finding.subject, finding.what, finding.advice)


def _named(finding: Finding) -> str:
    return _NUMBER.sub("", finding.what)
