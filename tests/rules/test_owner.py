import pytest

from rules import owner


def test_a_mark_carries_reason_and_fingerprint() -> None:
    mark = owner.mark("call 3f2a9c01", "-A X")
    assert mark.startswith("sipmasq call 3f2a9c01 #")
    assert owner.is_mark(mark)
    assert owner.reason(mark) == "call 3f2a9c01"


def test_another_rule_has_another_fingerprint() -> None:
    assert owner.mark("call", "-A X") != owner.mark("call", "-A Y")


@pytest.mark.parametrize("comment", ["", "sipmasq", "sipmasq is great", "my sipmasq call #12345678", "drop all"])
def test_other_comments_are_not_marks(comment: str) -> None:
    assert not owner.is_mark(comment)


@pytest.mark.parametrize("reason", ['a"b', "a\\b", "a\nb", "a\0b", "ä" * 400, "", "$(reboot)`x`"])
def test_a_reason_of_any_kind_makes_a_comment_that_fits(reason: str) -> None:
    mark = owner.mark(reason, "")
    assert owner.is_mark(mark)
    assert mark.isascii()
    assert mark.isprintable()
    assert not set(mark) & set("\"\\'`$")
    assert len(mark) < 200


def test_names_of_others_are_not_ours() -> None:
    assert not owner.is_chain("FORWARD")
    assert not owner.is_chain("DOCKER")
    assert not owner.is_set("f2b-sshd")
