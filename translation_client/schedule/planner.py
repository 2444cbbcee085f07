"""The schedule for a job from the history, cached until the history changes."""

from __future__ import annotations

import math
from collections.abc import Callable

from .. import _config
from .._config import JobFeatures
from .censoring import Observation
from .history import DurationHistory, HistoryFailed, drop_oldest
from .model import DurationModel
from .plan import CheckSchedule, Objective, make_schedule

MAX_SCHEDULES, MAX_CACHED_KINDS = 512, 64
"""The most schedules, and kinds with their models, in the cache. The oldest are dropped."""

READ_LOCK_TIMEOUT_SECONDS = 0.05
"""How long reading the history waits for other writers."""

NO_HISTORY = DurationModel([])
"""The model of an empty history, used if the history cannot be read."""


def objective_from(check_cost: float | None, target_lag: float | None, max_lag: float | None) -> Objective:
    """Check the arguments of an objective, and return it.

    Raises:
        ValueError: Both or neither of `check_cost` and `target_lag` are set, or a number is out of range.
        TypeError: An argument is not a number.
    """
    if (check_cost is None) == (target_lag is None):
        raise ValueError(
            f"exactly one of check_cost and target_lag must be given, got check_cost={check_cost!r} and "
            f"target_lag={target_lag!r}"
        )
    return Objective(
        None if check_cost is None else _config.check_weight("check_cost", check_cost),
        None if target_lag is None else _config.check_weight("target_lag", target_lag),
        math.inf if max_lag is None else _config.check_positive("max_lag", max_lag, infinite=True),
    )


class SchedulePlanner:
    """Schedules for the jobs of one service. Threads may share it."""

    def __init__(self, history: DurationHistory, service: str, objective: Objective) -> None:
        """Create a planner. The history is not read yet."""
        self.objective = objective
        self._history = history
        self._service = service
        self._version: object = None
        self._models: dict[str | None, DurationModel] = {}
        self._schedules: dict[JobFeatures, CheckSchedule] = {}

    def schedule_for(self, features: JobFeatures, warn: Callable[[str], object]) -> CheckSchedule:
        """Return the schedule for a job.

        Args:
            features: The features of the job.
            warn: Called with the reason if the history cannot be read. The cached schedule, or the prior's, is returned
                then.
        """
        self._clear_if_changed(warn)
        features = features._replace(submitted_at=None)  # the schedule is the same whenever the job was submitted
        schedules = self._schedules
        schedule = schedules.get(features)
        if schedule is None:
            model = self._model(features.kind, warn)
            schedule = make_schedule(model.forecast(features), self.objective)
            if model is not NO_HISTORY:
                schedules[features] = schedule
                drop_oldest(schedules, MAX_SCHEDULES)
        return schedule

    def past_jobs(self, kind: str | None) -> list[Observation]:
        """Return the past jobs that a forecast for a job of this kind uses.

        Raises:
            HistoryFailed: The history cannot be read.
        """
        return self._history.jobs(self._service, kind, READ_LOCK_TIMEOUT_SECONDS)

    def remember(self, job: Observation, warn: Callable[[str], object], lock_timeout: float) -> None:
        """Add a job to the history. Calls `warn` with the reason if that fails."""
        try:
            self._history.add(self._service, job, lock_timeout)
        except HistoryFailed as error:
            warn(str(error))

    def _model(self, kind: str | None, warn: Callable[[str], object]) -> DurationModel:
        models = self._models
        if kind not in models:
            try:
                models[kind] = DurationModel(self.past_jobs(kind))
                drop_oldest(models, MAX_CACHED_KINDS)
            except HistoryFailed as error:
                warn(str(error))
                return NO_HISTORY
        return models.get(kind, NO_HISTORY)

    def _clear_if_changed(self, warn: Callable[[str], object]) -> None:
        try:
            version = self._history.version()
        except HistoryFailed as error:
            warn(str(error))
            return
        if version != self._version:
            # New dictionaries, as another thread may still be filling the old ones.
            self._models, self._schedules, self._version = {}, {}, version
