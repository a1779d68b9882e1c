"""Inward: the public address in what the world says becomes the phone that it stands for."""

from gateway.masquerade.translation import Pairs, Place, Spelling
from gateway.sip.grammar import DEFAULT_PORT
from rules.model import Endpoint, Purpose

_HOPS = frozenset({Place.VIA, Place.RECEIVED})


class Inward:
    """The translation of one message that comes in for the phone at `receiver`."""

    def __init__(self, pairs: Pairs, public: str, receiver: Endpoint) -> None:
        self.hint = public.encode()
        self._pairs = pairs
        self._public = public
        self._receiver = receiver

    def signalling(self, place: Place, host: str, port: int | None) -> Spelling | None:
        """A leased port becomes its phone, spelt as that phone spells itself; any other means the receiver."""
        if host != self._public:
            return None
        pair = self._pairs.of_port(DEFAULT_PORT if port is None else port)
        if pair is not None and pair.purpose is Purpose.SIGNALLING:
            return Spelling(pair.inside.ip, None if place in pair.unported else pair.inside.port)
        if place in _HOPS:
            return Spelling(*self._receiver)
        return Spelling(self._receiver.ip, port)

    def media(self, address: Endpoint) -> Endpoint | None:
        """The phone behind a leased media port: a call between two inside phones meets on the LAN."""
        if address.ip != self._public:
            return None
        pair = self._pairs.of_port(address.port)
        return pair.inside if pair is not None and pair.purpose.is_media else None

    def unleased(self, address: Endpoint) -> Endpoint | None:
        """The receiver at the same port."""
        return Endpoint(self._receiver.ip, address.port) if address.ip == self._public else None

    def host(self, host: str) -> str | None:
        """The public address alone means the phone that receives it."""
        return self._receiver.ip if host == self._public else None
