"""Fixtures: a frozen clock, the log, clients of a fake server; and a check that no test leaves a thread behind."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import freezegun
import pytest
import requests
import structlog
import trustme
from freezegun import freeze_time
from hypothesis import HealthCheck, Phase, settings
from support.adapters import BASE_URL
from support.fixtures import Clock, LogLines, MakeClient, ServerTime

import fake_server.server
import translation_client._jobs.batch.thread  # noqa: F401  # imports aiohttp, so that no test with a time limit has to
from fake_server import InProcessAdapter, Scenario, create_app
from translation_client import VideoTranslationClient

# Hypothesis looks at the time whenever the garbage collector runs, also while a clock is being frozen or let go. And pytest
# measures how long a test takes in real seconds: for `--durations`, and for mutmut, which runs the fastest ones first.
freezegun.configure(extend_ignore_list=["hypothesis", "_pytest.timing"])
# How many calls up the stack freezegun looks for such a module. Further up it would find hypothesis, which calls the test.
freezegun.api.call_stack_inspection_limit = 2
# Whenever a clock is frozen, freezegun compares the names of a thousand modules with those of the last time, which takes
# half of the time of a short test. To compare how many names each has is enough.
freezegun.api._get_module_attributes_hash = lambda module: f"{id(module)}-{len(vars(module))}"

# The first text that Hypothesis makes on a machine takes a second; no test here is about its speed.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")
# For mutants. Only whether a test fails matters, and that must not depend on chance.
settings.register_profile(
    "mutation", settings.get_profile("here"), derandomize=True, phases=[Phase.explicit, Phase.generate]
)


QUICK_UNIT_TESTS = "not integration and not exhaustive"


def pytest_configure(config: pytest.Config) -> None:
    """Leave out what takes minutes, unless the command has `-m` or names a file, a test or the folder `integration`."""
    paths = [Path(name.partition("::")[0]) for name in config.args]
    if not config.option.markexpr and not any(path.suffix == ".py" or path.name == "integration" for path in paths):
        config.option.markexpr = QUICK_UNIT_TESTS


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the folder `integration`, whose tests would all be deselected. It takes a second to import."""
    is_excluded = config.option.markexpr in (QUICK_UNIT_TESTS, "not integration")
    return True if is_excluded and collection_path == Path(__file__).parent / "integration" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of the folder `integration`."""
    for item in items:
        if Path(__file__).parent / "integration" in item.path.parents:
            item.add_marker("integration")


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Check that no thread outlives the test, and undo its configuration of logging."""
    before = set(threading.enumerate())
    ours = logging.getLogger("translation_client")
    yield
    structlog.reset_defaults()
    ours.handlers.clear()
    ours.setLevel(logging.NOTSET)
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=60)
        assert not thread.is_alive(), f"{thread} was left behind"


@pytest.fixture
def server_time(monkeypatch: pytest.MonkeyPatch) -> ServerTime:
    """The time of the servers that start in the test."""
    server_time = ServerTime()
    monkeypatch.setattr(fake_server.server, "_real_monotonic_seconds", server_time.now)
    return server_time


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A frozen clock. `clock.tick(seconds)` moves it, and takes the place of sleeping."""
    with freeze_time("2026-11-23T09:00:00") as frozen:
        yield frozen


@pytest.fixture
def lines() -> LogLines:
    """The lines that a handler on the logger of the package gets."""
    collected = LogLines()

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            collected.append(json.loads(record.getMessage()))

    logging.getLogger("translation_client").addHandler(Collector())
    return collected


@pytest.fixture
def make_client(clock: Clock, lines: LogLines) -> MakeClient:
    """A client of a fake server in process, on frozen time, with its log in `lines`."""

    def make(scenario: Scenario | None = None, **arguments: Any) -> VideoTranslationClient:
        session = requests.Session()
        session.mount(BASE_URL, InProcessAdapter(create_app(scenario or Scenario())))
        return VideoTranslationClient(BASE_URL, **{"session": session, "sleep": clock.tick, **arguments})

    return make


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """The issuer of the certificates of test servers. Making one takes a while."""
    return trustme.CA()
