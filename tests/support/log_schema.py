"""Check a log line by the table of events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

ALWAYS = ["timestamp", "level", "event", "logger", "wait_id", "job_id"]


TABLE = {
    "status_checked": ("info", "attempt status raw_status progress elapsed_seconds request_seconds"),
    "sleeping": ("info", "retry sleep_seconds elapsed_seconds reason"),
    "check_failed": ("warning", "attempt fault status_code error sleep_seconds elapsed_seconds"),
    "retry_after_ignored": ("warning", "value"),
    "unknown_status": ("warning", "raw_status"),
    "job_finished": ("info", "status raw_status attempts elapsed_seconds"),
    "gave_up": ("error", "reason status attempts elapsed_seconds"),
}


def validate(line: dict[str, Any]) -> None:
    """Hold one line against the public table."""
    level, keys = TABLE[line["event"]]
    assert list(line) == [*ALWAYS, *keys.split()]
    assert (line["level"], line["logger"]) == (level, "translation_client")
    assert datetime.fromisoformat(line["timestamp"].replace("Z", "+00:00")).tzinfo is not None
    assert isinstance(line["wait_id"], str)
    assert len(line["wait_id"]) == 12
