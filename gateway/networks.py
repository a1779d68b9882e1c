"""Which addresses are inside, and who may speak for them."""

from collections.abc import Iterable
from ipaddress import IPv4Network
from os.path import commonprefix
from socket import AF_INET, inet_pton
from typing import NamedTuple

from gateway.errors import ForeignAddressError


class Networks:
    """A set of IPv4 prefixes (``10.0.0.0/24``). All their addresses begin with the text `hint`.

    However many they are, they are looked through by the lengths among them. None at all is false.
    """

    def __init__(self, prefixes: Iterable[str] = ()) -> None:
        networks = [IPv4Network(prefix) for prefix in prefixes]
        by_mask: dict[int, set[int]] = {}
        for network in networks:
            by_mask.setdefault(int(network.netmask), set()).add(int(network.network_address))
        self._by_mask = list(by_mask.items())
        octets = [_octets(network) for network in networks]
        self.hint = commonprefix(octets).encode()  # noqa: RUF071  # these are texts, not paths

    def __bool__(self) -> bool:
        return bool(self._by_mask)

    def __contains__(self, address: object) -> bool:
        """Whether a dotted IPv4 address lies in one of the prefixes; text that is none does not."""
        if not isinstance(address, str):
            return False
        try:
            number = int.from_bytes(inet_pton(AF_INET, address), "big")
        except (OSError, ValueError):  # the latter for a NUL in it
            return False
        return True in [number & mask in networks for mask, networks in self._by_mask]


class Inside(NamedTuple):
    """The inside: its networks, and those `shared` addresses in it that every phone may announce.

    `phones` are those that may open anything, None for all.
    """

    networks: Networks
    shared: Networks
    phones: Networks | None = None

    def is_phone(self, host: str) -> bool:
        """Whether an inside address may open anything."""
        return self.phones is None or host in self.phones

    def is_own(self, host: str, phone: str) -> bool:
        """Whether the phone at address `phone` may speak for `host`; False for what is no inside address.

        ForeignAddressError for the address of another inside host: nobody opens what is not theirs.
        """
        if host == phone:
            return True
        if host not in self.networks:
            return False
        if host not in self.shared:
            raise ForeignAddressError(
                f"{phone} speaks for {host}, an inside address that is not its own (inside.media_hosts)"
            )
        return True

    def is_shared(self, host: str) -> bool:
        """Whether every phone may speak for this inside address."""
        return host in self.shared and host in self.networks


def _octets(network: IPv4Network) -> str:
    """The octets that all addresses of a network share, as text: ``10.0.``."""
    octets = str(network.network_address).split(".")[: network.prefixlen // 8]
    return "".join(octet + "." for octet in octets) if len(octets) < 4 else ".".join(octets)
