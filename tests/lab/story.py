"""What a person sees of the demo: messages as the gateway changed them, rules as they come and go."""

import re
import time
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from tests.lab.gateway import router_state
from tests.lab.lab import Lab
from tests.lab.phone import Call
from tests.lab.talk import traces_of_calls
from tests.lab.wire_pairs import Pair, pairs, parts
from tests.support.capture import Datagram
from tests.support.netns import Namespace

_COMMENT = re.compile(r' (?:-m comment --)?comment "(?:sipmasq )?([^"#]*?)(?: #[0-9a-f]+)?"')
_NOISE = re.compile(r" packets \d+ bytes \d+|/32\b| -m udp\b| -m set\b| -m conntrack\b")
_SET = re.compile(r"create (\S+) (\S+) .*")


class Story:
    """Tells on a console what happens in a lab's router."""

    def __init__(self, console: Console, it: Lab) -> None:
        self._console = console
        self._router = it.net.router
        self._address = it.net.outside_address
        self._inside = it.capture(it.net.router, "lan0")
        self._outside = it.capture(it.net.router, "wan0")
        self._told = 0
        self._shown: set[str] = set()
        self._found = self._kernel = kernel(self._router)

    def chapter(self, title: str) -> None:
        self._console.print()
        self._console.rule(f"[bold]{title}", align="left")

    def say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style))

    def tell(self) -> None:
        """Show which messages passed and which rules came and went since the last time."""
        seen = pairs(list(self._inside.datagrams), list(self._outside.datagrams))
        for pair in seen[self._told :]:
            self._tell_message(pair)
        self._told = len(seen)
        before, self._kernel = self._kernel, kernel(self._router)
        self._list("-", [rule for rule in before if rule not in self._kernel], "yellow")
        self._list("+", [rule for rule in self._kernel if rule not in before], "magenta")

    def tell_end(self) -> None:
        """Show what has become of all that was made."""
        made = [rule for rule in self._kernel if rule not in self._found]
        left = [rule for rule in kernel(self._router) if rule not in self._found]
        self.say(
            f"  - {len(made) - len(left)} of the {len(made)} rules, chains, sets and entries shown above", "yellow"
        )
        self._list("still there:", left, "red")

    def follow_audio(self, packets: int, patience: float = 8) -> tuple[int, int]:
        """Wait until so many RTP packets have passed the outside interface each way; how many did, in and out."""
        begun = len(self._outside.datagrams)
        deadline = time.monotonic() + patience
        with self._console.status("they talk") as status:
            while True:
                audio = [datagram for datagram in list(self._outside.datagrams)[begun:] if datagram.is_rtp]
                out = sum(datagram.source.ip == self._address for datagram in audio)
                came = len(audio) - out
                if min(came, out) >= packets or time.monotonic() > deadline:
                    return came, out
                status.update(f"they talk: {came} packets came in, {out} went out")
                time.sleep(0.05)

    def hang_up(self, call: Call, patience: float = 1) -> float | None:
        """Seconds from the answer to the good-bye until nothing of the call is in the kernel; None: too many."""
        begun = len(self._outside.datagrams)
        call.hangup()
        [answer] = self._outside.datagrams.wait("the answer to the BYE", _answer_to_bye, after=begun)
        while traces_of_calls(self._router):
            if time.time() > answer.time + patience:
                return None
        return time.time() - answer.time

    def forwarded_messages(self) -> int:
        """SIP messages that came to the router to be forwarded, from both sides."""
        from_inside = [datagram for datagram in self._inside.sip() if datagram.source.ip.startswith("10.")]
        from_outside = [datagram for datagram in self._outside.sip() if datagram.destination.ip == self._address]
        return len(from_inside) + len(from_outside)

    def rtp_packets(self) -> int:
        """RTP packets that passed the outside interface."""
        return len(self._outside.rtp())

    def _tell_message(self, pair: Pair) -> None:
        way = "phone -> provider" if pair.outward else "provider -> phone"
        new: list[tuple[str, str]] = []
        again: list[str] = []
        for change in pair.changes():
            old, _ = change
            name = old.partition(":")[0] if ":" in old else old[:2]
            # the rest of a line may differ from message to message, what is done to it does not
            what = f"{pair.outward} {name} {[part for part in parts(*change) if part.before != part.after]}"
            if what in self._shown:
                again.append(name)
            else:
                new.append(change)
            self._shown.add(what)
        head = Text(f"{way}  {pair.start}", "bold cyan")
        head.append(f"  [{pair.seconds * 1000:.1f} ms]", "not bold dim")
        if again:
            head.append(f"  {', '.join(again)} as before", "not bold dim")
        self._console.print(head)
        for change in new:
            self._console.print(_changed(*change))

    def _list(self, sign: str, rules: Sequence[str], style: str) -> None:
        for rule in rules:
            text, _, reason = rule.partition("  # ")
            self._console.print(
                Text.assemble((f"  {sign} {text}", style), (f"  # {reason}" if reason else "", "dim"))
            )


def kernel(router: Namespace) -> list[str]:
    """The rules, chains, sets and set entries of a router, without counters and in short."""
    state = router_state(router)
    return [_short(line) for line in (*state.rules, *(f"set {line}" for line in state.sets.splitlines()))]


def _short(rule: str) -> str:
    """As iptables and ipset write it, without what is the same in all; the comment last."""
    table, _, line = rule.partition(" ")
    reason = _COMMENT.search(line)
    line = _NOISE.sub("", _COMMENT.sub("", _SET.sub(r"\1 (\2)", line)))
    line = re.sub(r"^-A ", "", line)
    line = re.sub(r"^:(\S+) -$", r"\1 (chain)", line)
    return f"{table} {line.removeprefix('add ')}" + (f"  # {reason[1]}" if reason else "")


def _answer_to_bye(datagram: Datagram) -> Datagram | None:
    return datagram if datagram.text.startswith("SIP/2.0 200") and " BYE\r\n" in datagram.text else None


def _changed(old: str, new: str) -> Text:
    """One line with what it was and what it became."""
    text = Text("    ")
    for before, after in parts(old, new):
        if before == after:
            text.append(before)
        else:
            text.append(before, "red strike")
            text.append(" => ", "dim")
            text.append(after, "green")
    return text
