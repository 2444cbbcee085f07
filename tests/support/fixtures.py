"""The types of the fixtures in `conftest.py`."""

from __future__ import annotations

from typing import Any, Protocol

from freezegun.api import FrozenDateTimeFactory, StepTickTimeFactory, TickingDateTimeFactory

import translation_client._jobs.batch.thread  # noqa: F401  # imports aiohttp, which the first test of a time would pay for
from fake_server import Scenario
from translation_client import VideoTranslationClient

Clock = FrozenDateTimeFactory | StepTickTimeFactory | TickingDateTimeFactory


class ServerTime:
    """The time of a server on a socket, which a test advances: nothing passes unseen because the machine is slow."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class Lines(list[dict[str, Any]]):
    """The log, as whoever reads it sees it: parsed JSON lines."""

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self if line["event"] == event]


class Silent:
    """A logger for tests that read no log."""

    def info(self, *_: Any, **__: Any) -> None: ...

    warning = error = info


class MakeClient(Protocol):
    def __call__(self, scenario: Scenario | None = None, **arguments: Any) -> VideoTranslationClient: ...
