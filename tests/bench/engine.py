"""CPU per SIP message through the engine alone, without kernel or packets; and of splitting, rebuilding a packet."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from gateway import wire
from gateway.calls.dialog import Side
from gateway.engine import Engine, Settings
from gateway.networks import Networks
from gateway.outcome import Outcome, Release
from gateway.wire import Datagram
from rules.model import Endpoint
from tests.bench.measure import Figure, cpu_each
from tests.bench.messages import Caller, answer, sdp

_ROUNDS = 15
_CALLS = 200  # in each round, by so many phones
_PHONES = 20
_PUBLIC = "198.51.100.1"
_PROVIDER = Endpoint("198.51.100.10", 5060)
_FAR_MEDIA = Endpoint("198.51.100.20", 40000)
_GOAL = "at most 60"

Samples = dict[str, list[float]]


class Sip(NamedTuple):
    """A message on its way, and what the engine made of it."""

    number: int
    sent: bytes
    came_out: bytes


class Bench:
    """One engine with its registered phones; time stands still, since nothing here waits."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._engine = Engine(Settings())
        self._engine.place(Networks(["10.0.0.0/24"]), _PUBLIC, _PUBLIC)
        self._phones = [
            Caller(f"alice{index}", Endpoint(f"10.0.0.{11 + index}", 5060), "bob", _PROVIDER.ip)
            for index in range(_PHONES)
        ]

    def register(self) -> None:
        """Every phone, again and again, as they do."""
        for turn in range(1, 1 + _CALLS // _PHONES):
            sent = [(index, phone.register(turn)) for index, phone in enumerate(self._phones)]
            name = "REGISTER" if turn > 1 else ""
            requests = self._through(name, sent, Side.INSIDE)
            answers = [(sip.number, answer(sip.came_out, "200 OK")) for sip in requests]
            self._through(f"200 of {name}" if name else "", answers, Side.OUTSIDE)

    def call_out(self) -> None:
        """Calls from the phones, from INVITE to the end."""
        sent = [(number, self._phone(number).invite(number, self._media(number))) for number in range(_CALLS)]
        invites = self._through("INVITE with SDP, new call", sent, Side.INSIDE)
        ringing = [(sip.number, answer(sip.came_out, "180 Ringing", contact=_PROVIDER)) for sip in invites]
        self._through("180", ringing, Side.OUTSIDE)
        body = sdp("bob", _FAR_MEDIA)
        answers = [(sip.number, answer(sip.came_out, "200 OK", contact=_PROVIDER, body=body)) for sip in invites]
        self._through("200 with SDP", answers, Side.OUTSIDE)
        self._through("ACK", self._requests(Caller.ack), Side.INSIDE)
        byes = self._through("BYE", self._requests(Caller.bye), Side.INSIDE)
        ends = [(sip.number, answer(sip.came_out, "200 OK", contact=_PROVIDER)) for sip in byes]
        self._through("200 of BYE", ends, Side.OUTSIDE)

    def be_called(self) -> None:
        """Calls from the provider to the phones, up to the answer."""
        far = Caller("bob", _PROVIDER, "alice", _PUBLIC)
        numbers = range(_CALLS, 2 * _CALLS)
        sent = [(number, far.invite(number, _FAR_MEDIA)) for number in numbers]
        invites = self._through("INVITE with SDP, new call inward", sent, Side.OUTSIDE)
        answers = [
            (
                sip.number,
                answer(
                    sip.came_out, "200 OK",
                    contact=self._phone(sip.number).address, body=sdp("alice", self._media(sip.number)),
                ),
            )
            for sip in invites
        ]  # fmt: skip
        self._through("200 with SDP outward", answers, Side.INSIDE)

    def _through(self, name: str, sent: list[tuple[int, bytes]], sender: Side) -> list[Sip]:
        """Send these; what came out. Without a name it is not recorded."""
        outcomes: list[Outcome] = []
        datagrams = [self._datagram(number, payload, sender) for number, payload in sent]

        def receive(datagram: Datagram) -> None:
            outcomes.append(self._engine.receive(datagram, sender, 0.0))
            # and what its owner has to take with it each time
            self._engine.take_changes()
            self._engine.take_notices()
            self._engine.next_timer()

        cost = cpu_each(receive, datagrams)
        if name:
            self._samples.setdefault(name, []).append(cost)
        return [
            Sip(number, payload, _payload(outcome, payload))
            for (number, payload), outcome in zip(sent, outcomes, strict=True)
        ]

    def _datagram(self, number: int, payload: bytes, sender: Side) -> Datagram:
        phone = self._phone(number).address
        ends = (phone, _PROVIDER) if sender is Side.INSIDE else (_PROVIDER, phone)
        return Datagram(*ends, payload, 20)

    def _requests(self, write: Callable[[Caller, int, Endpoint], bytes]) -> list[tuple[int, bytes]]:
        return [(number, write(self._phone(number), number, _PROVIDER)) for number in range(_CALLS)]

    def _phone(self, number: int) -> Caller:
        return self._phones[number % _PHONES]

    def _media(self, number: int) -> Endpoint:
        return Endpoint(self._phone(number).address.ip, 16384 + 2 * number)


def measure() -> Iterator[Figure]:
    """Every kind of message of two calls and a registration."""
    samples: Samples = {}
    for _ in range(_ROUNDS):
        bench = Bench(samples)
        bench.register()
        bench.call_out()
        bench.be_called()
    for name, seen in samples.items():
        yield Figure(f"{name}, CPU", seen, "us", _GOAL if name.startswith("INVITE") else "")
    yield Figure("the INVITE's packet split and rebuilt, CPU", [_wire() for _ in range(_ROUNDS)], "us")


def _wire() -> float:
    phone = Caller("alice", Endpoint("10.0.0.11", 5060), "bob", _PROVIDER.ip)
    payload = phone.invite(1, Endpoint(phone.address.ip, 16384))
    packet = wire.build(phone.address, _PROVIDER, payload)

    def there_and_back(_: int) -> None:
        datagram = wire.split(packet)
        wire.rebuild(packet, datagram.header_length, datagram.payload)

    return cpu_each(there_and_back, range(_CALLS))


def _payload(outcome: Outcome, sent: bytes) -> bytes:
    assert isinstance(outcome, Release), f"not released: {sent!r}"
    assert outcome.payload is not None, f"not rewritten: {sent!r}"
    return outcome.payload
