"""The command line from order to file."""

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
from support.in_process_service import HOST, KEY, LANGUAGE, SERVICES, VIDEO, World, left_in

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
    """Run a command against a world, its key in the environment: exit code, stdout, stderr."""

    def run_command(world: World, command: str, *arguments: str) -> tuple[int, str, str]:
        def make(*positional: Any, **more: Any) -> VideoTranslationClient:
            return VideoTranslationClient(*positional, **{"sleep": clock.tick, **more, "session": world.session})

        monkeypatch.setattr(main, "VideoTranslationClient", make)
        monkeypatch.setattr(time, "sleep", clock.tick)
        monkeypatch.setenv(VARIABLE[world.service], KEY)
        code = main.main([command, "--service", world.service, "--base-url", world.url, *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


@pytest.mark.parametrize("service", SERVICES)
def test_four_commands_lead_from_a_video_to_its_translation(
    clock: Clock, run: Run, tmp_path: Path, service: str
) -> None:
    """Each prints what the next one needs, and nothing else, on stdout."""
    world = World(clock, service, Scenario(10, api_key=KEY))
    code, out, _ = run(world, "submit", VIDEO, LANGUAGE[service], "--option", "title=Talk")
    job_id = out.strip()
    assert (code, out.count("\n")) == (0, 1)

    assert run(world, "status", job_id)[:2] == (0, "pending\n")
    assert run(world, "wait", job_id)[:2] == (0, "completed\n")
    path = tmp_path / "talk.es.mp4"
    assert run(world, "download", job_id, str(path))[:2] == (0, f"{path}\n")
    assert path.stat().st_size == 65536
    assert run(world, "delete", job_id)[:2] == (0, "deleted\n")


def test_a_result_of_several_is_chosen(clock: Clock, run: Run, tmp_path: Path) -> None:
    """By its language; a mistake where there is one alone."""
    world = World(clock, "elevenlabs", Scenario(0))
    job_id = str(world.submit().id)
    assert run(world, "download", job_id, str(tmp_path / "es.mp4"), "--language", "es")[0] == 0

    other = World(clock, "heygen", Scenario(0))
    assert run(other, "download", str(other.submit().id), str(tmp_path / "x.mp4"), "--language", "French")[0] == 2


def test_options_are_json_or_text(clock: Clock, run: Run) -> None:
    """A number, a word, a list."""
    world = World(clock, "heygen")
    given = ("--option", "speaker_num=2", "--option", "mode=precision", "--option", 'x=["a"]')
    code, out, _ = run(world, "submit", VIDEO, world.language, *given, "--source-language", "English", "--json")

    assert (code, json.loads(out)["status"], json.loads(out)["language"]) == (0, "pending", world.language)
    [order] = world.lab.submissions
    assert {name: order.fields[name] for name in ("speaker_num", "mode", "x", "input_language")} == {
        "speaker_num": 2,
        "mode": "precision",
        "x": ["a"],
        "input_language": "English",
    }


@pytest.mark.parametrize("option", ["title", "=x"])
def test_an_option_has_a_name_and_a_value(clock: Clock, run: Run, option: str) -> None:
    """As argparse has it."""
    with pytest.raises(SystemExit):
        run(World(clock, "heygen"), "submit", VIDEO, "French", "--option", option)


def test_a_missing_key_is_exit_code_2(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the name of the variable."""
    monkeypatch.delenv("HEYGEN_API_KEY", raising=False)
    monkeypatch.setattr(sys, "stderr", said := io.StringIO())

    assert main.main(["status", "job-1", "--service", "heygen"]) == 2
    assert "the environment variable HEYGEN_API_KEY" in said.getvalue()


def test_a_bad_order_is_exit_code_2(clock: Clock, run: Run) -> None:
    """Nothing was submitted."""
    world = World(clock, "heygen")
    for arguments in (("no-such-file.mp4", world.language), (VIDEO, "Klingon")):
        code, out, err = run(world, "submit", *arguments)
        assert (code, out) == (2, "")
        assert "translation-client submit: " in err.splitlines()[-1]
    assert run(world, "download", "job-1", "no-such-folder/x")[0] == 2
    assert world.lab.submissions == []


def test_an_order_whose_fate_is_unknown_is_exit_code_3_with_the_key_to_go_on_with(clock: Clock, run: Run) -> None:
    """It can be pasted."""
    world = World(clock, "heygen", Scenario(faults=["create/every-1:drop"]))
    code, out, err = run(world, "submit", VIDEO, world.language, "--max-faults", "2")
    key = err.rpartition("idempotency_key='")[2].partition("'")[0]
    assert (code, out) == (3, "")

    world.lab.faults = ()
    assert run(world, "submit", VIDEO, world.language, "--idempotency-key", key)[:2] == (0, "job-1\n")
    assert len(world.lab.submissions) == 1


def test_too_many_jobs_and_a_queue(clock: Clock, run: Run) -> None:
    """Exit code 3, or a wait for a slot."""
    world = World(clock, "heygen", Scenario(10, max_jobs=1))
    run(world, "submit", VIDEO, world.language)

    assert run(world, "submit", VIDEO, world.language)[0] == 3
    assert run(world, "submit", VIDEO, world.language, "--queue")[:2] == (0, "job-2\n")


def test_a_time_out_of_an_order_is_exit_code_4(clock: Clock, run: Run) -> None:
    """Without a command to go on waiting: there may be no job."""
    world = World(clock, "heygen", Scenario(1000, max_jobs=1))
    run(world, "submit", VIDEO, world.language)
    code, out, err = run(world, "submit", VIDEO, world.language, "--queue", "--timeout", "20")

    assert (code, out) == (4, "")
    assert "To resume waiting" not in err


def test_a_download_of_what_is_not_there(clock: Clock, run: Run, tmp_path: Path) -> None:
    """A pending job is exit code 3, one that failed is 1, a disk that takes nothing is 3."""
    path = tmp_path / "out.mp4"
    pending = World(clock, "heygen")
    assert run(pending, "download", str(pending.submit().id), str(path))[0] == 3
    failed = World(clock, "heygen", Scenario(0, outcome="error"))
    assert run(failed, "download", str(failed.submit().id), str(path))[:2] == (1, "")
    assert left_in(tmp_path) == []


def test_the_command_to_go_on_names_the_service(clock: Clock, run: Run) -> None:
    """And keeps what was given."""
    world = World(clock, "elevenlabs", Scenario(1000))
    job_id = str(world.submit().id)
    code, out, err = run(world, "wait", job_id, "--timeout", "9")

    assert (code, out) == (4, "pending\n")
    assert err.splitlines()[-1] == (
        f"To resume waiting: translation-client wait --service elevenlabs --base-url {HOST} --timeout=9 -- {job_id}"
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar(clock: Clock, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no log; it is taken away at the end."""
    world = World(clock, "heygen", Scenario(0, result_bytes=300_000))
    job_id = str(world.submit().id)
    monkeypatch.setattr(sys, "stderr", shown := Terminal())

    assert run(world, "download", job_id, str(tmp_path / "out.mp4"))[0] == 0
    assert "300.0/300.0" in shown.getvalue()
    assert "{" not in shown.getvalue()


def test_no_terminal_and_no_rich_mean_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is for looks alone."""
    with terminal.download_bar(None) as told:
        assert told is None
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with terminal.download_bar(Terminal()) as told:
        assert told is None


@pytest.mark.parametrize(("known", "is_told"), [(True, True), (None, True), (False, False)])
def test_how_to_go_on_is_told_unless_no_job_was_made(
    clock: Clock, run: Run, monkeypatch: pytest.MonkeyPatch, known: bool | None, is_told: bool
) -> None:
    """Also where nobody knows."""

    def fail(*_: object) -> Job:
        raise RequestFailed("lost", may_have_been_accepted=known, idempotency_key="order-7")

    monkeypatch.setattr(main, "_submit_job", fail)
    code, _, err = run(World(clock, "heygen"), "submit", VIDEO, LANGUAGE["heygen"])

    assert code == 3
    assert ("--idempotency-key=order-7" in err) is is_told
