"""Which jobs are waited for? Those of published traces, or jobs drawn from figures of these traces.

The traces themselves are not part of this project; `figures.json`, which `draw_figures.py` writes from them, is: their
sources and licences are in it. Where nobody has the traces, jobs are drawn from it that have the same distributions: the size
of an encode and its configuration say as much about its duration, a class of CI jobs is as steady. What is lost is
the order in time, and whatever sets single classes apart other than mean and spread. Both ways give the same jobs
each time.
"""

from __future__ import annotations

import csv
import json
import math
import random
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

FIGURES_FILE = Path(__file__).with_name("figures.json")
DRAWN_JOBS = {"x264_ugc": 10_000, "julia_ci": 8_640, "philly_gpu": 10_000}

_Row = Mapping[str, str]


@dataclass(frozen=True)
class PastJob:
    """A job that is over.

    Attributes:
        duration: Seconds.
        length: A size of it that is known beforehand, if there is one.
        key: The kind of job, if there are kinds.
    """

    duration: float
    length: float | None = None
    key: str | None = None


@dataclass(frozen=True)
class Trace:
    """Jobs to learn from, and jobs to be judged on.

    Attributes:
        name: The trace's.
        train: Its first half.
        test: Its second half.
        is_drawn: Whether they were drawn from figures, and are not the trace itself.
    """

    name: str
    train: Sequence[PastJob]
    test: Sequence[PastJob]
    is_drawn: bool


@dataclass(frozen=True)
class QuantileTable:
    """A distribution, straight between its quantiles."""

    probabilities: Sequence[float]
    values: Sequence[float]

    def at(self, probability: float) -> float:
        """The quantile of a probability from 0 to 1."""
        right = min(bisect_right(self.probabilities, probability), len(self.probabilities) - 1)
        (p, q), (low, high) = self.probabilities[right - 1 : right + 1], self.values[right - 1 : right + 1]
        return low + (high - low) * (probability - p) / (q - p)


def traces(folder: Path | None) -> list[Trace]:
    """The traces in a folder, each a CSV file; without one, traces drawn from the figures."""
    if folder is None:
        return _drawn_traces(json.loads(FIGURES_FILE.read_text(encoding="utf-8")))
    return [_halved(name, _read(folder / f"{name}.csv", job_of), is_drawn=False) for name, job_of in _READERS.items()]


def _halved(name: str, jobs: Iterable[PastJob], *, is_drawn: bool) -> Trace:
    jobs = list(jobs)
    half = len(jobs) // 2
    return Trace(name, jobs[:half], jobs[half:], is_drawn)


def _read(path: Path, job_of: Callable[[_Row, random.Random], PastJob]) -> list[PastJob]:
    """In the order of the file: that of julia is by date, the other two are shuffled."""
    chance = random.Random(path.stem)
    with path.open(encoding="utf-8", newline="") as file:
        return [job_of(row, chance) for row in csv.DictReader(file)]


def _encode_of(row: _Row, _: random.Random) -> PastJob:
    """Its length is the number of its pixels, in all frames together."""
    pixels = float(row["frames"]) * float(row["width"]) * float(row["height"])
    return PastJob(float(row["duration_s"]), pixels, row["config_id"])


def _ci_job_of(row: _Row, chance: random.Random) -> PastJob:
    return PastJob(_within_second(row, chance), key=row["job"])


def _training_of(row: _Row, chance: random.Random) -> PastJob:
    return PastJob(_within_second(row, chance))


def _within_second(row: _Row, chance: random.Random) -> float:
    """Whole seconds, spread evenly over the second around them: 1 s is from 0.5 to 1.5 s, the mean stays."""
    return float(row["duration_s"]) - 0.5 + chance.random()


_READERS = {"x264_ugc": _encode_of, "julia_ci": _ci_job_of, "philly_gpu": _training_of}


_Figures = Mapping[str, Any]
_Drawer = Callable[[_Figures, Mapping[str, QuantileTable], random.Random], Iterator[PastJob]]


def _drawn_traces(figures: _Figures) -> list[Trace]:
    of_trace = {trace["name"]: trace for trace in figures["traces"]}
    return [_drawn_trace(of_trace[name], figures["probabilities"], draw) for name, draw in _DRAWERS.items()]


def _drawn_trace(figures: _Figures, probabilities: Sequence[float], draw: _Drawer) -> Trace:
    """Only jobs as the trace could have had them: none is shorter than its shortest, or longer than its longest."""
    name, of_durations = figures["name"], figures["quantiles_of_duration"]
    tables = {what: QuantileTable(probabilities, figures[what]) for what in figures if what.startswith("quantiles_of_")}
    jobs = (
        job for job in draw(figures, tables, random.Random(name)) if of_durations[0] <= job.duration <= of_durations[-1]
    )
    return _halved(name, islice(jobs, DRAWN_JOBS[name]), is_drawn=True)


def _drawn_encodes(figures: _Figures, tables: Mapping[str, QuantileTable], chance: random.Random) -> Iterator[PastJob]:
    """A straight line in the logarithms of length and duration, moved by the configuration, and what remains."""
    intercept, slope, effects = figures["intercept"], figures["slope"], figures["effects"]
    while True:
        ln_length = tables["quantiles_of_ln_length"].at(chance.random())
        config = chance.randrange(len(effects))
        remaining = tables["quantiles_of_residual"].at(chance.random())
        ln_duration = intercept + slope * ln_length + effects[config] + remaining
        yield PastJob(math.exp(ln_duration), math.exp(ln_length), str(config + 1))


def _drawn_ci_jobs(figures: _Figures, tables: Mapping[str, QuantileTable], chance: random.Random) -> Iterator[PastJob]:
    """Each class has its mean and spread; the shape around them is common to all."""
    classes = list(enumerate(figures["classes"], 1))
    weights = list(accumulate(of_class["n"] for _, of_class in classes))
    while True:
        [(number, of_class)] = chance.choices(classes, cum_weights=weights)
        residual = tables["quantiles_of_standardised_residual"].at(chance.random())
        yield PastJob(math.exp(of_class["mean"] + of_class["sd"] * residual), key=f"job-{number}")


def _drawn_trainings(_: _Figures, tables: Mapping[str, QuantileTable], chance: random.Random) -> Iterator[PastJob]:
    while True:
        yield PastJob(tables["quantiles_of_duration"].at(chance.random()))


_DRAWERS: Mapping[str, _Drawer] = {
    "x264_ugc": _drawn_encodes,
    "julia_ci": _drawn_ci_jobs,
    "philly_gpu": _drawn_trainings,
}
