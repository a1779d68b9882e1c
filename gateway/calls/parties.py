"""Who may speak for a call from outside, judged by the address that a message came from."""

from collections.abc import Iterable, Mapping

from gateway.calls.dialog import TransactionId
from gateway.sip.message import Header, Message
from gateway.sip.uri import first_uri, hostports, request_uri_hostports
from gateway.sip.via import via_params, via_parms

_MOST_PARTIES = 16
_MOST_NAMINGS = 8  # contacts of the far side, each with its route
_LONGEST_NAMING = 8192  # bytes of a message that is kept for that; honest ones have a third
_TARGETS = frozenset({b"INVITE", b"UPDATE"})  # what says where the next request goes (RFC 3261 section 12.2)


class Parties:
    """The outside addresses of one call: those it was spoken with, and those that the far side's messages name.

    A caller who names its next hop by a host name alone may come back from anywhere, so anybody is a party then.
    A source address can be forged: whoever knows Call-ID and tags and sends as if from a party is not told apart.
    """

    __slots__ = ("_guests", "_is_anywhere", "_met", "_named")

    def __init__(self) -> None:
        self._met: set[str] = set()
        self._named: dict[bytes, list[Header]] = {}
        self._guests: dict[TransactionId, str] = {}
        self._is_anywhere = False

    def __contains__(self, host: str) -> bool:
        return host in self._met or self._is_named(host)

    def __len__(self) -> int:
        return len(self._met)

    def meet(self, host: str) -> None:
        """The phone sent a request there, or the call began there."""
        if len(self._met) < _MOST_PARTIES:
            self._met.add(host)

    def begin(self, invite: Message) -> None:
        """The call came in with that INVITE: its next hop is its topmost Record-Route, else its Contact."""
        next_hop = invite.first.get(b"record-route") or invite.first.get(b"contact")
        self._is_anywhere = next_hop is not None and not request_uri_hostports(first_uri(next_hop))

    def hear(self, message: Message, host: str) -> bool:
        """A message is followed; if it is from a party, what it names is kept for when somebody unknown speaks."""
        if host not in self._met:
            if not self._is_named(host):
                return False
            self.meet(host)
        if message.method in _TARGETS and message.status != 100:
            contact = message.first.get(b"contact", b"")
            is_new = contact not in self._named and len(self._named) < _MOST_NAMINGS
            if is_new and len(message.data) <= _LONGEST_NAMING:
                self._named[contact] = message.headers
        return True

    def invite(self, request: TransactionId, host: str) -> None:
        """Somebody else began a branch of the call: he speaks for that, and for nothing else of it."""
        if self.has_room:
            self._guests.setdefault(request, host)

    @property
    def has_room(self) -> bool:
        """Whether one more guest is kept."""
        return len(self._guests) < _MOST_PARTIES

    def is_guest(self, host: str, *requests: TransactionId) -> bool:
        """Whether one of these INVITEs came from there and from no party."""
        return host in [self._guests.get(request) for request in requests]

    def to_values(self) -> tuple[frozenset[str], dict[bytes, list[Header]], dict[TransactionId, str], bool]:
        """All that it knows: who was met, by contact the headers that name others, the guests, whether anywhere."""
        named = {
            contact: [header for header in headers if header[0] in _HOSTS] for contact, headers in self._named.items()
        }
        return frozenset(self._met), named, dict(self._guests), self._is_anywhere

    @classmethod
    def from_values(
        cls,
        met: Iterable[str],
        named: Mapping[bytes, list[Header]],
        guests: Mapping[TransactionId, str],
        *,
        is_anywhere: bool,
    ) -> "Parties":
        """What was known, known again."""
        parties = cls()
        parties._met.update(met)
        parties._named.update(named)
        parties._guests.update(guests)
        parties._is_anywhere = is_anywhere
        return parties

    def _is_named(self, host: str) -> bool:
        if self._is_anywhere:
            return True
        text = host.encode()
        for headers in self._named.values():
            for name, value, _ in headers:
                read = _HOSTS.get(name)
                if read is not None and text in value and host in read(value):
                    return True
        return False


def _hosts_of_uris(value: bytes) -> list[str]:
    return [each.host for each in hostports(value)]


def _hosts_of_vias(value: bytes) -> list[str]:
    hosts = []
    for parm in via_parms(value, 0, len(value)):
        received = via_params(value, *parm.params).received
        hosts += [parm.host, value[slice(*received)].decode("latin-1")]
    return hosts


_HOSTS = {b"contact": _hosts_of_uris, b"record-route": _hosts_of_uris, b"via": _hosts_of_vias}
