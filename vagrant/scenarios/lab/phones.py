"""The phones: baresip on a machine of the lab, told what to do over its control port."""

import json
import re
import threading
import time
from typing import NamedTuple

from lab.machines import Machine, ScenarioError

PROVIDER = "203.0.113.10"
_PATIENCE = 40  # seconds; an emulated machine is slow


class Event(NamedTuple):
    """Something baresip reported: its type (``CALL_ESTABLISHED``), the Call-ID it is about, and more."""

    type: str
    call: str
    param: str


class Phone:
    """One running phone, `sip:<user>@<provider>`."""

    def __init__(self, machine: Machine, user: str, control_port: int = 4444) -> None:
        self.machine, self.user = machine, user
        self.events: list[Event] = []
        self._changed = threading.Condition()
        self._control = machine.connect(control_port)
        threading.Thread(target=self._read, daemon=True).start()

    def command(self, name: str, parameters: str = "") -> None:
        """Give one of baresip's long commands."""
        text = json.dumps({"command": name, "params": parameters, "token": "t"}).encode()
        if self._control.stdin is not None:
            self._control.stdin.write(b"%d:%s," % (len(text), text))
            self._control.stdin.flush()

    def register(self) -> None:
        """Bring the account up and wait until the registrar has accepted it."""
        seen = len(self.events)
        account = f"<sip:{self.user}@{PROVIDER}>;regint=3600;audio_codecs=PCMU/8000/1;answermode=manual"
        self.command("uanew", account)
        event = self.wait("REGISTER_OK", "REGISTER_FAIL", after=seen)
        if event.type == "REGISTER_FAIL":
            raise ScenarioError(f"{self.user} cannot register: {event.param}")

    def wait(self, *types: str, after: int, timeout: float = _PATIENCE) -> Event:
        """The first event of one of these types since the first `after` events."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for event in self.events[after:]:
                    if event.type in types:
                        return event
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise ScenarioError(f"{self.user} does not come to {' or '.join(types)} within {timeout:g} s")

    def heard(self) -> int:
        """How many packets of audio have come to this phone so far, as its machine's kernel counts them."""
        table = self.machine.run("iptables -L INPUT -vnx")
        found = re.search(rf"^ *(\d+) .*/\* heard-{self.user} \*/", table, re.MULTILINE)
        if found is None:
            raise ScenarioError(f"{self.machine.name} does not count what {self.user} hears")
        return int(found[1])

    def close(self) -> None:
        """Let go of the control port; the phone goes on."""
        self._control.kill()

    def _read(self) -> None:
        stream = self._control.stdout
        while stream is not None:
            digits = b""
            while (byte := stream.read(1)) not in (b":", b""):
                digits += byte
            if not digits:
                return
            message = json.loads(stream.read(int(digits)))
            stream.read(1)
            if not message.get("response"):
                with self._changed:
                    self.events.append(Event(*(str(message.get(key, "")) for key in ("type", "id", "param"))))
                    self._changed.notify_all()
