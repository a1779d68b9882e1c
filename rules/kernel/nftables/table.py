"""Our table of nftables: read by its marks, and changed by one batch a commit.

A forward's two translations are elements of two maps, which chains of one rule each look into. So what a call
changes are elements only, at a cost that knows neither rules nor other calls. The jumps into our chains are what
their hooks are here. Where what is held is not what a change supposes, the batch is refused as a whole, what is
held is read, and a fitting one is sent.
"""

import contextlib
import errno
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_NFTABLES
from pyroute2.netlink.nfnetlink import nftsocket as nft

from rules import owner, text
from rules.diff import Actual, Delta, Place
from rules.errors import KernelError, UnsupportedError
from rules.kernel.netlink import Netlink, Request, attribute, attributes, refusal
from rules.kernel.nftables import batch, elements
from rules.kernel.nftables.batch import CHAINS, TABLE, TRANSLATION, Changes, Frame
from rules.kernel.nftables.elements import MAPS, Held
from rules.kernel.nftables.expressions import METHODS, RATES, UNCOUNTED
from rules.ruleset import Element, SetSpec

# <linux/netfilter/nf_tables.h>
_TABLE, _NAME, _HOOK, _TYPE = 1, 3, 4, 7
_RULE_CHAIN, _RULE_EXPRESSIONS, _RULE_USERDATA = 2, 4, 7
_LIST_SET, _LIST = 2, 3
_GENERATION = 1
_TRIES = 5


class Table:
    """Changes and reads the table `ip sipmasq`; `changes` counts the looks that found others' doing."""

    def __init__(self) -> None:
        self._netlink = Netlink(NFNL_SUBSYS_NFTABLES)
        self._generation = -1
        self.changes = 0

    def close(self) -> None:
        """Close the socket; the table stays."""
        self._netlink.close()

    def read(self) -> Actual:
        """The chains, sets and elements of ours."""
        for _ in range(_TRIES):
            before = self._read_generation()
            frame = self._read_frame()
            chains, jumps = self._read_chains(frame)
            specs, entries = self._read_entries(frame)
            if self._read_generation() == before:
                return Actual(chains, jumps, specs, entries)
        raise KernelError("nft table sipmasq: others change nftables faster than it is read; try again")

    def commit(self, delta: Delta) -> None:
        """Make the changes, all or none."""
        for _ in range(_TRIES):
            self.look()
            frame = self._read_frame() if batch.changes_frame(delta) else None
            changes = Changes(delta)
            refused = self._try(delta, frame, changes)
            if refused & {errno.EEXIST, errno.ENOENT}:
                self._fit(changes)
                refused = self._try(delta, frame, changes)
            if not refused:
                return
            if errno.ERESTART not in refused:
                raise _refusal(*sorted(refused))
        raise KernelError("nft table sipmasq: others change nftables all the time; try again")

    def look(self) -> None:
        """Count one more of `changes` if somebody else committed anything to nftables since the last look."""
        generation = self._read_generation()
        self.changes += generation != self._generation
        self._generation = generation

    def packets(self) -> dict[Element, int]:
        """What the elements of the counting sets have counted."""
        return {
            elements.element_of(name, held.item.key): held.packets or 0
            for name, spec in self._read_sets().items()
            if spec.counters
            for held in self._elements(name)
        }

    def flooded(self) -> int:
        """Packets that the rules against floods have dropped since they were made."""
        return sum(
            elements.counted(found.get(_RULE_EXPRESSIONS, b""))
            for found in self._dump(nft.NFT_MSG_GETRULE)
            if owner.reason(_mark(found)).startswith(owner.FLOOD)
        )

    def ban(self, seconds: Mapping[str, int | None]) -> None:
        """Have addresses in the set of those banned for so long from now, None for not any more."""
        self._insist(lambda: batch.bans(seconds, frozenset(h.item.key for h in self._elements(owner.SET_BANNED))))

    def forget_bans(self) -> None:
        """Have nobody banned."""
        self._insist(lambda: (batch.flush(owner.SET_BANNED),))

    def _insist(self, requests: Callable[[], Iterable[Request]]) -> None:
        """Again while others change nftables, or what was found ends before it is taken out."""
        refused: set[int] = set()
        for _ in range(_TRIES):
            self.look()
            refused = self._send(list(requests()))
            if not refused:
                return
            if not refused <= {errno.ERESTART, errno.ENOENT}:
                break
        raise _refusal(*sorted(refused))

    def _try(self, delta: Delta, frame: Frame | None, changes: Changes) -> set[int]:
        return self._send(list(batch.requests(delta, frame, changes)))

    def _send(self, requests: list[Request]) -> set[int]:
        if not requests:
            return set()
        with _said():
            refused = set(self._netlink.transact(requests, self._generation).values())
        if not refused:
            self._generation = self._generation + 1 & 0xFFFFFFFF or 1
        return refused

    def _fit(self, changes: Changes) -> None:
        """Take out only what is there; what is added takes the place of what is there."""
        sets = self._read_sets()
        for name in {*changes.drop, *changes.add}:
            emptied = name in changes.flush or name not in sets
            held = set() if emptied else {each.item.key for each in self._elements(name)}
            going = {*changes.drop[name], *(item.key for item in changes.add[name])}
            changes.drop[name] = sorted(going & held)

    def _read_chains(self, frame: Frame) -> tuple[dict[Place, tuple[str, ...]], dict[Place, tuple[str, ...]]]:
        chains: dict[Place, tuple[str, ...]] = {}
        jumps: dict[Place, tuple[str, ...]] = {}
        for place, jump in CHAINS.items():
            if frame.hooks.get(place) != batch.hook(jump):
                continue
            marks = frame.marks[place]
            if name := batch.map_of(place):
                if marks != (TRANSLATION,) or name not in frame.sets:
                    continue
                marks = tuple(held.item.comment for held in self._elements(name))
            chains[place] = marks
            hooked = Place(jump.rule.table, jump.rule.chain)
            jumps[hooked] = (*jumps.get(hooked, ()), text.mark(jump.rule))
        unfit = {place: ("",) for place in frame.hooks if place not in chains}
        return chains | unfit, jumps

    def _read_entries(self, frame: Frame) -> tuple[frozenset[SetSpec], dict[Element, str]]:
        specs: set[SetSpec] = set()
        entries: dict[Element, str] = {}
        for name, spec in frame.sets.items():
            names = elements.names(name)
            inner = name.startswith(RATES) or name in (*MAPS.values(), UNCOUNTED, METHODS)
            if inner or any(each not in frame.sets for each in names):
                continue
            specs.add(spec)
            if spec.timed:
                continue
            first, *others = (
                {elements.element_of(name, held.item.key): held.item.comment for held in self._elements(each)}
                for each in names
            )
            for other in others:
                first = in_both(first, other)
            entries |= first
        return frozenset(specs), entries

    def _read_frame(self) -> Frame:
        hooks: dict[Place, bytes] = {}
        marks: defaultdict[Place, tuple[str, ...]] = defaultdict(tuple)
        for found in self._dump(nft.NFT_MSG_GETCHAIN):
            hooks[batch.place_of(_text(found[_NAME]))] = found.get(_HOOK, b"") + found.get(_TYPE, b"")
        for found in self._dump(nft.NFT_MSG_GETRULE):
            mark = _mark(found)
            marks[batch.place_of(_text(found[_RULE_CHAIN]))] += (mark if owner.is_mark(mark) else "",)
        return Frame(hooks, marks, self._read_sets())

    def _read_sets(self) -> dict[str, SetSpec]:
        specs = map(elements.spec_of, self._dump(nft.NFT_MSG_GETSET))
        return {spec.name: spec for spec in specs if owner.is_set(spec.name)}

    def _elements(self, name: str) -> Iterator[Held]:
        body = TABLE + attribute(_LIST_SET, name.encode() + b"\0")
        with _said():
            for data, start, end in self._netlink.dump(nft.NFT_MSG_GETSETELEM, body):
                for kind, begin, stop in attributes(data, start, end):
                    if kind == _LIST:
                        for _kind, first, last in attributes(data, begin, stop):
                            yield elements.decode(data, first, last)

    def _dump(self, command: int) -> Iterator[dict[int, bytes]]:
        """The attributes of each object of our table."""
        try:
            for data, start, end in self._netlink.dump(command, TABLE):
                found = {kind: data[begin:stop] for kind, begin, stop in attributes(data, start, end)}
                if _text(found[_TABLE]) == owner.NAME:
                    yield found
        except FileNotFoundError:
            return  # there is no such table
        except OSError as error:
            raise _refusal(error.errno or errno.EIO) from error

    def _read_generation(self) -> int:
        try:
            data, start, end = self._netlink.ask(nft.NFT_MSG_GETGEN, b"")
        except OSError as error:
            if error.errno == errno.EINVAL:  # what netlink says of a subsystem it does not know
                raise UnsupportedError("this kernel has no nftables; load or build nf_tables") from error
            raise _refusal(error.errno or errno.EIO) from error
        spans = {kind: (begin, stop) for kind, begin, stop in attributes(data, start, end)}
        begin, stop = spans[_GENERATION]
        return int.from_bytes(data[begin:stop], "big")


def in_both(one: dict[Element, str], other: dict[Element, str]) -> dict[Element, str]:
    """The entries of two sets that shall hold the same; what differs has no comment, so that it is made again."""
    return {each: one.get(each, "") if one.get(each) == other.get(each) else "" for each in {**one, **other}}


def _mark(found: dict[int, bytes]) -> str:
    return elements.read_comment(found.get(_RULE_USERDATA, b""))


@contextlib.contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _refusal(error.errno or errno.EIO) from error


def _refusal(*codes: int) -> KernelError:
    if {errno.EOPNOTSUPP, errno.ENOENT, errno.EPROTONOSUPPORT} & set(codes):
        return UnsupportedError(
            "nft table sipmasq: others took it away, or this kernel lacks a part of nftables; load or build"
            " nf_tables, nft_chain_nat, nft_nat, nft_masq and nft_ct"
        )
    return refusal("nft table sipmasq", codes[0])


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode(errors="replace")
