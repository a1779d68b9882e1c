"""The stage of a transcript: one router, phones inside, a provider outside, and a clock that the test moves.

A step is one datagram. It goes through the engine as the router would hand it over, its rules are taken into a table
that stands for the kernel, and it arrives where that table lets it arrive:

    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384)).leaves_with("Via: ...", "Contact: ...", ...)
    assert flow.open == {"20000 -> 10.0.0.11:16384 rtp closed", ...}
    provider.answers("200 OK", tag="b", sdp=audio("198.51.100.20", 40000))

After each step the table is compared with the ledger, so that every transcript also proves the change journal.
"""

from dataclasses import dataclass, field

from gateway.calls.dialog import Side
from gateway.engine import Engine, Settings
from gateway.networks import Networks
from gateway.outcome import Drop, Outcome, Refuse, Release
from gateway.sip import message
from gateway.snapshot import Kind, Row, restore, take_rows
from gateway.wire import Datagram
from rules.model import Endpoint, Forward, Traffic
from tests.transcripts.messages import changed_lines, reply, sip

PUBLIC = "203.0.113.1"
PROVIDER = Endpoint("198.51.100.1", 5060)
LAN = "10.0.0.0/24"


@dataclass(frozen=True)
class Passage:
    """What became of one datagram."""

    sent: bytes
    outcome: Outcome
    arrived: bytes | None

    def leaves_with(self, *lines: str) -> None:
        """Exactly these lines differ from what was sent, everything else is the same bytes."""
        assert isinstance(self.outcome, Release), self.outcome
        assert changed_lines(self.sent, self.arrived or b"") == list(lines)

    def passes(self) -> None:
        """It leaves byte-identical."""
        assert self.outcome == Release(None)

    def is_dropped(self) -> None:
        assert self.outcome == Drop()

    def is_refused(self) -> bytes:
        """It ends here with a 503 to its sender, whose bytes are returned."""
        assert isinstance(self.outcome, Refuse), self.outcome
        answer = message.parse(self.outcome.payload)
        assert answer.status == 503
        assert b"Retry-After: " in self.outcome.payload
        assert answer.call_id == message.parse(self.sent).call_id
        return self.outcome.payload

    @property
    def text(self) -> str:
        return (self.arrived or b"").decode()


@dataclass
class _Leg:
    """One party's side of one dialog."""

    own_tag: str
    far_tag: str = ""
    cseq: int = 0
    invite: bytes = b""


@dataclass
class Party:
    """Someone who talks SIP: a phone, or somebody outside. `inbox` is what arrived, as it arrived.

    `far` is whom a phone sends to, the provider unless another is named.
    """

    flow: "Flow"
    name: str
    address: Endpoint
    side: Side
    contact: str
    inbox: list[bytes] = field(default_factory=list)
    legs: dict[str, _Leg] = field(default_factory=dict)
    sent: bytes = b""
    sent_to: str = ""
    far: "Party | None" = None

    def asks(
        self,
        method: str,
        uri: str = "",
        call: str = "call-1",
        *,
        sdp: str = "",
        to: str = "",
        far_tag: str | None = None,
        headers: tuple[str, ...] = (),
        contact: str = "",
        via: str = "",
        branch: str = "",
    ) -> Passage:
        """A request in a call (tags and CSeq go on by themselves), or out of one."""
        leg = self.legs.setdefault(call, _Leg(f"{self.name}-tag"))
        if method not in ("ACK", "CANCEL"):
            leg.cseq += 1
        number = leg.cseq
        tag = leg.far_tag if far_tag is None else far_tag
        asked = f"{call}-{number}{'INVITE' if method == 'CANCEL' else method}"
        via = via or (f"{self.address};rport" if self.side is Side.INSIDE else f"{self.address}")
        sent = sip(
            f"{method} {uri or 'sip:service@example.org'} SIP/2.0",
            [
                f"Via: SIP/2.0/UDP {via};branch=z9hG4bK{branch or asked}",
                f"From: <sip:{self.name}@example.org>;tag={leg.own_tag}",
                f"To: {to or '<sip:service@example.org>'}" + (f";tag={tag}" if tag else ""),
                f"Call-ID: {call}",
                f"CSeq: {number} {method}",
                f"Contact: {contact or self.contact}",
                *headers,
            ],
            sdp,
        )
        if method == "INVITE":
            leg.invite = sent
        return self.sends(sent, uri)

    def answers(
        self, status: str, tag: str = "", *, to: bytes = b"", sdp: str = "", headers: tuple[str, ...] = ()
    ) -> Passage:
        """A response to the last request that arrived here, or to the one that `to` begins."""
        request = next(
            data for data in reversed(self.inbox) if data.startswith(to) and not data.startswith(b"SIP/2.0")
        )
        parsed = message.parse(request)
        call = parsed.call_id.decode()
        leg = self.legs.setdefault(call, _Leg(tag or f"{self.name}-tag"))
        leg.far_tag = leg.far_tag or parsed.from_tag.decode()
        contact = "" if b"REGISTER" in request[:8] else f"Contact: {self.contact}"
        more = (contact,) if contact else ()
        return self.sends(reply(request, status, tag or leg.own_tag, (*more, *headers), sdp))

    def sends(self, data: bytes, uri: str = "") -> Passage:
        """Any datagram; the provider's goes to the public port in `uri`, or where its request's Via says."""
        self.sent, self.sent_to = data, uri
        return self.flow.carry(self, data, uri)

    def again(self) -> Passage:
        """The last datagram once more, as a retransmission."""
        return self.flow.carry(self, self.sent, self.sent_to)

    def moves(self, host: str) -> None:
        """From now on it sends from there, and is found there."""
        self.address = self.address._replace(ip=host)

    def hears(self, data: bytes) -> None:
        """Something arrived."""
        self.inbox.append(data)
        if data.startswith(b"SIP/2.0"):
            response = message.parse(data)
            leg = self.legs.get(response.call_id.decode())
            if leg is not None and response.to_tag and not leg.far_tag and response.status != 100:
                leg.far_tag = response.to_tag.decode()


class Flow:
    """The router between them. `now` is the clock, `open` the media ports that the kernel answers for.

    With `restarts` the gateway is killed and started again before each datagram, and nobody may notice.
    """

    def __init__(self, settings: Settings | None = None, *, restarts: bool = False) -> None:
        self.settings = settings or Settings()
        self.restarts = restarts
        self.engine = Engine(self.settings)
        self.engine.place(Networks([LAN]), PUBLIC, PUBLIC)
        self.now = 1000.0
        self.kernel: dict[Endpoint, Forward] = {}
        self.notices: list[str] = []
        self.written: dict[tuple[Kind, bytes], bytes] = {}
        self._phones: dict[Endpoint, Party] = {}
        self._reaches: dict[int, Endpoint] = {}
        self.provider = Party(self, "service", PROVIDER, Side.OUTSIDE, f"<sip:service@{PROVIDER}>")

    def phone(self, name: str, host: str, port: int = 5060, contact: str = "") -> Party:
        """A phone inside that sends from host:port."""
        address = Endpoint(host, port)
        self._phones[address] = Party(self, name, address, Side.INSIDE, contact or f"<sip:{name}@{address}>")
        return self._phones[address]

    def masquerades(self, phone: Party, port: int = 5060) -> None:
        """Have the kernel know a connection of a phone's own by a public port, without any rule."""
        self._reaches[port] = phone.address

    def outside(self, name: str, host: str, port: int = 5060) -> Party:
        """Somebody else than the provider."""
        address = Endpoint(host, port)
        return Party(self, name, address, Side.OUTSIDE, f"<sip:{name}@{address}>")

    def moves_to(self, public: str) -> None:
        """The router gets another outside address."""
        self.engine.place(Networks([LAN]), public, public)

    def carry(self, sender: Party, data: bytes, uri: str = "") -> Passage:
        """One datagram through the router."""
        if self.restarts:
            self.restart()
        outward = sender.side is Side.INSIDE
        receiver = (sender.far or self.provider) if outward else self._phones[self._inside(data, uri)]
        datagram = Datagram(sender.address, receiver.address, data, 20)
        outcome = self.engine.receive(datagram, sender.side, self.now)
        self.commit()
        arrived = None
        if isinstance(outcome, Release):
            arrived = data if outcome.payload is None else outcome.payload
            receiver.hears(arrived)
        elif isinstance(outcome, Refuse):
            self._deliver(outcome, sender)
        return Passage(data, outcome, arrived)

    def wait(self, seconds: float) -> None:
        """Let time pass, with every timer called when it asked for it."""
        until = self.now + seconds
        while (timer := self.engine.next_timer()) is not None and timer <= until:
            self.now = max(self.now, timer)
            self.engine.handle_timer(self.now)
            self.commit()
            again = self.engine.next_timer()
            assert again is None or again > self.now, "a timer that does not move on would spin"
        self.now = until

    def restart(self) -> None:
        """The gateway is killed and started again, with what it had written down."""
        self.keep()
        before = self.engine
        self.engine = Engine(self.settings)
        self.engine.callers.configure(before.callers.policy, self.settings.idle)
        restore(self.engine, [Row(*name, value) for name, value in self.written.items()])
        self.engine.place(Networks([LAN]), PUBLIC, before.ledger.public)
        kernel, self.kernel = self.kernel, {}
        self.commit()
        assert self.kernel == kernel

    def keep(self) -> None:
        """Write down what changed."""
        for kind, key, value in take_rows(self.engine):
            if value is None:
                self.written.pop((kind, key), None)
            else:
                self.written[kind, key] = value

    def count(self, traffic: dict[Endpoint, Traffic]) -> None:
        """The kernel's packet counters are read."""
        self.engine.observe(traffic, self.now)
        self.commit()

    def commit(self) -> None:
        """Take the changes into the table, and find in it exactly what the ledger has."""
        for inside, forward in self.engine.take_changes().items():
            if forward is None:
                self.kernel.pop(inside, None)
            else:
                assert forward.inside == inside
                self.kernel[inside] = forward
        self.notices += [f"{notice.subject}: {notice.text}" for notice in self.engine.take_notices()]
        wanted = {row.inside: (row.port, row.sources if row.purpose.is_media else None) for row in self.engine.ledger}
        assert {inside: (row.port, row.sources) for inside, row in self.kernel.items()} == wanted

    @property
    def open(self) -> set[str]:
        """The media ports, one text each: ``20000 -> 10.0.0.11:16384 rtp from 198.51.100.20``."""
        return {_described(row) for row in self.kernel.values() if row.purpose.is_media}

    @property
    def rtp(self) -> set[str]:
        """The same without RTCP."""
        return {text for text in self.open if " rtcp " not in text}

    @property
    def sip_ports(self) -> dict[str, int]:
        """The public port of each inside SIP address."""
        return {str(row.inside): row.port for row in self.kernel.values() if not row.purpose.is_media}

    @property
    def calls(self) -> int:
        return len(self.engine.calls)

    def _inside(self, data: bytes, uri: str) -> Endpoint:
        """Where the kernel sends what arrives at a public port: by rule, else by the connection it knows."""
        text = uri or message.parse(data).value(b"via").decode().split()[1].split(";")[0]
        port = int(text.rpartition(":")[2]) if ":" in text.rpartition("@")[2].removeprefix("sip:") else 5060
        inside = next((row.inside for row in self.kernel.values() if row.port == port), self._reaches.get(port))
        assert inside is not None, f"nothing answers at public port {port}"
        self._reaches[port] = inside
        return inside

    def _deliver(self, refusal: Refuse, sender: Party) -> None:
        assert refusal.destination == sender.address
        if sender.side is Side.INSIDE:
            assert refusal.source == (sender.far or self.provider).address
        else:
            assert refusal.source.ip == PUBLIC
        sender.hears(refusal.payload)


def _described(row: Forward) -> str:
    if row.sources is None:
        who = "open to all"
    else:
        who = f"from {' '.join(sorted(row.sources))}" if row.sources else "closed"
    return f"{row.port} -> {row.inside} {row.purpose} {who}"
