"""How does a function of your own ask at the moments that pay? By a strategy for tenacity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tenacity import RetryCallState
from tenacity.wait import wait_base

from . import arguments
from .history import DurationHistory, history_from, past_of
from .pace import GAP_JITTER
from .planner import Planner, terms_from
from .policy import CHANCE, spread
from .schedule.relatives import Traits


class wait_learned(wait_base):  # noqa: N801  # named as tenacity names its strategies
    """A tenacity wait strategy: the pauses that make requests and not knowing cost least, by what past jobs took.

    For a function of your own under `tenacity.retry`, which asks first when it is called. May be shared by threads.
    """

    def __init__(
        self,
        history: object = (),
        *,
        check_cost: float | None = None,
        target_lag: float | None = None,
        max_lag: float | None = None,
        service: str = "reference",
        key: str | None = None,
        video_seconds: float | None = None,
        age: float = 0.0,
        spread_checks: bool = False,
    ) -> None:
        """Check the arguments.

        Args:
            history: The seconds that past jobs took; or a `DurationHistory`, or the path of one.
            check_cost: The seconds of not knowing that one request is worth; or
            target_lag: the mean seconds from the end of a job to the answer that says so: one of the two.
            max_lag: The longest pause.
            service: Which service's jobs of a history count.
            key: What kind of job it is.
            video_seconds: The length of its video.
            age: How many seconds ago the job had begun when the function is called.
            spread_checks: Make each pause up to a tenth longer or shorter, so that clients part ways.

        Raises:
            ValueError: An argument cannot be used.
            TypeError: An argument is of the wrong type.
        """
        terms = terms_from(check_cost, target_lag, max_lag)
        length = None if video_seconds is None else arguments.positive("video_seconds", video_seconds)
        self._traits = Traits(arguments.key(key), length)
        self._age = arguments.positive("age", age) if age != 0 else 0.0
        self._is_spread = arguments.flag("spread_checks", spread_checks)
        self._planner = Planner(_past(history, service), service, terms)

    def __call__(self, retry_state: RetryCallState) -> float:
        """Say how long to pause."""
        age = self._age + (retry_state.seconds_since_start or 0.0)
        plan = self._planner.plan(self._traits, _ignored)
        gap = plan.next_after(age) - age
        return (
            spread(gap, GAP_JITTER, max(gap, self._planner.terms.max_lag), CHANCE.random()) if self._is_spread else gap
        )


def _past(history: Any, service: str) -> DurationHistory:
    if isinstance(history, Iterable) and not isinstance(history, (str, bytes)):
        return past_of(history, service)
    return history_from(history)


def _ignored(_: str) -> None:
    """A strategy has no log of its own; the plan is that of when the history could be read."""
