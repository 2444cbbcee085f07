"""The schedule for a job by the history, cached until the history changes."""

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
"""Plans that are kept at once, and kinds of jobs whose past is; beyond them the oldest go."""

READ_PATIENCE_SECONDS = 0.05
"""How long a wait is held up by others that write to the history."""

NO_HISTORY = DurationModel([])
"""What there is to plan by where the history cannot be read."""


def objective_from(check_cost: float | None, target_lag: float | None, max_lag: float | None) -> Terms:
    """Check what is to be weighed.

    Raises:
        ValueError: Neither or both of the first two are given, or a number cannot be used.
        TypeError: Something is no number.
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
    """Plans for the jobs of one service. May be shared by threads."""

    def __init__(self, history: DurationHistory, service: str, terms: Terms) -> None:
        """Look at nothing yet."""
        self.terms = terms
        self._history = history
        self._service = service
        self._version: object = None
        self._known: dict[str | None, DurationModel] = {}
        self._plans: dict[Traits, Plan] = {}

    def plan(self, traits: Traits, warn: Callable[[str], object]) -> Plan:
        """Give the plan for a job.

        Args:
            traits: What is known of it.
            warn: Told why, where the history cannot be read; then it is a plan that was kept, or that of who knows nothing.
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
        """Look up the past jobs that say something of one of a kind.

        Raises:
            HistoryFailed: The history cannot be read.
        """
        return self._history.jobs(self._service, kind, READ_PATIENCE_SECONDS)

    def remember(self, job: Observation, warn: Callable[[str], object], patience: float) -> None:
        """Add a job to the history, or tell why that cannot be."""
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
            # New ones: a thread that is just filling the old ones fills nothing that counts.
            self._known, self._plans, self._version = {}, {}, version


def _keep(kept: dict[K, V], name: K, value: V, most: int) -> None:
    """Keep a value, and let the oldest go; another thread may be at it."""
    kept[name] = value
    while len(kept) > most:
        kept.pop(next(iter(kept)), None)
