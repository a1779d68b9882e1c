import pytest

from gateway.sip.contact import contacts, is_star, seconds


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"<sip:a@10.0.0.11>", [("10.0.0.11", 5060, None)]),
        (b"<sip:a@10.0.0.11:5070>;expires=60", [("10.0.0.11", 5070, 60)]),
        (b'<sip:a@10.0.0.11> ; Expires = "60" ; q=1', [("10.0.0.11", 5060, 60)]),
        (b"sip:10.0.0.11;expires=0", [("10.0.0.11", 5060, 0)]),
        (b"<sip:a@10.0.0.11;expires=9>", [("10.0.0.11", 5060, None)]),
        (
            b'"a, b" <sip:a@10.0.0.11>;expires=1,<sip:b@10.0.0.12>;expires=2',
            [("10.0.0.11", 5060, 1), ("10.0.0.12", 5060, 2)],
        ),
        (b"<sip:a@example.org>;expires=1,<sip:b@10.0.0.12>", [("10.0.0.12", 5060, None)]),
        (b"<sip:a,b@10.0.0.11>;expires=5", [("10.0.0.11", 5060, 5)]),
        (b'<sip:a@10.0.0.11>;x=">;expires=9";expires=5;y=">"', [("10.0.0.11", 5060, 5)]),
        (b'<sip:a@10.0.0.11;x=";expires=9>"', [("10.0.0.11", 5060, None)]),
        (b"<sip:a@10.0.0.11>;expires=-1", [("10.0.0.11", 5060, None)]),
        (b"<mailto:a@10.0.0.11>", []),
        (b"*", []),
        (b"", []),
    ],
)
def test_contacts(value: bytes, expected: list[tuple[str, int, int | None]]) -> None:
    assert [contact[:3] for contact in contacts(value)] == expected


def test_star() -> None:
    assert is_star(b" * ")
    assert not is_star(b"<sip:*@10.0.0.11>")


@pytest.mark.parametrize(
    ("value", "expected"), [(b" 60 ", 60), (b"0", 0), (b"", None), (b"soon", None), (b"-1", None), (b"9" * 11, None)]
)
def test_seconds(value: bytes, expected: int | None) -> None:
    assert seconds(value) == expected
