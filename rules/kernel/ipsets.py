"""The ipsets of a network namespace, over netlink; in the one thread that owns the kernel."""

import contextlib
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import attrgetter

from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_IPSET
from pyroute2.netlink.nfnetlink.ipset import (
    IPSET_CMD_ADD,
    IPSET_CMD_CREATE,
    IPSET_CMD_DEL,
    IPSET_CMD_DESTROY,
    IPSET_CMD_FLUSH,
    IPSET_CMD_LIST,
    IPSET_CMD_TYPE,
    IPSET_ERR_BUSY,
    IPSET_ERR_FIND_TYPE,
    IPSET_FLAG_LIST_HEADER,
    IPSET_FLAG_LIST_SETNAME,
    IPSET_FLAG_WITH_COMMENT,
    IPSET_FLAG_WITH_COUNTERS,
)

from rules import owner
from rules.errors import KernelError, UnsupportedError
from rules.kernel.netlink import EXCLUSIVE, NESTED, NET_ORDER, Netlink, attribute, attributes, refusal
from rules.model import Endpoint
from rules.ruleset import Element, Entry, SetSpec

# <linux/netfilter/ipset/ip_set.h>, attributes of a command
_PROTOCOL, _SETNAME, _TYPENAME, _REVISION, _FAMILY, _FLAGS, _DATA, _ADT, _LINENO = range(1, 10)
# and of an entry or a set
_TIMEOUT = 6
_IP, _PORT, _PROTO, _CADT_FLAGS, _MAXELEM, _IP2, _PACKETS, _COMMENT = 1, 4, 7, 8, 19, 20, 25, 26
_ELEMENTS, _MEMSIZE = 24, 26  # of a set
_IPV4 = 1

_VERSION = attribute(_PROTOCOL, b"\x07")
_UDP = attribute(_PROTO, bytes([socket.IPPROTO_UDP]))
_NO_LINE = attribute(_LINENO, bytes(4))
_BATCH = 300  # entries in one message, whose length has 16 bits

_HASH_FULL = 4352  # IPSET_ERR_HASH_FULL of <linux/netfilter/ipset/ip_set_hash.h>
_MOST_ENTRIES = 262144  # of one set; the kernel's own limit, 65536, is within reach of many calls' sources

_REASONS = {
    IPSET_ERR_BUSY: "in use by a rule that is not ours; delete that rule first",
    IPSET_ERR_FIND_TYPE: "this kernel has no such set type",
    _HASH_FULL: "the set is full",
}


class Sets:
    """Makes, fills and reads the sets that carry our mark; `changes` counts the looks that found others' doing."""

    def __init__(self) -> None:
        self._netlink = Netlink(NFNL_SUBSYS_IPSET)
        self._heads: _Heads | None = None
        self.changes = 0

    def close(self) -> None:
        """Close the socket; the sets stay."""
        self._netlink.close()

    def create(self, spec: SetSpec) -> None:
        """Make an empty set; KernelError if there is one of that name."""
        flags = IPSET_FLAG_WITH_COMMENT | (IPSET_FLAG_WITH_COUNTERS if spec.counters else 0)
        data = attribute(_CADT_FLAGS | NET_ORDER, struct.pack(">I", flags))
        data += attribute(_MAXELEM | NET_ORDER, struct.pack(">I", _MOST_ENTRIES))
        if spec.timed:
            data += attribute(_TIMEOUT | NET_ORDER, bytes(4))  # for ever, where an entry does not say
        body = b"".join(
            (
                _VERSION,
                _name(spec.name),
                attribute(_TYPENAME, spec.type.encode() + b"\0"),
                attribute(_REVISION, bytes([self._revision(spec.type)])),
                attribute(_FAMILY, bytes([socket.AF_INET])),
                attribute(_DATA | NESTED, data),
            )
        )
        self._tell(IPSET_CMD_CREATE, EXCLUSIVE, [body], f"set {spec.name}")

    def add(self, entries: Iterable[Entry]) -> None:
        """Add entries, or give those that are there this comment."""
        for name, group in groupby(sorted(entries), key=lambda entry: entry.element.set):
            items = [_element(entry.element) + _comment(entry.comment) for entry in group]
            self._tell(IPSET_CMD_ADD, 0, _batches(name, items), f"set {name}: adding entries")

    def drop(self, elements: Iterable[Element]) -> None:
        """Take entries out; one that is gone is no error."""
        for name, group in groupby(sorted(elements), key=attrgetter("set")):
            items = [_element(element) for element in group]
            self._tell(IPSET_CMD_DEL, 0, _batches(name, items), f"set {name}: deleting entries")

    def ban(self, seconds: Mapping[str, int | None]) -> None:
        """Have addresses in the set of those banned for so long from now, None for not any more."""
        bans = {address: left for address, left in seconds.items() if left is not None}
        items = [
            _address(_IP, address) + attribute(_TIMEOUT | NET_ORDER, struct.pack(">I", left)) + _NO_LINE
            for address, left in bans.items()
        ]
        what = f"set {owner.SET_BANNED}"
        self._tell(IPSET_CMD_ADD, 0, _batches(owner.SET_BANNED, items), f"{what}: adding entries")
        items = [_address(_IP, address) + _NO_LINE for address in seconds.keys() - bans.keys()]
        self._tell(IPSET_CMD_DEL, 0, _batches(owner.SET_BANNED, items), f"{what}: deleting entries")

    def forget_bans(self) -> None:
        """Have nobody banned."""
        self._tell(IPSET_CMD_FLUSH, 0, [_VERSION + _name(owner.SET_BANNED)], f"set {owner.SET_BANNED}")

    def destroy(self, name: str) -> None:
        """Take a set away; KernelError while a rule uses it."""
        self._tell(IPSET_CMD_DESTROY, 0, [_VERSION + _name(name)], f"set {name}")

    def read(self) -> tuple[frozenset[SetSpec], dict[Element, str]]:
        """Our sets, and the entries with their comments of those that are not timed."""
        specs: set[SetSpec] = set()
        comments: dict[Element, str] = {}
        for name in self._names():
            timed = False
            for data, found in self._list(name):
                if _TYPENAME in found and _DATA in found:
                    spec = _spec(name, data, found)
                    specs.add(spec)
                    timed = spec.timed
                for entry in () if timed else _entries(data, found):
                    comments[_read_element(name, data, entry)] = _text(data, entry.get(_COMMENT, (0, 0)))
        return frozenset(specs), comments

    def look(self) -> None:
        """Count one more of `changes` if somebody else was at our sets since the last look.

        What entries there are is not looked at, only how many and what room they and their comments take.
        """
        heads = self._read_heads()
        if heads != self._heads:
            self.changes += 1
            self._heads = heads

    @contextlib.contextmanager
    def own_change(self) -> Iterator[None]:
        """What happens within the block is no change of others."""
        self.look()
        try:
            yield
        finally:
            self._heads = self._read_heads()

    def packets(self) -> dict[Element, int]:
        """What the entries of our counting sets have counted."""
        counts: dict[Element, int] = {}
        for name in self._names():
            for data, found in self._list(name):
                for entry in _entries(data, found):
                    if _PACKETS not in entry:
                        break
                    counts[_read_element(name, data, entry)] = _number(data, entry[_PACKETS])
        return counts

    def _read_heads(self) -> "_Heads":
        flags = attribute(_FLAGS | NET_ORDER, struct.pack(">I", IPSET_FLAG_LIST_HEADER))
        heads: list[tuple[str | int, ...]] = []
        for data, start, end in self._dump(_VERSION + flags, "sets"):
            found = _spans(data, start, end)
            name = _text(data, found[_SETNAME])
            if owner.is_set(name):
                head = _spans(data, *found.get(_DATA, (0, 0)))
                kinds = () if _TIMEOUT in head else (_ELEMENTS, _MEMSIZE)
                numbers = (_number(data, head.get(kind, (0, 0))) for kind in kinds)
                heads.append((name, _text(data, found.get(_TYPENAME, (0, 0))), *numbers))
        return tuple(sorted(heads))

    def _names(self) -> list[str]:
        flags = attribute(_FLAGS | NET_ORDER, struct.pack(">I", IPSET_FLAG_LIST_SETNAME))
        names = []
        for data, start, end in self._dump(_VERSION + flags, "sets"):
            found = _spans(data, start, end)
            names.append(_text(data, found[_SETNAME]))
        return sorted(filter(owner.is_set, names))

    def _list(self, name: str) -> Iterator[tuple[bytes, "_Spans"]]:
        for data, start, end in self._dump(_VERSION + _name(name), f"set {name}"):
            yield data, _spans(data, start, end)

    def _dump(self, body: bytes, what: str) -> Iterator[tuple[bytes, int, int]]:
        try:
            yield from self._netlink.dump(IPSET_CMD_LIST, body)
        except OSError as error:
            raise _refusal(what, error.errno or 0) from error

    def _revision(self, kind: str) -> int:
        """The newest form of a set type that this kernel knows."""
        body = _VERSION + attribute(_TYPENAME, kind.encode() + b"\0") + attribute(_FAMILY, b"\x02")
        try:
            data, start, end = self._netlink.ask(IPSET_CMD_TYPE, body)
        except OSError as error:
            raise _refusal(f"set type {kind}", error.errno or 0) from error
        return _number(data, _spans(data, start, end)[_REVISION])

    def _tell(self, command: int, flags: int, bodies: list[bytes], what: str) -> None:
        try:
            codes = self._netlink.tell([(command, flags, body) for body in bodies])
        except OSError as error:
            raise KernelError(f"{what}: {error}") from error
        for code in filter(None, codes):
            raise _refusal(what, code)


_Span = tuple[int, int]
_Spans = dict[int, _Span]
_Heads = tuple[tuple[str | int, ...], ...]


def _refusal(what: str, code: int) -> KernelError:
    if code == IPSET_ERR_FIND_TYPE:
        return UnsupportedError(f"{what}: {_REASONS[code]}; load or build the ip_set modules (CONFIG_IP_SET_*)")
    return refusal(what, code, _REASONS.get(code))


def _batches(name: str, items: list[bytes]) -> list[bytes]:
    head = _VERSION + _name(name) + _NO_LINE
    return [
        head + attribute(_ADT | NESTED, b"".join(attribute(_DATA | NESTED, item) for item in items[at : at + _BATCH]))
        for at in range(0, len(items), _BATCH)
    ]


def _name(name: str) -> bytes:
    return attribute(_SETNAME, name.encode() + b"\0")


def _element(element: Element) -> bytes:
    parts = [
        _address(_IP, element.inside.ip),
        attribute(_PORT | NET_ORDER, struct.pack(">H", element.inside.port)),
        _UDP,
        _NO_LINE,
    ]
    if element.source is not None:
        parts.append(_address(_IP2, element.source))
    return b"".join(parts)


def _comment(text: str) -> bytes:
    return attribute(_COMMENT, text.encode() + b"\0")


def _address(kind: int, ip: str) -> bytes:
    return attribute(kind | NESTED, attribute(_IPV4 | NET_ORDER, socket.inet_aton(ip)))


def _spans(data: bytes, start: int, end: int) -> _Spans:
    return {kind: (begin, stop) for kind, begin, stop in attributes(data, start, end)}


def _entries(data: bytes, found: _Spans) -> Iterator[_Spans]:
    for _kind, start, end in attributes(data, *found.get(_ADT, (0, 0))):
        yield _spans(data, start, end)


def _spec(name: str, data: bytes, found: _Spans) -> SetSpec:
    head = _spans(data, *found[_DATA])
    flags = _number(data, head.get(_CADT_FLAGS, (0, 0)))
    kind = _text(data, found[_TYPENAME])
    return SetSpec(name, kind, bool(flags & IPSET_FLAG_WITH_COUNTERS), timed=_TIMEOUT in head)


def _read_element(name: str, data: bytes, entry: _Spans) -> Element:
    inside = Endpoint(_read_address(data, entry[_IP]), _number(data, entry[_PORT]))
    return Element(name, inside, _read_address(data, entry[_IP2]) if _IP2 in entry else None)


def _read_address(data: bytes, span: _Span) -> str:
    return socket.inet_ntoa(data[span[1] - 4 : span[1]])  # the last four bytes of the nested attribute


def _number(data: bytes, span: _Span) -> int:
    return int.from_bytes(data[span[0] : span[1]], "big")


def _text(data: bytes, span: _Span) -> str:
    return data[span[0] : span[1]].partition(b"\0")[0].decode(errors="replace")
