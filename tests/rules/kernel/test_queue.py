from pathlib import Path

import pytest

from rules.kernel.queue import is_whole
from rules.kernel.queue_table import QueueRow, read_queue_table


@pytest.mark.parametrize(
    ("packet", "whole"),
    [
        (b"\x45\0\0\x1c" + bytes(24), True),
        (b"\x45\0\0\x1c" + bytes(23), False),
        (b"\x45\0\0\x1c" + bytes(25), False),
        (b"\x45\0\0\x05" + bytes(1), False),
        (b"", False),
    ],
)
def test_a_packet_is_whole_when_its_total_length_arrived(packet: bytes, whole: bool) -> None:
    assert is_whole(packet) is whole


def test_the_kernels_table_is_read_by_column(tmp_path: Path) -> None:
    table = tmp_path / "nfnetlink_queue"
    table.write_text(
        "    3   4711     2 2 65531     5     6        9  1\n    7   -812     0 2  4016     0     0        0  1\n"
    )
    assert read_queue_table(table) == (QueueRow(3, 4711, 2, 5, 6), QueueRow(7, -812, 0, 0, 0))
    assert read_queue_table(tmp_path / "none") is None
