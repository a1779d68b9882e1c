"""Two calls through the gateway, told as they happen: `sudo make demo`.

Exits 0 only if audio went both ways in both calls and the router is left as found.
"""

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.lab.gateway import router_state
from tests.lab.lab import Lab, lab
from tests.lab.phone import PacketCount, Phone
from tests.lab.wire_pairs import pairs
from tests.support import netns
from tests.support.journal import MissedError

_SPOKEN = 100
_TEARDOWN_SECONDS = 2


class Story:
    """What a person sees: messages as the gateway changed them, rules as they come and go."""

    def __init__(self, console: Console, it: Lab) -> None:
        self._console = console
        self._router = it.net.router
        self._inside = it.capture(it.net.router, "lan0")
        self._outside = it.capture(it.net.router, "wan0")
        self._told = 0
        self._rules = self._kernel()

    def chapter(self, title: str) -> None:
        self._console.rule(f"[bold]{title}", align="left")

    def say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style))

    def tell(self) -> None:
        """Show what has happened since the last time."""
        self._tell_messages()
        self._tell_rules()

    def wait_spoken(self, far: str) -> None:
        """Wait until both have spoken for a while, as the outside interface sees it."""
        seen = len(self._outside.datagrams)
        self._outside.wait_rtp(_SPOKEN, source=far, after=seen, timeout=5)
        self._outside.wait_rtp(_SPOKEN, destination=far, after=seen, timeout=5)

    def wait_rules_gone(self, before: frozenset[str]) -> bool:
        """Whether no rule beyond `before` is left within the time a teardown may take."""
        deadline = time.monotonic() + _TEARDOWN_SECONDS
        while self.rules() - before:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def rules(self) -> frozenset[str]:
        """The rules and set entries of the router."""
        return frozenset(self._kernel())

    def _tell_messages(self) -> None:
        seen = pairs(list(self._inside.datagrams), list(self._outside.datagrams))
        for pair in seen[self._told :]:
            way = "phone -> provider" if pair.outward else "provider -> phone"
            self._console.print(Text(f"{way}  {pair.start}", style="bold cyan"))
            for sign, line in pair.changes():
                self._console.print(Text(f"  {sign} {line}", style="red" if sign == "-" else "green"))
        self._told = len(seen)

    def _tell_rules(self) -> None:
        now = self._kernel()
        for rule in self._rules:
            if rule not in now:
                self._console.print(Text(f"  rule gone  {rule}", style="yellow"))
        for rule in now:
            if rule not in self._rules:
                self._console.print(Text(f"  rule made  {rule}", style="magenta"))
        self._rules = now

    def _kernel(self) -> list[str]:
        state = router_state(self._router)
        return [*state.rules, *(f"set {line}" for line in state.sets.splitlines())]


def main() -> int:
    reason = netns.why_not()
    if reason is not None:
        sys.stderr.write(f"The demo {reason}: run 'sudo make demo'.\n")
        return 1
    # so that what was built is taken down on the way out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    console = Console(soft_wrap=True)
    with lab(phones=1, far=1) as it:
        verdict = Table(title="Verdict", title_justify="left", show_header=False)
        good = True
        try:
            for what, detail, passed in _play(console, it):
                verdict.add_row(what, Text(detail), "[green]yes" if passed else "[red]NO")
                good = good and passed
        except AssertionError as error:
            verdict.add_row("The story came to its end", Text(_first_line(error)), "[red]NO")
            good = False
        if not good:
            _show_log(console, it.directory / "gateway.log")
        console.print(verdict)
    return 0 if good else 1


def _play(console: Console, it: Lab) -> Iterator[tuple[str, str, bool]]:
    found = router_state(it.net.router)
    story = Story(console, it)
    story.chapter("A house with a phone, a router, a provider who knows no private address")
    it.registrar(auth=True)
    bob = it.far_phone("bob")
    bob.register()
    story.say("alice's phone is 10.0.0.11, her router outside 198.51.100.1; bob's phone is 203.0.113.20.")

    story.chapter("sipmasq run --inside lan0 --outside wan0")
    gateway = it.gateway()
    story.tell()

    story.chapter("Alice's phone registers")
    alice = it.phone("alice")
    alice.register()
    story.tell()

    story.chapter("Alice calls Bob")
    yield "Audio both ways when she calls", *_call(story, alice, bob)

    story.chapter("Bob calls Alice")
    yield "Audio both ways when she is called", *_call(story, bob, alice)

    story.chapter("SIGTERM")
    code = gateway.stop()
    story.tell()
    yield "The gateway ended well", f"exit code {code}", code == 0
    left = router_state(it.net.router)
    yield "The router is left as found", "", left == found
    leaks = it.net.leaks()
    yield "No private address left the house", f"{leaks} packets", leaks == 0


def _call(story: Story, caller: Phone, called: Phone) -> tuple[str, bool]:
    before = story.rules()
    out = caller.dial(called.user)
    try:
        incoming = called.wait_incoming()
        story.tell()
        incoming.answer()
        out.wait_established()
        incoming.wait_established()
        story.say("... they talk for two seconds ...")
    except AssertionError as error:
        return _first_line(error), False
    far = caller if caller.address.startswith("203.") else called
    try:
        story.wait_spoken(far.address)
    except MissedError as missed:
        story.say(_first_line(missed), style="red")
    story.tell()
    out.hangup()
    mine, theirs = out.counts(), incoming.counts()
    gone = story.wait_rules_gone(before)
    story.tell()
    text = f"{_counted(caller, mine)}; {_counted(called, theirs)}"
    story.say(f"RTP packets: {text}.")
    if not gone:
        return "rules of the call are left", False
    return text, min(mine.received, theirs.received) >= _SPOKEN // 2


def _show_log(console: Console, log: Path) -> None:
    if log.exists():
        console.rule("What the gateway logged", align="left")
        console.print(Text(log.read_text(errors="replace")))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _counted(phone: Phone, count: PacketCount) -> str:
    return f"{phone.user} sent {count.sent}, received {count.received}"


if __name__ == "__main__":
    sys.exit(main())
