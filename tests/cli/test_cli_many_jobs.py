"""The command line with many jobs: a line for each job, ids on stdin, a table on a terminal, and one exit code."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from support.fixtures import ServerTime

from fake_server import Scenario, Server
from translation_client import TranslationStatus, WaitTimeout
from translation_client._cli import main
from translation_client._cli.terminal import BatchTable, batch_table
from translation_client._models import Job


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Scenario(duration=0)) as running:
        yield running


def submitted(server: Server, count: int) -> list[str]:
    return [requests.post(f"{server.url}/jobs", timeout=60).json()["id"] for _ in range(count)]


def waited(capsys: pytest.CaptureFixture[str], server: Server, *arguments: str) -> tuple[int, list[str], str]:
    code = main.main(["wait", "--base-url", server.url, "--timeout", "5", "--backoff-factor", "0.05", *arguments])
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err


def test_wait_prints_one_line_per_job(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """The id and the status, separated by a tab."""
    ids = submitted(server, 5)
    code, out, _ = waited(capsys, server, *ids)

    assert code == 0
    assert sorted(out) == [f"{job_id}\tcompleted" for job_id in ids]


def test_a_dash_reads_job_ids_from_stdin(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One id per line. Blank lines are skipped."""
    ids = submitted(server, 4)
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join([ids[1], "", f"  {ids[2]} ", ids[3]]) + "\n"))
    code, out, _ = waited(capsys, server, ids[0], "-")

    assert code == 0
    assert sorted(out) == [f"{job_id}\tcompleted" for job_id in ids]


def test_a_dash_alone_with_an_empty_stdin_prints_nothing(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is 0."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))

    assert waited(capsys, server, "-")[:2] == (0, [])


def test_json_prints_each_job_or_error_on_one_line(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """An error has the id and the message."""
    [job_id] = submitted(server, 1)
    code, out, err = waited(capsys, server, "--json", job_id, "job-x")
    by_id = {line["id"]: line for line in map(json.loads, out)}

    assert code == 3
    assert by_id[job_id]["status"] == "completed"
    assert (by_id["job-x"]["error"], by_id["job-x"]["status"]) == ("RequestFailed", None)
    assert by_id["job-x"]["message"] in err


@pytest.mark.parametrize(
    ("outcome", "pending", "extra", "code"),
    [
        ("completed", 0, [], 0),
        ("error", 0, [], 1),
        ("completed", 1, [], 4),
        ("error", 1, [], 4),
        ("completed", 0, ["job-x"], 3),
        ("error", 0, ["job-x"], 3),
        ("error", 1, ["job-x"], 3),
    ],
)
def test_the_exit_code_is_that_of_the_worst_result(
    outcome: Any,
    pending: int,
    extra: list[str],
    code: int,
    server_time: ServerTime,
    server: Server,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From the worst: a failed request, a job that is still pending after the last check, a failed job."""
    server.play(Scenario(duration=30, outcome=outcome))
    ended = submitted(server, 2)
    server_time.advance(30)
    seen = waited(capsys, server, *ended, *submitted(server, pending), *extra, "--max-retries", "0")

    assert seen[0] == code
    assert sum("RetriesExhausted" in line for line in seen[1]) == pending


def test_a_time_out_of_a_job_is_exit_code_4(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """The line of the job has `WaitTimeout` as its status."""
    server.play(Scenario(duration=100))
    ids = submitted(server, 2)
    code, out, err = waited(capsys, server, *ids, "--timeout", "0.3")

    assert code == 4
    assert sorted(out) == [f"{job_id}\tWaitTimeout" for job_id in ids]
    assert "The job has not failed" in err


@pytest.mark.parametrize(
    ("typed", "name"),
    [(["--checks-per-second", "0"], "checks_per_second"), (["--max-in-flight", "0.5"], "max_in_flight")],
)
def test_an_invalid_number_is_exit_code_2(
    typed: list[str], name: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """stdout is empty, and the message names the argument."""
    code, out, err = waited(capsys, server, "a", "b", *typed)

    assert (code, out) == (2, [])
    assert name in err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_stderr_shows_a_table(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It replaces the INFO lines. The results are still on stdout."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    ids = submitted(server, 3)
    code = main.main(["wait", "--base-url", server.url, *ids])

    assert code == 0
    assert "pending; ended:" in terminal.getvalue()
    assert "status_checked" not in terminal.getvalue()
    assert sorted(capsys.readouterr().out.splitlines()) == [f"{job_id}\tcompleted" for job_id in ids]


def test_the_table_counts_ended_jobs_and_shows_the_latest_pending_ones() -> None:
    """At most 15 of them."""
    from rich.console import Console

    table = BatchTable()
    for number in range(30):
        table.record_job(Job(f"job-{number}", TranslationStatus.PENDING, "rendering", progress=0.25, checks=2))
    table.record_job(Job("job-29", TranslationStatus.COMPLETED, "done"))
    table.record_result(Job("job-29", TranslationStatus.COMPLETED, "done"))
    table.record_result(WaitTimeout("late", job_id="job-28"))
    shown = io.StringIO()
    Console(file=shown, width=100).print(table)
    text = shown.getvalue()

    assert "28 pending; ended: 1 completed, 1 WaitTimeout" in text
    assert "job-27" in text
    assert "job-29" not in text
    assert "job-12 " not in text
    assert "25%" in text


def test_without_a_terminal_or_rich_there_is_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """No error is raised."""
    with batch_table(None) as table:
        assert table is None
    monkeypatch.setitem(sys.modules, "rich.live", None)
    with batch_table(Terminal()) as table:
        assert table is None
