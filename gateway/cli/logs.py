"""How `run` writes its log on stderr: lines to read, or one object of JSON in each line."""

import json
import logging
import os
from datetime import UTC, datetime
from enum import StrEnum


class LogLevel(StrEnum):
    """How much is said."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """For whom it is said."""

    TEXT = "text"
    JSON = "json"


def start_logging(level: LogLevel, form: LogFormat) -> None:
    """Log on stderr from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter() if form is LogFormat.JSON else _text_formatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])


def _text_formatter() -> logging.Formatter:
    # the journal stamps lines itself
    stamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    return logging.Formatter(f"{stamp}%(levelname)s %(message)s")


class _JsonFormatter(logging.Formatter):
    """An object with time (RFC 3339), level, subject and text, and what else the journal knows of a notice."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "subject": "gateway",
            "text": record.getMessage(),
        }
        said |= getattr(record, "fields", {})
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said)
