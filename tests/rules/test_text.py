from rules import text
from rules.model import Endpoint
from rules.ruleset import Element, Match, Rule


def test_a_rule_reads_as_iptables_save_prints_it() -> None:
    rule = Rule(
        "filter",
        "SIPMASQ-FORWARD",
        "DROP",
        "why",
        source="10.0.0.0/24",
        destination="203.0.113.1",
        incoming="lan0",
        outgoing="wan0",
        dport="1:2",
        matches=(Match("set", (("match-set", ("sipmasq-out", "dst,dst")), ("!update-counters", ()))),),
    )
    assert text.line(rule) == (
        "-A SIPMASQ-FORWARD -s 10.0.0.0/24 -d 203.0.113.1/32 -i lan0 -o wan0 -p udp -m udp --dport 1:2"
        " -m set --match-set sipmasq-out dst,dst ! --update-counters"
        f' -m comment --comment "{text.mark(rule)}" -j DROP'
    )


def test_negations_and_hexadecimal_strings_read_so_too() -> None:
    string = Match("string", (("hex-string", ("|0d0a|",)), ("algo", ("kmp",))))
    rule = Rule("filter", "SIPMASQ-FORWARD", "DROP", "why", incoming="lan0", outgoing="!wan0", matches=(string,))
    assert text.line(rule).startswith(
        '-A SIPMASQ-FORWARD -i lan0 ! -o wan0 -p udp -m string --hex-string "|0d0a|" --algo kmp -m comment '
    )


def test_the_table_is_part_of_the_fingerprint() -> None:
    assert text.mark(Rule("nat", "C", "ACCEPT", "why")) != text.mark(Rule("mangle", "C", "ACCEPT", "why"))


def test_elements_read_as_ipset_prints_them() -> None:
    inside = Endpoint("10.0.0.5", 4000)
    assert text.element(Element("sipmasq-out", inside)) == "10.0.0.5,udp:4000"
    assert text.element(Element("sipmasq-in", inside, "198.51.100.7")) == "10.0.0.5,udp:4000,198.51.100.7"
