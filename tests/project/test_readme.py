"""The README: its examples run and print the output in it, and its tables agree with the code."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from support.readme import README, ROOT

from fake_server import Scenario, Server
from fake_server.faults import ACTIONS
from translation_client._cli import output
from translation_client._logging import EVENTS
from translation_client.services import SERVICES

pytestmark = pytest.mark.exhaustive

BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
BLOCKS = BLOCK.findall(README)
USERS_TESTS = [code for language, code in BLOCKS if language == "python" and "def test_" in code]
OF_PYTHON = [
    (code, BLOCKS[number + 1][1] if BLOCKS[number + 1][0] == "text" else "")
    for number, (language, code) in enumerate(BLOCKS)
    if language == "python" and code not in USERS_TESTS
]
OF_LOOPS = [(code, output) for code, output in OF_PYTHON if "as_completed(" in code or "asyncio.run(" in code]
EXAMPLES = [example for example in OF_PYTHON if example not in OF_LOOPS]


@pytest.mark.parametrize(("code", "output"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_prints_the_output_below_it(code: str, output: str, tmp_path: Path) -> None:
    """Against servers in process, on a frozen clock that every sleep moves, so that no sleep is real."""
    frame = f"""
import os, sys, threading, requests
from freezegun import freeze_time
from fake_server import InProcessAdapter, Scenario, create_app
sys.path.insert(0, {str(ROOT / "tests")!r})
from support.did_server import create_did_app

os.environ.update(HEYGEN_API_KEY="key-of-heygen", DID_API_KEY="key-of-did")
with freeze_time() as frozen:
    did = InProcessAdapter(create_did_app())
    heygen = InProcessAdapter(create_app(Scenario(3), service="heygen"))
    reference = InProcessAdapter(create_app(Scenario(3)))
    at = {{"api.heygen.com": heygen, "api.d-id.com": did, "results.did.test": did, "": reference}}
    served = lambda url: next(adapter for host, adapter in at.items() if host in url)
    requests.Session.get_adapter = lambda session, url: session.adapters.get("http://fake.test", served(url))
    threading.Event.wait = lambda event, timeout=None: frozen.tick(timeout) and False
    exec(compile({code!r}, "README.md", "exec"), {{}})
"""
    done = subprocess.run(
        [sys.executable, "-c", frame], capture_output=True, text=True, cwd=tmp_path, check=False, timeout=60
    )

    assert (done.returncode, done.stdout) == (0, output), done.stderr


@pytest.mark.parametrize(("code", "output"), OF_LOOPS, ids=range(len(OF_LOOPS)))
def test_an_example_with_an_event_loop_prints_the_output_below_it(code: str, output: str, tmp_path: Path) -> None:
    """Against a server on a socket, whose jobs are completed at once. They may end in any order."""
    with Server(Scenario(duration=0)) as server:
        for _ in range(3):
            requests.post(f"{server.url}/jobs", timeout=60)
        there = code.replace("http://127.0.0.1:5000", server.url)
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", there],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
            timeout=60,
        )

    assert (done.returncode, sorted(done.stdout.splitlines())) == (0, output.splitlines()), done.stderr


def test_the_readme_has_examples() -> None:
    """The tests of the examples would pass with an empty list."""
    assert len(EXAMPLES) >= 5
    assert len(OF_LOOPS) == 2
    assert len(USERS_TESTS) == 1


@pytest.mark.parametrize("code", USERS_TESTS)
def test_an_example_that_is_a_test_passes(code: str, tmp_path: Path) -> None:
    """In a folder without the files of this test suite."""
    (tmp_path / "test_theirs.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=60)

    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


@pytest.mark.parametrize("action", ACTIONS)
def test_every_fault_action_is_in_the_table_once(action: str) -> None:
    """Except `answer`."""
    rows = README[README.index("| what | what happens |") : README.index("As JSON a fault says more")]
    named = re.findall(r"`([a-z-]+)[`@]", rows)

    assert named.count(action) == (0 if action == "answer" else 1)


@pytest.mark.parametrize("name", EVENTS)
def test_every_log_event_is_in_the_table_with_its_level_and_keys(name: str) -> None:
    """The keys are in the order in which they are logged."""
    row = next(line for line in README.splitlines() if line.startswith(f"| `{name}` "))
    _, _, level, _, keys, _ = row.split("|")

    assert level.strip() == EVENTS[name].level
    assert tuple(re.findall(r"[a-z_]+", re.sub(r"\(.*?\)", "", keys))) == EVENTS[name].keys


def test_the_first_example_has_at_most_10_lines() -> None:
    """Blank lines do not count."""
    assert len([line for line in EXAMPLES[0][0].splitlines() if line]) <= 10


def test_the_readme_lists_the_exit_codes_and_the_api_key_variables() -> None:
    """Scripts rely on the exit codes. That of a terminated command is the number of the signal and 128."""
    listed = README.partition("Exit codes:\n\n")[2].partition("\n\n")[0]
    codes = [
        (output.EXIT_OK, "finished"),
        (output.EXIT_JOB_FAILED, "the job failed"),
        (output.EXIT_USAGE, "usage"),
        (output.EXIT_REQUEST_FAILED, "the request failed"),
        (output.EXIT_TIMED_OUT, "timed out"),
        (output.EXIT_SOFTWARE, "internal error"),
        (output.EXIT_IOERR, "stdout could not be written"),
        (output.EXIT_INTERRUPTED, "interrupted"),
        (128 + signal.SIGTERM, "`download` or `demo` was terminated"),
    ]

    meanings = [(int(code), meaning) for code, meaning in re.findall(r"^- (\d+): ([a-z` ]+)", listed, re.MULTILINE)]
    assert meanings == codes
    for service in SERVICES.values():
        assert str(service.key_variable) in README


def test_ci_runs_the_test_command_of_the_readme() -> None:
    """A pass in CI and a local one mean the same."""
    command = "python3 -m venv .venv && .venv/bin/pip install tox && .venv/bin/tox"

    assert f"```sh\n{command}\n```" in README
    assert command in (ROOT / ".ci" / "run").read_text()
