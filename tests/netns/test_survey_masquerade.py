"""Whether somebody else hides the inside networks already."""

from collections.abc import Iterator

import pytest

from tests.netns.surveyed import fit_router, iptables, masquerade, nft
from tests.support.netns import Namespace

pytestmark = pytest.mark.root


@pytest.fixture
def router() -> Iterator[Namespace]:
    with fit_router() as made:
        yield made


@pytest.mark.parametrize(
    "rules",
    [
        "-t nat -A POSTROUTING -o wan0 -j MASQUERADE",
        "-t nat -A POSTROUTING -s 10.0.0.0/8 ! -d 10.0.0.0/8 -j SNAT --to-source 198.51.100.1",
        "-t nat -A POSTROUTING -o wan+ -m policy --dir out --pol none -m comment --comment x -j MASQUERADE",
        "-t nat -N OUT\n-t nat -A OUT -j MASQUERADE\n-t nat -A POSTROUTING ! -o lan0 -j OUT",
        "-t nat -N OUT\n-t nat -A OUT -j MASQUERADE\n-t nat -A POSTROUTING -s 10.0.0.0/24 -g OUT",
    ],
)
def test_a_legacy_masquerade_of_others_is_found(router: Namespace, rules: str) -> None:
    iptables(router, rules)
    assert "in iptables-legacy table nat" in (masquerade(router) or "")


@pytest.mark.parametrize(
    "rules",
    [
        "-t nat -A POSTROUTING -o other0 -j MASQUERADE",
        "-t nat -A POSTROUTING -s 10.0.0.0/25 -o wan0 -j MASQUERADE",
        "-t nat -A POSTROUTING -d 192.0.2.1 -o wan0 -j MASQUERADE",
        "-t nat -A POSTROUTING -o wan0 -p tcp -j MASQUERADE",
        "-t nat -A POSTROUTING -o wan0 -m mark --mark 1 -j MASQUERADE",
        "-t nat -A POSTROUTING -s 10.0.0.0/24 -j RETURN\n-t nat -A POSTROUTING -o wan0 -j MASQUERADE",
        "-t nat -N SIPMASQ-MASQUERADE\n-t nat -A SIPMASQ-MASQUERADE -o wan0 -j MASQUERADE\n"
        "-t nat -A POSTROUTING -j SIPMASQ-MASQUERADE",
        "-t nat -N UNUSED\n-t nat -A UNUSED -o wan0 -j MASQUERADE",
    ],
)
def test_other_legacy_rules_do_not_count_as_masquerade(router: Namespace, rules: str) -> None:
    iptables(router, rules)
    assert masquerade(router) is None


@pytest.mark.parametrize(
    "rules",
    [
        "oifname wan0 masquerade",
        "oif wan0 masquerade",
        'oifname "wan*" snat ip to 198.51.100.1',
        "ip saddr 10.0.0.0/8 oifname != lan0 masquerade",
        "ip saddr 10.0.0.0/23 counter masquerade random",
        "ip saddr { 192.168.0.0/16, 10.0.0.0/8 } oifname { wan0, wan1 } masquerade",
        "ip saddr { 9.255.255.0-10.0.1.77, 192.168.0.1 } masquerade",
        "ip daddr != { 10.0.0.0/8, 192.168.0.0/16 } masquerade",
        "meta nfproto ipv4 masquerade",
    ],
)
def test_an_nft_masquerade_of_others_is_found(router: Namespace, rules: str) -> None:
    nft(router, f"table inet n {{ chain post {{ type nat hook postrouting priority 100; {rules}; }} }}")
    assert "chain post in nft table inet n" in (masquerade(router) or "")


@pytest.mark.parametrize(
    "rules",
    [
        "oifname other0 masquerade",
        "ip saddr 10.0.0.0/25 masquerade",
        "ip saddr { 10.0.0.0/25, 192.168.0.0/16 } masquerade",
        "ip saddr != { 10.0.0.0/8 } masquerade",
        "oifname { other0, other1 } masquerade",
        "ip saddr != 10.0.0.0/24 masquerade",
        "oifname wan0 meta mark 7 masquerade",
        "oifname wan0 meta l4proto tcp masquerade",
        "ip saddr 10.0.0.0/16 accept; oifname wan0 masquerade",
        "oifname wan0 dnat to 10.0.0.9",
    ],
)
def test_other_nft_rules_do_not_count_as_masquerade(router: Namespace, rules: str) -> None:
    hook = "prerouting" if "dnat" in rules else "postrouting"
    rules = rules.replace("oifname", "iifname") if "dnat" in rules else rules
    nft(router, f"table ip n {{ chain post {{ type nat hook {hook} priority 100; {rules}; }} }}")
    assert masquerade(router) is None


def test_a_masquerade_by_inside_interface_needs_that_interface(router: Namespace) -> None:
    nft(router, "table ip n { chain post { type nat hook postrouting priority 100; iifname lan0 masquerade; } }")
    assert masquerade(router) is None
    assert "chain post" in (masquerade(router, "lan0") or "")
    assert masquerade(router, "lan0", "lan1") is None
