"""Ready-made IPv4 datagrams out of an interface, past netfilter and connection tracking."""

import fcntl
import secrets
import socket
import struct

from rules.errors import KernelError, NotPermittedError

_ETH_P_IP = 0x0800
_SIOCGIFMTU = 0x8921
_SIOCGIFHWADDR = 0x8927
_ARPHRD_ETHER = 1
_INTERFACE_NAME = 16  # IFNAMSIZ
_MORE_FRAGMENTS = 0x2000
_OFFSET_UNIT = 8


class Injector:
    """A packet socket; what it sends meets no iptables or nftables rule of the IP layer and no conntrack."""

    def __init__(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        except PermissionError as error:
            raise NotPermittedError("a packet socket needs CAP_NET_RAW: run as root") from error
        except OSError as error:
            raise KernelError(f"no packet socket: {error.strerror} (CONFIG_PACKET)") from error

    def send(self, interface: str, datagram: bytes, mac: bytes | None) -> None:
        """Send an IPv4 datagram, whole with lengths and checksums, to the neighbour `mac`.

        `mac` is None on links without addresses (ppp, tun). A datagram larger than the interface's MTU
        leaves in fragments, whether it allows that or not. KernelError if it cannot be sent.
        """
        try:
            if mac is None and self._question(_SIOCGIFHWADDR, interface, "H") == _ARPHRD_ETHER:
                raise KernelError(f"cannot send on {interface}: Ethernet needs the neighbour's address")
            mtu = self._question(_SIOCGIFMTU, interface, "i")
            for piece in fragments(datagram, mtu, secrets.randbits(16)):
                self._socket.sendto(piece, (interface, _ETH_P_IP, 0, 0, mac or b""))
        except OSError as error:
            raise KernelError(f"cannot send on {interface}: {error.strerror}") from error

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def _question(self, request: int, interface: str, form: str) -> int:
        name = interface.encode()[: _INTERFACE_NAME - 1]
        answer = fcntl.ioctl(self._socket, request, struct.pack("16s24x", name))
        return int(struct.unpack_from(form, answer, _INTERFACE_NAME)[0])


def fragments(datagram: bytes, mtu: int, identification: int) -> list[bytes]:
    """The datagram in pieces of at most `mtu` bytes (RFC 791 section 3.2); itself where it fits.

    The header, options included, is repeated on each piece with the given identification and DF cleared.
    ValueError if the MTU has no room for a header and eight bytes.
    """
    if len(datagram) <= mtu:
        return [datagram]
    header_length = (datagram[0] & 0x0F) * 4
    room = (mtu - header_length) // _OFFSET_UNIT * _OFFSET_UNIT
    if room <= 0:
        raise ValueError(f"an MTU of {mtu} has no room for a fragment")
    body = datagram[header_length:]
    pieces = []
    for start in range(0, len(body), room):
        part = body[start : start + room]
        flags = _MORE_FRAGMENTS if start + room < len(body) else 0
        header = bytearray(datagram[:header_length])
        struct.pack_into(">H", header, 2, header_length + len(part))
        struct.pack_into(">HH", header, 4, identification, flags | start // _OFFSET_UNIT)
        struct.pack_into(">H", header, 10, 0)
        struct.pack_into(">H", header, 10, checksum(bytes(header)))
        pieces.append(bytes(header) + part)
    return pieces


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total
