"""A telephone without a will of its own: each message goes out when the test says so.

For statements on the time between two messages, which a real phone passes too fast.
"""

import copy
import itertools
import re
from typing import NamedTuple, Self

from rules.model import Endpoint
from tests.lab.sdp import audio, media_of
from tests.support.journal import MissedError
from tests.support.netns import Namespace

_numbers = itertools.count(1)

Description = Endpoint | str
"""A session description, or where its only stream of audio is wanted."""


class Message(NamedTuple):
    """A SIP message as it arrived here, and from where."""

    text: str
    source: Endpoint

    def headers(self, name: str) -> list[str]:
        """The values of all header lines of that name."""
        return re.findall(rf"^{name}: *(.*?)\r$", self.text, re.MULTILINE)

    @property
    def media(self) -> Endpoint:
        """Where its session description wants the media."""
        return media_of(self.text)

    @property
    def sent_by(self) -> Endpoint:
        """Where its sender wants the answer, unless it asks for it where it came from (RFC 3261 section 18.2.2)."""
        host, _, port = self.headers("Via")[0].partition(";")[0].split()[1].partition(":")
        return Endpoint(host, int(port or 5060))


class Agent:
    """A SIP transport address that takes part in one call after the other.

    `says` is what its Via and Contact give in place of its address. Without `rport` it neither asks for that nor
    knows it (RFC 3581).
    """

    def __init__(
        self,
        host: Namespace,
        address: str,
        port: int = 5060,
        user: str = "agent",
        *,
        says: Endpoint | None = None,
        rport: bool = True,
    ) -> None:
        self._socket = host.open_socket()
        self._socket.bind((address, port))
        self.address = Endpoint(address, port)
        self._says, self._rport = says or self.address, rport
        self.uri = f"sip:{user}@{self._says}"
        self._number = next(_numbers)
        self._branches = itertools.count(1)
        self._cseq = 0
        self.tag = f"tag{self._number}"
        self._call = ""
        self._local = self._remote = ""
        self._target = self._branch = ""
        self._dialled = "", ""
        self._peer = self.address
        self._asked: Message | None = None

    def another(self) -> Self:
        """The same address, for a call beside this one; whoever waits gets what comes next for any of them."""
        other = copy.copy(self)
        other._number, other._asked = next(_numbers), None
        other.tag = f"tag{other._number}"
        return other

    def send(self, payload: bytes, to: Endpoint) -> None:
        """Send these very bytes."""
        self._socket.sendto(payload, to)

    def receive(self, timeout: float = 3) -> tuple[bytes, Endpoint]:
        """The next datagram as it is."""
        self._socket.settimeout(timeout)
        try:
            payload, source = self._socket.recvfrom(65535)
        except TimeoutError:
            raise MissedError(f"{self.uri} got nothing within {timeout:g} s") from None
        return payload, Endpoint(*source)

    def wait(self, start: str, timeout: float = 3) -> Message:
        """The next message, whose first line must begin with `start`; repeated requests are passed over."""
        while True:
            payload, source = self.receive(timeout)
            message = Message(payload.decode(), source)
            if self._asked is None or message.text != self._asked.text:
                break
        assert message.text.startswith(start), f"{self.uri} waits for {start!r} and gets:\n{message.text}"
        if start.startswith("SIP/2.0"):
            self._remote = message.headers("To")[0]
        else:
            self._asked = message
            self._call, self._peer = message.headers("Call-ID")[0], message.source
            self._local, self._remote = _tagged(message.headers("To")[0], self.tag), message.headers("From")[0]
        for contact in message.headers("Contact"):
            self._target = re.findall("<(.*?)>", contact)[0]
        return message

    def invite(self, to: Endpoint, media: Description | None = None) -> None:
        """Begin a call with whoever is at that address."""
        self._call, self._cseq, self._asked = f"call{self._number}-{next(_numbers)}", 1, None
        self._local, self._remote = f"<{self.uri}>;tag={self.tag}", f"<sip:far@{to}>"
        self._target, self._peer = f"sip:far@{to}", to
        self._dialled = self._remote, self._target
        self.send(self._request("INVITE", media), to)

    def reinvite(self, media: Description) -> None:
        """Describe the media of the call anew."""
        self._cseq += 1
        self.send(self._request("INVITE", media), self._peer)

    def register(self, registrar: Endpoint, expires: int = 3600) -> None:
        """Ask to be registered, in a call of its own."""
        self._call, self._cseq = f"register{self._number}", self._cseq + 1
        self._local = self._remote = f"<{self.uri}>"
        self._target, self._peer = f"sip:{registrar.ip}", registrar
        self.send(self._request("REGISTER", expires=expires), registrar)

    def ack(self) -> None:
        """Confirm the final response."""
        self.send(self._request("ACK"), self._peer)

    def cancel(self) -> None:
        """Give up while it rings: the INVITE's own first lines say what is meant (RFC 3261 section 9.1)."""
        self._remote, self._target = self._dialled
        self.send(self._request("CANCEL"), self._peer)

    def bye(self) -> None:
        """Hang up."""
        self._cseq += 1
        self.send(self._request("BYE"), self._peer)

    def answer(
        self, status: str, media: Description | None = None, *, to: Message | None = None, tag: str | None = None
    ) -> None:
        """Answer the last request, or an earlier one: ``answer("200 OK", media)``. With another tag, as another."""
        asked = to or self._asked
        assert asked is not None, "nobody asked"
        copied = [f"{name}: {value}" for name in ("Via", "Record-Route") for value in asked.headers(name)]
        copied += [f"{name}: {asked.headers(name)[0]}" for name in ("From", "Call-ID", "CSeq")]
        tagged = _tagged(asked.headers("To")[0], tag or self.tag)
        lines = (f"SIP/2.0 {status}", *copied, f"To: {tagged}", f"Contact: <{self.uri}>")
        self.send(_message(lines, media), asked.source if self._rport else asked.sent_by)

    def close(self) -> None:
        self._socket.close()

    def _request(self, method: str, media: Description | None = None, expires: int | None = None) -> bytes:
        if method != "CANCEL":
            self._branch = f"z9hG4bK{self._number}-{next(self._branches)}"
        lines = (
            f"{method} {self._target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._says};branch={self._branch}{';rport' if self._rport else ''}",
            "Max-Forwards: 70",
            f"From: {self._local}",
            f"To: {self._remote}",
            f"Call-ID: {self._call}",
            f"CSeq: {self._cseq} {method}",
            f"Contact: <{self.uri}>",
            *(() if expires is None else (f"Expires: {expires}",)),
        )
        return _message(lines, media)


def connect(
    caller: Agent, called: Agent, to: Endpoint, mine: Description, theirs: Description
) -> tuple[Endpoint, Endpoint]:
    """Establish a call to `to`, where `called` answers; what each side was told of the other's audio."""
    caller.invite(to, mine)
    of_caller = called.wait("INVITE").media
    called.answer("200 OK", theirs)
    of_called = caller.wait("SIP/2.0 200").media
    caller.ack()
    called.wait("ACK")
    return of_called, of_caller


def change(one: Agent, other: Agent, mine: Description, theirs: Description) -> tuple[Endpoint, Endpoint]:
    """Agree on other media in a call; what each side was told of the other's, `one` first."""
    one.reinvite(mine)
    of_one = other.wait("INVITE").media
    other.answer("200 OK", theirs)
    of_other = one.wait("SIP/2.0 200").media
    one.ack()
    other.wait("ACK")
    return of_other, of_one


def hang_up(one: Agent, other: Agent) -> None:
    """End the call of both."""
    one.bye()
    other.wait("BYE")
    other.answer("200 OK")
    one.wait("SIP/2.0 200")


def _tagged(party: str, tag: str) -> str:
    return party if "tag=" in party else f"{party};tag={tag}"


def _message(lines: tuple[str, ...], media: Description | None) -> bytes:
    body = audio(media) if isinstance(media, Endpoint) else media or ""
    if body:
        lines += ("Content-Type: application/sdp",)
    return "\r\n".join((*lines, f"Content-Length: {len(body)}", "", body)).encode()
