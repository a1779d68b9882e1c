"""What people do with the phones of the lab, and what the router says of it."""

import json
import time
from pathlib import Path

from lab.machines import Machine, ScenarioError, until
from lab.phones import Phone

_HEARD = 10
"""Packets a second that count as hearing one another: a phone sends 50, an emulated one sometimes fewer."""


class House:
    """The four machines and the phones on them: alice and carol in the house, bob and dave far away."""

    def __init__(self, folder: Path) -> None:
        self.router = Machine("router", folder)
        provider = Machine("provider", folder)
        self.alice, self.carol = Phone(Machine("phone1", folder), "alice"), Phone(Machine("phone2", folder), "carol")
        self.bob, self.dave = Phone(provider, "bob"), Phone(provider, "dave", 4445)
        self.phones = (self.alice, self.carol, self.bob, self.dave)

    def connect(self, caller: Phone, called: Phone) -> None:
        """Let one phone call another that answers."""
        self.ring(caller, called)
        seen, seen_called = len(caller.events), len(called.events)
        called.command("accept")
        called.wait("CALL_ESTABLISHED", after=seen_called)
        # it may have come before the other one's
        caller.wait("CALL_ESTABLISHED", after=max(seen - 2, 0))

    def ring(self, caller: Phone, called: Phone) -> None:
        """Let one phone call another until that rings."""
        seen, seen_called = len(caller.events), len(called.events)
        caller.command("dial", f"sip:{called.user}@203.0.113.10")
        called.wait("CALL_INCOMING", after=seen_called)
        caller.wait("CALL_RINGING", "CALL_PROGRESS", after=seen)

    def hear(self, *phones: Phone, seconds: float = 4) -> str:
        """Let them talk for some seconds; how many packets each heard. Raises ScenarioError if one hears too few."""
        start, before = time.monotonic(), [phone.heard() for phone in phones]
        time.sleep(seconds)
        heard = [phone.heard() - count for phone, count in zip(phones, before, strict=True)]
        took = time.monotonic() - start
        said = ", ".join(f"{phone.user} {count}" for phone, count in zip(phones, heard, strict=True))
        if min(heard) < _HEARD * seconds:
            raise ScenarioError(f"packets heard in {took:.0f} s: {said}")
        return f"heard in {took:.0f} s: {said}"

    def hang_up(self, one: Phone, *others: Phone) -> str:
        """End the call of these; within how many seconds nothing of it was left in the router."""
        seen = [len(other.events) for other in others]
        one.command("hangup")
        for other, count in zip(others, seen, strict=True):
            other.wait("CALL_CLOSED", after=count)
        took = until("nothing of the call is left", lambda: not self.calls() and not self.call_rules(), 20)
        return f"gone after {took:.0f} s"

    def calls(self) -> list[object]:
        """The calls that the router knows."""
        calls: list[object] = json.loads(self.router.run("sipmasq calls --json"))
        return calls

    def call_rules(self) -> list[str]:
        """Rules of calls, as the kernel lists them."""
        listed = self.router.run("nft list table ip sipmasq 2>/dev/null; iptables-legacy-save", check=False)
        return [line for line in listed.splitlines() if "call " in line and "comment" in line]

    def is_whole(self) -> bool:
        """Whether the daemon answers and the kernel holds exactly its rules."""
        return not json.loads(self.router.run("sipmasq rules --diff --json", check=False) or "[0]")

    def pid(self) -> int:
        """The daemon's process, 0 while there is none."""
        return int(self.router.run("systemctl show --property MainPID --value sipmasq"))

    def be_ready(self) -> None:
        """End what an earlier scenario left, and wait until the router is as it should be."""
        for phone in self.phones:
            for _ in range(2):
                phone.command("hangup")
        until("the router's daemon is ready, without calls", lambda: not self.calls(), 90)

    def disconnect(self) -> None:
        """End the connections to the machines."""
        for machine in {phone.machine for phone in self.phones} | {self.router}:
            machine.disconnect()
