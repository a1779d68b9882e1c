"""sipp with the scenarios of this folder: exact messages, exact sizes, many calls.

Callers: invite, cancel, refused, register. Called: answer, busy, ring.
"""

import csv
import itertools
import re
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from tests.lab.topology import PROVIDER
from tests.support.netns import Namespace
from tests.support.process import Process

_SCENARIOS = Path(__file__).parent / "scenarios"
_CALLERS = {"invite", "cancel", "refused", "register"}
_MESSAGE = re.compile(
    r"^-{40,} ([^\n]*)\nUDP message (sent|received) [^\n]*\n\n(.*?)\n(?=-{40,} |\Z)", re.MULTILINE | re.DOTALL
)
_PAD_LINE = 200
_EACH_ITS_OWN, _FIRST_OF_THEM = "[auto_media_port]", "20000"
# each run has its own Call-IDs, tags and branches: a proxy remembers those of the last one for a while
_runs = itertools.count(1)

_INVITE = """INVITE @TARGET@ SIP/2.0
Via: SIP/2.0/UDP @IP@:@PORT@;branch=z9hG4bK-@RUN@-[call_number];rport
Max-Forwards: 70
From: <sip:@USER@@@DOMAIN@>;tag=@RUN@[call_number]
To: <@TARGET@>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:@USER@@@IP@:@PORT@>
Content-Type: application/sdp
Content-Length: @SDPSIZE@

@SDP@"""

_SDP = """v=0
o=lab 1 1 IN IP4 @IP@
s=-
c=IN IP4 @IP@
t=0 0
m=audio @MEDIA@ RTP/AVP 0
a=rtpmap:0 PCMU/8000
"""


class Message(NamedTuple):
    """One message as sipp logged it."""

    sent: bool
    text: str
    at: float  # by the clock of the day


class Sipp:
    """One run of sipp at `address`:`port`; the caller's scenarios begin at once.

    `media_port` goes into its SDP (it has no media of its own: put an RtpEndpoint there); None is one for each call.
    `size` makes the INVITE exactly so many bytes by lines in its SDP; for more than nine calls it is the size of the
    first nine. `hold` is how long in ms it stays in the call, or rings, `linger` for how long after it the one who
    answers answers the BYE again if that is repeated (timer J, RFC 3261 section 17.2.2); who lingers repeats the
    answer until it is confirmed, too. `rate` is calls per second. `status` is the refusal that a refused caller
    expects.
    """

    def __init__(
        self,
        host: Namespace,
        address: str,
        scenario: str,
        directory: Path,
        *,
        user: str = "sipp",
        port: int = 5060,
        target: str = f"sip:bob@{PROVIDER}",
        via: str = f"{PROVIDER}:5060",
        calls: int = 1,
        rate: int = 10,
        media_port: int | None = 30000,
        hold: int = 0,
        linger: int = 0,
        expires: int = 3600,
        status: int = 486,
        size: int | None = None,
        trace: bool = True,
    ) -> None:
        number = f"lab{next(_runs):04}"
        run = f"sipp-{scenario}-{user}-{number}"
        self._trace, self._statistics = directory / f"{run}.messages", directory / f"{run}.csv"
        self._errors = directory / f"{run}.errors"
        values = {
            "RUN": number, "IP": address, "PORT": str(port), "USER": user, "TARGET": target,
            "DOMAIN": PROVIDER, "MEDIA": str(media_port or _EACH_ITS_OWN), "HOLD": str(hold), "EXPIRES": str(expires),
            "STATUS": str(status), "LINGER": f'<timewait milliseconds="{linger}"/>' if linger else "",
        }  # fmt: skip
        script = directory / f"{run}.xml"
        script.write_text(_rendered((_SCENARIOS / f"{scenario}.xml").read_text(), values, size))
        caller = ("-r", str(rate), via) if scenario in _CALLERS else ()
        patience = ("-max_invite_retrans", "1000") if linger else ()
        tracing = ("-trace_msg", "-message_file", str(self._trace)) if trace else ()
        self.process = Process(
            host, run,
            "sipp", "-sf", str(script), "-i", address, "-p", str(port), "-mp", _FIRST_OF_THEM,
            "-m", str(calls), "-nostdin",
            "-cid_str", f"%u-{number}@{address}", "-trace_err", "-error_file", str(self._errors),
            "-trace_stat", "-stf", str(self._statistics), "-fd", "1", *patience, *tracing, *caller,
            directory=directory,
        )  # fmt: skip

    def wait(self, timeout: float = 20) -> None:
        """Wait until all its calls have ended, and ended well."""
        code = self.process.wait(timeout)
        if code != 0:
            errors = self._errors.read_text(errors="replace") if self._errors.exists() else "(no error file)"
            raise AssertionError(
                f"{self.process.name} exited {code}: {self.failed} of its calls failed.\n{errors[-4000:]}"
            )

    @property
    def successful(self) -> int:
        return self._statistic("SuccessfulCall(C)")

    @property
    def failed(self) -> int:
        return self._statistic("FailedCall(C)")

    def messages(self) -> list[Message]:
        """What it has sent and received so far."""
        text = self._trace.read_bytes().decode(errors="replace") if self._trace.exists() else ""
        return [Message(way == "sent", message, _moment(at)) for at, way, message in _MESSAGE.findall(text)]

    def received(self, start: str = "") -> list[str]:
        """The messages received so far whose first line begins with `start`."""
        return [message.text for message in self.messages() if not message.sent and message.text.startswith(start)]

    def close(self) -> None:
        self.process.kill()

    def _statistic(self, column: str) -> int:
        with self._statistics.open(newline="") as handle:
            rows = list(csv.DictReader(handle, delimiter=";"))
        return int(rows[-1][column])


def _moment(written: str) -> float:
    return datetime.strptime(written, "%Y-%m-%d\t%H:%M:%S.%f").timestamp()


def _rendered(scenario: str, values: dict[str, str], size: int | None) -> str:
    padding = "" if size is None else _padding(size - _invite_size(values, ""))
    if size is not None:
        # the Content-Length may have got longer
        padding = _padding(size - _invite_size(values, padding) + _length(padding))
    return _filled(scenario.replace("@INVITE@", _INVITE), values, padding)


def _invite_size(values: dict[str, str], padding: str) -> int:
    text = _filled(_INVITE, values, padding)
    first_call = {"[call_number]": "1", "[call_id]": f"1-{values['RUN']}@{values['IP']}"}
    for name, value in first_call.items():
        text = text.replace(name, value)
    return _length(text)


def _filled(text: str, values: dict[str, str], padding: str) -> str:
    sdp = _replaced(_SDP + padding, values)
    size = _length(sdp.replace(_EACH_ITS_OWN, _FIRST_OF_THEM))
    return _replaced(text.replace("@SDPSIZE@", str(size)).replace("@SDP@", sdp), values)


def _replaced(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _length(text: str) -> int:
    """Its length on the wire, where a line ends with CR LF."""
    return len(text) + text.count("\n")


def _padding(size: int) -> str:
    """SDP lines of exactly `size` bytes on the wire."""
    start = len("a=x:\r\n")
    lines = []
    while size:
        part = size if size < _PAD_LINE + 2 * start else _PAD_LINE
        if part < start:
            raise ValueError(f"an INVITE cannot be made {part} bytes longer by SDP lines; choose a larger size")
        lines.append(f"a=x:{'x' * (part - start)}\n")
        size -= part
    return "".join(lines)
