"""The gateway comes, is reconfigured, dies and comes again; calls and router notice as little as possible."""

import pytest

from tests.lab.conftest import LabMaker
from tests.lab.gateway import conntrack, router_state
from tests.lab.lab import Lab
from tests.lab.talk import connect, converse, hear, traces_of_calls
from tests.lab.topology import ROUTER_OUTSIDE
from tests.support.until import until

pytestmark = [pytest.mark.root, pytest.mark.lab]


def test_sigterm_in_a_call_leaves_the_router_as_it_was_found(lab: Lab) -> None:
    found = router_state(lab.net.router)
    assert found.forwarding == "0"
    gateway = lab.gateway()
    assert router_state(lab.net.router).forwarding == "1"
    hear(*connect(*lab.registered()))
    assert gateway.stop() == 0
    assert router_state(lab.net.router) == found
    assert traces_of_calls(lab.net.router) == []
    assert not conntrack(lab.net.router, "-p", "udp", "--src", lab.net.phone_address(0))
    assert lab.net.leaks() == 0


def test_a_router_that_masquerades_already_is_left_as_it_is(lab: Lab) -> None:
    lab.net.masquerade()
    lab.net.firewall()
    found = router_state(lab.net.router)
    gateway = lab.gateway()
    assert gateway.ask("status")["masquerade"] == "others"
    alice, bob = lab.registered()
    converse(alice, bob)
    converse(bob, alice)
    assert set(found.rules) <= set(router_state(lab.net.router).rules)
    assert gateway.stop() == 0
    assert router_state(lab.net.router) == found
    assert found.forwarding == "1"
    assert lab.net.leaks() == 0


def test_an_invalid_configuration_is_refused_and_the_old_one_stays(lab: Lab) -> None:
    gateway = lab.gateway()
    alice, bob = lab.registered()
    before = router_state(lab.net.router)
    gateway.configure({"media.ports": "2000-1000"})
    refusal = gateway.reload()
    assert "refused" in refusal
    assert 'media.ports = "2000-1000": allowed is ' in refusal
    assert router_state(lab.net.router) == before
    converse(alice, bob)


def test_a_new_configuration_is_for_the_next_call_and_the_running_one_goes_on(make_lab: LabMaker) -> None:
    lab = make_lab(phones=2, far=2)
    gateway = lab.gateway()
    alice, bob = lab.registered()
    running = connect(alice, bob)
    hear(*running)
    gateway.configure({"media.ports": "31000-31009"})
    assert "read again" in gateway.reload()
    hear(*running)
    carol, dave = lab.phone("carol"), lab.far_phone("dave")
    carol.register()
    dave.register()
    outside = lab.capture(lab.net.router, "wan0")
    hear(*connect(carol, dave))
    assert {packet.source.port for packet in outside.rtp(source=ROUTER_OUTSIDE)} == {20000, 31000}
    hear(*running)
    running[0].hangup()
    assert min(*running[0].counts(), *running[1].counts()) >= 75


def test_a_killed_gateway_is_cleaned_up_after_by_its_marks_alone(lab: Lab) -> None:
    lab.net.firewall()
    found = router_state(lab.net.router)
    gateway = lab.gateway()
    hear(*connect(*lab.registered()))
    gateway.kill()
    assert router_state(lab.net.router) != found
    cleaned = gateway.cli("clean", "--json")
    assert cleaned["forwarding_turned_off"]
    assert router_state(lab.net.router) == found
    assert gateway.cli("clean", "--json")["removed"] == []
    assert lab.net.leaks() == 0


def test_audio_goes_on_without_the_gateway_and_the_next_one_takes_over(lab: Lab) -> None:
    found = router_state(lab.net.router)
    gateway = lab.gateway()
    alice, bob = lab.registered()
    calls = connect(alice, bob)
    hear(*calls)
    gateway.kill()
    hear(*calls)
    successor = lab.gateway()
    # it has not seen the call begin, and knows of it from what its predecessor wrote down
    assert [call["state"] for call in successor.ask("calls")] == ["up"]
    hear(*calls)
    for call in calls:
        call.hangup()
        call.wait_closed()
    until(
        "the old call's rules gone", lambda: not any(" call " in rule for rule in router_state(lab.net.router).rules)
    )
    converse(alice, bob)
    converse(bob, alice)
    assert successor.stop() == 0
    # it knows from the mark that its predecessor had turned forwarding on
    assert router_state(lab.net.router) == found
    assert lab.net.leaks() == 0


@pytest.mark.parametrize("on_failure", ["drop", "pass"])
def test_without_the_gateway_sip_waits_in_vain_or_passes(lab: Lab, on_failure: str) -> None:
    """Its rules are still there, nobody reads the queue."""
    gateway = lab.gateway({"sip.on_failure": on_failure})
    gateway.kill()
    outside = lab.capture(lab.net.router, "wan0")
    home = lab.agent(lab.net.phones[0], lab.net.phone_address(0))
    far = lab.agent(lab.net.far[0], lab.net.far_address(0))
    home.register(far.address)
    if on_failure == "pass":
        # as it came, but for the masquerade: better a call with half the audio than none
        assert f"Contact: <{home.uri}>" in far.wait("REGISTER").text
    else:
        inside = lab.capture(lab.net.router, "lan0")
        home.register(far.address)
        inside.wait_sip("REGISTER")
        assert outside.sip() == []
    # the rest of the house has its internet
    noise = lab.rtp(lab.net.phones[0], home.address.ip, 40000)
    listener = lab.rtp(lab.net.far[0], far.address.ip, 40000)
    noise.send(listener.address)
    assert [packet.source.ip for packet in listener.hear(1)] == [ROUTER_OUTSIDE]
    assert (outside.sip() == []) == (on_failure == "drop")


def test_two_gateways_run_side_by_side(make_lab: LabMaker) -> None:
    """Two routers on one machine: same addresses, same ports, same queue number, each in its own namespace."""
    here, there = make_lab(), make_lab()
    gateways = [lab.gateway() for lab in (here, there)]
    of_here, of_there = here.registered(), there.registered()
    calls = (*connect(*of_here), *connect(*of_there))
    hear(*calls)
    # one ends, the other goes on
    assert gateways[0].stop() == 0
    hear(*calls[2:])
    calls[2].hangup()
    assert min(*calls[2].counts(), *calls[3].counts()) >= 50
    assert traces_of_calls(here.net.router) == []
    assert here.net.leaks() == there.net.leaks() == 0
