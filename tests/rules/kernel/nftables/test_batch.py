"""From a change to the messages of one batch."""

import struct

import pytest
from pyroute2.netlink.nfnetlink import nftsocket as nft

from rules.diff import Delta, Place, TableDelta, compare
from rules.errors import UnsupportedError
from rules.kernel.netlink import NESTED, attribute
from rules.kernel.nftables import batch, expressions
from rules.kernel.nftables.batch import Changes, Frame, changes_frame, requests
from rules.plan import parts, plan
from rules.ruleset import Match, Rule, Ruleset, SetSpec
from tests.rules.cases import RTP, SETUP, held

EMPTY = Frame({}, {}, {})
RATES_OF_SETUP = ("in-1000-2000", "out-1000-2000", "new-1000-2000", "all-2000-2000")


def commands(delta: Delta, frame: Frame | None) -> list[int]:
    return [command for command, _flags, _body in requests(delta, frame, Changes(delta))]


def test_a_call_changes_elements_only_and_takes_out_before_it_adds() -> None:
    old, new = parts(SETUP, RTP), parts(SETUP, RTP._replace(port=20010))
    delta = Delta(add=new.entries, tables=(TableDelta("nat", append=new.rules, remove=old.rules),))
    assert not changes_frame(delta)
    assert commands(delta, None) == [nft.NFT_MSG_DELSETELEM] * 2 + [nft.NFT_MSG_NEWSETELEM] * 6


def test_many_calls_share_messages() -> None:
    forwards = [RTP._replace(inside=RTP.inside._replace(port=2 * n), port=2 * n) for n in range(1000, 1480)]
    delta = Delta(tables=(TableDelta("nat", append=tuple(r for f in forwards for r in parts(SETUP, f).rules)),))
    assert commands(delta, None) == [nft.NFT_MSG_NEWSETELEM] * 4
    assert all(len(body) < 1 << 16 for _command, _flags, body in requests(delta, None, Changes(delta)))


def test_the_longest_entries_fit_a_message() -> None:
    forwards = [RTP._replace(port=n, reason="r" * 999) for n in range(2000, 2240)]
    delta = Delta(tables=(TableDelta("nat", append=tuple(parts(SETUP, f).rules[0] for f in forwards)),))
    (body,) = (body for _command, _flags, body in requests(delta, None, Changes(delta)))
    assert len(body) < 1 << 16


def test_what_is_all_taken_away_goes_with_the_table() -> None:
    wanted = plan(SETUP, [RTP])
    sets = {spec.name: spec for spec in wanted.sets}
    frame = Frame({Place(chain.table, chain.name): b"" for chain in wanted.chains}, {}, sets)
    assert commands(compare(Ruleset(), held(wanted)).delta, frame) == [nft.NFT_MSG_DELTABLE]


def test_where_nothing_is_nothing_is_taken_away() -> None:
    assert commands(Delta(destroy=("sipmasq-in",)), EMPTY) == []


def test_a_chain_that_is_there_is_made_anew() -> None:
    chain = next(chain for chain in plan(SETUP, ()).chains if chain.table == "filter")
    delta = Delta(tables=(TableDelta("filter", replace=(chain,)),))
    new = [nft.NFT_MSG_NEWCHAIN] + [nft.NFT_MSG_NEWRULE] * len(chain.rules)
    assert commands(delta, EMPTY) == [nft.NFT_MSG_NEWTABLE, *new]
    there = Frame({Place("filter", chain.name): b""}, {}, {})
    assert commands(delta, there) == [nft.NFT_MSG_NEWTABLE, nft.NFT_MSG_DELRULE, nft.NFT_MSG_DELCHAIN, *new]


def test_chains_are_found_again_by_name() -> None:
    assert all(batch.place_of(batch.chain_name(place)) == place for place in batch.CHAINS)
    assert batch.chain_name(batch.place_of("mine")) == "mine"


def test_packets_are_queued_where_nftables_can() -> None:
    rule = next(rule for rule in plan(SETUP, ()).chains[4].rules if rule.target == "NFQUEUE")
    data = expressions.rule(rule)
    assert b"queue\0" in data
    assert data.endswith(b"\x06\0\1\0\x13\xc4\0\0\x06\0\2\0\0\1\0\0\x06\0\3\0\0\0\0\0")  # 5060, one, no bypass


def flood_rule(name: str) -> Rule:
    return next(
        rule
        for rule in plan(SETUP, ()).chains[4].rules
        if any(("hashlimit-name", (name,)) in match.options for match in rule.matches)
    )


def test_a_rate_is_a_limit_for_each_source_that_counts_what_it_drops() -> None:
    data = expressions.rule(flood_rule("sipmasq-in-1000-2000"))
    rate = attribute(1, struct.pack(">Q", 1000)) + attribute(2, struct.pack(">Q", 1))
    limit = rate + attribute(3, struct.pack(">I", 2000)) + attribute(5, struct.pack(">I", 1))  # above it
    found = data.index(attribute(1, b"sipmasq-rate-in-1000-2000\0"))
    assert found < data.index(limit) < data.index(b"counter\0") < data.index(b"immediate\0")


def test_all_strangers_are_one_source() -> None:
    data = expressions.rule(flood_rule("sipmasq-all-2000-2000"))
    assert data.rindex(b"bitwise\0") < data.index(b"dynset\0") < data.rindex(b"limit\0")
    nothing = attribute(4 | NESTED, attribute(1, bytes(4)))
    assert nothing in data
    assert nothing not in expressions.rule(flood_rule("sipmasq-new-1000-2000"))


def test_rules_of_one_rate_share_its_set_which_is_made_anew_with_the_chain() -> None:
    chain = plan(SETUP, ()).chains[4]
    old = SetSpec("sipmasq-rate-in-1-1", "hash:ip", counters=False, timed=True)
    frame = Frame({Place("mangle", chain.name): b""}, {}, {old.name: old})
    made = list(requests(delta := Delta(tables=(TableDelta("mangle", replace=(chain,)),)), frame, Changes(delta)))
    assert [body for command, _, body in made if command == nft.NFT_MSG_DELSET] == [
        batch.TABLE + attribute(2, b"sipmasq-rate-in-1-1\0")
    ]
    new = b"".join(body for command, _, body in made if command == nft.NFT_MSG_NEWSET)
    assert [new.count(f"sipmasq-rate-{name}\0".encode()) for name in RATES_OF_SETUP] == [1] * 4


def test_a_ban_is_given_a_new_time_by_taking_its_place() -> None:
    held, new, over = (bytes((198, 51, 100, n)) for n in (1, 2, 3))
    seconds = {"198.51.100.1": 60, "198.51.100.2": 1, "198.51.100.3": None, "198.51.100.4": None}
    (out, _, gone), (into, _, made) = batch.bans(seconds, frozenset((held, over)))
    assert (out, into) == (nft.NFT_MSG_DELSETELEM, nft.NFT_MSG_NEWSETELEM)
    assert [key in gone for key in (held, new, over)] == [True, False, True]
    assert [key in made for key in (held, new, over)] == [True, True, False]
    assert attribute(4, struct.pack(">Q", 60000)) in made


@pytest.mark.parametrize(
    "rule", [Rule("filter", "a", "LOG", ""), Rule("filter", "a", "DROP", "", matches=(Match("u32", ()),))]
)
def test_a_rule_without_a_form_in_nftables_is_named(rule: Rule) -> None:
    with pytest.raises(UnsupportedError, match=r"nftables has no (target LOG|match u32)"):
        expressions.rule(rule)
