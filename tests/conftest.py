"""The frozen clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory, StepTickTimeFactory, TickingDateTimeFactory

Clock = FrozenDateTimeFactory | StepTickTimeFactory | TickingDateTimeFactory


@pytest.fixture
def clock() -> Iterator[Clock]:
    """Time stands still; `clock.tick(seconds)` moves it."""
    with freeze_time("2026-11-23T09:00:00") as frozen:
        yield frozen
