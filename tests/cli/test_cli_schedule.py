"""The command `schedule`, and the command `wait` with a learned schedule."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from support.adapters import BASE_URL
from support.command_line import Run, command_runner
from support.fixtures import Clock

from fake_server import Scenario
from translation_client import DurationHistory
from translation_client._cli import main
from translation_client._cli.schedule import MAX_ROWS

STEADY = [str(58 + number % 5) for number in range(50)]


@pytest.fixture
def run(clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command against a fake server in process: exit code, stdout, stderr."""
    return command_runner(clock, monkeypatch, capsys)


def run_schedule(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main.main(["schedule", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_without_past_jobs_the_table_has_the_quadratic_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    """With a check cost of 3 s, the first checks are at 3, 12 and 27 s."""
    code, out, err = run_schedule(capsys, "--check-cost", "3", "--until", "100")
    lines = out.splitlines()

    assert (code, err) == (0, "")
    assert lines[0].split() == ["check", "at", "gap", "finished", "by", "then"]
    assert [line.split()[:3] for line in lines[1:4]] == [["1", "3.0", "s"], ["2", "12.0", "s"], ["3", "27.0", "s"]]
    assert lines[1].endswith("not known")
    assert "Nothing is learned yet (0 past jobs)" in out


def test_the_table_compares_the_learned_schedule_with_usual_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """The others are those that a person might choose."""
    code, out, _ = run_schedule(capsys, "--check-cost", "3", *STEADY)

    assert code == 0
    assert "Learned from 50 past jobs" in out
    for schedule in (
        "this schedule",
        "same lag",
        "every 5 s",
        "every 10 s",
        "every 30 s",
        "2, 4, 8 ... 60 s",
        "1 s x1.5 ... 20 s",
    ):
        assert schedule in out


def test_json_prints_the_checks_and_the_costs_of_all_schedules(capsys: pytest.CaptureFixture[str]) -> None:
    """The learned schedule costs less than every other one."""
    table = json.loads(run_schedule(capsys, "--check-cost", "3", "--until", "80", "--json", *STEADY)[1])

    assert table["past_jobs"] == 50
    assert table["horizon_seconds"] == 80
    ours, *others = table["schedules"]
    assert all(ours["cost_seconds"] < other["cost_seconds"] for other in others)
    assert all(
        one["cost_seconds"] == pytest.approx(3 * one["requests"] + one["lag_seconds"]) for one in table["schedules"]
    )
    as_soon = others[0]
    assert as_soon["lag_seconds"] == pytest.approx(ours["lag_seconds"], rel=0.05)
    assert as_soon["requests"] > 2 * ours["requests"]
    checks = table["checks"]
    assert [row["check"] for row in checks] == list(range(1, len(checks) + 1))
    assert 0.3 < checks[0]["finished"] < checks[-1]["finished"] < 1
    assert checks[-1]["at_seconds"] >= 80


def test_with_target_lag_the_schedules_have_no_cost(capsys: pytest.CaptureFixture[str]) -> None:
    """No check cost was given."""
    table = json.loads(run_schedule(capsys, "--target-lag", "2", "--json", *STEADY)[1])

    assert {one["cost_seconds"] for one in table["schedules"]} == {None}
    assert run_schedule(capsys, "--target-lag", "2", *STEADY)[0] == 0


def test_a_long_table_is_shortened_to_max_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """It has the number of checks that are left out."""
    out = run_schedule(capsys, "--check-cost", "0.1", "--until", "1000")[1]

    assert f"... and {100 - MAX_ROWS} more until 1000.0 s" in out


def test_a_history_is_read_for_a_service_a_kind_and_a_video_length(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The first check of a video of twice the length is about twice as late."""
    path = tmp_path / "durations.sqlite"
    history = DurationHistory(path)
    for number in range(40):
        history.record(10 * (100 + number), service="heygen", kind="ja", video_seconds=100 + number)
        history.record(1, service="azure")
    arguments = ["--history", str(path), "--service", "heygen", "--kind", "ja", "--check-cost", "60", "--json"]
    short, long = (
        json.loads(run_schedule(capsys, *arguments, "--video-seconds", length)[1])["checks"]
        for length in ("100", "200")
    )

    assert 800 < short[0]["at_seconds"] < 1300
    assert 1600 < long[0]["at_seconds"] < 2600


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "exactly one of check_cost and target_lag"),
        (["--check-cost", "3", "--target-lag", "3"], "exactly one"),
        (["--check-cost", "0"], "check_cost"),
        (["--check-cost", "3", "--until", "0"], "until"),
        (["--check-cost", "3", "--until", "1e9"], "until"),
        (["--check-cost", "3", "--video-seconds", "-1"], "video_seconds"),
        (["--check-cost", "3", "--history", "nowhere.sqlite"], "nowhere.sqlite"),
        (["--check-cost", "3", "--history", "nowhere.sqlite", "60"], "nowhere.sqlite"),
        (["--check-cost", "3", "nan"], "durations"),
        (["--check-cost", "3", "inf"], "durations"),
        (["--check-cost", "0.0000001", "--until", "1000000"], "check_cost"),
    ],
)
def test_an_invalid_argument_is_exit_code_2(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No file is created."""
    monkeypatch.chdir(tmp_path)
    code, out, err = run_schedule(capsys, *arguments)

    assert (code, out) == (2, "")
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_wait_uses_a_learned_schedule_and_records_the_job_in_the_history(
    run: Run, tmp_path: Path, clock: Clock
) -> None:  # the fixture
    """The history file and the time of the submission are options."""
    path = tmp_path / "durations.sqlite"
    arguments = ["wait", "--base-url", BASE_URL, "--history", str(path), "--check-cost", "3", "--max-retries", "99"]
    more = ["--kind", "es", "--video-seconds", "95", "--timeout", "100"]
    code, out, err = run(*arguments, *more, "--submitted-at", str(time.time()), scenario=Scenario(20))

    assert (code, out) == (0, "completed\n")
    assert "schedule" in {json.loads(line).get("reason") for line in err.splitlines()}
    [learned] = DurationHistory(path).jobs("reference")
    assert (learned.kind, learned.video_seconds) == ("es", 95)


def test_the_command_to_resume_has_all_options_of_a_learned_wait(run: Run, tmp_path: Path) -> None:  # the fixture
    """A value with a space is quoted, so that the command can be run again."""
    path = tmp_path / "durations.sqlite"
    typed = ["--check-cost=3", "--timeout=10", f"--history={path}", "--jitter=0.1", "--kind=es precision"]
    typed += ["--submitted-at=1795598826.174853"]
    _, _, err = run("wait", "--base-url", BASE_URL, *typed, "job-1", scenario=Scenario(100))
    code, _, err = run("wait", "--base-url", BASE_URL, *typed, scenario=Scenario(100))

    assert code == 4
    command = err.splitlines()[-1]
    for word in (
        "--check-cost=3",
        "--timeout=10",
        f"--history={path}",
        "--jitter=0.1",
        "'--kind=es precision'",
        typed[-1],
    ):
        assert word in command


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["--check-cost", "3"], "history"),
        (["--history", "h.sqlite"], "exactly one"),
        (["--history", "h.sqlite", "--check-cost", "3", "--submitted-at", "-1"], "submitted_at"),
    ],
)
def test_wait_with_invalid_options_for_learning_is_exit_code_2(
    typed: list[str],
    message: str,
    run: Run,  # the fixture
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """stdout is empty."""
    monkeypatch.chdir(tmp_path)
    code, out, err = run("wait", "--base-url", BASE_URL, *typed)

    assert (code, out) == (2, "")
    assert message in err


def test_schedule_creates_no_client_and_needs_no_api_key(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command only prints a table."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a client was made")

    monkeypatch.delenv("HEYGEN_API_KEY", raising=False)
    monkeypatch.setattr(main, "VideoTranslationClient", refuse)

    assert run_schedule(capsys, "--service", "heygen", "--check-cost", "3")[0] == 0
