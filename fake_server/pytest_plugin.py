"""The fixture `fake_translation_server`, in every test suite where this package is installed."""

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
    """A fake translation service on a free port of loopback. Its jobs are finished at once.

    `fake_translation_server.url` is where it is; `.play(Scenario(duration=2, faults=["2:503"]))` and `.faults = [...]`
    say what goes on there; `.requests` is what arrived.
    """
    try:
        from .server import Server
    except ModuleNotFoundError as error:
        pytest.fail(f"{EXTRA_IS_MISSING} ({error})", pytrace=False)
    with Server(Scenario(duration=0.0)) as server:
        yield server
