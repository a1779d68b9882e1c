"""IPv4/UDP packets as they come from the queue: split, and rebuilt around another payload.

Only headers are looked at (RFC 791, RFC 768); lengths and checksums of a rebuilt packet are ours to make.
"""

from socket import inet_aton, inet_ntoa
from struct import Struct
from typing import NamedTuple

from gateway.errors import MalformedError
from rules.model import Endpoint

_UDP = 17
_DONT_FRAGMENT = 0x4000
_PORTS = Struct("!HH")
_UDP_HEADER = Struct("!HHHH")
_IP_HEADER = Struct("!BBHHHBBH4s4s")
_MAX_PACKET = 0xFFFF


class Datagram(NamedTuple):
    """One UDP datagram: who sent it to whom, and the span of its payload in the packet."""

    source: Endpoint
    destination: Endpoint
    payload: bytes
    header_length: int


def split(packet: bytes) -> Datagram:
    """Read one whole IPv4/UDP packet; MalformedError when it is not one."""
    header_length = (packet[0] & 0x0F) * 4 if packet else 0
    if header_length < 20 or packet[0] >> 4 != 4 or len(packet) < header_length + 8 or packet[9] != _UDP:
        raise MalformedError("not an IPv4 packet with UDP in it")
    start = header_length + 8
    source_port, destination_port, length, _ = _UDP_HEADER.unpack_from(packet, header_length)
    if length < 8 or header_length + length > len(packet):
        raise MalformedError("the UDP length does not fit the packet")
    return Datagram(
        Endpoint(inet_ntoa(packet[12:16]), source_port),
        Endpoint(inet_ntoa(packet[16:20]), destination_port),
        packet[start : header_length + length],
        header_length,
    )


def rebuild(packet: bytes, header_length: int, payload: bytes) -> bytes:
    """Put another payload into a packet that `split` has read.

    A packet that grew loses its don't-fragment bit: its sender measured the path for the smaller one, and the
    router's "fragmentation needed" would tell it of a size that it never sent.
    MalformedError when the result would not fit an IPv4 packet.
    """
    total = header_length + 8 + len(payload)
    if total > _MAX_PACKET:
        raise MalformedError(f"rewritten datagram of {total} bytes does not fit an IPv4 packet")
    header = bytearray(packet[:header_length])
    header[2:4] = total.to_bytes(2, "big")
    if total > len(packet):
        flags = int.from_bytes(header[6:8], "big") & ~_DONT_FRAGMENT
        header[6:8] = flags.to_bytes(2, "big")
    header[10:12] = b"\0\0"
    header[10:12] = _checksum(bytes(header))
    ports = packet[header_length : header_length + 4]
    return bytes(header) + _udp(bytes(header[12:20]), ports, payload)


def build(source: Endpoint, destination: Endpoint, payload: bytes) -> bytes:
    """Make a packet from nothing, for an answer of our own. MalformedError when it would be too long."""
    total = 28 + len(payload)
    if total > _MAX_PACKET:
        raise MalformedError(f"datagram of {total} bytes does not fit an IPv4 packet")
    addresses = inet_aton(source.ip) + inet_aton(destination.ip)
    fields = (0x45, 0, total, 0, 0, 64, _UDP)
    blank = _IP_HEADER.pack(*fields, 0, addresses[:4], addresses[4:])
    checksum = int.from_bytes(_checksum(blank), "big")
    header = _IP_HEADER.pack(*fields, checksum, addresses[:4], addresses[4:])
    return header + _udp(addresses, _PORTS.pack(source.port, destination.port), payload)


def _udp(addresses: bytes, ports: bytes, payload: bytes) -> bytes:
    length = (8 + len(payload)).to_bytes(2, "big")
    pseudo = addresses + b"\0\x11" + length
    checksum = _checksum(pseudo + ports + length + b"\0\0" + payload)
    # zero means "no checksum" in UDP, so a sum of zero is sent as its other spelling
    return ports + length + (b"\xff\xff" if checksum == b"\0\0" else checksum) + payload


def _checksum(data: bytes) -> bytes:
    """Internet checksum (RFC 1071): the 16-bit one's complement sum is the number modulo 65535."""
    if len(data) % 2:
        data += b"\0"
    number = int.from_bytes(data, "big")
    rest = number % 0xFFFF
    if rest == 0 and number:
        rest = 0xFFFF
    return (0xFFFF - rest).to_bytes(2, "big")
