"""Calls that come to nothing, whoever gives up, leave nothing."""

import pytest

from tests.lab.agent import Agent
from tests.lab.lab import Lab
from tests.lab.talk import converse, traces_of_calls
from tests.support.until import until, until_none

pytestmark = [pytest.mark.root, pytest.mark.lab]


def agents(lab: Lab) -> tuple[Agent, Agent]:
    """One at home, one far away."""
    return (
        lab.agent(lab.net.phones[0], lab.net.phone_address(0), user="home"),
        lab.agent(lab.net.far[0], lab.net.far_address(0), user="far"),
    )


def test_given_up_while_it_rings(lab: Lab) -> None:
    lab.registrar()
    lab.gateway()
    alice, bob = lab.phone("alice"), lab.far_phone("bob")
    for phone in (alice, bob):
        phone.register()
    for caller, called in ((alice, bob), (bob, alice)):
        out = caller.dial(called.user)
        incoming = called.wait_incoming()
        out.wait_ringing()
        out.hangup()
        incoming.wait_closed()
        out.wait_closed()
        until_none("a trace of the call", lambda: traces_of_calls(lab.net.router), timeout=1)
    # and the next one is none the worse for it
    converse(alice, bob)


def test_busy(lab: Lab) -> None:
    lab.registrar()
    lab.gateway()
    alice, bob = lab.phone("alice"), lab.far_phone("bob")
    for phone in (alice, bob):
        phone.register()
    for caller, called in ((alice, bob), (bob, alice)):
        out = caller.dial(called.user)
        called.wait_incoming().hangup()
        assert out.wait_closed().startswith("486")
        until_none("a trace of the call", lambda: traces_of_calls(lab.net.router), timeout=1)


def test_refused_by_the_far_side(lab: Lab) -> None:
    lab.gateway()
    home, far = agents(lab)
    for status in ("404 Not Found", "408 Request Timeout", "480 No Answer", "603 Decline"):
        home.invite(far.address, media=home.address._replace(port=16384))
        far.wait("INVITE")
        far.answer("180 Ringing")
        home.wait("SIP/2.0 180")
        assert traces_of_calls(lab.net.router)
        far.answer(status)
        home.wait(f"SIP/2.0 {status}")
        until_none("a trace of the call", lambda: traces_of_calls(lab.net.router), timeout=1)
        home.ack()
        far.wait("ACK")
    assert lab.net.leaks() == 0


def test_a_cancelled_call_is_over_with_its_487(lab: Lab) -> None:
    lab.gateway()
    home, far = agents(lab)
    home.invite(far.address, media=home.address._replace(port=16384))
    invite = far.wait("INVITE")
    far.answer("180 Ringing")
    home.wait("SIP/2.0 180")
    home.cancel()
    cancel = far.wait("CANCEL")
    # the far side knows by these which call is meant (RFC 3261 section 9.1)
    for name in ("Via", "Call-ID", "From", "To"):
        assert cancel.headers(name) == invite.headers(name)
    assert cancel.text.splitlines()[0].split()[1] == invite.text.splitlines()[0].split()[1]
    # an answer may still be on its way
    assert traces_of_calls(lab.net.router)
    far.answer("200 OK")
    home.wait("SIP/2.0 200")
    far.answer("487 Request Terminated", to=invite)
    home.wait("SIP/2.0 487")
    until_none("a trace of the call", lambda: traces_of_calls(lab.net.router), timeout=1)


def test_early_audio_is_heard_and_ends_with_the_refusal(lab: Lab) -> None:
    """An announcement: "the number you have dialled ..."."""
    lab.gateway()
    home, far = agents(lab)
    ear = lab.rtp(lab.net.phones[0], home.address.ip, 16384)
    announcement = lab.rtp(lab.net.far[0], far.address.ip, 30000)
    home.invite(far.address, media=ear.address)
    public = far.wait("INVITE").media
    far.answer("183 Session Progress", media=announcement.address)
    home.wait("SIP/2.0 183")
    announcement.send(public, 10)
    assert len(ear.hear(10)) == 10
    far.answer("404 Not Found")
    home.wait("SIP/2.0 404")
    until("the end of its rules", lambda: not traces_of_calls(lab.net.router), timeout=1)
    announcement.send(public, 10)
    assert ear.hears_nothing()
