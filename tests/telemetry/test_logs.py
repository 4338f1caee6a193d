"""Lines of text or JSON, in UTC, whatever this machine's time zone is."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from livecalc.telemetry.logs import configure_logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def record(level: int, message: str, *args: object) -> logging.LogRecord:
    made = logging.LogRecord("livecalc.cleanup", level, "file.py", 1, message, args, None)
    made.created = 1769302800.25
    return made


def test_text_is_as_the_contract_says() -> None:
    stream = io.StringIO()
    configure_logs(stream=stream)
    logging.getLogger("livecalc.cleanup").handle(record(logging.INFO, "Starting cleanup worker"))
    assert stream.getvalue() == "2026-01-25 01:00:00 - INFO - Starting cleanup worker\n"


def test_json_is_one_object_a_line() -> None:
    stream = io.StringIO()
    configure_logs(format="json", stream=stream)
    log = logging.getLogger("livecalc.cleanup")
    log.handle(record(logging.ERROR, "two\nlines of %s", "é"))
    try:
        raise ValueError("why")  # noqa: TRY301  (to have a traceback)
    except ValueError:
        log.exception("failed")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first == {
        "time": "2026-01-25T01:00:00.250Z",
        "level": "ERROR",
        "logger": "livecalc.cleanup",
        "message": "two\nlines of é",
    }
    assert "ValueError: why" in second["exception"]


def test_levels_below_are_not_written() -> None:
    stream = io.StringIO()
    configure_logs(level="WARNING", stream=stream)
    logging.getLogger("livecalc.cleanup").info("not shown")
    assert stream.getvalue() == ""


def test_a_process_logs_to_standard_error_in_utc() -> None:
    code = (
        "import logging; from livecalc.telemetry.logs import configure_logs; configure_logs();"
        "logging.getLogger('livecalc.cleanup').info('here'); import time; print(time.strftime('%H', time.gmtime()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TZ": "Pacific/Kiritimati"},
    )
    assert done.stderr.endswith(" - INFO - here\n")
    assert done.stderr[11:13] == done.stdout.strip()
