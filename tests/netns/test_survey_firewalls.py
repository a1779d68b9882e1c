"""What is said of other programs' rules: which of our packets they stop or bend, for certain or maybe."""

from collections.abc import Iterator

import pytest

from rules.kernel.survey import Finding
from tests.netns.stage import PEER, PHONE, ROUTER, Stage, stage
from tests.netns.surveyed import iptables, nft, troubles
from tests.support.neighbours import Neighbour
from tests.support.netns import Namespace

pytestmark = pytest.mark.root

OUT, IN = "on their way from lan0 to wan0", "on their way from wan0 to lan0"


@pytest.fixture
def wired() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.fixture
def router(wired: Stage) -> Namespace:
    return wired.router


def chain(hook: str, rules: str, priority: str = "0", policy: str = "accept") -> str:
    return f"table inet fw {{ chain c {{ type filter hook {hook} priority {priority}; policy {policy}; {rules}; }} }}"


def said(found: list[Finding], way: str) -> str:
    [one] = [finding.what for finding in found if way in finding.what]
    return one


@pytest.mark.parametrize(
    ("ruleset", "ways", "what"),
    [
        ("docker.rules", (OUT, IN), ""),
        ("ufw.rules", (OUT, IN), "the first packets of "),
        ("firewalld.nft", (OUT,), "the first packets of "),
        ("firewalld-policy.nft", (), ""),
    ],
)
def test_rules_as_their_programs_make_them_are_judged_right(
    router: Namespace, ruleset: str, ways: tuple[str, ...], what: str
) -> None:
    Neighbour(router, ruleset)
    found = troubles(router)
    assert len(found) == len(ways)
    for way in ways:
        assert f" drops calls {way}: {what}SIP " in said(found, way)


def test_answers_to_the_inside_need_more_than_what_lets_translated_flows_in(router: Namespace) -> None:
    nft(router, chain("forward", "iifname lan0 accept; ct status dnat accept", policy="drop"))
    [found] = troubles(router)
    assert f"drops calls {IN}: SIP to the phones" in found.what
    router.run("sh", "-ec", found.advice.partition(": ")[2])
    assert troubles(router) == []


def test_what_passes_once_the_phone_has_spoken_is_told_from_what_never_does(router: Namespace) -> None:
    nft(router, chain("forward", "ct state established,related accept; iifname lan0 accept", policy="drop"))
    [found] = troubles(router)
    assert found.what.endswith(f"{IN}: the first packets of SIP to the phones and audio to the phones")
    assert found.advice.endswith(": nft insert rule inet fw c iifname wan0 oifname lan0 ct status dnat accept")


@pytest.mark.parametrize(
    "rules",
    [
        "ct state vmap { established : accept, related : accept, invalid : drop }; iifname @ours accept",
        "iifname vmap { lan0 : jump from_lan }; ct state vmap { established : accept, related : accept }",
    ],
)
def test_maps_and_named_sets_are_followed(router: Namespace, rules: str) -> None:
    nft(
        router,
        "table inet fw { set ours { type ifname; elements = { lan0 }; } chain from_lan { oifname wan0 accept; }"
        f" chain c {{ type filter hook forward priority 0; policy drop; {rules}; }} }}",
    )
    [found] = troubles(router)
    assert f"drops calls {IN}: the first packets of" in found.what


@pytest.mark.parametrize(
    ("rules", "policy"),
    [
        ("meta mark 7 drop", "accept"),
        ("iifname lan0 limit rate over 10/second drop", "accept"),
        ("meta mark 7 accept", "drop"),
        ("ip saddr & 0.0.0.255 == 9 drop", "accept"),
        (f"ip daddr {PEER} accept; ip saddr {PEER} accept", "drop"),
    ],
)
def test_what_cannot_be_judged_may_drop_calls(router: Namespace, rules: str, policy: str) -> None:
    nft(router, chain("forward", rules, policy=policy))
    found = troubles(router)
    assert found
    assert all(" may drop calls " in finding.what for finding in found)


@pytest.mark.parametrize(
    "rules",
    [
        "ip saddr 10.9.0.0/16 drop",
        "ip saddr { 10.9.0.0/16, 192.168.0.0/16, 224.0.0.0/4 } drop",
        "iifname wan0 ip daddr 10.9.0.1 drop",
        "ip daddr 192.0.2.7 drop",
        "fib daddr type broadcast drop",
        "ct state invalid drop",
        "udp dport { 53, 1900, 5353 } drop",
        "udp sport 53 drop",
        "ip saddr & 0.0.0.255 == 9 udp dport 53 drop",
        "meta protocol ip6 drop",
    ],
)
def test_what_is_aimed_at_others_is_not_blamed(router: Namespace, rules: str) -> None:
    nft(router, chain("forward", rules))
    assert troubles(router) == []


@pytest.mark.parametrize(
    ("rules", "kind"),
    [
        ("ip saddr 10.0.0.0/8 oifname wan0 drop", "SIP from the phones and audio to the outside"),
        ("ip saddr 10.0.0.5 udp dport != 53 drop", "SIP from the phones and audio to the outside"),
        ("oifname wan0 ip daddr != 192.0.2.0/24 drop", "SIP from the phones and audio to the outside"),
        ("oifname wan0 udp dport 30000-40000 drop", "audio to the outside"),
        ("oifname wan0 udp dport 5060 drop", "SIP from the phones"),
        ("iifname wan0 ct state new drop", "the first packets of SIP to the phones and audio to the phones"),
    ],
)
def test_what_hits_calls_is_named_with_the_kind_of_packets(router: Namespace, rules: str, kind: str) -> None:
    nft(router, chain("forward", rules))
    [found] = troubles(router)
    assert found.what.startswith("rule with handle ")
    assert " of chain c in nft table inet fw (" in found.what
    assert found.what.endswith(f": {kind}")


@pytest.mark.parametrize(
    ("priority", "dport", "blamed"),
    [
        ("-150", "20000-29999", True),
        ("-150", "16384", False),
        ("-50", "5060", True),
        ("-150", "5062-5999", True),
        ("-150", "30000-39999", False),
        ("-50", "30000-39999", True),
    ],
)
def test_before_and_after_translation_ports_are_other_ones(
    router: Namespace, priority: str, dport: str, blamed: bool
) -> None:
    nft(router, chain("prerouting", f"iifname wan0 udp dport {dport} drop", priority))
    assert bool(troubles(router)) is blamed


def test_a_drop_where_packets_enter_is_found(router: Namespace) -> None:
    ingress = "type filter hook ingress device {} priority 0; policy accept; ip protocol udp drop;"
    nft(router, f"table netdev n {{ chain c {{ {ingress.format('wan0')} }} }}")
    [found] = troubles(router)
    assert f"{IN}: SIP to the phones and audio to the phones" in found.what
    router.run("sh", "-ec", found.advice.partition(": ")[2])
    assert troubles(router) == []


def test_a_translation_that_may_come_first_is_named(wired: Stage) -> None:
    router = wired.router
    nft(router, "table ip n { chain post { type nat hook postrouting priority 100; oifname wan0 masquerade; } }")
    [found] = troubles(router)
    assert "chain post in nft table ip n (out wan0 source nat) may come" in found.what
    assert found.advice.endswith("type nat hook postrouting priority srcnat + 1")
    router.run("nft", "flush", "ruleset")
    nft(router, "table ip n { chain post { type nat hook postrouting priority 101; oifname wan0 masquerade; } }")
    assert troubles(router) == []
    router.run("nft", "flush", "ruleset")
    nft(
        router,
        "table ip n { chain pre { type nat hook prerouting priority -110;"
        f" iifname wan0 udp dport 10000-20100 dnat to {PHONE}; }} }}",
    )
    [found] = troubles(router)
    assert "comes before our translation: calls then arrive elsewhere" in found.what
    assert ROUTER not in found.what


def test_a_mask_with_holes_is_no_prefix(router: Namespace) -> None:
    iptables(router, "-t mangle -A FORWARD -s 10.0.0.9/255.0.0.255 -j DROP")
    found = troubles(router)
    assert found
    assert all(" may drop calls " in finding.what for finding in found)
