"""What programs of users depend on, as JSON: errors and jobs in pickles, log lines, options, exit codes, a history.

`recorded_interface.json` holds it as an earlier version wrote it. A change of it is a change of the interface: record it
again with `PYTHONPATH=tests python -m support.recorded_interface`, and say so in the changelog.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import pickle
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import translation_client
from fake_server.cli import _build_parser
from translation_client import DurationHistory, Job, Problem, TranslationClientError, TranslationStatus
from translation_client._cli import output
from translation_client._cli.parser import parser
from translation_client._logging import EVENTS, EventLog, wrap_logger
from translation_client.schedule.censoring import Observation

FILE = Path(__file__).with_suffix(".json")

JOB = Job(
    "job-1",
    TranslationStatus.ERROR,
    "Failed",
    progress=0.5,
    result_url="https://storage.test/a.mp4?sig=1",
    error="no speech",
    retry_after=2.0,
    checks=3,
    elapsed=12.5,
    payload={"status": "Failed", "__type__": "x", "nested": [{"__type__": 1}]},
    language="German (Germany)",
    expected_seconds=60.0,
    submitted_at=1.8e9,
    finished_at=1.8e9 + 60,
)

FACTS: dict[str, Any] = {
    "job_id": "job-1",
    "job": JOB,
    "attempts": 4,
    "checks": 3,
    "elapsed": 12.5,
    "may_have_been_accepted": True,
    "idempotency_key": "key-1",
    "seen": {"pending": 2, "HTTP 503": 1},
    "retry_after": 30.0,
    "status_code": 429,
    "problem": Problem({"code": "busy", "message": "later"}),
    "excerpt": "<html>",
}

OBSERVATIONS = [
    Observation(61.5, 61.5, 0.0, "es/precision", 95.0, None, began_at=1.8e9),
    Observation(10.0, None, 5.0, None, None, 40.0, began_at=1.8e9 + 1),
]


def errors() -> dict[str, TranslationClientError]:
    """Return an error of each class with all its facts, by the name of the class."""
    named = {name: getattr(translation_client, name) for name in translation_client.__all__}
    kinds = {
        name: kind
        for name, kind in named.items()
        if isinstance(kind, type) and issubclass(kind, TranslationClientError)
    }
    return {
        name: kind("what happened", **{fact: FACTS[fact] for fact in FACTS if fact in kind._facts})
        for name, kind in kinds.items()
    }


def pickles() -> dict[str, str]:
    """Return each error, and a job, as a pickle in base64."""
    return {name: base64.b64encode(pickle.dumps(value, 4)).decode() for name, value in {**errors(), "Job": JOB}.items()}


def arguments() -> dict[str, Any]:
    """Return the `args` of each error, as a JSON result backend keeps them."""
    return {name: list(error.args) for name, error in errors().items()}


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(record.getMessage()))


def log_lines() -> dict[str, Any]:
    """Return one line of each event, with the length of its time."""
    logger, handler = logging.getLogger("recorded"), _Lines()
    logger.handlers = [handler]
    for event, spec in EVENTS.items():
        EventLog(wrap_logger(logger), "wait-1", "job-1").write(event, **dict.fromkeys(spec.keys, 1.23456))
    return {line["event"]: line | {"timestamp": len(line["timestamp"])} for line in handler.lines}


def options() -> dict[str, Any]:
    """Return the arguments of each command with their help, default and choices."""
    described = {"translation-client": parser(), "fake-translation-server": _build_parser()}
    return {name: _options_of(each) for name, each in described.items()}


def _options_of(command: argparse.ArgumentParser) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for action in command._actions:
        name = ", ".join(action.option_strings) or action.dest
        if isinstance(action, argparse._SubParsersAction):
            found.update({word: _options_of(each) for word, each in action.choices.items()})
        elif not isinstance(action, argparse._HelpAction):
            choices = None if action.choices is None else [str(choice) for choice in action.choices]
            found[name] = [action.help, None if action.default is None else str(action.default), choices]
    return found


def exit_codes() -> dict[str, int]:
    """Return the exit codes by name."""
    return {name: value for name, value in vars(output).items() if name.startswith("EXIT_")}


def history_dump() -> list[str]:
    """Return a history file as statements of SQL."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.sqlite"
        for observation in OBSERVATIONS:
            DurationHistory(path).add("heygen", observation)
        with closing(sqlite3.connect(path)) as database:
            pragmas = [f"PRAGMA {name} = {_pragma(database, name)};" for name in ("application_id", "user_version")]
            return [*database.iterdump(), *pragmas]


def _pragma(database: sqlite3.Connection, name: str) -> int:
    [value] = database.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def today() -> dict[str, Any]:
    """Return everything as this version has it."""
    return {
        "arguments": arguments(),
        "exit_codes": exit_codes(),
        "history": history_dump(),
        "log_lines": log_lines(),
        "options": options(),
        "pickles": pickles(),
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(today(), indent=1, ensure_ascii=False) + "\n")
