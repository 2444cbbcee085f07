"""The types of the fixtures in `conftest.py`."""

from __future__ import annotations

from typing import Any, Protocol

from freezegun.api import FrozenDateTimeFactory, StepTickTimeFactory, TickingDateTimeFactory

from fake_server import Scenario
from translation_client import VideoTranslationClient

Clock = FrozenDateTimeFactory | StepTickTimeFactory | TickingDateTimeFactory


class ServerTime:
    """The time of a server on a socket. The test advances it, so that the result does not depend on the speed of the machine."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class LogLines(list[dict[str, Any]]):
    """The JSON lines of the log, parsed."""

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self if line["event"] == event]


class SilentLogger:
    """A logger that drops every line."""

    def info(self, *_: Any, **__: Any) -> None: ...

    warning = error = info


class MakeClient(Protocol):
    def __call__(self, scenario: Scenario | None = None, **arguments: Any) -> VideoTranslationClient: ...
