"""The Unix socket over which the command line asks the running gateway: one line of JSON each way.

The question is ``{"command": "calls"}``, the answer ``{"ok": ...}`` or ``{"error": "..."}``.
"""

import asyncio
import errno
import grp
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from gateway.errors import ControlError
from rules.errors import SipmasqError

log = logging.getLogger(__name__)

_LONGEST_QUESTION = 4096
_MOST_CLIENTS = 32
_PATIENCE = 10.0  # seconds for a whole exchange


class _Question(msgspec.Struct):
    command: str


class ControlServer:
    """Answers at `path` with what `answer` returns for a command; a SipmasqError it raises is told as it is.

    The socket is made with it, for root and the members of `group`: to give it to a group takes rights that a running
    gateway has not. ControlError when it cannot be made.
    """

    def __init__(
        self, path: Path, answer: Callable[[str], Awaitable[object]], *, group: str = "", patience: float = _PATIENCE
    ) -> None:
        self._path = path
        self._answer = answer
        self._patience = patience
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._bound = _bind(path, group)
        self._identity = _identity(path)

    async def start(self) -> None:
        """Begin to answer."""
        self._server = await asyncio.start_unix_server(self._serve, sock=self._bound, limit=_LONGEST_QUESTION)

    async def close(self) -> None:
        """Stop answering and take the socket away, unless it is another's by now."""
        if self._server is not None:
            self._server.close()
        self._bound.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        if _identity(self._path) == self._identity:
            _unlink(self._path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._clients) >= _MOST_CLIENTS:
            writer.transport.abort()
            return
        self._clients.add(task)
        try:
            async with asyncio.timeout(self._patience):
                # drained to the last byte first: abort() after a close that had to wait for its buffer raises
                # AttributeError in Python 3.11.2
                writer.transport.set_write_buffer_limits(0)
                writer.write(await self._reply(reader) + b"\n")
                await writer.drain()
                writer.close()
        except (TimeoutError, ConnectionError) as error:
            log.debug("a client of the control socket was given up: %r", error)
            writer.transport.abort()
        except BaseException:
            writer.transport.abort()
            raise
        finally:
            self._clients.discard(task)

    async def _reply(self, reader: asyncio.StreamReader) -> bytes:
        try:
            question = msgspec.json.decode(await reader.readline(), type=_Question)
        except (ValueError, msgspec.DecodeError):  # ValueError: the line is too long
            return _error('not understood: ask one line like {"command": "status"}')
        try:
            # by itself msgspec takes no subclass of str, as names of interfaces and hosts are
            return msgspec.json.encode({"ok": await self._answer(question.command)}, enc_hook=str)
        except SipmasqError as error:
            return _error(str(error))
        except Exception:  # a fault in a report must not reach the calls
            log.exception("the command %r could not be answered", question.command)
            return _error("an internal error; the gateway's log has more")


def _error(text: str) -> bytes:
    return msgspec.json.encode({"error": text})


def _bind(path: Path, group: str) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            bound.bind(str(path))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            _remove_stale(path)
            bound.bind(str(path))
        # nobody can connect before it listens, so nobody can before it has these rights
        path.chmod(0o600)
        if group:
            _give(path, group)
    except OSError as error:
        bound.close()
        raise ControlError(f"control.socket {path} cannot be made: {error.strerror}") from error
    except ControlError:
        bound.close()
        raise
    return bound


def _give(path: Path, group: str) -> None:
    try:
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
    except KeyError as error:
        _unlink(path)
        raise ControlError(f"control.group {group}: there is no such group") from error
    except PermissionError as error:
        _unlink(path)
        raise ControlError(
            f"control.socket {path} cannot be given to control.group {group}: restart the gateway; a running one has"
            " no right to"
        ) from error
    path.chmod(0o660)


def _remove_stale(path: Path) -> None:
    if not path.is_socket():
        raise ControlError(f"control.socket {path} is a file of another kind: move it away, or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            _unlink(path)
            return
        except BlockingIOError:  # somebody is there and busy
            pass
    raise ControlError(f"another gateway runs with control.socket {path}: end it, or choose another path")


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.lstat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
