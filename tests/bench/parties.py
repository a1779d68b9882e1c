"""A phone inside and a provider outside that talk SIP through a lab's router, one message at a time or many."""

import contextlib
import socket
from collections.abc import Iterable, Iterator
from typing import Self

from rules.model import Endpoint
from tests.bench.messages import Caller, answer, sdp
from tests.lab.topology import PROVIDER, Network
from tests.support.netns import Namespace

FAR_MEDIA = Endpoint(PROVIDER, 40000)
_SO_RCVBUFFORCE = 33
_BUFFER = 16 << 20
_PATIENCE = 10.0  # seconds for a message to come through
_AT_ONCE = 50  # calls that are set up together
_FIRST_MEDIA_PORT = 10000


class Line:
    """A UDP socket on a host, with room for many datagrams."""

    def __init__(self, host: Namespace, address: Endpoint) -> None:
        self._socket = host.open_socket()
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        self._socket.bind(address)
        self._socket.settimeout(_PATIENCE)
        self.address = address

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, payload: bytes, to: Endpoint) -> None:
        self._socket.sendto(payload, to)

    def receive(self) -> tuple[bytes, Endpoint]:
        """The next datagram and who sent it."""
        try:
            payload, source = self._socket.recvfrom(0xFFFF)
        except TimeoutError:
            raise AssertionError(f"nothing reached {self.address} within {_PATIENCE:g} s") from None
        return payload, Endpoint(*source)

    def count_waiting(self) -> int:
        """Take what waits; how many datagrams it was."""
        count = 0
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(0xFFFF):
                count += 1
        self._socket.settimeout(_PATIENCE)
        return count

    def close(self) -> None:
        self._socket.close()


class Parties:
    """The phone on the lab's first host inside, and the provider. Calls are known by number."""

    def __init__(self, net: Network) -> None:
        self.caller = Caller("alice", Endpoint(net.phone_address(0), 5060), "bob", PROVIDER)
        self.provider = Endpoint(PROVIDER, 5060)
        self.phone = Line(net.phones[0], self.caller.address)
        self.far = Line(net.provider, self.provider)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.phone.close()
        self.far.close()

    def register(self, number: int = 1) -> None:
        """Register the phone."""
        self._answer([self.caller.register(number)], "200 OK")

    def invite(self, number: int) -> bytes:
        """A call's INVITE as the phone writes it."""
        return self.caller.invite(number, media(self.caller.address.ip, number))

    def ok(self, invite: bytes) -> bytes:
        """The answer to an INVITE as the provider received it."""
        return answer(invite, "200 OK", contact=self.provider, body=sdp("bob", FAR_MEDIA))

    def call(self, numbers: Iterable[int]) -> None:
        """Set up these calls; they stay up until the gateway ends."""
        left = list(numbers)
        while left:
            now, left = left[:_AT_ONCE], left[_AT_ONCE:]
            for payload, source in self.outward(map(self.invite, now)):
                self.far.send(self.ok(payload), source)
            for _ in now:
                self.phone.receive()
            self.outward(self.caller.ack(number, self.provider) for number in now)

    def refuse(self, number: int, invite: bytes, source: Endpoint) -> None:
        """Have the provider be busy, so that the call ends before it was one."""
        self.far.send(answer(invite, "486 Busy Here"), source)
        self.phone.receive()
        self.outward([self.caller.refused(number)])

    def outward(self, payloads: Iterable[bytes]) -> list[tuple[bytes, Endpoint]]:
        """Send from the phone; each as it reaches the provider, and from where."""
        count = 0
        for payload in payloads:
            self.phone.send(payload, self.provider)
            count += 1
        return [self.far.receive() for _ in range(count)]

    def inward(self, payloads: Iterable[bytes], to: Endpoint) -> list[bytes]:
        """Send from the provider to the phone's public address; each as it reaches the phone."""
        count = 0
        for payload in payloads:
            self.far.send(payload, to)
            count += 1
        return [self.phone.receive()[0] for _ in range(count)]

    def _answer(self, requests: list[bytes], status: str) -> None:
        for payload, source in self.outward(requests):
            self.far.send(answer(payload, status), source)
            self.phone.receive()


def media(ip: str, number: int) -> Endpoint:
    """Where a call of that number wants its RTP."""
    return Endpoint(ip, _FIRST_MEDIA_PORT + 2 * number)


@contextlib.contextmanager
def parties(net: Network) -> Iterator[Parties]:
    """Both, with the phone registered."""
    with Parties(net) as pair:
        pair.register()
        yield pair
