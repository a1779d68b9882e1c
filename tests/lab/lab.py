"""Everything at once: `with lab(phones=2) as it: it.registrar(); it.phone("alice").register(); ...`."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tests.lab.agent import Agent
from tests.lab.gateway import Gateway
from tests.lab.phone import Phone
from tests.lab.registrar import Registrar
from tests.lab.rtp import RtpEndpoint
from tests.lab.sipp import Sipp
from tests.lab.topology import Network, network
from tests.support.capture import Capture
from tests.support.netns import Namespace

P = TypeVar("P")


class Lab:
    """Makes the parts, and ends them in reverse order when the lab closes; `backend` keeps the gateways' rules."""

    backend = "iptables"

    def __init__(self, net: Network, directory: Path, stack: contextlib.ExitStack) -> None:
        self.net = net
        self.directory = directory
        self._stack = stack
        self._inside = self._outside = 0

    def registrar(self, **options: Any) -> Registrar:
        made = Registrar(self.net.provider, self.directory, **options)
        return self._keep(made, made.close)

    def phone(self, user: str, **options: Any) -> Phone:
        """A phone on the next free host inside."""
        index, self._inside = self._inside, self._inside + 1
        return self._phone(self.net.phones[index], self.net.phone_address(index), user, options)

    def far_phone(self, user: str, **options: Any) -> Phone:
        """A phone on the next free host of the provider's side."""
        index, self._outside = self._outside, self._outside + 1
        return self._phone(self.net.far[index], self.net.far_address(index), user, options)

    def registered(self, *, auth: bool = False) -> tuple[Phone, Phone]:
        """Alice at home and bob far away, both registered."""
        self.registrar(auth=auth)
        alice, bob = self.phone("alice"), self.far_phone("bob")
        for phone in (bob, alice):
            phone.register()
        return alice, bob

    def gateway(self, settings: Mapping[str, object] | None = None, **options: Any) -> Gateway:
        settings = {"rules.backend": self.backend, **(settings or {})}
        made = Gateway(self.net.router, self.directory, settings, inside=self.net.lans, **options)
        return self._keep(made, made.kill)

    def sipp(self, host: Namespace, address: str, scenario: str, **options: Any) -> Sipp:
        made = Sipp(host, address, scenario, self.directory, **options)
        return self._keep(made, made.close)

    def agent(self, host: Namespace, address: str, port: int = 5060, user: str = "agent", **options: Any) -> Agent:
        made = Agent(host, address, port, user, **options)
        return self._keep(made, made.close)

    def rtp(self, host: Namespace, address: str, port: int = 0) -> RtpEndpoint:
        made = RtpEndpoint(host, address, port)
        return self._keep(made, made.close)

    def capture(self, host: Namespace, interface: str) -> Capture:
        made = Capture(host, interface)
        return self._keep(made, made.close)

    def _phone(self, host: Namespace, address: str, user: str, options: Mapping[str, Any]) -> Phone:
        made = Phone(host, address, user, self.directory, **options)
        return self._keep(made, made.close)

    def _keep(self, made: P, end: Callable[[], object]) -> P:
        self._stack.callback(end)
        return made


@contextlib.contextmanager
def lab(phones: int = 1, far: int = 1, lans: int = 1, directory: Path | None = None) -> Iterator[Lab]:
    """A lab with so many hosts for phones on each side; logs go to `directory`, or are thrown away."""
    with contextlib.ExitStack() as stack:
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sipmasq-lab-")))
        net = stack.enter_context(network(phones, far, lans))
        yield Lab(net, directory, stack)
