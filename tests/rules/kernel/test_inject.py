import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.kernel.inject import checksum, fragments


def datagram(body: bytes, options: bytes = b"", flags: int = 0x4000) -> bytes:
    length = 20 + len(options)
    header = struct.pack(
        ">BBHHHBBH4s4s", 0x40 | length // 4, 0, length + len(body), 0, flags, 64, 17, 0,
        IPv4Address("203.0.113.9").packed, IPv4Address("10.0.0.2").packed,
    ) + options  # fmt: skip
    return header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + body


def reassembled(pieces: list[bytes]) -> bytes:
    body = bytearray()
    for number, piece in enumerate(pieces):
        length = (piece[0] & 0xF) * 4
        total, _identification, field = struct.unpack_from(">HHH", piece, 2)
        assert total == len(piece)
        assert (field & 0x1FFF) * 8 == len(body)
        assert bool(field & 0x2000) is (number < len(pieces) - 1)
        assert not field & 0x4000
        assert checksum(piece[:length]) == 0
        body += piece[length:]
    return bytes(body)


def test_what_fits_stays_as_it_is() -> None:
    whole = datagram(bytes(1480))
    assert fragments(whole, 1500, 7) == [whole]


@given(
    body=st.binary(min_size=1, max_size=9000), mtu=st.integers(68, 1500), options=st.sampled_from([b"", b"\1" * 8])
)
def test_pieces_fit_and_make_the_whole_again(body: bytes, mtu: int, options: bytes) -> None:
    whole = datagram(body, options)
    pieces = fragments(whole, mtu, 0xBEEF)
    if len(pieces) == 1:
        assert pieces == [whole]
        return
    assert reassembled(pieces) == body
    assert max(map(len, pieces)) <= mtu
    assert {piece[4:6] for piece in pieces} == {b"\xbe\xef"}
    assert {piece[12:20] for piece in pieces} == {whole[12:20]}


def test_an_mtu_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="MTU of 27"):
        fragments(datagram(bytes(100)), 27, 1)
