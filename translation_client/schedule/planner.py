"""The schedule for a job from the history, cached until the history changes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from .. import _config
from .censoring import Observation
from .history import DurationHistory, HistoryFailed
from .model import DurationModel, Traits
from .plan import Plan, Terms, make_schedule

K = TypeVar("K")
V = TypeVar("V")

MOST_PLANS, MOST_KINDS = 512, 64
"""The most schedules, and kinds with their models, in the cache. The oldest are dropped."""

READ_PATIENCE_SECONDS = 0.05
"""How long reading the history waits for other writers."""

NO_HISTORY = DurationModel([])
"""The model of an empty history, used if the history cannot be read."""


def objective_from(check_cost: float | None, target_lag: float | None, max_lag: float | None) -> Terms:
    """Check the objective of the schedule.

    Raises:
        ValueError: Both or neither of `check_cost` and `target_lag` are set, or a number is out of range.
        TypeError: An argument is not a number.
    """
    if (check_cost is None) == (target_lag is None):
        raise ValueError(
            f"exactly one of check_cost and target_lag must be given, got check_cost={check_cost!r} and "
            f"target_lag={target_lag!r}"
        )
    return Terms(
        None if check_cost is None else _config.check_weight("check_cost", check_cost),
        None if target_lag is None else _config.check_weight("target_lag", target_lag),
        math.inf if max_lag is None else _config.check_positive("max_lag", max_lag, infinite=True),
    )


class SchedulePlanner:
    """Schedules for the jobs of one service. Threads may share it."""

    def __init__(self, history: DurationHistory, service: str, terms: Terms) -> None:
        """Create a planner. The history is not read yet."""
        self.terms = terms
        self._history = history
        self._service = service
        self._version: object = None
        self._known: dict[str | None, DurationModel] = {}
        self._plans: dict[Traits, Plan] = {}

    def plan(self, traits: Traits, warn: Callable[[str], object]) -> Plan:
        """Return the schedule for a job.

        Args:
            traits: The traits of the job.
            warn: Called with the reason if the history cannot be read. The cached schedule, or the prior's, is returned
                then.
        """
        self._forget_if_changed(warn)
        plans = self._plans
        plan = plans.get(traits)
        if plan is None:
            experience = self._experience(traits.kind, warn)
            plan = make_schedule(experience.forecast(traits), self.terms)
            if experience is not NO_HISTORY:
                _keep(plans, traits, plan, MOST_PLANS)
        return plan

    def past_jobs(self, kind: str | None) -> list[Observation]:
        """Return the past jobs that a forecast for a job of this kind uses.

        Raises:
            HistoryFailed: The history cannot be read.
        """
        return self._history.jobs(self._service, kind, READ_PATIENCE_SECONDS)

    def remember(self, job: Observation, warn: Callable[[str], object], patience: float) -> None:
        """Add a job to the history. Calls `warn` with the reason if that fails."""
        try:
            self._history.add(self._service, job, patience)
        except HistoryFailed as error:
            warn(str(error))

    def _experience(self, kind: str | None, warn: Callable[[str], object]) -> DurationModel:
        known = self._known
        if kind not in known:
            try:
                _keep(known, kind, DurationModel(self.past_jobs(kind)), MOST_KINDS)
            except HistoryFailed as error:
                warn(str(error))
                return NO_HISTORY
        return known.get(kind, NO_HISTORY)

    def _forget_if_changed(self, warn: Callable[[str], object]) -> None:
        try:
            version = self._history.version()
        except HistoryFailed as error:
            warn(str(error))
            return
        if version != self._version:
            # New dictionaries, as another thread may still be filling the old ones.
            self._known, self._plans, self._version = {}, {}, version


def _keep(kept: dict[K, V], name: K, value: V, most: int) -> None:
    """Cache a value and drop the oldest ones. Another thread may do the same at the same time."""
    kept[name] = value
    while len(kept) > most:
        kept.pop(next(iter(kept)), None)
