"""baresip as a program: its configuration, its control socket, its events."""

import contextlib
import json
import math
import signal
import socket
import struct
import threading
import wave
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tests.support.journal import Journal
from tests.support.netns import Namespace
from tests.support.process import Process

_CONTROL_PORT = 4444
_TONE_SECONDS = 120

_CONFIG = """
poll_method epoll
sip_listen {address}:{sip_port}
net_interface eth0
call_local_timeout 60
call_max_calls 4
audio_source aufile,{tone}
audio_alert none
ausrc_srate 8000
ausrc_channels 1
auplay_srate 8000
auplay_channels 1
rtp_ports {rtp_ports[0]}-{rtp_ports[1]}
rtp_stats yes
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module ice.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control_port}
"""


class Event(NamedTuple):
    """Something baresip reported: its type (``CALL_ESTABLISHED``), the Call-ID it is about, and more."""

    type: str
    call: str
    param: str
    peer: str


class Baresip:
    """A running baresip without an account, on its host's interface eth0."""

    def __init__(
        self,
        host: Namespace,
        name: str,
        directory: Path,
        *,
        address: str,
        sip_port: int,
        rtp_ports: tuple[int, int],
    ) -> None:
        self.name = name
        self.events: Journal[Event] = Journal(f"events of phone {name}")
        self._answers: Journal[tuple[str, bool, str]] = Journal(f"answers of phone {name}")
        home = directory / name
        home.mkdir()
        tone = home / "tone.wav"
        _write_tone(tone)
        (home / "accounts").touch()
        (home / "config").write_text(
            _CONFIG.format(
                address=address, sip_port=sip_port, tone=tone, rtp_ports=rtp_ports, control_port=_CONTROL_PORT
            )
        )
        self.process = Process(host, f"phone-{name}", "baresip", "-f", str(home), directory=directory)
        self._control = host.open_socket(kind=socket.SOCK_STREAM)
        self._reader = threading.Thread(target=self._read, daemon=True)
        try:
            self.process.wait_line("baresip is ready")
            self._control.connect(("127.0.0.1", _CONTROL_PORT))
            self._reader.start()
        except BaseException:
            self.process.stop()
            self._control.close()
            raise

    def command(self, name: str, parameters: str = "", timeout: float = 5) -> str:
        """Give one of baresip's long commands; what it answered."""
        token = str(len(self._answers))
        text = json.dumps({"command": name, "params": parameters, "token": token}).encode()
        self._control.sendall(b"%d:%s," % (len(text), text))
        _, good, data = self._answers.wait(
            f"an answer to {name}", lambda answer: answer if answer[0] == token else None, timeout=timeout
        )[0]
        if not good:
            raise AssertionError(f"phone {self.name} refuses '{name} {parameters}': {data.strip()}")
        return data

    def close(self) -> None:
        """Switch it off; it says good-bye to the registrar and to its calls."""
        self.process.signal(signal.SIGTERM)
        # where nobody answers its good-bye it would repeat that for half a minute
        with contextlib.suppress(AssertionError):
            self.process.wait(timeout=1)
        self.process.kill()
        self._reader.join()
        self._control.close()

    def _read(self) -> None:
        # a baresip that is killed resets the connection
        with contextlib.suppress(ConnectionResetError), self._control.makefile("rb") as stream:
            while size := _size(stream):
                message = json.loads(stream.read(size))
                stream.read(1)
                if message.get("response"):
                    self._answers.append((message["token"], message["ok"], message["data"]))
                else:
                    fields = [str(message.get(key, "")) for key in ("type", "id", "param", "peeruri")]
                    self.events.append(Event(*fields))
        self.events.end()
        self._answers.end()


def _size(stream: BinaryIO) -> int:
    """The length that opens a netstring, 0 at the end of the stream."""
    digits = b""
    while (byte := stream.read(1)) not in (b":", b""):
        digits += byte
    return int(digits or b"0")


def _write_tone(path: Path) -> None:
    """440 Hz, in the only format that aufile plays at 8 kHz without a resampler."""
    rate = 8000
    second = b"".join(struct.pack("<h", int(8000 * math.sin(math.tau * 440 * n / rate))) for n in range(rate))
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(second * _TONE_SECONDS)
