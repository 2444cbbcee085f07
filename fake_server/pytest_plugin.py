"""The fixture `fake_translation_server`, for every test suite where this package is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from .scenario import Scenario

if TYPE_CHECKING:
    from .server import Server

EXTRA_IS_MISSING = "fake_translation_server needs the extra: pip install 'translation-client[server]'"


@pytest.fixture
def fake_translation_server() -> Iterator[Server]:
    """A fake translation service on a free loopback port. Its jobs finish immediately.

    `fake_translation_server.url` is its base URL. `.play(Scenario(duration=2, faults=["2:503"]))` and
    `.faults = [...]` set its behaviour. `.requests` lists the requests that arrived.
    """
    try:
        from .server import Server
    except ModuleNotFoundError as error:
        pytest.fail(f"{EXTRA_IS_MISSING} ({error})", pytrace=False)
    with Server(Scenario(duration=0.0)) as server:
        yield server
