"""Command line and gateway over a Unix socket: one line of JSON each way."""

import asyncio
import gc
import grp
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.client import ask
from gateway.config import Interface
from gateway.daemon.control import ControlServer
from gateway.errors import ControlError, NoPortLeftError, NotRunningError
from rules.errors import NotPermittedError


async def answer(command: str) -> object:
    """What a gateway would say."""
    match command:
        case "calls":
            return [{"label": "3f2a9c01", "peer": 'Zoë "Z"', "expires_in": float("inf")}]
        case "big":
            return "x" * 4_000_000
        case "hang":
            await asyncio.Event().wait()
        case "broken":
            raise ZeroDivisionError
        case "interface":
            return {"name": Interface("wan0")}
        case "unspeakable":
            return "\udcff"  # not to be written in UTF-8
    raise NoPortLeftError(f"no port left for {command}")


@asynccontextmanager
async def server(path: Path, patience: float = 10.0, group: str = "") -> AsyncIterator[ControlServer]:
    """A server that answers; what its tasks raise and nobody takes fails the test."""
    untaken: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: untaken.append(context))
    control = ControlServer(path, answer, group=group, patience=patience)
    await control.start()
    try:
        yield control
    finally:
        await control.close()
        await asyncio.sleep(0)
        gc.collect()
    assert not untaken


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "control.sock"


def connect(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(5)
    client.connect(str(path))
    return client


def exchange(path: Path, question: bytes) -> object:
    """The answer to what no client of ours would send."""
    with connect(path) as client:
        client.sendall(question)
        client.shutdown(socket.SHUT_WR)
        return json.loads(client.makefile("rb").read())


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def asked(path: Path, command: str) -> object:
    return await asyncio.to_thread(ask, path, command)


def test_a_command_gets_its_answer(path: Path) -> None:
    async def scene() -> None:
        async with server(path):
            assert await asked(path, "calls") == [{"label": "3f2a9c01", "peer": 'Zoë "Z"', "expires_in": None}]
            assert await asked(path, "big") == "x" * 4_000_000

    asyncio.run(scene())


def test_what_the_gateway_cannot_do_is_told_in_its_own_words(path: Path) -> None:
    async def scene() -> None:
        async with server(path):
            with pytest.raises(ControlError, match=r"^no port left for dinner$"):
                await asked(path, "dinner")

    asyncio.run(scene())


def test_a_name_out_of_the_configuration_is_a_text(path: Path) -> None:
    async def scene() -> None:
        async with server(path):
            assert await asked(path, "interface") == {"name": "wan0"}

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("command", "fault"), [("broken", "ZeroDivisionError"), ("unspeakable", "UnicodeEncodeError")]
)
def test_a_fault_is_logged_and_the_next_question_answered(
    path: Path, caplog: pytest.LogCaptureFixture, command: str, fault: str
) -> None:
    async def scene() -> None:
        async with server(path):
            with pytest.raises(ControlError, match="internal error; the gateway's log has more"):
                await asked(path, command)
            assert await asked(path, "calls")

    asyncio.run(scene())
    assert fault in caplog.text


def test_nobody_there(path: Path) -> None:
    said = f"^the gateway is not running: nobody answers at {path}$"
    with pytest.raises(NotRunningError, match=said):
        ask(path, "calls")
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    with pytest.raises(NotRunningError, match=said):
        ask(path, "calls")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody without rights")
def test_somebody_without_rights_is_told_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(NotPermittedError, match="not for you to use: run as root"):
            ask(tmp_path / "control.sock", "calls")
    finally:
        os.seteuid(0)


def test_a_gateway_that_is_stuck_or_dies_is_not_waited_for(path: Path) -> None:
    async def scene() -> None:
        async with server(path):
            with pytest.raises(ControlError, match=r"did not answer within 0\.1 s"):
                await asyncio.to_thread(ask, path, "hang", 0.1)
            hanging = asyncio.create_task(asked(path, "hang"))
            await asyncio.sleep(0.1)
            ends = asyncio.get_running_loop().time()
        with pytest.raises(ControlError, match="broke off"):
            await hanging
        assert asyncio.get_running_loop().time() - ends < 2

    asyncio.run(scene())


@pytest.mark.parametrize(("group", "rights"), [("", 0o600), ("daemon", 0o660)])
def test_the_socket_is_for_root_and_the_group_that_is_named(path: Path, group: str, rights: int) -> None:
    def owner() -> int:
        return path.stat().st_gid

    async def scene() -> None:
        async with server(path, group=group):
            assert [mode(path), mode(path.parent)] == [rights, 0o755]
            assert owner() == (grp.getgrnam(group).gr_gid if group else os.getegid())

    if group and os.geteuid() != 0:
        pytest.skip("needs root to give a file to a group")
    asyncio.run(scene())
    assert not path.exists()


def test_a_group_that_is_gone_by_now_leaves_no_socket(path: Path) -> None:
    with pytest.raises(ControlError, match=r"control\.group nobody-at-all: there is no such group"):
        ControlServer(path, answer, group="nobody-at-all")
    assert not path.exists()


def test_a_socket_that_was_made_and_not_used_goes_again(path: Path) -> None:
    asyncio.run(ControlServer(path, answer).close())
    assert not path.exists()


def test_a_socket_left_behind_is_replaced(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))

    async def scene() -> None:
        async with server(path):
            assert await asked(path, "calls")

    asyncio.run(scene())


def test_another_gateway_keeps_its_socket(path: Path) -> None:
    async def scene() -> None:
        async with server(path):
            with pytest.raises(ControlError, match=f"another gateway runs with control.socket {path}"):
                await ControlServer(path, answer).start()
            assert await asked(path, "calls")

    asyncio.run(scene())


def test_a_file_of_another_kind_is_not_touched(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("precious")
    with pytest.raises(ControlError, match="is a file of another kind"):
        asyncio.run(ControlServer(path, answer).start())
    assert path.read_text() == "precious"


def test_where_no_socket_can_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ControlError, match="cannot be made: Not a directory"):
        asyncio.run(ControlServer(tmp_path / "file" / "run" / "s", answer).start())


def test_a_successors_socket_outlives_us(path: Path) -> None:
    async def scene() -> None:
        async with server(path):
            path.unlink()  # noqa: ASYNC240  # nobody waits
            successor = ControlServer(path, answer)
            await successor.start()
        assert await asked(path, "calls")
        await successor.close()

    asyncio.run(scene())


@pytest.mark.parametrize(
    "question",
    [
        b"",
        b"\n",
        b"calls\n",
        b'"calls"\n',
        b'{"command": 3}\n',
        b"{}\n",
        b"\xff\n",
        b'{"command": "' + b"x" * 5000 + b'"}\n',
    ],
    ids=["nothing", "an empty line", "no JSON", "no object", "no text", "no command", "no UTF-8", "too long"],
)
def test_what_is_no_question_is_told_so(path: Path, question: bytes) -> None:
    async def scene() -> None:
        async with server(path):
            said = await asyncio.to_thread(exchange, path, question)
            assert said == {"error": 'not understood: ask one line like {"command": "status"}'}
            assert await asked(path, "calls")

    asyncio.run(scene())


def test_who_asks_nothing_or_does_not_listen_is_given_up(path: Path) -> None:
    async def scene() -> None:
        async with server(path, patience=0.2):
            with connect(path) as silent, connect(path) as deaf:
                deaf.sendall(b'{"command": "big"}\n')
                await asyncio.sleep(0.5)
                assert silent.recv(1) == b""
                with deaf.makefile("rb") as rest:
                    assert not rest.read().endswith(b"\n")

    asyncio.run(scene())


def test_a_crowd_is_held_off_and_then_served(path: Path) -> None:
    async def scene() -> None:
        async with server(path):
            crowd = [connect(path) for _ in range(32)]
            await asyncio.sleep(0.2)
            with pytest.raises(ControlError, match="cannot be asked"):
                await asked(path, "calls")
            for client in crowd:
                client.close()
            await asyncio.sleep(0.2)
            assert await asked(path, "calls")

    asyncio.run(scene())
