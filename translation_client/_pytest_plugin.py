"""The pytest fixture `fake_translation_server`, for every test suite where this distribution is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fake_server import Server

EXTRA_IS_MISSING = "fake_translation_server needs the extra: pip install 'translation-client[server]'"


@pytest.fixture
def fake_translation_server() -> Iterator[Server]:
    """A fake translation service, the reference one, on a free loopback port. Its jobs finish immediately.

    `fake_translation_server.url` is its base URL. `.play(Scenario(duration=2, faults=["2:503"]))` and
    `.faults = [...]` set its behaviour. `.requests` lists the requests that arrived.
    """
    import fake_server  # not at the top, as a project may have a module of this name

    if not {"Scenario", "Server"} <= set(getattr(fake_server, "__all__", ())):
        origin = getattr(fake_server, "__file__", None)
        pytest.fail(
            f"fake_translation_server needs the package fake_server of translation-client, but {origin} was imported",
            pytrace=False,
        )
    try:
        server_class = fake_server.Server
    except ModuleNotFoundError as error:
        pytest.fail(f"{EXTRA_IS_MISSING} ({error})", pytrace=False)
    with server_class(fake_server.Scenario(duration=0.0)) as server:
        yield server
