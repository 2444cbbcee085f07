"""Clock → scenario → client, each built on the one before; and a suite that checks that it leaves nothing behind."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import freezegun
import pytest
import requests
import structlog
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory, StepTickTimeFactory, TickingDateTimeFactory
from hypothesis import HealthCheck, settings

import fake_server.server
import translation_client._jobs.batch.thread  # noqa: F401  # imports aiohttp, which the first test of a time would pay for
from fake_server import InProcessAdapter, Scenario, create_app
from translation_client import VideoTranslationClient

# Hypothesis looks at the time whenever the garbage collector runs, also while a clock is being frozen or let go.
freezegun.configure(extend_ignore_list=["hypothesis"])
# It does so itself: what it calls, a test say, lives on frozen time, be it two calls below it.
freezegun.api.call_stack_inspection_limit = 2

# The first text that Hypothesis makes on a machine takes a second; no test here is about its speed.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")

BASE_URL = "http://fake.test"

Clock = FrozenDateTimeFactory | StepTickTimeFactory | TickingDateTimeFactory


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """No thread outlives its test, and nobody leaves a logging configuration to the next one."""
    before = set(threading.enumerate())
    ours = logging.getLogger("translation_client")
    yield
    structlog.reset_defaults()
    ours.handlers.clear()
    ours.setLevel(logging.NOTSET)
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=60)
        assert not thread.is_alive(), f"{thread} was left behind"


class ServerTime:
    """The time of a server on a socket, which a test advances: nothing passes unseen because the machine is slow."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def server_time(monkeypatch: pytest.MonkeyPatch) -> ServerTime:
    """The time of the servers that start in the test."""
    server_time = ServerTime()
    monkeypatch.setattr(fake_server.server, "_real_monotonic_seconds", server_time.now)
    return server_time


@pytest.fixture
def clock() -> Iterator[Clock]:
    """Time stands still; `clock.tick(seconds)` moves it, and is what sleeping means in these tests."""
    with freeze_time("2026-11-23T09:00:00") as frozen:
        yield frozen


class Lines(list[dict[str, Any]]):
    """The log, as whoever reads it sees it: parsed JSON lines."""

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self if line["event"] == event]


@pytest.fixture
def lines() -> Lines:
    """What the library logs to a handler on its own logger."""
    collected = Lines()

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            collected.append(json.loads(record.getMessage()))

    logging.getLogger("translation_client").addHandler(Collector())
    return collected


class Silent:
    """A logger for tests that read no log."""

    def info(self, *_: Any, **__: Any) -> None: ...

    warning = error = info


class MakeClient(Protocol):
    def __call__(self, scenario: Scenario | None = None, **arguments: Any) -> VideoTranslationClient: ...


@pytest.fixture
def make_client(clock: Clock, lines: Lines) -> MakeClient:
    """A client of a fake server in process, on frozen time, with its log in `lines`."""

    def make(scenario: Scenario | None = None, **arguments: Any) -> VideoTranslationClient:
        session = requests.Session()
        session.mount(BASE_URL, InProcessAdapter(create_app(scenario or Scenario())))
        return VideoTranslationClient(BASE_URL, **{"session": session, "sleep": clock.tick, **arguments})

    return make


class Answers(requests.adapters.BaseAdapter):
    """A service that is a function of the request: what it returns is what comes back, what it raises is what breaks."""

    never_retries = True

    def __init__(self, answer: Callable[[requests.PreparedRequest], requests.Response]) -> None:
        super().__init__()
        self.requests: list[requests.PreparedRequest] = []
        self.told: list[dict[str, Any]] = []
        self._answer = answer

    def send(self, request: requests.PreparedRequest, *_: Any, **told: Any) -> requests.Response:
        self.requests.append(request)
        self.told.append(told)
        answered = self._answer(request)
        answered.request = request  # as requests' own adapter does
        return answered

    def close(self) -> None:
        pass


def response(status_code: int = 200, body: bytes = b'{"result": "pending"}', **headers: str) -> requests.Response:
    """Make a response by hand; `retry_after="3"` is the header Retry-After."""
    made = requests.Response()
    made.status_code = status_code
    made.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    made._content = body
    made.url = f"{BASE_URL}/status"
    return made


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all its causes and contexts."""
    if error is not None:
        yield error
        for other in (error.__cause__, error.__context__):
            yield from chain_of(other)
