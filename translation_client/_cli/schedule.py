"""The table of the command `schedule`: when a job would be checked, and the expected delay and number of requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, count, repeat
from pathlib import Path
from typing import Any, NamedTuple

from .. import _config
from .._config import JobFeatures
from ..schedule.forecast import Forecast
from ..schedule.history import DurationHistory, history_from_durations
from ..schedule.model import DurationModel
from ..schedule.optimize import ExpectedCost, expected_cost
from ..schedule.plan import CheckSchedule, checks_until, make_schedule
from ..schedule.planner import SchedulePlanner, objective_from

MAX_ROWS = 25
"""The most checks in the table. The others are counted."""

LOG_UNIFORM_RATIO = 100.0
"""Without data the duration is log-uniform from the horizon divided by this up to the horizon."""

MAX_HORIZON_SECONDS = 1e6
"""The longest horizon, about eleven days."""

DEFAULT_HORIZON_SECONDS = 3600.0
"""The default horizon without data, in seconds."""

HORIZON_QUANTILE = 0.95
"""The default horizon is the time by which this fraction of jobs is finished."""

_INTERVAL_TOLERANCE = 0.01
"""1 %: how exactly the fixed interval with the same lag is computed."""


class Row(NamedTuple):
    """One check, in seconds from the start, and the probability that the job is finished by then."""

    check: int
    at_seconds: float
    gap_seconds: float
    finished: float | None


class Comparison(NamedTuple):
    """A schedule, with its expected requests, delay and cost."""

    schedule: str
    requests: float
    lag_seconds: float
    cost_seconds: float | None


class SchedulePreview(NamedTuple):
    """The schedule of a job, compared with others.

    Attributes:
        rows: The checks until the horizon.
        alternatives: The schedule and common alternatives, with their expected cost for jobs that finish by the
            horizon.
        past_jobs: The number of past jobs.
        horizon: The end of the table, in seconds.
        assumed_shortest: The assumed shortest duration in seconds, without data. Else None.
    """

    rows: list[Row]
    alternatives: list[Comparison]
    past_jobs: int
    horizon: float
    assumed_shortest: float | None


def preview_table(planner: SchedulePlanner, features: JobFeatures, horizon: float | None) -> SchedulePreview:
    """Build the table for a job.

    Args:
        planner: The planner, with a history and an objective.
        features: The features of the job.
        horizon: The end of the table, in seconds. None for until most such jobs are finished.

    Raises:
        HistoryFailed: The history cannot be read.
    """
    past = planner.past_jobs(features.kind)
    forecast = DurationModel(past).forecast(features)
    schedule = make_schedule(forecast, planner.objective)
    until = horizon or (
        DEFAULT_HORIZON_SECONDS
        if forecast is None
        else min(_forecast_quantile(forecast, HORIZON_QUANTILE), MAX_HORIZON_SECONDS)
    )
    grid = _log_uniform(until) if forecast is None else _grid_until(forecast, until)
    rows = list(_rows(schedule, until, forecast))
    alternatives = list(_alternatives(schedule, grid, planner.objective.check_cost))
    return SchedulePreview(
        rows, alternatives, len(past), until, until / LOG_UNIFORM_RATIO if forecast is None else None
    )


def preview(
    durations: Sequence[float],
    history: str | None,
    service: str,
    *,
    horizon: float | None,
    kind: str | None,
    video_seconds: float | None,
    **weights: float | None,
) -> SchedulePreview:
    """Check the arguments, and build the table for a job.

    Args:
        durations: The durations of past jobs in seconds, in place of a history.
        history: The path of an existing history, or None.
        service: The name of the service.
        horizon: The end of the table, in seconds; None for the time by which 95 % of such jobs are finished.
        kind: The label of the kind of the job; None for jobs without a label.
        video_seconds: The length of its video in seconds, or None.
        weights: `check_cost`, `target_lag` and `max_lag`.

    Raises:
        ValueError: A number is out of range, or the history does not exist, cannot be read or comes with durations.
        TypeError: A number is not one.
    """
    objective = objective_from(**weights)
    until = None if horizon is None else _config.check_positive("until", horizon)
    _config.check_duration("until", until or 0.0, MAX_HORIZON_SECONDS)
    length = None if video_seconds is None else _config.check_positive("video_seconds", video_seconds)
    if history is not None and durations:
        raise ValueError(f"history cannot be combined with durations, got {history!r} and {len(durations)} durations")
    if history is not None and not Path(history).exists():
        raise ValueError(f"history must be an existing file, got {history!r}")
    planner = SchedulePlanner(
        history_from_durations(durations, service) if history is None else DurationHistory(history, read_only=True),
        service,
        objective,
    )
    return preview_table(planner, JobFeatures(_config.check_kind(kind), length), until)


class _Grid(NamedTuple):
    """A distribution function, linear between the points of a grid."""

    times: list[float]
    cdf: list[float]


def _grid_until(forecast: Forecast, horizon: float) -> _Grid:
    cells = [(time, below) for time, below in zip(forecast.times, forecast.cdf, strict=True) if time < horizon]
    times, cdf = zip(*cells, strict=True)
    return _Grid([*times, horizon], [*cdf, forecast.cdf_at(horizon)])


def _log_uniform(horizon: float) -> _Grid:
    shares = [number / 100 for number in range(101)]
    return _Grid([0.0, *(horizon * LOG_UNIFORM_RATIO ** (share - 1) for share in shares)], [0.0, *shares])


def _forecast_quantile(forecast: Forecast, probability: float) -> float:
    """Return the time by which this fraction of jobs is finished, or the end of the grid."""
    return next((time for time in forecast.times if forecast.cdf_at(time) >= probability), forecast.times[-1])


def _rows(schedule: CheckSchedule, horizon: float, forecast: Forecast | None) -> Iterator[Row]:
    before = 0.0
    for number, at in enumerate(checks_until(schedule, horizon), 1):
        yield Row(number, at, at - before, None if forecast is None else forecast.cdf_at(at))
        before = at


def _alternatives(schedule: CheckSchedule, grid: _Grid, check_cost: float | None) -> Iterator[Comparison]:
    horizon = grid.times[-1]
    expected = expected_cost(schedule.checks(horizon), *grid)
    interval = _interval_with_lag(grid, expected.lag)
    schedules: list[tuple[str, ExpectedCost]] = [
        ("this schedule", expected),
        (f"fixed, every {interval:.3g} s: same lag", expected_cost(_every(interval, horizon), *grid)),
        *((f"fixed, every {seconds} s", expected_cost(_every(seconds, horizon), *grid)) for seconds in (5, 10, 30)),
        ("2, 4, 8 ... 60 s, the usual backoff", expected_cost(_growing(2, 2, 60, horizon), *grid)),
        ("1 s x1.5 ... 20 s", expected_cost(_growing(1, 1.5, 20, horizon), *grid)),
    ]
    for name, (requests, lag) in schedules:
        yield Comparison(name, requests, lag, None if check_cost is None else check_cost * requests + lag)


def _interval_with_lag(grid: _Grid, lag: float) -> float:
    """Return the fixed interval with the same mean lag. It is about twice that lag."""
    least, most = lag, min(4 * lag, grid.times[-1])
    while most - least > _INTERVAL_TOLERANCE * least:
        interval = (least + most) / 2
        if expected_cost(_every(interval, grid.times[-1]), *grid).lag < lag:
            least = interval
        else:
            most = interval
    return (least + most) / 2


def _every(seconds: float, horizon: float) -> Iterator[float]:
    return _take_until(horizon, (number * seconds for number in count(1)))


def _growing(first: float, factor: float, longest: float, horizon: float) -> Iterator[float]:
    """Return checks at 0 and then after growing gaps, up to a cap."""
    gaps = accumulate(repeat(factor), lambda gap, by: min(gap * by, longest), initial=first)
    return _take_until(horizon, accumulate(gaps, initial=0.0))


def _take_until(horizon: float, checks: Iterator[float]) -> Iterator[float]:
    """Yield checks up to the first at the horizon or past it."""
    for check in checks:
        yield check
        if check >= horizon:
            return


def format_table(table: SchedulePreview) -> str:
    """Format the table for a terminal."""
    lines = [f"{'check':>5} {'at':>10} {'gap':>10} {'finished by then':>17}"]
    lines += [
        f"{row.check:>5} {row.at_seconds:>8.1f} s {row.gap_seconds:>8.1f} s "
        f"{'not known' if row.finished is None else f'{row.finished:.0%}':>17}"
        for row in table.rows[:MAX_ROWS]
    ]
    if len(table.rows) > MAX_ROWS:
        lines.append(f"  ... and {len(table.rows) - MAX_ROWS} more until {table.rows[-1].at_seconds:.1f} s")
    lines += ["", _assumed(table), "", f"{'schedule':<38} {'requests':>9} {'mean lag':>11} {'cost':>11}"]
    lines += [
        f"{row.schedule:<38} {row.requests:>9.1f} {row.lag_seconds:>9.1f} s "
        f"{'' if row.cost_seconds is None else f'{row.cost_seconds:.1f} s':>11}"
        for row in table.alternatives
    ]
    return "\n".join(line.rstrip() for line in lines)


def _assumed(table: SchedulePreview) -> str:
    jobs = "1 past job" if table.past_jobs == 1 else f"{table.past_jobs} past jobs"
    if table.assumed_shortest is None:
        return f"Learned from {jobs}. Expected for a job that is finished within {table.horizon:.4g} s:"
    return (
        f"Nothing is learned yet ({jobs}). Expected for a job of {table.assumed_shortest:.4g} to "
        f"{table.horizon:.4g} s, with log-uniform durations:"
    )


def as_json(table: SchedulePreview) -> dict[str, Any]:
    """Return the table as JSON objects."""
    return {
        "checks": [row._asdict() for row in table.rows],
        "schedules": [alternative._asdict() for alternative in table.alternatives],
        "past_jobs": table.past_jobs,
        "horizon_seconds": table.horizon,
        "assumed_shortest_seconds": table.assumed_shortest,
    }
