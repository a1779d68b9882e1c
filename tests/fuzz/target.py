"""What holds for every input: documented outcomes, books that balance, a way back, and no long thinking.

An input is a conversation: datagrams, each behind a line ``>>>`` when a phone sends it and ``<<<`` when the provider
does. Without such lines it is one datagram, once from each.
"""

import re
from time import thread_time
from zlib import crc32

from gateway.calls.dialog import Side
from gateway.engine import Engine, Settings
from gateway.errors import PeerError
from gateway.networks import Networks
from gateway.outcome import Drop, Refuse, Release
from gateway.sdp import session
from gateway.sip.body import look_into
from gateway.sip.contact import contacts
from gateway.sip.grammar import NOWHERE
from gateway.sip.message import parse
from gateway.sip.uri import address_of_record, hostports
from gateway.sip.via import via_params, via_parms
from gateway.wire import Datagram
from rules.model import Endpoint, Traffic

PHONE = Endpoint("10.0.0.11", 5060)
PROVIDER = Endpoint("198.51.100.1", 5060)
PUBLIC = "203.0.113.1"
LONGEST = 65507
_UNLEASED = re.compile(
    re.escape(PUBLIC.encode()) + rb" (?:rport )?9"
)  # what follows may be behind the end of the body
_BOUND = 0.25  # seconds of CPU, with the fuzzer's instruments in the code
_STRETCHED = 16  # one input of so many is also made as long as a datagram can be
_PIECES = (1, 1, 1, 2, 2, 3, 4, 6, 10, 20)  # in bytes, what is repeated for that
_MARK = re.compile(rb"(?:\A|\n)(>>>|<<<)\r?\n")
_SIDES = {b">>>": Side.INSIDE, b"<<<": Side.OUTSIDE}
# A port is written without leading zeros. Where a message writes 5060 here and leaves it out there, the way back may
# not tell the one from the other.
_LEADING_ZEROS = re.compile(rb"(?<![0-9])0+(?=[0-9])")
_LENGTH = re.compile(rb"(?im)^(?:content-length|l)[ \t]*:\s*[0-9]+")
_PHONE = re.compile(rb"10\.0\.0\.11(\s*:\s*5060(?![0-9]))?")

Step = tuple[Side, bytes]


def check(data: bytes) -> None:
    """Raise whatever is not as it should be with this input."""
    steps = conversation(data)
    for _, datagram in steps:
        _read(datagram)
    _play(steps)
    _there_and_back(steps)
    if crc32(data) % _STRETCHED == 0 and len(data) > 1:
        _time(stretched(data))


def conversation(data: bytes) -> list[Step]:
    """The datagrams of an input, each with its sender."""
    first, *rest = _MARK.split(data)
    if not rest:
        return [(side, first) for side in Side]
    return [(_SIDES[mark], text) for mark, text in zip(rest[::2], rest[1::2], strict=True)]


def stretched(data: bytes) -> bytes:
    """Some piece of the input, chosen by the input itself, repeated until the datagram is full."""
    number = crc32(data)
    start, length = number % len(data), _PIECES[(number >> 16) % len(_PIECES)]
    piece = data[start : start + length]
    return data[:start] + piece * ((LONGEST - len(data)) // len(piece)) + data[start:]


def _read(data: bytes) -> None:
    """Each reader answers or says what is wrong, and what it found stands where it says."""
    try:
        message = parse(data)
        for named in (message.from_tag, message.to_tag, message.call_id):
            assert named in data
        assert address_of_record(message.value(b"to")) is not None
        assert all(0 <= contact.port <= 99999 for value in message.values(b"contact") for contact in contacts(value))
        for name, value, start in message.headers:
            assert data.startswith(value, start)
            assert start + len(value) < message.body[0]
            if name == b"via":
                for via in via_parms(data, start, start + len(value)):
                    assert data[via.start : via.end].startswith(via.host.encode("latin-1"))
                    assert all(start <= span[1] or span == NOWHERE for span in via_params(data, *via.params))
            else:
                for found in hostports(value):
                    assert value[found.start : found.end].startswith(found.host.encode())
        span = look_into(message).sdp
        if span is not None:
            session.parse(data, *span)
    except PeerError:
        return


def _play(steps: list[Step]) -> None:
    """The conversation through one gateway with few ports, and then nothing more until all is forgotten."""
    engine = _gateway(Settings(media_ports=(20000, 20005), public_ports=(5062, 5064), callers="any"))
    now = 0.0
    for side, data in steps:
        outcome = engine.receive(_datagram(side, data), side, now)
        assert isinstance(outcome, Release | Drop | Refuse)
        for row in engine.ledger:
            assert engine.ledger.of_port(row.port) is row
            assert 1024 <= row.port <= 65535
            assert row.holds
        now += 0.4
        engine.handle_timer(now)
        engine.observe({row.inside: Traffic(0, 0) for row in engine.ledger}, now)
    if steps:
        engine.refuse(_datagram(*steps[-1]), steps[-1][0], "for the test", now)
    for _ in range(50):  # longer than the longest call
        now += 2000.0
        engine.handle_timer(now)
        engine.observe({}, now)
    assert len(engine.calls) == 0
    assert list(engine.ledger) == []
    assert engine.next_timer() is None


def _there_and_back(steps: list[Step]) -> None:
    """The last datagram that a phone sends, sent back to it, is the same again."""
    outward = [index for index, (side, _) in enumerate(steps) if side is Side.INSIDE]
    if not outward or PUBLIC.encode() in steps[outward[-1]][1]:
        return
    engine = _gateway(Settings(max_expires=0))  # what the phone is told of its lifetime is another thing
    for side, data in steps[: outward[-1]]:
        engine.receive(_datagram(side, data), side, 0.0)
    sent = steps[outward[-1]][1]
    left = _payload(engine, Side.INSIDE, sent)
    back = None if left is None else _payload(engine, Side.OUTSIDE, left)
    if left is None or back is None:
        return  # refused
    if len(_UNLEASED.findall(left)) > len(_UNLEASED.findall(sent.replace(b"10.0.0.11", PUBLIC.encode()))):
        return  # a candidate without a lease is announced at nobody's port
    bodies = [_from_body_on(data) for data in (sent, left, back)]
    if len({body.count(b"\n") for body in bodies}) == 1:
        # no description has a line more, for an address or a port that stopped being the one that others share
        mixed = _mixes_spellings(sent)
        assert _comparable(back, mixed=mixed) == _comparable(sent, mixed=mixed)
    assert [_behind_body(left), _behind_body(back)] == [_behind_body(sent)] * 2


def _time(data: bytes) -> None:
    """The least of three counts: what else the machine does must not."""
    seconds = []
    for _ in range(3):
        engine = _gateway(Settings())
        started = thread_time()
        for side, datagram in conversation(data):
            _read(datagram)
            engine.receive(_datagram(side, datagram), side, 0.0)
        seconds.append(thread_time() - started)
        if seconds[-1] < _BOUND:
            return
    raise AssertionError(f"{min(seconds):.3f} s for {len(data)} bytes")


def _gateway(settings: Settings) -> Engine:
    engine = Engine(settings)
    engine.place(Networks(["10.0.0.0/24"]), PUBLIC, PUBLIC)
    return engine


def _datagram(side: Side, data: bytes) -> Datagram:
    ends = (PHONE, PROVIDER) if side is Side.INSIDE else (PROVIDER, PHONE)
    return Datagram(*ends, data, 20)


def _payload(engine: Engine, side: Side, data: bytes) -> bytes | None:
    outcome = engine.receive(_datagram(side, data), side, 0.0)
    if not isinstance(outcome, Release):
        return None
    return data if outcome.payload is None else outcome.payload


def _mixes_spellings(data: bytes) -> bool:
    head = re.split(rb"\n\r?\n", data.lstrip(b"\r\n"), maxsplit=1)[0]
    return len({bool(port) for port in _PHONE.findall(head)}) > 1


def _comparable(data: bytes, *, mixed: bool) -> bytes:
    plain = _LEADING_ZEROS.sub(b"", _LENGTH.sub(b"", data))
    return _PHONE.sub(b"10.0.0.11", plain) if mixed else plain


def _from_body_on(data: bytes) -> bytes:
    try:
        return data[parse(data).body[0] :]
    except PeerError:
        return b""


def _behind_body(data: bytes) -> bytes:
    """What Content-Length leaves outside of the body."""
    try:
        return data[parse(data).body[1] :]
    except PeerError:
        return b""
