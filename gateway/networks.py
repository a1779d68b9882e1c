"""Which addresses are inside."""

from collections.abc import Iterable
from ipaddress import IPv4Network
from socket import AF_INET, inet_pton


class Networks:
    """A set of IPv4 prefixes (``10.0.0.0/24``)."""

    def __init__(self, prefixes: Iterable[str] = ()) -> None:
        networks = [IPv4Network(prefix) for prefix in prefixes]
        self._masked = [(int(network.network_address), int(network.netmask)) for network in networks]

    def __contains__(self, address: object) -> bool:
        """Whether a dotted IPv4 address lies in one of the prefixes; text that is none does not."""
        if not isinstance(address, str):
            return False
        try:
            number = int.from_bytes(inet_pton(AF_INET, address), "big")
        except OSError:
            return False
        return any(number & mask == network for network, mask in self._masked)
