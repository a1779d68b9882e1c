"""What was found out about this machine, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters: an error keeps calls from working, a warning may."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact about `subject`; `advice` is what to do, empty where nothing is."""

    severity: Severity
    subject: str
    what: str
    advice: str = ""
