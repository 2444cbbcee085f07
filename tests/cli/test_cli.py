"""The command line: the result on stdout, everything else on stderr, and the exit codes."""

import io
import json
import sys
from typing import Any

import pytest
from support.adapters import BASE_URL
from support.command_line import Run, command_runner
from support.fixtures import Clock

from fake_server import Fault, Scenario
from translation_client._cli import main, terminal
from translation_client._cli.demo import ServerDidNotStartError
from translation_client._cli.parser import parser, resume_command
from translation_client._exceptions import json_value
from translation_client._models import Job, TranslationStatus

KEY_VARIABLE = "TRANSLATION_CLIENT_API_KEY"


@pytest.fixture
def run(clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command against a fake server in process: exit code, stdout, stderr."""
    return command_runner(clock, monkeypatch, capsys)


def test_wait_prints_the_status_and_logs_json(run: Run) -> None:
    """The status is all that stdout has."""
    code, out, err = run("wait", "--base-url", BASE_URL)

    assert (code, out) == (0, "completed\n")
    assert [json.loads(line)["event"] for line in err.splitlines()][-1] == "job_finished"


def test_status_checks_once_and_a_pending_job_is_exit_code_0(run: Run) -> None:
    """stderr has one line, that of the check."""
    code, out, err = run("status", "--base-url", BASE_URL)

    assert (code, out, err.count("\n")) == (0, "pending\n", 1)


@pytest.mark.parametrize("command", ["status", "wait"])
def test_a_failed_job_is_exit_code_1(run: Run, command: str) -> None:
    """Its status is on stdout."""
    assert run(command, "--base-url", BASE_URL, scenario=Scenario(0, "error"))[:2] == (1, "error\n")


def test_a_failed_request_is_exit_code_3(run: Run) -> None:
    """The message is on stderr."""
    code, out, err = run("wait", "nope", "--base-url", BASE_URL)

    assert (code, out) == (3, "")
    assert "Check the id and base_url" in err.splitlines()[-1]


def test_a_time_out_is_exit_code_4_and_prints_the_command_to_resume(run: Run) -> None:
    """The last status is on stdout: the job has not failed, and is not done yet."""
    code, out, err = run("wait", "--base-url", BASE_URL, "--timeout", "3")

    assert (code, out) == (4, "pending\n")
    assert err.splitlines()[-1] == (f"To resume waiting: translation-client wait --base-url {BASE_URL} --timeout=3")


def test_exhausted_retries_are_exit_code_4(run: Run) -> None:
    """The job is still running."""
    assert run("wait", "--base-url", BASE_URL, "--max-retries", "0")[0] == 4


def test_the_command_to_resume_quotes_the_job_id_and_has_no_password() -> None:
    """It may be pasted, and may be logged."""
    options = parser().parse_args(["wait", "a b", "--base-url", "https://u:s3cret@host/x"])

    assert resume_command(options) == "translation-client wait --base-url https://host/x -- 'a b'"


@pytest.mark.parametrize(
    "arguments",
    [
        ["wait"],  # the reference service has no URL of its own
        ["wait", "--base-url", "nonsense"],
        ["wait", "--base-url", BASE_URL, "--timeout", "nan"],
        ["wait", "--base-url", BASE_URL, "--max-retries", "1.5"],
        ["status", "..", "--base-url", BASE_URL],
    ],
)
def test_an_invalid_argument_is_exit_code_2(run: Run, arguments: list[str]) -> None:
    """The message is a single line."""
    code, out, err = run(*arguments)

    assert (code, out, err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    "arguments", [[], ["wait", "--service", "nobody"], ["wait", "--base-url", BASE_URL, "--timeout", "x"], ["fetch"]]
)
def test_a_usage_error_is_exit_code_2(arguments: list[str]) -> None:
    """It is the exit code of argparse."""
    with pytest.raises(SystemExit) as caught:
        main.main(arguments)

    assert caught.value.code == 2


@pytest.mark.parametrize("command", [None, "submit", "status", "wait", "schedule", "download", "delete", "demo"])
def test_help_lists_the_exit_codes(command: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    """With and without a command."""
    with pytest.raises(SystemExit) as caught:
        main.main(["-h"] if command is None else [command, "-h"])
    out = capsys.readouterr().out

    assert caught.value.code == 0
    assert f"usage: translation-client {command or '[-h] COMMAND'} " in out
    assert "Exit codes: 0 success" in out


def test_json_prints_all_fields_of_the_job(run: Run) -> None:
    """For programs such as jq."""
    out = run("wait", "--base-url", BASE_URL, "--json")[1]

    assert json.loads(out) == {
        "id": "",
        "status": "completed",
        "raw_status": "completed",
        "progress": None,
        "result_url": None,
        "error": None,
        "retry_after": None,
        "checks": 3,
        "elapsed": 6.0,
        "payload": {"result": "completed"},
        "language": None,
        "expected_seconds": None,
        "submitted_at": None,
        "finished_at": None,
    }


def test_an_interrupt_is_exit_code_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says that the job is still running."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "_wait", lambda options, **_: interrupt(options))
    code, out, err = run("wait", "--base-url", BASE_URL)

    assert (code, out, err) == (130, "", "interrupted; the job is still running\n")


def test_an_interrupt_of_a_command_without_a_job_mentions_no_job(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is none that could still be running."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    for command in (["schedule", "--check-cost", "3"], ["demo"]):
        monkeypatch.setattr(main, f"_{command[0]}", interrupt)
        assert main.main(command) == 130
        assert capsys.readouterr().err == "interrupted\n"


def test_the_api_key_is_read_from_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command line could be read by everybody. The message about an invalid key does not show it."""
    monkeypatch.setenv(KEY_VARIABLE, "bad\nkey")
    code, _, err = run("status", "--base-url", BASE_URL)

    assert (code, f"{KEY_VARIABLE} cannot be sent" in err, "bad" in err) == (2, True, False)


def test_an_empty_api_key_in_the_environment_counts_as_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many shells export a variable that is not set as empty."""
    monkeypatch.setenv(KEY_VARIABLE, "")

    assert run("status", "--base-url", BASE_URL)[0] == 0


def test_json_value_replaces_infinity_and_nan_by_none() -> None:
    """Python's `json` reads and writes them, but other parsers do not."""
    assert json_value({"a": [float("nan"), 1.5, "x"], "b": float("inf")}) == {"a": [None, 1.5, "x"], "b": None}


def test_without_stderr_the_status_is_still_printed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is right, too: 1 would mean that the job failed."""
    monkeypatch.setattr(sys, "stderr", None)

    assert run("status", "--base-url", BASE_URL)[:2] == (0, "pending\n")
    assert run("status", "nope", "--base-url", BASE_URL)[:2] == (3, "")


def test_an_unexpected_exception_is_exit_code_70(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own exit code for it is 1, which means a failed job here."""

    def fail(*_: Any) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(main, "_wait", lambda options, **_: fail(options))
    code, _, err = run("wait", "--base-url", BASE_URL)

    assert (code, "ValueError: a bug" in err) == (70, True)


def test_without_stdout_the_exit_code_is_74(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is lost. `print` would do nothing, and the command would seem to succeed."""
    monkeypatch.setattr(sys, "stdout", None)

    assert run("status", "--base-url", BASE_URL)[0] == 74


class Terminal(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_status_line_replaces_the_log_lines_of_the_checks(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cleared at the end. Warnings are still logged."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    fault = Fault(nth=2, status_code=503)
    code, out, _ = run("wait", "--base-url", BASE_URL, scenario=Scenario(5, faults=(fault,)))

    shown = screen.getvalue()
    assert (code, out) == (0, "completed\n")
    assert "pending · 1 check · 0 of 30 s · next in 2 s" in shown
    assert '"event": "check_failed"' in shown
    assert '"event": "status_checked"' not in shown
    assert shown.endswith("\r\x1b[K")


def test_verbose_logs_each_check_on_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no status line."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    run("wait", "--base-url", BASE_URL, "-v")

    assert '"event": "status_checked"' in screen.getvalue()
    assert "\x1b" not in screen.getvalue()


def test_the_status_line_shows_progress_and_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """It is truncated to the width of the terminal."""
    monkeypatch.setenv("COLUMNS", "30")
    screen = Terminal()
    line = terminal.StatusLine(screen, 3600)
    line.show(Job("j", TranslationStatus.PENDING, "rendering", progress=0.4, checks=12))

    assert screen.getvalue() == "\r\x1b[Krendering 40% · 12 checks · 0\r"


def test_the_status_line_ignores_an_os_error_of_the_terminal() -> None:
    """A terminal that goes away must not end a wait."""

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("gone")

    terminal.StatusLine(Gone(), 30).clear()


def test_demo_says_why_its_server_did_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Most likely an extra is missing. The exit code is 3."""

    def fail() -> None:
        raise ServerDidNotStartError("the fake server did not start: No module named 'flask'")

    monkeypatch.setattr(main, "running_fake_server", fail)

    assert main.main(["demo"]) == 3
    assert "the fake server did not start: No module named 'flask'" in capsys.readouterr().err
