"""The command line as an operator, a script and a service manager meet it."""

import contextlib
import json
import os
import pty
import re
import shlex
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import gateway.daemon
from gateway.cli import main
from gateway.config import Config
from gateway.errors import ConfigError
from rules.diff import Actual
from rules.errors import KernelError, NotPermittedError
from tests.gateway.cli.command import TREE, answering, program
from tests.gateway.scene import Gateway, phone_in_call

ASKING = ("status", "calls", "bindings", "rules")


class Sipmasq:
    """The program with a configuration of its own."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.config = directory / "sipmasq.toml"
        self.socket = directory / "control.sock"
        self.config.write_text(f'control.socket = "{self.socket}"\n')
        self._capsys = capsys

    def __call__(self, *arguments: str, config: bool = True) -> tuple[int, str, str]:
        """Exit code, stdout and stderr."""
        code: object = 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["sipmasq", *arguments, *(["--config", str(self.config)] if config else [])])
            try:
                main()
            except SystemExit as left:
                code = left.code or 0
        assert isinstance(code, int)
        return code, *self._capsys.readouterr()

    def json(self, *arguments: str) -> Any:
        code, out, err = self(*arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)


@pytest.fixture
def sipmasq(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Sipmasq:
    return Sipmasq(tmp_path, capsys)


@pytest.fixture
def running(sipmasq: Sipmasq) -> Iterator[Gateway]:
    gateway = phone_in_call()
    with answering(sipmasq.socket, gateway):
        yield gateway


def test_the_status_in_a_pipe(sipmasq: Sipmasq, running: Gateway) -> None:
    code, out, err = sipmasq("status")
    assert (code, err) == (0, "")
    assert out.splitlines()[1:] == [
        "inside                  lan0 is up, 10.0.0.1",
        "networks                10.0.0.0/24",
        "outside                 wan0 is up, 203.0.113.1",
        "announced               203.0.113.1",
        "masquerade              by a rule of sipmasq's",
        "calls                   1",
        "registrations           1",
        "callers                 known: where a phone is registered, and whom it knows",
        "registrar example.org   198.51.100.10",
        "bindings                3; 9998 ports free of media.ports, 938 ports free of sip.public_ports",
        f"rules                   {running.status()['rules']} and 7 set entries",
        "last change             took 3.1 ms",
        "state                   kept",
        "packet queue            12 taken, 9 rewritten, 0 waiting",
        "packets lost            5 before they were read, 1 dropped",
        "floods                  4 packets dropped before the queue",
        "datagrams from inside   2",
        "datagrams from outside  2",
    ]
    assert out.splitlines()[0].endswith("up for 1:00:00")


def test_the_calls_in_a_pipe(sipmasq: Sipmasq, running: Gateway) -> None:
    code, out, err = sipmasq("calls")
    assert (code, err) == (0, "")
    heading, rtp, rtcp = (line.split() for line in out.splitlines())
    assert heading[:6] == ["CALL", "WAY", "PHONE", "PEER", "STATE", "TIME"]
    assert heading[6:] == ["PUBLIC", "INSIDE", "USE", "SOURCES", "IN", "OUT"]
    assert rtp[:6] == [running.label, "out", "10.0.0.11:5060", "sip:bob@example.org", "up", "0:40"]
    assert rtp[6:] == ["203.0.113.1:20000", "10.0.0.11:16384", "rtp", "198.51.100.7", "500", "480"]
    assert rtcp == ["203.0.113.1:20001", "10.0.0.11:16385", "rtcp", "198.51.100.7", "-", "-"]
    starts = {line.index("203.0.113.1") for line in out.splitlines()[1:]}
    assert starts == {out.index("PUBLIC")}


def test_the_bindings_in_a_pipe(sipmasq: Sipmasq, running: Gateway) -> None:
    code, out, err = sipmasq("bindings")
    assert (code, err) == (0, "")
    call = f"call {running.label}: 10.0.0.11 with sip:bob@example.org"
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "PUBLIC INSIDE USE SOURCES IN OUT SINCE EXPIRES HELD BY",
        f"203.0.113.1:5060 10.0.0.11:5060 sip any - - 2:20 - registration sip:alice@example.org at 10.0.0.11, {call}",
        f"203.0.113.1:20000 10.0.0.11:16384 rtp 198.51.100.7 500 480 0:40 - {call}",
        f"203.0.113.1:20001 10.0.0.11:16385 rtcp 198.51.100.7 - - 0:40 - {call}",
    ]


def test_the_rules_in_a_pipe(sipmasq: Sipmasq, running: Gateway) -> None:
    code, out, err = sipmasq("rules")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 1 + len(running.rules())
    dnat = next(line for line in out.splitlines() if "--dport 20000 " in line)
    assert dnat.startswith("nat ")
    assert f"call {running.label}: 10.0.0.11 with sip:bob@example.org" in dnat
    assert dnat.endswith("-j DNAT --to-destination 10.0.0.11:16384")
    queue = next(line for line in out.splitlines() if "--queue-num" in line)
    assert "SIP out" in queue


def test_the_differences_in_a_pipe(sipmasq: Sipmasq, running: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sipmasq("rules", "--diff") == (0, "no difference: the kernel holds what is wanted\n", "")
    assert sipmasq.json("rules", "--diff") == []
    rows = running.differences(Actual({}, {}, frozenset(), {}))
    monkeypatch.setattr(Gateway, "differences", lambda _: rows)
    with answering(sipmasq.socket.with_name("other.sock"), running):
        sipmasq.config.write_text(f'control.socket = "{sipmasq.socket.with_name("other.sock")}"\n')
        code, out, err = sipmasq("rules", "--diff")
        assert sipmasq.json("rules", "--diff") == json.loads(json.dumps(rows))
    assert (code, err) == (0, "")
    heading, first, second, *_ = (" ".join(line.split()) for line in out.splitlines())
    assert heading == "DIFFERENCE TABLE CHAIN WHAT RULE"
    assert first == "missing filter SIPMASQ-FORWARD chain"
    assert second.startswith("missing filter SIPMASQ-FORWARD rule -A SIPMASQ-FORWARD -i wan0 ")
    assert len(out.splitlines()) == 1 + len(rows)


@pytest.mark.parametrize("command", ASKING)
def test_json_is_what_the_gateway_says(sipmasq: Sipmasq, running: Gateway, command: str) -> None:
    assert sipmasq.json(command) == json.loads(json.dumps(getattr(running, command)()))


@pytest.mark.parametrize("command", ["calls", "bindings"])
def test_nothing_going_on_is_said_in_words(sipmasq: Sipmasq, command: str) -> None:
    with answering(sipmasq.socket, Gateway()):
        assert sipmasq(command) == (0, f"no {command}\n", "")
        assert sipmasq.json(command) == []


def test_a_stranger_cannot_steer_the_terminal(sipmasq: Sipmasq) -> None:
    with answering(sipmasq.socket, phone_in_call(peer="sip:\x1b[2J\u202e[red]@example.org")):
        for command in ("calls", "bindings", "rules"):
            code, out, _err = sipmasq(command)
            assert code == 0
            assert "sip:?[2J?[red]@example.org" in out
            assert "\x1b" not in out


@pytest.mark.parametrize("command", ASKING)
def test_no_gateway_is_exit_code_3(sipmasq: Sipmasq, command: str) -> None:
    said = f"sipmasq: the gateway is not running: nobody answers at {sipmasq.socket}\n"
    assert sipmasq(command) == (3, "", said)
    assert sipmasq(command, "--json") == (3, "", said)


def test_no_rights_is_exit_code_4(sipmasq: Sipmasq, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(path: Path, command: str) -> object:
        raise NotPermittedError(f"{path} is not for you to use: run as root")

    monkeypatch.setattr("gateway.cli.ask", ask)
    assert sipmasq("status") == (4, "", f"sipmasq: {sipmasq.socket} is not for you to use: run as root\n")


@pytest.mark.parametrize("command", [*ASKING, "run", "check"])
def test_a_bad_configuration_is_exit_code_78(sipmasq: Sipmasq, command: str) -> None:
    sipmasq.config.write_text('media.source = "none"')
    code, out, err = sipmasq(command)
    assert (code, out) == (78, "")
    assert err == f'sipmasq: {sipmasq.config}: media.source = "none": allowed is "signalled" or "any"\n'


@pytest.mark.parametrize("arguments", [(), ("dance",), ("status", "--loud"), ("run", "--log-level", "loud")])
def test_wrong_usage_is_exit_code_2(sipmasq: Sipmasq, arguments: tuple[str, ...]) -> None:
    code, _out, err = sipmasq(*arguments, config=False)
    assert code == 2
    assert "Traceback" not in err


def test_the_version(sipmasq: Sipmasq) -> None:
    code, out, _err = sipmasq("--version", config=False)
    assert code == 0
    assert out.startswith("sipmasq ")


def test_run_hands_over_how_to_read_the_configuration(sipmasq: Sipmasq, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Config] = []

    def run(load: Callable[[], Config]) -> None:
        read.append(load())
        sipmasq.config.write_text('media.source = "any"')
        read.append(load())

    monkeypatch.setattr(gateway.daemon, "run", run)
    code, _out, err = sipmasq("run", "--inside", "lan0", "--inside", "lan1", "--outside", "wan0")
    assert (code, err) == (0, "")
    assert [config.inside.interface for config in read] == [("lan0", "lan1")] * 2
    assert [config.media.source for config in read] == ["signalled", "any"]


@pytest.mark.parametrize(("error", "code"), [(KernelError("no such table"), 1), (ConfigError("bad"), 78)])
def test_what_keeps_the_gateway_from_running_is_one_line(
    sipmasq: Sipmasq, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def run(load: Callable[[], Config]) -> None:
        raise error

    monkeypatch.setattr(gateway.daemon, "run", run)
    assert sipmasq("run") == (code, "", f"sipmasq: {error}\n")


def on_terminal(*arguments: str, columns: int, **environment: str) -> str:
    """What the program prints on a terminal of this width."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    with open(ours, "rb", closefd=True) as screen:  # noqa: PTH123  # a descriptor, not a path
        inherited = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
        environment = {**inherited, "TERM": "xterm", **environment}
        with subprocess.Popen(program(*arguments), stdout=theirs, env=environment) as process:
            os.close(theirs)
            seen = b""
            with contextlib.suppress(OSError):  # how the end of a terminal reads
                while part := screen.read1():
                    seen += part
        assert process.returncode == 0
    return seen.decode()


def test_on_a_terminal_tables_have_colour_unless_it_is_not_wanted(sipmasq: Sipmasq, running: Gateway) -> None:
    arguments = ("calls", "--config", str(sipmasq.config))
    shown = on_terminal(*arguments, columns=200)
    assert "\x1b[1m" in shown
    assert "──" in shown
    assert running.label in shown
    plain = on_terminal(*arguments, columns=200, NO_COLOR="1")
    assert "\x1b[3" not in plain
    assert "203.0.113.1:20000" in plain


def test_a_narrow_terminal_cuts_nothing_off(sipmasq: Sipmasq, running: Gateway) -> None:
    shown = on_terminal("bindings", "--config", str(sipmasq.config), columns=60)
    assert "…" not in shown
    assert max(len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()) <= 60


def test_a_reader_that_has_seen_enough_gets_no_traceback(sipmasq: Sipmasq, running: Gateway) -> None:
    reader = " ".join((*map(shlex.quote, program("rules", "--config", str(sipmasq.config))), "| true"))
    done = subprocess.run(["sh", "-c", reader], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""


def test_asking_a_gateway_does_not_load_what_a_gateway_needs() -> None:
    code = "import sys, gateway.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=TREE, capture_output=True, text=True, check=True).stdout
    heavy = {"iptc", "pyroute2", "netfilterqueue", "dns", "rich", "gateway.daemon", "gateway.engine"}
    assert heavy.isdisjoint(loaded.split())
