import pytest

from gateway.networks import Networks


@pytest.mark.parametrize("address", ["10.0.0.0", "10.0.0.255", "192.168.7.9"])
def test_inside(address: str) -> None:
    assert address in Networks(["10.0.0.0/24", "192.168.0.0/16"])


@pytest.mark.parametrize("address", ["10.0.1.0", "192.169.0.1", "010.0.0.1", "10.0.0", "x", "", "::1", 10, None])
def test_not_inside(address: object) -> None:
    assert address not in Networks(["10.0.0.0/24", "192.168.0.0/16"])


def test_no_network_has_no_address() -> None:
    assert "10.0.0.1" not in Networks()


@pytest.mark.parametrize(
    ("prefixes", "hint"),
    [
        (["10.0.0.0/24"], b"10.0.0."),
        (["10.1.0.0/16", "10.2.0.0/16"], b"10."),
        (["10.0.0.0/20"], b"10.0."),
        (["10.0.0.0/8", "192.168.0.0/16"], b"1"),
        (["10.0.0.7/32"], b"10.0.0.7"),
        ([], b""),
    ],
)
def test_the_hint_is_what_all_addresses_begin_with(prefixes: list[str], hint: bytes) -> None:
    assert Networks(prefixes).hint == hint
