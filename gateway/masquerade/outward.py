"""Outward: what a phone says of inside addresses becomes what the world can reach."""

from gateway.masquerade.translation import Pairs, Place, Spelling
from gateway.sdp.grammar import DISCARD_PORT
from gateway.sip.grammar import DEFAULT_PORT
from rules.model import Endpoint, Purpose

_NAMES = frozenset({Place.IDENTITY, Place.NAME, Place.QUOTED})  # identities need not be reachable


class Outward:
    """The translation of one message that the phone at `sender` sends out; every inside address begins with `hint`.

    It remembers, on the row used, where the phone writes its address without a port, so that the way back can
    write it the same: `sip:a@10.0.0.11` and `sip:a@10.0.0.11:5060` are different URIs (RFC 3261 section 19.1.4).
    """

    def __init__(self, pairs: Pairs, public: str, sender: Endpoint, hint: bytes) -> None:
        self.hint = hint
        self._pairs = pairs
        self._public = public
        self._sender = sender

    def signalling(self, place: Place, host: str, port: int | None) -> Spelling | None:
        """A bound address becomes its partner; as an identity, any address of the sender stands for the sender."""
        pair = self._pairs.of_inside(Endpoint(host, DEFAULT_PORT if port is None else port))
        if pair is None and port is None and place in _NAMES and host == self._sender.ip:
            pair = self._pairs.of_inside(self._sender)
        if pair is None:
            return Spelling(self._public, port) if self._is_senders_name(place, host, port) else None
        if pair.purpose is not Purpose.SIGNALLING:
            return None
        if port is not None:
            pair.unported.discard(place)
            return Spelling(self._public, pair.port)
        pair.unported.add(place)
        return Spelling(self._public, None if pair.port == DEFAULT_PORT else pair.port)

    def media(self, address: Endpoint) -> Endpoint | None:
        """The public partner of a leased media address."""
        pair = self._pairs.of_inside(address)
        if pair is None or not pair.purpose.is_media:
            return None
        return Endpoint(self._public, pair.port)

    def unleased(self, address: Endpoint) -> Endpoint | None:
        """The public address at a port that can be nobody's: any other may be leased to somebody else."""
        return Endpoint(self._public, DISCARD_PORT) if address.ip == self._sender.ip else None

    def host(self, host: str) -> str | None:
        """The sender's own address becomes the public one."""
        return self._public if host == self._sender.ip else None

    def _is_senders_name(self, place: Place, host: str, port: int | None) -> bool:
        """Whether an unbound address is the sender's identity, at a port that means nobody else out there."""
        free = port is not None and self._pairs.of_port(port) is None
        return place in _NAMES and host == self._sender.ip and free
