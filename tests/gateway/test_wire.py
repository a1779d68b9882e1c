import struct

import pytest

from gateway.errors import MalformedError
from gateway.wire import build, rebuild, split
from rules.model import Endpoint

PHONE = Endpoint("10.0.0.11", 5060)
PROVIDER = Endpoint("198.51.100.1", 5080)
DONT_FRAGMENT, MORE_FRAGMENTS = 0x4000, 0x2000


def words_sum(data: bytes) -> int:
    """The one's complement sum by the book (RFC 1071), word by word; 0xffff over a right checksum."""
    total = 0
    for (word,) in struct.iter_unpack("!H", data + b"\0" * (len(data) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total


def is_sound(packet: bytes) -> bool:
    """Lengths and both checksums are right."""
    header = (packet[0] & 15) * 4
    udp = packet[header:]
    total, length = int.from_bytes(packet[2:4], "big"), int.from_bytes(udp[4:6], "big")
    pseudo = packet[12:20] + b"\0\x11" + udp[4:6]
    lengths = total == len(packet) and length == len(udp)
    return lengths and words_sum(packet[:header]) == 0xFFFF and words_sum(pseudo + udp) == 0xFFFF


def packet_of(payload: bytes, flags: int = DONT_FRAGMENT, options: bytes = b"") -> bytes:
    """A packet from alice, with its UDP checksum left out as a sender may."""
    header = 20 + len(options)
    first = struct.pack("!BBHHHBBH", 0x40 | header // 4, 0x68, header + 8 + len(payload), 7, flags, 63, 17, 0)
    addresses = bytes([10, 0, 0, 11, 198, 51, 100, 1])
    return first + addresses + options + struct.pack("!HHHH", 5060, 5080, 8 + len(payload), 0) + payload


@pytest.mark.parametrize("payload", [b"", b"a", b"ab", b"x" * 1471, bytes(65507)])
def test_what_is_built_is_sound_and_reads_back(payload: bytes) -> None:
    packet = build(PHONE, PROVIDER, payload)
    assert is_sound(packet)
    assert split(packet) == (PHONE, PROVIDER, payload, 20)


def test_a_sum_of_zero_is_sent_as_its_other_spelling() -> None:
    for number in range(0x10000):
        packet = build(PHONE, PROVIDER, number.to_bytes(2, "big"))
        if packet[26:28] == b"\xff\xff":
            break
    else:
        pytest.fail("no payload sums up to zero")
    assert is_sound(packet)


def test_an_ip_header_that_sums_up_to_nothing_says_zero() -> None:
    sources = (Endpoint(f"10.0.{number >> 8}.{number & 255}", 5060) for number in range(0x10000))
    checksums = {build(source, PROVIDER, b"")[10:12] for source in sources}
    assert b"\0\0" in checksums
    assert b"\xff\xff" not in checksums


@pytest.mark.parametrize("payload", [b"", b"even", b"odd", b"longer than it was"])
@pytest.mark.parametrize("options", [b"", b"\x94\x04\0\0"], ids=["plain", "router alert"])
def test_another_payload_keeps_all_but_lengths_and_checksums(payload: bytes, options: bytes) -> None:
    before = packet_of(b"as it came", 0, options)
    datagram = split(before)
    after = rebuild(before, datagram.header_length, payload)
    assert is_sound(after)
    assert split(after) == (PHONE, PROVIDER, payload, 20 + len(options))
    assert after[:2] + after[4:10] == before[:2] + before[4:10]
    assert after[20 : 20 + len(options)] == options


def test_a_packet_may_be_fragmented_once_it_grew() -> None:
    packet = packet_of(b"12345")
    grown, same, shrunk = (rebuild(packet, 20, payload) for payload in (b"123456", b"54321", b"1"))
    assert [each[6] & 0x40 for each in (grown, same, shrunk)] == [0, 0x40, 0x40]


def test_padding_behind_the_datagram_is_not_payload() -> None:
    assert split(packet_of(b"abc") + b"\0\0\0").payload == b"abc"


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x45" + bytes(10), id="half a header"),
        pytest.param(b"\x65" + packet_of(b"a")[1:], id="IPv6"),
        pytest.param(b"\x44" + packet_of(b"a")[1:], id="header shorter than 20"),
        pytest.param(packet_of(b"a").replace(b"\x3f\x11", b"\x3f\x06", 1), id="TCP"),
        pytest.param(packet_of(b"abcdef")[:-1], id="cut"),
        pytest.param(packet_of(b"")[:-1], id="half a UDP header"),
        pytest.param(packet_of(b"")[:24] + b"\0\x07\0\0", id="UDP length under 8"),
    ],
)
def test_what_is_not_a_whole_datagram_is_malformed(packet: bytes) -> None:
    with pytest.raises(MalformedError):
        split(packet)


def test_nothing_over_64_kib_is_made() -> None:
    with pytest.raises(MalformedError, match="65536 bytes"):
        build(PHONE, PROVIDER, bytes(65508))
    with pytest.raises(MalformedError, match="65536 bytes"):
        rebuild(packet_of(b"x"), 20, bytes(65508))
