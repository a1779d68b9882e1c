"""Asks the running gateway over its control socket; what is said there stands in gateway.daemon.control.

It stands apart from the daemon so that a command does not load all that a daemon needs.
"""

import json
import socket
from pathlib import Path

from gateway.errors import ControlError, NotRunningError
from rules.errors import NotPermittedError

_PATIENCE = 15.0  # seconds, a little longer than the gateway has


def ask(path: Path, command: str, patience: float = _PATIENCE) -> object:
    """What the gateway that answers at `path` says to a command.

    NotRunningError if there is none, NotPermittedError if its socket is not for us, ControlError with its own words
    if it could not answer.
    """
    answer = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(patience)
            client.connect(str(path))
            client.sendall(json.dumps({"command": command}).encode() + b"\n")
            while part := client.recv(65536):
                answer += part
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        raise NotRunningError(f"the gateway is not running: nobody answers at {path}") from error
    except PermissionError as error:
        raise NotPermittedError(f"{path} is not for you to use: run as root") from error
    except TimeoutError as error:
        raise ControlError(f"the gateway at {path} did not answer within {patience:g} s") from error
    except OSError as error:
        raise ControlError(f"the gateway cannot be asked at {path}: {error.strerror}") from error
    return _ok(path, bytes(answer))


def _ok(path: Path, answer: bytes) -> object:
    try:
        said = json.loads(answer)
    except ValueError as error:
        raise ControlError(f"the gateway at {path} broke off in the middle of its answer") from error
    if not isinstance(said, dict) or "ok" not in said:
        raise ControlError(str(said.get("error", said) if isinstance(said, dict) else said))
    return said["ok"]
