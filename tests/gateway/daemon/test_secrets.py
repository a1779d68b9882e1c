"""What a phone proves itself with stands nowhere in the log, whatever goes wrong with its message."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.daemon import journal
from gateway.engine import Engine
from rules.fake import FakeBackend
from rules.model import Endpoint
from tests.gateway.daemon.clock import play
from tests.gateway.daemon.router import Router
from tests.gateway.daemon.talk import PHONE, PROVIDER, answer, register

# each of them a word that stands for itself
SECRETS = ("s3cretpass", "n0nce7f3a", "cn0nce55d1", "d1gest9be2", "0paque31c4", "us3rname8d")
AUTHORIZATION = (
    'Authorization: Digest username="us3rname8d", realm="example.org", nonce="n0nce7f3a", uri="sip:example.org",'
    ' qop=auth, nc=00000001, cnonce="cn0nce55d1", response="d1gest9be2", opaque="0paque31c4"'
)
REGISTER = (
    register()
    .replace(f"From: <sip:{PHONE}@".encode(), b"From: <sip:bob:s3cretpass@")
    .replace(b"To: <sip:bob@", b"To: <sip:bob:s3cretpass@")
    .replace(b"Contact: <sip:me@", AUTHORIZATION.encode() + b"\r\nContact: <sip:bob:s3cretpass@")
)
CHALLENGE = b'WWW-Authenticate: Digest realm="example.org", nonce="n0nce7f3a", opaque="0paque31c4"'


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No notice is withheld; afterwards something was said, and no secret."""
    monkeypatch.setattr(journal, "_QUIET_SECONDS", 0.0)
    caplog.set_level(logging.DEBUG)
    yield
    said = "\n".join(map(logging.Formatter().format, caplog.get_records("call")))
    assert said
    assert not [word for word in SECRETS if word in said]
    # nor in what a log in JSON holds beside
    fields = [str(getattr(record, "fields", "")) for record in caplog.get_records("call")]
    assert not [word for word in SECRETS if any(word in each for each in fields)]


def play_on_router(story: Callable[[Router], Any], kernel: FakeBackend | None = None) -> None:
    async def scene() -> None:
        async with Router(kernel) as router:
            story(router)
            await asyncio.sleep(1)

    play(scene())


def test_a_registration_that_succeeds() -> None:
    async def scene() -> None:
        async with Router() as router:
            sent = router.outward(REGISTER)
            await asyncio.sleep(1)
            granted = answer(sent.message).replace(b"Content-Length", b"Expires: 60\r\nContent-Length")
            contact = next(line for line in sent.message.split(b"\r\n") if line.startswith(b"Contact:"))
            router.inward(granted.replace(b"Content-Length", contact + b"\r\nContent-Length"))
            await asyncio.sleep(100)

    play(scene())


@pytest.mark.parametrize("status", ["401 Unauthorized", "407 Proxy Authentication Required", "403 Forbidden"])
def test_a_challenge_and_a_refusal(status: str) -> None:
    async def scene() -> None:
        async with Router() as router:
            sent = router.outward(REGISTER)
            await asyncio.sleep(1)
            challenge = answer(sent.message, status).replace(b"Content-Length", CHALLENGE + b"\r\nContent-Length")
            router.inward(challenge)
            for end in range(0, len(challenge), 7):
                router.inward(challenge[:end])

    play(scene())


def test_a_message_that_ends_anywhere() -> None:
    play_on_router(lambda router: [router.outward(REGISTER[:end]) for end in range(0, len(REGISTER), 3)])


def test_a_line_that_is_broken_or_missing_or_there_twice() -> None:
    lines = REGISTER.split(b"\r\n")

    def story(router: Router) -> None:
        for at, line in enumerate(lines):
            secret, name = AUTHORIZATION.encode(), line.partition(b":")[0]
            for instead in (
                [],
                [line, line],
                [line.replace(b":", b"")],
                [line + secret],
                [secret, line],
                [b"\xff" + line],
                [line + b"\r\n " + secret],
                [name + b": " + secret],
            ):
                router.outward(b"\r\n".join([*lines[:at], *instead, *lines[at + 1 :]]))

    play_on_router(story)


def test_rules_that_the_kernel_refuses() -> None:
    def story(router: Router) -> None:
        router.kernel.fail_commit = "nat"
        router.wire.fails = True
        router.outward(REGISTER)

    play_on_router(story)


def test_a_router_without_an_address() -> None:
    async def scene() -> None:
        async with Router() as router:
            await router.move(None)
            router.outward(REGISTER)

    play(scene())


def test_a_phone_with_too_many_registrations_and_one_from_nowhere() -> None:
    def story(router: Router) -> None:
        for number in range(300):
            router.outward(REGISTER.replace(b"Call-ID: ", b"Call-ID: %d" % number).replace(b"bob", b"bob%d" % number))
        router.outward(REGISTER, phone="172.16.0.9")

    play_on_router(story)


def test_a_scanner_with_credentials() -> None:
    def story(router: Router) -> None:
        router.hand_over(Endpoint("192.0.2.66", 5060), Endpoint(PHONE, 5060), REGISTER, devices=(2, 1))
        router.hand_over(Endpoint(PROVIDER, 5060), Endpoint(PHONE, 5060), REGISTER, devices=(2, 1))

    play_on_router(story)


def test_a_message_that_grows_beyond_a_packet() -> None:
    filler = b"X: " + b"x" * (65_490 - len(REGISTER)) + b"\r\n"
    play_on_router(lambda router: router.outward(REGISTER.replace(b"Contact:", filler + b"Contact:")))


def test_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    def story(router: Router) -> None:
        router.outward(REGISTER)
        for complaint in router.door.complaints:  # as the real queue does
            logging.getLogger("sipmasq").error("a packet could not be handled", exc_info=complaint)
        assert router.door.complaints

    monkeypatch.setattr(Engine, "_outward", broken)
    play_on_router(story)
