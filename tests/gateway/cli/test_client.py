"""What the command line makes of answers that no gateway of this version gives."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.cli.client import ask
from gateway.errors import ControlError


@pytest.fixture
def asked(tmp_path: Path) -> Callable[[bytes], object]:
    """What `ask` returns when it is answered with these bytes."""
    path = tmp_path / "control.sock"

    def asked(answer: bytes) -> object:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
            listening.listen()
            thread = threading.Thread(target=_answer, args=(listening, answer))
            thread.start()
            try:
                return ask(path, "status")
            finally:
                thread.join()
                path.unlink()

    return asked


def _answer(listening: socket.socket, answer: bytes) -> None:
    client, _ = listening.accept()
    with client:
        assert client.recv(100) == b'{"command": "status"}\n'
        client.sendall(answer)


def test_an_answer_is_what_was_asked_for(asked: Callable[[bytes], object]) -> None:
    assert asked(b'{"ok": {"calls": 3}}\n') == {"calls": 3}
    assert asked(b'{"ok": null}\n') is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b'{"error": "no such command: status"}\n', "^no such command: status$"),
        (b"", "broke off in the middle of its answer$"),
        (b'{"ok": [1, 2', "broke off in the middle of its answer$"),
        (b'"what?"\n', r"^what\?$"),
        (b'{"fine": 1}\n', "^{'fine': 1}$"),
    ],
)
def test_any_other_answer_is_an_error(asked: Callable[[bytes], object], answer: bytes, said: str) -> None:
    with pytest.raises(ControlError, match=said):
        asked(answer)
