import pytest

from gateway.networks import Inside, Networks


@pytest.mark.parametrize("address", ["10.0.0.0", "10.0.0.255", "192.168.7.9"])
def test_inside(address: str) -> None:
    assert address in Networks(["10.0.0.0/24", "192.168.0.0/16"])


@pytest.mark.parametrize(
    "address", ["10.0.1.0", "192.169.0.1", "010.0.0.1", "10.0.0", "x", "", "::1", "a\0b", 10, None]
)
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


def test_many_prefixes_of_many_lengths() -> None:
    networks = Networks([f"10.{number}.0.0/16" for number in range(100)] + ["192.0.2.7/32", "192.0.2.128/25"])
    inside = ["10.0.0.1", "10.99.255.255", "192.0.2.7", "192.0.2.200"]
    outside = ["10.100.0.1", "192.0.2.8", "192.0.2.127"]
    assert [address for address in (*inside, *outside) if address in networks] == inside
    assert networks
    assert not Networks()


def test_only_inside_addresses_are_shared() -> None:
    inside = Inside(Networks(["10.0.0.0/24"]), Networks(["10.0.0.128/25", "192.0.2.0/24"]))
    assert inside.is_shared("10.0.0.128")
    assert not inside.is_shared("10.0.0.127")
    assert not inside.is_shared("192.0.2.1")
