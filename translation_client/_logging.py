"""The log: one JSON object for each line. The events and keys in `EVENTS` are a public interface.

Nothing is configured at import: the destination of a line is chosen when it is written.
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
"""Longer strings are truncated in the log."""


class EventSpec(NamedTuple):
    """One kind of event: its level, and the keys that it always has, null if unknown."""

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
    """The log lines of one call of the client, which share a `wait_id`."""

    def __init__(self, logger: Any, wait_id: str, job_id: str | None) -> None:
        """Create a log.

        Args:
            logger: A logger prepared by `wrap_logger`; None to choose one as in `_resolve_logger`.
            wait_id: The id that all lines of the call share.
            job_id: The id of the job; None if there is none.
        """
        self._logger = logger
        self._context: dict[str, Any] = {"logger": LOGGER_NAME, "wait_id": wait_id, "job_id": job_id}

    def name_job(self, job_id: str | None) -> None:
        """Set the job id of all later lines."""
        self._context["job_id"] = job_id

    def common_fields(self) -> Mapping[str, Any]:
        """Return the fields of every line. Called only for lines that are written."""
        return self._context

    def write(self, event: str, **facts: Any) -> None:
        """Log one event. Seconds are rounded to milliseconds, and strings truncated to `MAX_TEXT_LENGTH`.

        A logger that raises does not end the call: the line goes to stderr instead.

        Raises:
            TypeError: The event has no such key.
        """
        level, keys = EVENTS[event]
        if unknown := facts.keys() - keys:
            raise TypeError(f"{event} has no key {', '.join(unknown)}")
        try:
            logger = _resolve_logger(self._logger)
            if (logger is not _TO_STANDARD_LIBRARY and logger is not _TO_STDERR) or _is_enabled(_OURS, level):
                getattr(logger, level)(event, **self.common_fields(), **_shown(keys, facts))
        except Exception:  # noqa: BLE001  # a failing logger must not end the wait for a job
            if _is_enabled(_OURS, level):
                getattr(_TO_STDERR, level)(event, **self.common_fields(), **_shown(keys, facts))


def wrap_logger(logger: Any) -> Any:
    """Return the caller's logger as `EventLog` uses it, or None for None. One of the standard library gets JSON lines.

    Raises:
        TypeError: `logger` is not a logger.
    """
    if isinstance(logger, logging.LoggerAdapter):
        sink = _AdapterSink(logger)
        return _as_json(sink, sink.logger)
    if logger is not None and not all(callable(getattr(logger, level, None)) for level in _LEVELS):
        raise TypeError(f"logger must be a logger of structlog or of the standard library, got {logger!r}")
    return _as_json(_StandardSink(logger), logger) if isinstance(logger, logging.Logger) else logger


def _shown(keys: tuple[str, ...], facts: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = dict.fromkeys(keys)
    for key, value in facts.items():
        if value.__class__ is float:
            shown[key] = round(value, 3) if math.isfinite(value) else None  # JSON has no infinity
        elif value.__class__ is str and len(value) > MAX_TEXT_LENGTH:
            shown[key] = value[:MAX_TEXT_LENGTH] + "…"
        else:
            shown[key] = value
    return shown


def _is_enabled(logger: logging.Logger, level: str) -> bool:
    """Return True if a level is at least that of the logger itself, or INFO if it has none, and is not disabled.

    Its effective level does not count, as the root logger is at WARNING by default.
    """
    number = _LEVELS[level]
    return number >= (logger.level or logging.INFO) and number > logger.manager.disable


def _resolve_logger(logger: Any) -> Any:
    """Return the caller's logger, else `translation_client` if it has a handler, else structlog's, else one of stderr."""
    if logger is not None:
        return logger
    if _OURS.hasHandlers():
        return _TO_STANDARD_LIBRARY
    return structlog.get_logger() if structlog.is_configured() else _TO_STDERR


def _as_json(sink: Any, level_logger: logging.Logger | None) -> Any:
    """Return a logger of structlog that writes JSON lines.

    Args:
        sink: Writes the lines.
        level_logger: The logger whose level applies; None for no filter, as `EventLog.write` checks the level.
    """
    return structlog.wrap_logger(
        sink,
        processors=[_render_json] if level_logger is None else [_LevelFilter(level_logger), _render_json],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        context_class=dict,
        cache_logger_on_first_use=False,
    ).bind()


class _LevelFilter:
    """Drops the events that a logger does not write."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def __call__(self, _: Any, level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if not _is_enabled(self._logger, level):
            raise structlog.DropEvent
        return line


def _render_json(_: Any, level: str, line: MutableMapping[str, Any]) -> str:
    """Return the line as JSON, with the most important keys first."""
    return _ENCODER.encode({"timestamp": _timestamp(), "level": level, "event": line.pop("event"), **line})


def _timestamp() -> str:
    """Return the time in ISO 8601, in UTC to the millisecond."""
    second, fraction = divmod(time.time(), 1)
    return f"{_second_as_text(int(second))}.{int(fraction * 1000):03d}Z"


@lru_cache(maxsize=4)  # a thousand lines may be written in one second
def _second_as_text(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


_ENCODER = json.JSONEncoder(default=repr)  # created once: json.dumps creates one for each line


class _StandardSink:
    """A logger of the standard library. The message is the line."""

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
        # Not logger.log(), which would look up the effective level again.
        record = self.logger.makeRecord(self.logger.name, level, __file__, 0, line, (), None, extra=extra)
        self.logger.handle(record)


class _AdapterSink(_StandardSink):
    """An adapter of the standard library, or a chain of them. They may add to the message and to the record."""

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
    """The current standard error, with one write for each line so that threads do not mix theirs."""

    def info(self, line: str) -> None:
        try:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001, S110  # sys.stderr may be any object
            pass  # there is none, or its pipe is closed

    warning = error = info


_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_OURS = logging.getLogger(LOGGER_NAME)
_TO_STANDARD_LIBRARY = _as_json(_StandardSink(_OURS), None)
_TO_STDERR = _as_json(_StderrSink(), None)
