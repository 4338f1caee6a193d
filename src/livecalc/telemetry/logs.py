"""How processes log: one line of text or of JSON each, to standard error, in UTC."""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import Literal, TextIO

_TEXT = "%(asctime)s - %(levelname)s - %(message)s"
_DATE = "%Y-%m-%d %H:%M:%S"


def configure_logs(
    *,
    level: str = "INFO",
    format: Literal["text", "json"] = "text",  # noqa: A002  (LOG_FORMAT)
    stream: TextIO | None = None,
) -> None:
    """Send all records of at least `level` to `stream` (standard error), and nowhere else."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if format == "json" else TextLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)


class TextLines(logging.Formatter):
    """`2026-01-25 01:00:00 - INFO - Starting cleanup worker`."""

    converter = time.gmtime

    def __init__(self) -> None:
        super().__init__(_TEXT, _DATE)


class JsonLines(logging.Formatter):
    """`{"time": "2026-01-25T01:00:00.123Z", "level": "INFO", "logger": "livecalc.cleanup", "message": "..."}`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record, whatever its arguments are."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
