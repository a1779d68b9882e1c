"""A scanner in a hurry, as a program of its own: `python -m tests.lab.flood ADDRESS PORT RATE SECONDS [NETWORK]`.

It sends so many datagrams a second, from its own address or with forged ones of a network, and prints their number.
"""

import random
import socket
import struct
import sys
import time
from ipaddress import IPv4Network

_TICK = 0.005


def main(host: str, port: str, rate: str, seconds: str, network: str = "") -> None:
    """Send, and say how many."""
    forged = IPv4Network(network) if network else None
    kind, proto = (socket.SOCK_RAW, socket.IPPROTO_RAW) if forged else (socket.SOCK_DGRAM, 0)
    payload = _request(host, port)
    numbers = random.Random(1)  # each run the same
    each = round(int(rate) * _TICK)
    sent = 0
    with socket.socket(socket.AF_INET, kind, proto) as out:
        begun = time.monotonic()
        while sent < int(rate) * float(seconds):
            for _ in range(each):
                packet = payload if forged is None else _packet(forged, numbers, host, int(port), payload)
                out.sendto(packet, (host, 0 if forged else int(port)))
            sent += each
            time.sleep(max(0.0, begun + sent / int(rate) - time.monotonic()))
    sys.stdout.write(f"{sent}\n")


def _request(host: str, port: str) -> bytes:
    lines = (
        f"OPTIONS sip:100@{host}:{port} SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKscan",
        "From: <sip:100@192.0.2.1>;tag=scan", f"To: <sip:100@{host}>", "Call-ID: scan", "CSeq: 1 OPTIONS",
        "Contact: <sip:100@192.0.2.1>", "Content-Length: 0", "", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode()


def _packet(network: IPv4Network, numbers: random.Random, host: str, port: int, payload: bytes) -> bytes:
    source = int(network.network_address) + numbers.randrange(network.num_addresses)
    udp = struct.pack(">HHHH", numbers.randrange(1024, 65536), port, 8 + len(payload), 0) + payload
    head = struct.pack(">BBHHHBBHI4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, source, socket.inet_aton(host))
    return head + udp


if __name__ == "__main__":
    main(*sys.argv[1:])
