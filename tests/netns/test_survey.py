"""What is found out about namespaces with other people's rules in them."""

import os
import socket
from collections.abc import Iterator

import pytest

from rules.kernel.queue import PacketQueue
from rules.kernel.survey import Finding, Severity, features
from tests.netns.surveyed import QUEUE, fit_router, iptables, look, masquerade, nft, troubles
from tests.support.netns import Namespace

pytestmark = pytest.mark.root


@pytest.fixture
def router() -> Iterator[Namespace]:
    with fit_router() as made:
        yield made


def test_a_fit_machine_has_no_trouble_and_is_left_untouched(router: Namespace) -> None:
    findings = router.call(look)
    assert {finding.severity for finding in findings} == {Severity.OK}
    subjects = {finding.subject for finding in findings}
    assert {"rights", "packet queues", "legacy table nat", "target NFQUEUE", "match set", "match string"} <= subjects
    assert {"set type hash:ip,port,ip", "interface wan0", "forwarding", "packet queue 9"} <= subjects
    assert router.run("cat", "/proc/net/ip_tables_names") == ""
    assert router.run("nft", "list", "ruleset") == ""


def test_reading_tables_in_use_creates_no_others(router: Namespace) -> None:
    iptables(
        router, "-t nat -N OUT\n-t nat -A OUT -j MASQUERADE\n-t nat -A POSTROUTING -j OUT\n-t nat -I OUT -j NFLOG"
    )
    before = router.run("iptables-legacy-save", "-t", "nat").splitlines()
    assert masquerade(router)
    assert troubles(router) == []
    assert router.run("cat", "/proc/net/ip_tables_names") == "nat\n"
    after = router.run("iptables-legacy-save", "-t", "nat").splitlines()
    assert [line for line in after if line[0] != "#"] == [line for line in before if line[0] != "#"]


def test_interfaces_and_forwarding_are_told(router: Namespace) -> None:
    router.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
    router.run("ip", "addr", "flush", "dev", "wan0")
    router.run("ip", "link", "set", "lan0", "down")
    told = {finding.subject: finding for finding in troubles(router)}
    assert told["forwarding"].severity is Severity.WARNING
    assert "sysctl net.ipv4.ip_forward=1" in told["forwarding"].advice
    assert told["interface lan0"].what == "is down"
    assert told["interface wan0"].what == "has no IPv4 address"
    router.run("ip", "link", "del", "wan0")
    told = {finding.subject: finding for finding in troubles(router)}
    assert told["interface wan0"].what == "does not exist"
    assert "outside.interface" in told["interface wan0"].advice


def test_programs_on_our_ports_and_on_our_queue_are_told(router: Namespace) -> None:
    def check() -> list[Finding]:
        queue = PacketQueue(QUEUE, lambda packet: packet.accept(), fail_open=False)
        with socket.socket(type=socket.SOCK_DGRAM) as sip, socket.socket(type=socket.SOCK_DGRAM) as rtp:
            sip.bind(("198.51.100.1", 5060))
            rtp.bind(("", 29999))
            found = look()
        queue.close()
        return found

    told = {finding.subject: finding for finding in router.call(check) if finding.severity is not Severity.OK}
    assert told.keys() == {"sip.ports", "media.ports", f"packet queue {QUEUE}"}
    assert "UDP port 5060" in told["sip.ports"].what
    assert "UDP port 29999" in told["media.ports"].what
    assert "bound by process" in told[f"packet queue {QUEUE}"].what


def test_a_kernel_that_cannot_search_for_request_lines_is_told_and_how_to_do_without(router: Namespace) -> None:
    def check(*, any_port: bool) -> list[Finding]:
        has = features._answers
        features._answers = lambda request, name, size: name != "string" and has(request, name, size)
        return [finding for finding in look(any_port=any_port) if finding.severity is not Severity.OK]

    [told] = router.call(lambda: check(any_port=True))
    assert (told.severity, told.subject) == (Severity.ERROR, "match string")
    assert "xt_string" in told.advice
    assert "sip.any_port = false" in told.advice
    assert router.call(lambda: check(any_port=False)) == []


def test_missing_rights_are_told(router: Namespace) -> None:
    def check() -> list[Finding]:
        os.setuid(65534)
        return look()

    told = [finding for finding in router.call(check) if finding.severity is not Severity.OK]
    assert told[0] == Finding(Severity.ERROR, "rights", "CAP_NET_ADMIN and CAP_NET_RAW missing", "run as root")
    assert any(finding.subject == "kernel" and "cannot be tried out" in finding.what for finding in told)
    assert any(finding.subject == "firewall" for finding in told)


@pytest.mark.parametrize(
    ("ruleset", "expected"),
    [
        (
            "table inet fw { chain pass { type filter hook forward priority 0; policy drop; } }",
            "the drop policy of chain pass in nft table inet fw",
        ),
        (
            "table ip fw { chain sub { iifname lan* drop; }"
            " chain pass { type filter hook forward priority 0; jump sub; } }",
            "chain sub in nft table ip fw",
        ),
        (
            "table inet fw { chain pass { type filter hook forward priority 0; udp dport 20000-20100 reject; } }",
            "chain pass in nft table inet fw",
        ),
        (
            "table inet fw { chain pass { type filter hook forward priority 0; udp dport 10000-30000 drop; } }",
            "chain pass in nft table inet fw",
        ),
        (
            "table inet fw { chain pass { type filter hook forward priority 0; udp dport { 53, 5060-5061 } drop; } }",
            "chain pass in nft table inet fw",
        ),
        (
            "table inet fw { chain pass { type filter hook forward priority 0; iifname != { lan1, lan2 } drop; } }",
            "chain pass in nft table inet fw",
        ),
        (
            "table inet fw { chain pre { type filter hook prerouting priority 0; iif wan0 udp dport 5060 drop; } }",
            "chain pre in nft table inet fw",
        ),
    ],
)
def test_nft_rules_that_drop_calls_are_named(router: Namespace, ruleset: str, expected: str) -> None:
    nft(router, ruleset)
    told = troubles(router)
    assert told
    assert {finding.subject for finding in told} == {"firewall"}
    assert all(finding.severity is Severity.WARNING for finding in told)
    assert expected in told[0].what
    for finding in told:
        assert finding.advice.startswith("let them pass before it: nft insert rule ")


@pytest.mark.parametrize(
    "ruleset",
    [
        "table inet fw { chain pass { type filter hook forward priority 0; ct state invalid drop; } }",
        "table inet fw { chain pass { type filter hook forward priority 0; tcp dport 5060 drop; } }",
        "table inet fw { chain pass { type filter hook forward priority 0; udp dport 53 drop; } }",
        "table inet fw { chain pass { type filter hook forward priority 0; udp dport { 53, 123 } drop; } }",
        "table ip t { chain c { type filter hook prerouting priority -150; iif wan0 udp dport 30000-39999 drop; } }",
        "table inet fw { chain pass { type filter hook forward priority 0; udp dport 2000-2010 drop; } }",
        "table inet fw { chain pass { type filter hook forward priority 0; iifname { guest0, guest1 } drop; } }",
        "table inet fw { chain pass { type filter hook forward priority 0; policy drop; ct state established accept;"
        " iifname { lan0, lan1 } oifname wan0 accept; ct status dnat meta l4proto { tcp, udp } accept; } }",
        "table inet fw { chain pass { type filter hook forward priority 0; iifname guest0 drop; } }",
        "table inet fw { chain pass { type filter hook forward priority 0; meta nfproto ipv6 drop; } }",
        "table inet fw { chain pass { type filter hook forward priority 0; ip saddr 192.0.2.1 drop; } }",
        "table inet fw { chain in { type filter hook input priority 0; policy drop; } }",
        "table ip6 fw { chain pass { type filter hook forward priority 0; policy drop; } }",
        """table inet fw {
             chain pass { type filter hook forward priority 0; policy drop;
               ct state established,related accept
               ct status dnat accept
               iifname "lan0" jump from_lan
               jump refuse; }
             chain from_lan { oifname "wan0" counter accept; }
             chain refuse { meta l4proto tcp reject with tcp reset; reject; } }""",
    ],
)
def test_nft_rules_that_let_calls_pass_are_not_blamed(router: Namespace, ruleset: str) -> None:
    nft(router, ruleset)
    assert troubles(router) == []


def test_rules_of_every_shape_are_read_without_harm(router: Namespace) -> None:
    nft(
        router,
        """table inet fw {
             set named { type ifname; elements = { "lan0" }; }
             map verdicts { type ifname : verdict; elements = { "lan0" : accept }; }
             chain pass { type filter hook forward priority 0; policy drop;
               ct state vmap { established : accept, invalid : drop }
               iifname vmap @verdicts
               iifname @named counter accept
               tcp flags syn tcp option maxseg size set rt mtu
               meta mark set 0x1 ct mark set meta mark
               ip protocol icmp icmp type echo-request limit rate 5/second accept
               fib saddr type local drop
               ip saddr . udp dport { 10.0.0.1 . 5060, 10.0.0.2 . 5060 } drop
               iifname . oifname { "lan0" . "guest0", "lan1" . "wan0" } drop
               meta l4proto . udp dport { udp . 9 } drop
               numgen inc mod 2 0 accept
               meta skuid 0 drop
               ip dscp set cs0
               log prefix "x"
             } }
           table netdev n { chain i { type filter hook ingress device lan0 priority 0; policy drop; } }
           table bridge b { chain i { type filter hook forward priority 0; policy drop; } }
           table arp a { chain i { type filter hook input priority 0; policy drop; } }""",
    )
    iptables(
        router,
        """
        -t mangle -A FORWARD -m hashlimit --hashlimit-name x --hashlimit-above 5/sec -j DROP
        -t mangle -A FORWARD -m string --algo bm --string BYE -j DROP
        -t mangle -A FORWARD -p udp -m multiport --dports 5060,5061 -j LOG
        -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
        -t mangle -A PREROUTING -p udp ! --dport 53 -j MARK --set-mark 3
        -t raw -A PREROUTING -j CT --notrack
        -t nat -A POSTROUTING -m statistic --mode random --probability 0.5 -j SNAT --to 192.0.2.1
        """,
    )
    told = [finding.what for finding in troubles(router)]
    certain = [what for what in told if " may drop " not in what]
    assert [what.partition(" drops ")[0] for what in certain] == ["the drop policy of chain i in nft table netdev n"]
    assert any("(hashlimit drop) may drop calls" in what for what in told)
    assert any("chain pass in nft table inet fw may drop calls" in what for what in told)
    assert masquerade(router) is None


def test_following_the_advice_ends_the_trouble(router: Namespace) -> None:
    nft(router, "table inet fw { chain pass { type filter hook forward priority 0; policy drop; } }")
    outward, inward = troubles(router)
    router.run("sh", "-ec", outward.advice.partition(": ")[2])
    assert troubles(router) == [inward]
    router.run("sh", "-ec", inward.advice.partition(": ")[2])
    assert troubles(router) == []


def test_rules_of_iptables_nft_are_read_as_well(router: Namespace) -> None:
    router.run("iptables-nft", "-P", "FORWARD", "DROP")
    router.run("iptables-nft", "-A", "FORWARD", "-m", "comment", "--comment", "x", "-i", "lan0", "-j", "ACCEPT")
    [told] = troubles(router)
    assert (
        "drop policy of chain FORWARD in nft table ip filter drops calls on their way from wan0 to lan0" in told.what
    )
    router.run("iptables-nft", "-t", "nat", "-A", "POSTROUTING", "-s", "10.0.0.0/8", "-o", "wan0", "-j", "MASQUERADE")
    assert "chain POSTROUTING in nft table ip nat" in (masquerade(router) or "")


def test_legacy_rules_that_drop_calls_are_named_but_not_those_we_stand_before(router: Namespace) -> None:
    iptables(
        router,
        """
        -P FORWARD DROP
        -A FORWARD -j REJECT
        -t mangle -N SIPMASQ-FORWARD
        -t mangle -A SIPMASQ-FORWARD -j DROP
        -t mangle -A FORWARD -m conntrack --ctstate INVALID -j DROP
        """,
    )
    assert troubles(router) == []
    iptables(router, "-t mangle -A FORWARD -i wan0 -p udp --dport 16384:32767 -j DROP\n-t raw -P PREROUTING DROP")
    told = troubles(router)
    assert {finding.subject for finding in told} == {"firewall"}
    assert {finding.what.partition(" drops")[0] for finding in told} == {
        "rule 2 of chain FORWARD in iptables-legacy table mangle (in wan0 udp port 16384-32767 drop)",
        "the drop policy of chain PREROUTING in iptables-legacy table raw",
    }


@pytest.mark.parametrize("tool", ["iptables-legacy", "iptables-nft"])
def test_the_kernels_own_sip_helper_is_an_error(router: Namespace, tool: str) -> None:
    router.run(tool, "-t", "raw", "-A", "PREROUTING", "-p", "udp", "--dport", "69", "-j", "CT", "--helper", "tftp")
    assert troubles(router) == []
    router.run(tool, "-t", "raw", "-A", "PREROUTING", "-p", "udp", "--dport", "5060", "-j", "CT", "--helper", "sip")
    [told] = troubles(router)
    assert (told.severity, told.subject) == (Severity.ERROR, "kernel SIP helper")
    assert "chain PREROUTING" in told.what
    assert told.advice == "delete that rule"


def test_the_kernels_own_sip_helper_as_an_nft_object_is_an_error(router: Namespace) -> None:
    declared = 'table inet h { ct helper s { type "sip" protocol udp; } }'
    nft(router, declared)
    assert troubles(router) == []
    nft(
        router, "table inet h { chain c { type filter hook prerouting priority 0; udp dport 5060 ct helper set s; } }"
    )
    [told] = troubles(router)
    assert told.severity is Severity.ERROR
    assert "chain c in nft table inet h" in told.what
