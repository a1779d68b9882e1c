"""Which addresses are inside."""

from collections.abc import Iterable
from ipaddress import IPv4Network
from os.path import commonprefix
from socket import AF_INET, inet_pton


class Networks:
    """A set of IPv4 prefixes (``10.0.0.0/24``). All their addresses begin with the text `hint`."""

    def __init__(self, prefixes: Iterable[str] = ()) -> None:
        networks = [IPv4Network(prefix) for prefix in prefixes]
        self._masked = [(int(network.network_address), int(network.netmask)) for network in networks]
        octets = [_octets(network) for network in networks]
        self.hint = commonprefix(octets).encode()  # noqa: RUF071  # these are texts, not paths

    def __contains__(self, address: object) -> bool:
        """Whether a dotted IPv4 address lies in one of the prefixes; text that is none does not."""
        if not isinstance(address, str):
            return False
        try:
            number = int.from_bytes(inet_pton(AF_INET, address), "big")
        except OSError:
            return False
        return True in [number & mask == network for network, mask in self._masked]


def _octets(network: IPv4Network) -> str:
    """The octets that all addresses of a network share, as text: ``10.0.``."""
    octets = str(network.network_address).split(".")[: network.prefixlen // 8]
    return "".join(octet + "." for octet in octets) if len(octets) < 4 else ".".join(octets)
