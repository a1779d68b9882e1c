"""The inputs that are kept: those made or found here, and the messages of RFC 4475."""

from pathlib import Path

_CORPUS = Path(__file__).parent.parent / "corpus"
KEPT = _CORPUS / "fuzz"
TORTURE = _CORPUS / "rfc4475"


def seeds() -> list[Path]:
    """All of them, in a settled order."""
    return sorted([*KEPT.glob("*.txt"), *TORTURE.glob("*.dat")])
