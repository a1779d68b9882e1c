"""A telephone and its calls, as the person in front of it uses them."""

import re
from pathlib import Path
from typing import NamedTuple

from tests.lab.baresip import Baresip, Event
from tests.lab.registrar import PASSWORD
from tests.lab.topology import PROVIDER
from tests.support.netns import Namespace

# baresip does not say which Call-ID it dialled with: it is the first one that shows in these and is not known
_CALL_OUT = {"CALL_RINGING", "CALL_PROGRESS", "CALL_ESTABLISHED", "CALL_CLOSED"}
_PACKETS = re.compile(r"^packets: +(\d+) +(\d+)")


class PacketCount(NamedTuple):
    """RTP packets of one call as the phone counted them."""

    sent: int
    received: int


class Phone:
    """One running phone with one account, `sip:<user>@<domain>`."""

    def __init__(
        self,
        host: Namespace,
        address: str,
        user: str,
        directory: Path,
        *,
        domain: str = PROVIDER,
        sip_port: int = 5060,
        rtp_ports: tuple[int, int] = (16384, 16394),
        auto_answer: bool = False,
        expires: int = 3600,
        ice: bool = False,
    ) -> None:
        self.user, self.domain = user, domain
        self.uri = f"sip:{user}@{domain}"
        self.host, self.address = host, address
        self._account = (
            f"<{self.uri}>;auth_pass={PASSWORD};regint={expires};audio_codecs=PCMU/8000/1"
            f";answermode={'auto' if auto_answer else 'manual'}" + (";medianat=ice" if ice else "")
        )
        self.known: set[str] = set()
        self.program = Baresip(host, user, directory, address=address, sip_port=sip_port, rtp_ports=rtp_ports)

    def register(self, timeout: float = 10) -> None:
        """Bring the account up and wait until the registrar has accepted it."""
        seen = len(self.program.events)
        self.program.command("uanew", self._account)
        event = self.wait_event("REGISTER_OK", "REGISTER_FAIL", timeout=timeout, after=seen)
        if event.type == "REGISTER_FAIL":
            raise AssertionError(f"phone {self.user} could not register: {event.param}")

    def unregister(self) -> None:
        """Take the account down; its un-REGISTER is on its way."""
        seen = len(self.program.events)
        self.program.command("uadel", self.uri)
        self.wait_event("UNREGISTERING", after=seen)

    def register_anew(self) -> None:
        """Sign off and register once more, as after a restart."""
        self.unregister()
        self.register()

    def dial(self, target: str) -> "Call":
        """Call a user of the own domain, or any SIP URI."""
        uri = target if ":" in target else f"sip:{target}@{self.domain}"
        self.program.command("dial", uri)
        return Call(self)

    def wait_incoming(self, timeout: float = 10) -> "Call":
        """The next call that rings here."""

        def match(event: Event) -> Event | None:
            return event if event.type == "CALL_INCOMING" and event.call not in self.known else None

        event = self.program.events.wait("an incoming call", match, timeout=timeout)[0]
        return Call(self, event.call)

    def wait_event(self, *types: str, timeout: float = 10, after: int = 0, call: str | None = None) -> Event:
        """The first event of one of these types, about that call if one is given."""

        def match(event: Event) -> Event | None:
            return event if event.type in types and call in (None, event.call) else None

        return self.program.events.wait(" or ".join(types), match, timeout=timeout, after=after)[0]

    def close(self) -> None:
        """Switch it off; it says good-bye to the registrar and to its calls."""
        self.program.close()


class Call:
    """One call as one of its two phones sees it."""

    def __init__(self, phone: Phone, identity: str | None = None) -> None:
        self.phone = phone
        self._identity = identity
        if identity is not None:
            phone.known.add(identity)

    @property
    def identity(self) -> str:
        """The Call-ID; of a call out, as soon as the other side has answered anything."""
        return self._learn(timeout=10)

    def answer(self) -> None:
        self.phone.program.command("accept")

    def hangup(self) -> None:
        self.phone.program.command("hangup")

    def hold(self) -> None:
        self.phone.program.command("hold")

    def resume(self) -> None:
        self.phone.program.command("resume")

    def wait_ringing(self, timeout: float = 10) -> None:
        """Wait until the other phone is known to ring."""
        self._wait("CALL_RINGING", "CALL_PROGRESS", timeout=timeout)

    def wait_established(self, timeout: float = 10) -> None:
        event = self._wait("CALL_ESTABLISHED", "CALL_CLOSED", timeout=timeout)
        if event.type == "CALL_CLOSED":
            raise AssertionError(f"the call of phone {self.phone.user} ended at once: {event.param}")

    def wait_audio(self, timeout: float = 10) -> None:
        """Wait until the first RTP packet of the other side is here."""
        self._wait("CALL_RTPESTAB", timeout=timeout)

    def wait_closed(self, timeout: float = 10) -> str:
        """Wait for the end of the call; the reason the phone gives."""
        return self._wait("CALL_CLOSED", timeout=timeout).param

    def counts(self, timeout: float = 10) -> PacketCount:
        """RTP packets of the whole call, once it has ended; zeros if it was never established."""
        self.wait_closed(timeout)
        program = self.phone.program
        established = {event.call for event in program.events if event.type == "CALL_ESTABLISHED"}
        if self.identity not in established:
            return PacketCount(0, 0)
        # the closing lines do not name their call, but come in the order in which the calls closed
        closed = [event.call for event in program.events if event.type == "CALL_CLOSED" and event.call in established]
        position = closed.index(self.identity)
        found = program.process.lines.wait("a line 'packets:'", _PACKETS.search, count=position + 1, timeout=timeout)
        return PacketCount(*map(int, found[position].groups()))

    def _wait(self, *types: str, timeout: float) -> Event:
        return self.phone.wait_event(*types, timeout=timeout, call=self._learn(timeout))

    def _learn(self, timeout: float) -> str:
        if self._identity is None:
            known = self.phone.known

            def match(event: Event) -> Event | None:
                return event if event.type in _CALL_OUT and event.call not in known else None

            self._identity = self.phone.program.events.wait("an answer to the call", match, timeout=timeout)[0].call
            known.add(self._identity)
        return self._identity
