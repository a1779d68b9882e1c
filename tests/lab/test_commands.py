"""What an operator asks at the command line while a call is up, and what the exit codes say."""

import json
import stat

import pytest

from tests.lab.gateway import router_state
from tests.lab.lab import Lab
from tests.lab.talk import connect, hear

pytestmark = [pytest.mark.root, pytest.mark.lab]

NOT_RUNNING, NOT_PERMITTED, BAD_CONFIGURATION = 3, 4, 78
UNPRIVILEGED = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


def test_the_commands_tell_of_a_call(lab: Lab) -> None:
    lab.registrar()
    gateway = lab.gateway()
    alice, bob = lab.phone("alice", rtp_ports=(16384, 16385)), lab.far_phone("bob")
    bob.register()
    alice.register()
    hear(*connect(alice, bob))

    status = gateway.cli("status", "--json")
    assert (status["calls"], status["registrations"]) == (1, 1)
    assert status["announced"] == lab.net.outside_address
    assert status["queue"]["dropped_full"] == status["queue"]["dropped_undelivered"] == 0

    [call] = gateway.cli("calls", "--json")
    assert (call["phone"], call["peer"]) == (f"{alice.address}:5060", bob.uri)
    assert (call["direction"], call["state"], call["on_hold"]) == ("outgoing", "up", False)
    rtp, rtcp = call["media"]
    assert (rtp["inside"], rtp["public"]) == (f"{alice.address}:16384", f"{lab.net.outside_address}:20000")
    assert (rtcp["purpose"], rtp["sources"]) == ("rtcp", [bob.address])
    assert min(rtp["packets_in"], rtp["packets_out"]) >= 25

    bindings = gateway.cli("bindings", "--json")
    assert [binding["purpose"] for binding in bindings] == ["sip", "rtp", "rtcp"]
    assert any(f"registration {alice.uri}" in holder for holder in bindings[0]["held_by"])
    assert all(any(call["label"] in holder for holder in binding["held_by"]) for binding in bindings)

    rules = gateway.cli("rules", "--json")
    mine = [rule for rule in rules if any(call["label"] in reason for reason in rule["for"])]
    # to and from each of the three ports, and their set entries
    assert len([rule for rule in mine if rule["table"] == "nat"]) == 6
    assert {rule["chain"] for rule in mine if rule["table"] == "ipset"} == {
        "sipmasq-sip",
        "sipmasq-in",
        "sipmasq-out",
        "sipmasq-to",
    }
    # what it shows is what is there
    kernel = "\n".join(router_state(lab.net.router).rules)
    assert all(rule["rule"] in kernel for rule in rules if rule["table"] != "ipset")

    for command, texts in (
        ("status", ("lan0 is up, 10.0.0.1", "10.0.0.0/24", lab.net.outside_address)),
        ("calls", (call["label"], "203.0.113.20", f"{lab.net.outside_address}:20000", "up")),
        ("bindings", (f"{lab.net.outside_address}:20001", "registration")),
        ("rules", ("DNAT", "SIPMASQ-FORWARD", f"call {call['label']}: {alice.address} with {bob.uri}")),
    ):
        page = gateway.cli(command)
        assert all(text in page for text in texts), page
        # in a pipe: nothing fancy
        assert page.isascii()
        assert page.replace("\n", "").isprintable()


def test_check_says_what_stands_in_the_way(lab: Lab) -> None:
    gateway = lab.gateway()
    good = gateway.run("check", "--inside", "lan0", "--outside", "wan0", "--json")
    findings = json.loads(good.stdout)
    assert good.code == 0
    assert not [finding for finding in findings if finding["severity"] == "error"]
    # a drop beside legacy iptables cannot be lifted by an ACCEPT there
    wall = "table ip wall { chain forward { type filter hook forward priority 0; policy drop; }; }"
    lab.net.router.run("nft", wall)
    bad = gateway.run("check", "--inside", "lan0", "--outside", "wan0", "--json")
    walls = [finding for finding in json.loads(bad.stdout) if "wall" in finding["subject"] + finding["what"]]
    assert walls
    assert all(finding["advice"] for finding in walls)
    missing = gateway.run("check", "--inside", "nowhere0", "--outside", "wan0")
    assert missing.code == 1
    assert "nowhere0" in missing.stdout
    assert "calls cannot work here" in missing.stdout


def test_check_says_what_would_keep_the_rules_and_why(lab: Lab) -> None:
    gateway = lab.gateway()
    for backend, said in (
        ("iptables", "iptables: rules.backend says so"),
        ("nftables", "nftables: rules.backend says so"),
        ("auto", "iptables: it holds rules of sipmasq here"),
    ):
        gateway.configure({"rules.backend": backend})
        page = gateway.run("check", "--inside", "lan0", "--outside", "wan0", "--json").stdout
        [found] = [finding for finding in json.loads(page) if finding["subject"] == "rules.backend"]
        assert (found["severity"], found["what"]) == ("ok", said)


def test_clean_says_what_it_took_away_and_that_it_comes_again(lab: Lab) -> None:
    gateway = lab.gateway()
    page = gateway.cli("clean")
    assert "SIPMASQ" in page
    assert "a gateway is running and will make its rules again" in page
    gateway.stop()
    assert "there was nothing of sipmasq's to remove" in gateway.cli("clean")


def test_a_gateway_that_is_not_running_is_said_so(lab: Lab) -> None:
    gateway = lab.gateway()
    gateway.stop()
    for arguments in (("status",), ("calls", "--json"), ("bindings",), ("rules", "--json")):
        said = gateway.run(*arguments)
        assert said.code == NOT_RUNNING
        assert said.stderr.startswith("sipmasq: the gateway is not running: nobody answers at ")
        assert said.stdout == ""


def test_what_needs_root_says_so(lab: Lab) -> None:
    gateway = lab.gateway()
    assert stat.S_IMODE(gateway.socket.stat().st_mode) == 0o600
    found = router_state(lab.net.router)
    gateway.socket.chmod(0)
    for arguments in (("status",), ("clean",), ("run", "--inside", "lan0", "--outside", "wan0")):
        said = gateway.run(*arguments, prefix=UNPRIVILEGED)
        assert (said.code, said.stdout) == (NOT_PERMITTED, ""), said
        assert "root" in said.stderr
        assert len(said.stderr.splitlines()) == 1
    assert router_state(lab.net.router) == found


def test_a_bad_configuration_is_said_so(lab: Lab) -> None:
    gateway = lab.gateway()
    gateway.stop()
    gateway.configure({"sip.portz": [5060]})
    for arguments in (("run", "--inside", "lan0", "--outside", "wan0"), ("check",), ("status", "--json")):
        said = gateway.run(*arguments)
        assert said.code == BAD_CONFIGURATION
        assert "there is no setting sip.portz; is sip.ports meant?" in said.stderr


def test_a_second_gateway_on_one_router_is_refused_and_the_first_goes_on(lab: Lab) -> None:
    gateway = lab.gateway()
    found = router_state(lab.net.router)
    second = gateway.run("run", "--inside", "lan0", "--outside", "wan0")
    assert second.code == 1
    assert "Traceback" not in second.stderr
    assert router_state(lab.net.router) == found
    assert gateway.cli("status", "--json")["announced"] == lab.net.outside_address
