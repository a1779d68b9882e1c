"""Two calls through the gateway, told as they happen: `sudo make demo`.

Exits 0 only if audio went both ways in both calls and the router is left as found.
"""

import signal
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.lab.gateway import router_state
from tests.lab.lab import Lab, lab
from tests.lab.phone import PacketCount, Phone
from tests.lab.story import Story
from tests.lab.topology import PROVIDER, ROUTER_INSIDE, ROUTER_OUTSIDE
from tests.support import netns

_SPOKEN = 100

_SCENE = f"""
   10.0.0.11 alice ---- {ROUTER_INSIDE} router {ROUTER_OUTSIDE} ---- {PROVIDER} provider
                             (sipmasq)             \\---- 203.0.113.20 bob

Each of them is a network namespace of its own. The phones are baresip, the provider is kamailio, the router is
this machine's kernel. Nobody on the right has a route to 10.0.0.0/8: audio sent there is audio lost.
Messages are shown as they came and as they left, with the time they spent in the router.
"""


class Finding(NamedTuple):
    """One line of the verdict."""

    what: str
    detail: str
    good: bool


def main() -> int:
    reason = netns.why_not()
    if reason is not None:
        sys.stderr.write(f"The demo {reason}: run 'sudo make demo'.\n")
        return 1
    # so that what was built is taken down on the way out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    console = Console(soft_wrap=True, highlight=False)
    if not console.is_terminal:
        console.width = 120
    with lab(phones=1, far=1) as it:
        findings = []
        try:
            for finding in _play(Story(console, it), it):
                findings.append(finding)  # noqa: PERF402  # those before the one that fails are told, too
        except AssertionError as error:
            findings.append(Finding("The story came to its end", _first_line(error), good=False))
        good = all(finding.good for finding in findings)
        if not good:
            _show_log(console, it)
        _show(console, findings)
    return 0 if good else 1


def _play(story: Story, it: Lab) -> Iterator[Finding]:
    found = router_state(it.net.router)
    story.chapter("A house, its router, and a provider who knows no private address")
    story.say(_SCENE.strip("\n"))
    registrar = it.registrar(auth=True)
    bob = it.far_phone("bob")
    bob.register()

    story.chapter("sipmasq run --inside lan0 --outside wan0")
    gateway = it.gateway()
    story.say("These rules stay for as long as it runs:")
    story.tell()

    story.chapter("Alice's phone registers; the provider asks for her password first")
    alice = it.phone("alice")
    alice.register()
    story.tell()
    [contact] = registrar.contacts("alice")
    yield Finding("The provider knows where to find Alice", contact, f"@{ROUTER_OUTSIDE}:" in contact)

    story.chapter("Alice calls Bob")
    yield from _call(story, alice, bob)

    story.chapter("Bob calls Alice")
    yield from _call(story, bob, alice)

    messages, queue = story.forwarded_messages(), gateway.ask("status")["queue"]
    yield Finding(
        "Only SIP went through the gateway",
        f"{queue['received']} of {messages} messages, and none of {story.rtp_packets()} RTP packets",
        queue["received"] == messages,
    )

    story.chapter("SIGTERM")
    code = gateway.stop()
    story.tell_end()
    yield Finding("The gateway ended well", f"exit code {code}", code == 0)
    left = router_state(it.net.router)
    same = "the same rules, sets and ip_forward as before" if left == found else "something is left, see above"
    yield Finding("The router is left as found", same, left == found)
    leaks = it.net.leaks()
    yield Finding("No private address left the house", f"{leaks} packets", leaks == 0)


def _call(story: Story, caller: Phone, called: Phone) -> Iterator[Finding]:
    out = caller.dial(called.user)
    incoming = called.wait_incoming()
    out.wait_ringing()
    story.tell()
    story.say(f"{called.user.capitalize()} answers.", "bold")
    incoming.answer()
    out.wait_established()
    incoming.wait_established()
    came, left = story.follow_audio(_SPOKEN)
    story.tell()
    story.say(f"They talk: {left} RTP packets left the house so far, {came} came in.", "bold")
    story.say(f"{caller.user.capitalize()} hangs up.", "bold")
    forgotten = story.hang_up(out)
    counts = {phone.user: call.counts() for phone, call in ((caller, out), (called, incoming))}
    story.tell()
    yield Finding(
        f"{caller.user.capitalize()} calls {called.user.capitalize()}: audio both ways",
        "; ".join(f"{user} sent {count.sent}, heard {count.received}" for user, count in counts.items()),
        _heard(counts.values()),
    )
    yield Finding(
        "Its rules, set entries and flows are gone",
        "not within a second" if forgotten is None else f"{forgotten * 1000:.0f} ms after the good-bye",
        forgotten is not None,
    )


def _heard(counts: Iterable[PacketCount]) -> bool:
    return all(count.received >= _SPOKEN // 2 for count in counts)


def _show(console: Console, findings: list[Finding]) -> None:
    console.print()
    table = Table(title="Verdict", title_justify="left", title_style="bold", show_header=False)
    for what, detail, good in findings:
        table.add_row(what, Text(detail, overflow="fold"), "[green]yes" if good else "[red]NO")
    console.print(table)


def _show_log(console: Console, it: Lab) -> None:
    log = it.directory / "gateway.log"
    if log.exists():
        console.rule("What the gateway logged", align="left")
        console.print(Text(log.read_text(errors="replace")))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; everything was taken down\n")
        sys.exit(130)
