"""The polling policy, its jitter, and an infinite deadline."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translation_client._clock import Deadline
from translation_client._config import PollingPolicy, jittered


def test_a_polling_policy_is_immutable() -> None:
    """Its values stay as they were validated."""
    policy: Any = PollingPolicy(30, 10, 10, 5, backoff_factor=2, max_delay=60, jitter=0)
    with pytest.raises(AttributeError):
        policy.timeout = -1


SECONDS = st.floats(min_value=0, max_value=1e6)


PART = st.floats(min_value=0, max_value=1)


@given(SECONDS, PART, SECONDS, PART)
def test_a_jittered_delay_stays_in_its_range(delay: float, jitter: float, more: float, chance: float) -> None:
    """It is never negative, and never above the cap."""
    longest = delay + more
    moved = jittered(delay, jitter, longest, chance)

    assert 0 <= moved <= longest * (1 + 1e-9)
    assert delay * (1 - jitter) * (1 - 1e-9) <= moved <= delay * (1 + jitter) * (1 + 1e-9) + 1e-9


def test_jitter_at_the_cap_shortens_the_delay() -> None:
    """It does not lengthen it."""
    assert [jittered(60, 0.5, 60, chance) for chance in (0, 0.5, 1)] == [30, 45, 60]


def test_an_infinite_deadline_never_expires() -> None:
    """The remaining seconds are `math.inf`."""
    assert Deadline.after(math.inf).remaining == math.inf
    assert not Deadline.after(math.inf).expired
