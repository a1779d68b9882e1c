"""What keeps the rules in the kernel: iptables with ipsets, or nftables."""

from collections.abc import Mapping
from typing import Protocol

from rules.diff import Actual, Delta
from rules.ruleset import Element


class Variant(Protocol):
    """The part of a Backend that differs, called in the one thread that owns the kernel; see Backend."""

    def read(self) -> Actual:
        """What is ours."""
        ...

    def commit(self, delta: Delta) -> None:
        """Make the changes."""
        ...

    def look(self) -> int:
        """How often others changed something."""
        ...

    def packets(self) -> dict[Element, int]:
        """What the counting sets have counted."""
        ...

    def flooded(self) -> int:
        """How many packets the rules against floods have dropped."""
        ...

    def ban(self, seconds: Mapping[str, int | None]) -> None:
        """Have outside addresses banned for so long from now, None for not any more."""
        ...

    def forget_bans(self) -> None:
        """Have nobody banned."""
        ...

    def sweep(self) -> None:
        """Take away what the other variant left."""
        ...

    def close(self) -> None:
        """Let go; the rules stay."""
        ...
