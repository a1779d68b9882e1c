"""From a change to the messages of one batch."""

import pytest
from pyroute2.netlink.nfnetlink import nftsocket as nft

from rules.diff import Delta, Place, TableDelta, compare
from rules.errors import UnsupportedError
from rules.kernel.nftables import batch, expressions
from rules.kernel.nftables.batch import Changes, Frame, changes_frame, requests
from rules.plan import parts, plan
from rules.ruleset import Match, Rule, Ruleset
from tests.rules.cases import RTP, SETUP, held

EMPTY = Frame({}, {}, {})


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
    rule = plan(SETUP, ()).chains[4].rules[0]
    data = expressions.rule(rule)
    assert b"queue\0" in data
    assert data.endswith(b"\x06\0\1\0\x13\xc4\0\0\x06\0\2\0\0\1\0\0\x06\0\3\0\0\0\0\0")  # 5060, one, no bypass


@pytest.mark.parametrize(
    "rule", [Rule("filter", "a", "LOG", ""), Rule("filter", "a", "DROP", "", matches=(Match("u32", ()),))]
)
def test_a_rule_without_a_form_in_nftables_is_named(rule: Rule) -> None:
    with pytest.raises(UnsupportedError, match=r"nftables has no (target LOG|match u32)"):
        expressions.rule(rule)
