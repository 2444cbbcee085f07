"""Run the command line in this process, on frozen time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from fake_server import InProcessAdapter, Scenario, create_app
from support.adapters import BASE_URL
from support.fixtures import Clock
from translation_client._cli import main
from translation_client._client import VideoTranslationClient

Run = Callable[..., tuple[int, str, str]]


def command_runner(clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command against a fake server in process: exit code, stdout, stderr."""

    def run_command(*arguments: str, scenario: Scenario | None = None) -> tuple[int, str, str]:
        session = requests.Session()
        session.mount(BASE_URL, InProcessAdapter(create_app(scenario or Scenario(5))))

        def make(*positional: Any, **more: Any) -> VideoTranslationClient:
            return VideoTranslationClient(*positional, **{"sleep": clock.tick, **more, "session": session})

        monkeypatch.setattr(main, "VideoTranslationClient", make)
        monkeypatch.setattr(time, "sleep", clock.tick)
        code = main.main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command
