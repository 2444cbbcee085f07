"""The log: one JSON object a line. The table of events is a public interface.

Nothing is configured at import: where a line goes is decided when it is written.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any, NamedTuple

import structlog

LOGGER_NAME = "translation_client"

MAX_TEXT_LENGTH = 200
"""A longer text of a server is cut before it is logged."""


class EventSpec(NamedTuple):
    """One kind of line: its level, and the keys that it always has, null where unknown."""

    level: str
    keys: tuple[str, ...]


EVENTS: Mapping[str, EventSpec] = {
    "status_checked": EventSpec(
        "info", ("attempt", "status", "raw_status", "progress", "elapsed_seconds", "request_seconds")
    ),
    "sleeping": EventSpec("info", ("retry", "sleep_seconds", "elapsed_seconds", "reason")),
    "check_failed": EventSpec(
        "warning", ("attempt", "fault", "status_code", "error", "sleep_seconds", "elapsed_seconds")
    ),
    "retry_after_ignored": EventSpec("warning", ("value",)),
    "unknown_status": EventSpec("warning", ("raw_status",)),
    "history_failed": EventSpec("warning", ("error",)),
    "response_received": EventSpec(
        "info", ("attempt", "operation", "status_code", "elapsed_seconds", "request_seconds")
    ),
    "submit_started": EventSpec("info", ("idempotency_key",)),
    "waiting_for_slot": EventSpec("info", ("attempt", "elapsed_seconds")),
    "job_submitted": EventSpec("info", ("attempts", "expected_seconds", "elapsed_seconds")),
    "file_downloaded": EventSpec("info", ("bytes", "attempts", "elapsed_seconds")),
    "job_finished": EventSpec("info", ("status", "raw_status", "attempts", "elapsed_seconds")),
    "gave_up": EventSpec("error", ("reason", "status", "attempts", "elapsed_seconds")),
}


class EventLog:
    """The lines of one wait."""

    def __init__(self, logger: Any, wait_id: str, job_id: str | None) -> None:
        """Begin a log.

        Args:
            logger: The caller's, of the standard library or of structlog; None for the rule in `_chosen`. Made usable by `wrap_logger`.
            wait_id: What all lines of one wait have in common.
            job_id: The job it waits for.
        """
        self._logger = logger
        self._context: dict[str, Any] = {"logger": LOGGER_NAME, "wait_id": wait_id, "job_id": job_id}

    def name_job(self, job_id: str | None) -> None:
        """Say from here on which job it is about."""
        self._context["job_id"] = job_id

    def write(self, event: str, **facts: Any) -> None:
        """Write one line: seconds are rounded to milliseconds here, and long texts cut."""
        level, keys = EVENTS[event]
        shown = {key: _shown(facts[key]) if key in facts else None for key in keys}
        if unknown := facts.keys() - shown.keys():
            raise TypeError(f"{event} has no key {', '.join(unknown)}")
        try:
            getattr(_resolve_logger(self._logger), level)(event, **self._context, **shown)
        except Exception:  # noqa: BLE001  # whatever the host's logger raises: a wait that is paid for goes on without it
            getattr(_TO_STDERR, level)(event, **self._context, **shown)


def wrap_logger(callers: Any) -> Any:
    """Prepare the caller's logger once: one of the standard library gets the finished JSON lines.

    Raises:
        TypeError: It is no logger.
    """
    if isinstance(callers, logging.LoggerAdapter):
        sink = _AdapterSink(callers)
        return _as_json(sink, sink.logger)
    if callers is not None and not all(callable(getattr(callers, level, None)) for level in _LEVELS):
        raise TypeError(f"logger must be a logger of structlog or of the standard library, got {callers!r}")
    return _as_json(_StandardSink(callers), callers) if isinstance(callers, logging.Logger) else callers


def _shown(value: Any) -> Any:
    if value.__class__ is float:
        return round(value, 3) if math.isfinite(value) else None  # JSON has no infinity
    if value.__class__ is str and len(value) > MAX_TEXT_LENGTH:
        return value[:MAX_TEXT_LENGTH] + "…"
    return value


def _resolve_logger(callers: Any) -> Any:
    """The caller's logger; else the standard library's, if anybody listens to it; else the host's structlog; else stderr."""
    if callers is not None:
        return callers
    if _OURS.hasHandlers():
        return _TO_STANDARD_LIBRARY
    return structlog.get_logger() if structlog.is_configured() else _TO_STDERR


def _as_json(sink: Any, level_of: logging.Logger) -> Any:
    return structlog.wrap_logger(
        sink,
        processors=[_LevelFilter(level_of), _render_json],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        context_class=dict,
        cache_logger_on_first_use=False,
    ).bind()


class _LevelFilter:
    """Drops what is below the level of a logger; below INFO where that is not set.

    Not below the effective level: the root logger stands on WARNING from the start, without anybody's having set it.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def __call__(self, _: Any, level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        number = _LEVELS[level]
        if number < (self._logger.level or logging.INFO) or number <= self._logger.manager.disable:
            raise structlog.DropEvent
        return line


def _render_json(_: Any, level: str, line: MutableMapping[str, Any]) -> str:
    """Write the line as JSON, with what one looks for first at the front."""
    return _ENCODER.encode({"timestamp": _timestamp(), "level": level, "event": line.pop("event"), **line})


def _timestamp() -> str:
    """The moment as ISO 8601 has it, in UTC to the millisecond."""
    second, fraction = divmod(time.time(), 1)
    return f"{_second_as_text(int(second))}.{int(fraction * 1000):03d}Z"


@lru_cache(maxsize=4)  # a thousand lines may be written in one second
def _second_as_text(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


_ENCODER = json.JSONEncoder(default=repr)  # made once: json.dumps makes one for each line


class _StandardSink:
    """A logger of the standard library: the message is the line."""

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger

    def info(self, line: str) -> None:
        self._handle(logging.INFO, line)

    def warning(self, line: str) -> None:
        self._handle(logging.WARNING, line)

    def error(self, line: str) -> None:
        self._handle(logging.ERROR, line)

    def _handle(self, level: int, line: str) -> None:
        self._pass_on(level, line, None)

    def _pass_on(self, level: int, line: str, extra: Mapping[str, Any] | None) -> None:
        # Not logger.log(): it would ask the effective level once more.
        record = self.logger.makeRecord(self.logger.name, level, __file__, 0, line, (), None, extra=extra)
        self.logger.handle(record)


class _AdapterSink(_StandardSink):
    """An adapter of the standard library, or one of another: they may add to the message and to the record."""

    def __init__(self, adapter: Any) -> None:
        self._adapters = [adapter]
        while isinstance(self._adapters[-1].logger, logging.LoggerAdapter):
            self._adapters.append(self._adapters[-1].logger)
        super().__init__(self._adapters[-1].logger)

    def _handle(self, level: int, line: str) -> None:
        message, more = line, dict[str, Any]()
        for adapter in self._adapters:
            message, more = adapter.process(message, more)
        self._pass_on(level, message, more.get("extra"))


class _StderrSink:
    """Standard error as it is at the time, one write a line so that threads do not mix theirs up."""

    def info(self, line: str) -> None:
        try:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001, S110  # whatever stands in for it
            pass  # there is none, or nobody reads it any more: a wait that is paid for does not end for a line of log

    warning = error = info


_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_OURS = logging.getLogger(LOGGER_NAME)
_TO_STANDARD_LIBRARY = _as_json(_StandardSink(_OURS), _OURS)
_TO_STDERR = _as_json(_StderrSink(), _OURS)
