"""Errors, jobs, log lines, options, exit codes and histories: as an earlier version wrote them, or still readable."""

from __future__ import annotations

import base64
import json
import pickle
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support import recorded_interface
from support.recorded_interface import FACTS, JOB, OBSERVATIONS

import translation_client
from translation_client import DurationHistory

RECORDED: dict[str, Any] = json.loads(recorded_interface.FILE.read_text())


@pytest.mark.parametrize("name", RECORDED["pickles"])
def test_a_pickle_of_an_earlier_version_can_be_read(name: str) -> None:
    value = pickle.loads(base64.b64decode(RECORDED["pickles"][name]))

    if name == "Job":
        assert value == JOB
    else:
        assert type(value) is getattr(translation_client, name)
        assert str(value) == "what happened"
        for fact in type(value)._facts:
            assert getattr(value, fact) == FACTS[fact]


@pytest.mark.parametrize("name", RECORDED["arguments"])
def test_an_error_of_an_earlier_version_can_be_built_from_json(name: str) -> None:
    error = getattr(translation_client, name)(*RECORDED["arguments"][name])

    for fact in type(error)._facts:
        assert getattr(error, fact) == FACTS[fact]
    assert list(error.args) == RECORDED["arguments"][name]


def test_all_errors_are_recorded() -> None:
    """Record a new one with `PYTHONPATH=tests python -m support.recorded_interface`."""
    assert RECORDED["pickles"].keys() == recorded_interface.pickles().keys()
    assert RECORDED["arguments"].keys() == recorded_interface.arguments().keys()


def test_a_history_of_an_earlier_version_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.executescript("\n".join(RECORDED["history"]))

    jobs = DurationHistory(path).jobs("heygen")
    assert [job._replace(number=0) for job in jobs] == [job._replace(number=0) for job in OBSERVATIONS]
    assert recorded_interface.history_dump() == RECORDED["history"]


@pytest.mark.parametrize("what", ["exit_codes", "log_lines", "options"])
def test_exit_codes_log_lines_and_options_are_as_recorded(what: str) -> None:
    """A change of them is a change of the interface, and needs an entry in the changelog.

    Record it with `PYTHONPATH=tests python -m support.recorded_interface`.
    """
    assert json.loads(json.dumps(recorded_interface.today()[what])) == RECORDED[what]
