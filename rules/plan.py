"""From what is wanted to the rules that do it: pure, the same input always gives the same rules.

Why it is so
- Translation is a pair of rules for each forward, and a pair never asks who sends. NAT sees only a flow's
  first packet; one that the filter table drops later leaves no conntrack entry, so a stranger pins nothing.
- Who may send is asked per packet by sets. Sources change in the middle of a call, and adding to a set costs
  microseconds where a table commit costs milliseconds. The sets' counters are also how silence is noticed.
- An answer to what a phone sends from its media address may come in, too: the phone was told of that host by its
  call, maybe by a name that only it can resolve. A stranger's packet is dropped before conntrack keeps its flow,
  so what arrives as an answer was asked for.
- Media between two phones inside passes the router if they are in different networks. Both ends are leased then.
- SIP meets the queue in mangle FORWARD, after DNAT and before SNAT: both directions show the phone's own
  address there and both interfaces are known. The filter table comes after, so a message is let through by
  entries that were made while it waited in the queue.
- A provider's port is not known before somebody writes to it. So the first packets of flows are searched for the
  end of a SIP request line; the phone that sent one is in a set from then on.
- An announced media port is always either forwarded or refused. Media that overtakes its own rule would
  otherwise be taken for the router's: answered by ICMP, and pinned to the router while it keeps coming.
- MASQUERADE on an interface without an address borrows that of another, one inside, and its flows keep that. So
  while the outside has none, nothing leaves by our own masquerade.
- Own chains hold everything; built-in chains get one jump to each of them, at the head. Only the masquerade
  comes last: what the operator exempts from it (a tunnel, say) is exempted by rules that come first.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

from rules import owner
from rules.model import Forward, Setup
from rules.ruleset import Chain, Element, Entry, Jump, Match, Rule, Ruleset, SetSpec, TableName

SETS = (
    SetSpec(owner.SET_IN, "hash:ip,port,ip", counters=True),
    SetSpec(owner.SET_ANY, "hash:ip,port", counters=True),
    SetSpec(owner.SET_OUT, "hash:ip,port", counters=True),
    SetSpec(owner.SET_TO, "hash:ip,port", counters=True),
    SetSpec(owner.SET_SIP, "hash:ip,port", counters=False),
)

_REQUEST_LINE_END = b" SIP/2.0\r\n"
_HEADERS = 28  # bytes of IP and UDP
_LONGEST_REQUEST_LINE = 600


@dataclass(frozen=True, slots=True)
class Parts:
    """What one forward adds to the frame."""

    rules: tuple[Rule, ...]
    entries: tuple[Entry, ...]


def plan(setup: Setup, forwards: Iterable[Forward]) -> Ruleset:
    """Everything that shall be in the kernel. Two forwards of one port are a ValueError."""
    ordered = sorted(forwards, key=attrgetter("port"))
    for one, other in itertools.pairwise(ordered):
        if one.port == other.port:
            raise ValueError(f"port {one.port} is forwarded to both {one.inside} and {other.inside}")
    each = [parts(setup, forward) for forward in ordered]
    translation = [rule for part in each for rule in part.rules]
    return Ruleset(
        chains=(
            *(
                Chain("nat", name, tuple(rule for rule in translation if rule.chain == name), ordered=False)
                for name in (owner.PREROUTING, owner.POSTROUTING)
            ),
            Chain("nat", owner.MASQUERADE, _masquerade(setup)),
            Chain("filter", owner.FORWARD, _admission(setup)),
            Chain("mangle", owner.FORWARD, _interception(setup)),
            Chain("mangle", owner.INPUT, (_no_early_media(setup),)),
        ),
        jumps=(
            _jump("nat", "PREROUTING", owner.PREROUTING),
            _jump("nat", "POSTROUTING", owner.POSTROUTING),
            _jump("nat", "POSTROUTING", owner.MASQUERADE, last=True),
            _jump("filter", "FORWARD", owner.FORWARD),
            _jump("mangle", "FORWARD", owner.FORWARD),
            _jump("mangle", "INPUT", owner.INPUT),
        ),
        sets=SETS,
        entries=tuple(entry for part in each for entry in part.entries),
    )


def parts(setup: Setup, forward: Forward) -> Parts:
    """The rules and set entries of one forward."""
    return Parts(_translation(setup, forward), _entries(forward))


def _translation(setup: Setup, forward: Forward) -> tuple[Rule, ...]:
    if setup.address is None:
        return ()
    reason = f"{forward.reason} {forward.purpose}"
    return (
        Rule(
            "nat", owner.PREROUTING, "DNAT", reason,
            options=(("to-destination", (str(forward.inside),)),),
            destination=setup.address, incoming=setup.outside, dport=str(forward.port),
        ),
        Rule(
            "nat", owner.POSTROUTING, "SNAT", reason,
            options=(("to-source", (f"{setup.address}:{forward.port}",)),),
            source=forward.inside.ip, outgoing=setup.outside, sport=str(forward.inside.port),
        ),
    )  # fmt: skip


def _entries(forward: Forward) -> tuple[Entry, ...]:
    comment = owner.label(f"{forward.reason} {forward.purpose}")
    if not forward.purpose.is_media:
        return (Entry(Element(owner.SET_SIP, forward.inside), comment),)
    entries = [Entry(Element(name, forward.inside), comment) for name in (owner.SET_OUT, owner.SET_TO)]
    if forward.sources is None:
        entries.append(Entry(Element(owner.SET_ANY, forward.inside), comment))
    else:
        entries += [
            Entry(Element(owner.SET_IN, forward.inside, source), comment) for source in sorted(forward.sources)
        ]
    return tuple(entries)


def _masquerade(setup: Setup) -> tuple[Rule, ...]:
    if not setup.masquerade:
        return ()
    return tuple(
        Rule(
            "nat", owner.MASQUERADE, "MASQUERADE", "masquerade",
            source=net, outgoing=setup.outside, udp=False,
        )
        for net in setup.networks
    )  # fmt: skip


def _admission(setup: Setup) -> tuple[Rule, ...]:
    """The frequent first. A forward open to nobody yet is in two sets as well, so what is sent to it is dropped here.

    A match counts whenever it fits, whatever those after it say: the one for what comes in stands last.
    """
    answer = Match("conntrack", (("ctstate", ("ESTABLISHED",)), ("ctdir", ("REPLY",))))
    from_media, to_media = _in_set(owner.SET_OUT, "src,src"), _in_set(owner.SET_TO, "dst,dst")
    rules = [
        Rule(
            "filter", owner.FORWARD, "DROP", "no outside address", incoming=inside, outgoing=setup.outside, udp=False
        )
        for inside in setup.inside
        if setup.masquerade and setup.address is None
    ]
    for inside in setup.inside:
        inward = (setup.outside, inside)
        outward = (inside, setup.outside)
        elsewhere = (inside, f"!{setup.outside}")
        for target, reason, (incoming, outgoing), matches in (
            ("ACCEPT", "media in, signalled sources", inward, (_in_set(owner.SET_IN, "dst,dst,src"),)),
            ("ACCEPT", "media in, any source", inward, (_in_set(owner.SET_ANY, "dst,dst"),)),
            ("ACCEPT", "media out", outward, (from_media,)),
            ("ACCEPT", "media in, answering the phone", inward, (answer, to_media)),
            ("DROP", "media in, unknown source", inward, (_in_set(owner.SET_TO, "dst,dst", counting=False),)),
            ("ACCEPT", "media between phones", elsewhere, (from_media, to_media)),
            ("ACCEPT", "signalling in", inward, (_in_set(owner.SET_SIP, "dst,dst"),)),
            ("ACCEPT", "signalling out", outward, (_in_set(owner.SET_SIP, "src,src"),)),
        ):
            rules.append(
                Rule(
                    "filter", owner.FORWARD, target, reason,
                    incoming=incoming, outgoing=outgoing, matches=matches,
                )
            )  # fmt: skip
    return tuple(rules)


def _interception(setup: Setup) -> tuple[Rule, ...]:
    options: tuple[tuple[str, tuple[str, ...]], ...] = (("queue-num", (str(setup.queue),)),)
    if setup.on_failure == "pass":
        options += (("queue-bypass", ()),)

    def queue(reason: str, incoming: str, outgoing: str, *matches: Match, dport: str | None = None) -> Rule:
        return Rule(
            "mangle", owner.FORWARD, "NFQUEUE", reason, options=options,
            incoming=incoming, outgoing=outgoing, dport=dport, matches=matches,
        )  # fmt: skip

    rules: list[Rule] = []
    for inside in setup.inside:
        for port in setup.sip_ports:
            rules.append(queue("SIP out", inside, setup.outside, dport=str(port)))
            reply = Match("conntrack", (("ctorigdstport", (str(port),)), ("ctdir", ("REPLY",))))
            rules.append(queue("SIP in, reply", setup.outside, inside, reply))
        rules.append(queue("SIP in", setup.outside, inside, _in_set(owner.SET_SIP, "dst,dst")))
        rules.append(queue("SIP out, any port", inside, setup.outside, _in_set(owner.SET_SIP, "src,src")))
        if setup.any_port:
            rules.append(queue("SIP out, first message", inside, setup.outside, *_first_message()))
    return tuple(rules)


def _first_message() -> tuple[Match, Match]:
    """A SIP request that begins a flow; the kernel's bm would miss a line that lies in two pages of a packet."""
    pattern = ("hex-string", (f"|{_REQUEST_LINE_END.hex()}|",))
    span = (("from", (str(_HEADERS),)), ("to", (str(_LONGEST_REQUEST_LINE),)))
    return Match("conntrack", (("ctstate", ("NEW",)),)), Match("string", (pattern, ("algo", ("kmp",)), *span))


def _no_early_media(setup: Setup) -> Rule:
    low, high = setup.media_ports
    reason = "no media for the router itself"
    return Rule(
        "mangle", owner.INPUT, "DROP",
        f"{reason}; {owner.FORWARDING_WAS_OFF}" if setup.forwarding_was_off else reason,
        incoming=setup.outside, dport=f"{low}:{high}",
        matches=(Match("conntrack", (("ctstate", ("NEW",)),)),),
    )  # fmt: skip


def _in_set(name: str, directions: str, *, counting: bool = True) -> Match:
    match = ("match-set", (name, directions))
    return Match("set", (match,) if counting else (match, ("!update-counters", ())))


def _jump(table: TableName, chain: str, target: str, *, last: bool = False) -> Jump:
    return Jump(Rule(table, chain, target, "jump", udp=False), last)
