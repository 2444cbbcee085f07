"""The commands `submit`, `download` and `delete`, from the submission to the file."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.fixtures import Clock
from support.in_process_service import HOST, KEY, LANGUAGE, SERVICES, VIDEO, ClientSetup, left_in

from fake_server import Scenario
from translation_client import Job, RequestFailed
from translation_client._cli import main, terminal
from translation_client._client import VideoTranslationClient

VARIABLE = {
    "heygen": "HEYGEN_API_KEY",
    "elevenlabs": "ELEVENLABS_API_KEY",
    "azure": "SPEECH_KEY",
    "reference": "TRANSLATION_CLIENT_API_KEY",
}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command against a service in process, with the API key in the environment: exit code, stdout, stderr."""

    def run_command(setup: ClientSetup, command: str, *arguments: str) -> tuple[int, str, str]:
        def make(*positional: Any, **more: Any) -> VideoTranslationClient:
            return VideoTranslationClient(*positional, **{"sleep": clock.tick, **more, "session": setup.session})

        monkeypatch.setattr(main, "VideoTranslationClient", make)
        monkeypatch.setattr(time, "sleep", clock.tick)
        monkeypatch.setenv(VARIABLE[setup.service], KEY)
        code = main.main([command, "--service", setup.service, "--base-url", setup.url, *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


@pytest.mark.parametrize("service", SERVICES)
def test_submit_status_wait_download_and_delete_work_for_each_service(
    clock: Clock, run: Run, tmp_path: Path, service: str
) -> None:
    """Each prints on stdout what the next one needs, and nothing else."""
    setup = ClientSetup(clock, service, Scenario(10, api_key=KEY))
    code, out, _ = run(setup, "submit", VIDEO, LANGUAGE[service], "--option", "title=Talk")
    job_id = out.strip()
    assert (code, out.count("\n")) == (0, 1)

    assert run(setup, "status", job_id)[:2] == (0, "pending\n")
    assert run(setup, "wait", job_id)[:2] == (0, "completed\n")
    path = tmp_path / "talk.es.mp4"
    assert run(setup, "download", job_id, str(path))[:2] == (0, f"{path}\n")
    assert path.stat().st_size == 65536
    assert run(setup, "delete", job_id)[:2] == (0, "deleted\n")


def test_download_chooses_one_of_several_results_by_its_language(clock: Clock, run: Run, tmp_path: Path) -> None:
    """For a service with a single result, `--language` is exit code 2."""
    setup = ClientSetup(clock, "elevenlabs", Scenario(0))
    job_id = str(setup.submit().id)
    assert run(setup, "download", job_id, str(tmp_path / "es.mp4"), "--language", "es")[0] == 0

    other = ClientSetup(clock, "heygen", Scenario(0))
    assert run(other, "download", str(other.submit().id), str(tmp_path / "x.mp4"), "--language", "French")[0] == 2


def test_the_value_of_an_option_is_json_or_text(clock: Clock, run: Run) -> None:
    """A number, a word, a list."""
    setup = ClientSetup(clock, "heygen")
    options = ("--option", "speaker_num=2", "--option", "mode=precision", "--option", 'x=["a"]')
    code, out, _ = run(setup, "submit", VIDEO, setup.language, *options, "--source-language", "English", "--json")

    assert (code, json.loads(out)["status"], json.loads(out)["language"]) == (0, "pending", setup.language)
    [submission] = setup.lab.submissions
    assert {name: submission.fields[name] for name in ("speaker_num", "mode", "x", "input_language")} == {
        "speaker_num": 2,
        "mode": "precision",
        "x": ["a"],
        "input_language": "English",
    }


@pytest.mark.parametrize("option", ["title", "=x"])
def test_an_option_without_name_or_value_exits(clock: Clock, run: Run, option: str) -> None:
    """argparse raises `SystemExit`."""
    with pytest.raises(SystemExit):
        run(ClientSetup(clock, "heygen"), "submit", VIDEO, "French", "--option", option)


def test_a_missing_api_key_is_exit_code_2(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the environment variable."""
    monkeypatch.delenv("HEYGEN_API_KEY", raising=False)
    monkeypatch.setattr(sys, "stderr", stderr := io.StringIO())

    assert main.main(["status", "job-1", "--service", "heygen"]) == 2
    assert "the environment variable HEYGEN_API_KEY" in stderr.getvalue()


def test_an_invalid_submission_is_exit_code_2(clock: Clock, run: Run) -> None:
    """No job is submitted. A download into a folder that does not exist is exit code 2, too."""
    setup = ClientSetup(clock, "heygen")
    for arguments in (("no-such-file.mp4", setup.language), (VIDEO, "Klingon")):
        code, out, err = run(setup, "submit", *arguments)
        assert (code, out) == (2, "")
        assert "translation-client submit: " in err.splitlines()[-1]
    assert run(setup, "download", "job-1", "no-such-folder/x")[0] == 2
    assert setup.lab.submissions == []


def test_a_submission_without_response_is_exit_code_3_and_shows_its_idempotency_key(clock: Clock, run: Run) -> None:
    """The same command with this key submits one job."""
    setup = ClientSetup(clock, "heygen", Scenario(faults=["create/every-1:drop"]))
    code, out, err = run(setup, "submit", VIDEO, setup.language, "--max-faults", "2")
    key = err.rpartition("idempotency_key='")[2].partition("'")[0]
    assert (code, out) == (3, "")

    setup.lab.faults = ()
    assert run(setup, "submit", VIDEO, setup.language, "--idempotency-key", key)[:2] == (0, "job-1\n")
    assert len(setup.lab.submissions) == 1


def test_queue_waits_for_a_slot_when_there_are_too_many_jobs(clock: Clock, run: Run) -> None:
    """Without `--queue` it is exit code 3."""
    setup = ClientSetup(clock, "heygen", Scenario(10, max_jobs=1))
    run(setup, "submit", VIDEO, setup.language)

    assert run(setup, "submit", VIDEO, setup.language)[0] == 3
    assert run(setup, "submit", VIDEO, setup.language, "--queue")[:2] == (0, "job-2\n")


def test_a_time_out_of_submit_is_exit_code_4(clock: Clock, run: Run) -> None:
    """There is no command to resume waiting, as there may be no job."""
    setup = ClientSetup(clock, "heygen", Scenario(1000, max_jobs=1))
    run(setup, "submit", VIDEO, setup.language)
    code, out, err = run(setup, "submit", VIDEO, setup.language, "--queue", "--timeout", "20")

    assert (code, out) == (4, "")
    assert "To resume waiting" not in err


def test_download_of_a_pending_or_failed_job_creates_no_file(clock: Clock, run: Run, tmp_path: Path) -> None:
    """A pending job is exit code 3, a failed one is 1."""
    path = tmp_path / "out.mp4"
    pending = ClientSetup(clock, "heygen")
    assert run(pending, "download", str(pending.submit().id), str(path))[0] == 3
    failed = ClientSetup(clock, "heygen", Scenario(0, outcome="error"))
    assert run(failed, "download", str(failed.submit().id), str(path))[:2] == (1, "")
    assert left_in(tmp_path) == []


def test_the_command_to_resume_names_the_service(clock: Clock, run: Run) -> None:
    """It has the options that were given."""
    setup = ClientSetup(clock, "elevenlabs", Scenario(1000))
    job_id = str(setup.submit().id)
    code, out, err = run(setup, "wait", job_id, "--timeout", "9")

    assert (code, out) == (4, "pending\n")
    assert err.splitlines()[-1] == (
        f"To resume waiting: translation-client wait --service elevenlabs --base-url {HOST} --timeout=9 -- {job_id}"
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_download_on_a_terminal_shows_a_progress_bar(
    clock: Clock, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are no log lines."""
    setup = ClientSetup(clock, "heygen", Scenario(0, result_bytes=300_000))
    job_id = str(setup.submit().id)
    monkeypatch.setattr(sys, "stderr", shown := Terminal())

    assert run(setup, "download", job_id, str(tmp_path / "out.mp4"))[0] == 0
    assert "300.0/300.0" in shown.getvalue()
    assert "{" not in shown.getvalue()


def test_without_a_terminal_or_rich_there_is_no_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """rich is an optional dependency."""
    with terminal.download_bar(None) as on_progress:
        assert on_progress is None
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with terminal.download_bar(Terminal()) as on_progress:
        assert on_progress is None


@pytest.mark.parametrize(("known", "is_shown"), [(True, True), (None, True), (False, False)])
def test_the_idempotency_key_is_shown_unless_no_job_was_created(
    clock: Clock, run: Run, monkeypatch: pytest.MonkeyPatch, known: bool | None, is_shown: bool
) -> None:
    """Also if it is unknown whether a job was created."""

    def fail(*_: object) -> Job:
        raise RequestFailed("lost", may_have_been_accepted=known, idempotency_key="order-7")

    monkeypatch.setattr(main, "_submit_job", fail)
    code, _, err = run(ClientSetup(clock, "heygen"), "submit", VIDEO, LANGUAGE["heygen"])

    assert code == 3
    assert ("--idempotency-key=order-7" in err) is is_shown
