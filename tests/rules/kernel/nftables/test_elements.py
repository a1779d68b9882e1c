"""What maps and sets hold, as bytes and back."""

import struct

import pytest

from rules import owner, text
from rules.kernel.netlink import NESTED, attribute
from rules.kernel.nftables.elements import (
    Held,
    Item,
    comment,
    decode,
    element_of,
    encode,
    key_of,
    methods,
    names,
    of_rule,
    read_comment,
)
from rules.model import Endpoint
from rules.plan import parts
from rules.ruleset import Element
from tests.rules.cases import RTP, SETUP

PHONE = Endpoint("10.0.0.5", 16384)
ELEMENTS = [Element(owner.SET_OUT, PHONE), Element(owner.SET_IN, PHONE, "198.51.100.7")]


@pytest.mark.parametrize("element", ELEMENTS)
def test_an_element_comes_back_from_its_key(element: Element) -> None:
    assert element_of(element.set, key_of(element)) == element


def test_a_key_is_made_of_words_of_four_bytes() -> None:
    assert key_of(ELEMENTS[1]) == bytes((10, 0, 0, 5)) + b"\x40\0\0\0" + bytes((198, 51, 100, 7))


def test_a_forwards_two_rules_are_an_element_of_each_map() -> None:
    inward, outward = parts(SETUP, RTP).rules
    public, inside = bytes((203, 0, 113, 1)) + struct.pack(">H2x", 20000), key_of(ELEMENTS[0])
    wan = b"wan0".ljust(16, b"\0")
    assert of_rule(inward) == Item(wan + public, inside, text.mark(inward))
    assert of_rule(outward) == Item(wan + inside, public, text.mark(outward))


@pytest.mark.parametrize("value", [b"", b"10.0.0.5"])
@pytest.mark.parametrize("packets", [None, 3])
def test_an_item_is_read_as_it_was_written(value: bytes, packets: int | None) -> None:
    item = Item(key_of(ELEMENTS[0]), value, "call 3f2a9c01 rtp")
    counted = attribute(1, b"counter\0") + attribute(2 | NESTED, attribute(2, struct.pack(">Q", packets or 0)))
    data = encode(item) + (b"" if packets is None else attribute(7 | NESTED, counted))
    assert decode(data, 4, len(data)) == Held(item, packets)


def test_a_comment_is_found_among_other_user_data_and_missed_where_there_is_none() -> None:
    assert read_comment(b"\1\2ab" + comment("call 3f2a9c01")) == "call 3f2a9c01"
    assert read_comment(b"\1\2ab") == read_comment(b"\0") == read_comment(b"") == ""


def test_the_longest_mark_fits_into_user_data() -> None:
    assert len(comment(owner.mark("a" * 999, ""))) <= 256


def test_each_method_is_known_by_four_bytes_of_its_own() -> None:
    keys = [item.key for item in methods()]
    assert len(set(keys)) == len(keys) == 14
    assert {len(key) for key in keys} == {4}
    assert b"INVI" in keys
    assert b"BYE " in keys


def test_only_the_set_that_two_rules_ask_differently_is_kept_twice() -> None:
    assert [len(names(name)) for name in (owner.SET_IN, owner.SET_ANY, owner.SET_OUT, owner.SET_SIP)] == [1] * 4
    assert names(owner.SET_TO) == ("sipmasq-to", "sipmasq-to-uncounted")
