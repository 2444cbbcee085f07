"""What of the traces may be kept here? Figures drawn from them, enough to draw jobs of the same distributions again.

Run it: `python tests/benchmarks/draw_figures.py FOLDER`, where the folder has the three CSV files. It writes
`figures.json`: quantiles of durations, fitted parameters and quantiles of what these leave over; no row of a trace.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import sys
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from jobs import FIGURES_FILE, PastJob, QuantileTable, traces

_TAIL = [0, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04]
_BODY = [round(0.05 + 0.0125 * step, 4) for step in range(73)]
PROBABILITIES = [*_TAIL, *_BODY, *(round(1 - probability, 4) for probability in reversed(_TAIL))]

ABOUT = (
    "Figures drawn from published traces of job durations, in seconds; ln is the natural logarithm. A list of "
    "quantiles has one for each probability. Written by draw_figures.py."
)
SOURCES = {
    "x264_ugc": {
        "what": "Video encodes by x264, each of one of 201 configurations. Length: frames * width * height.",
        "source": "https://github.com/llesoil/input_sensitivity, commit aec6b95bb0587a9fb8584fb0a290099d28c5e393, "
        "data/x264/*.csv; 20 000 of 280 797 runs, drawn evenly",
        "licence": "MIT",
        "attribution": "Copyright (c) 2023 Luc Lesoil. Lesoil et al., Input sensitivity on the performance of "
        "configurable systems, JSS",
    },
    "julia_ci": {
        "what": "CI jobs of julia-master, of 102 classes; mean and sd are of ln(duration) within a class.",
        "source": "https://github.com/IanButterworth/julia-ci-timing (now JuliaCI/julia-ci-timing), commit "
        "9d2713408a05019e0cd9b8c4f9ed3d413528e81f, data/timing_summary.json; durations above 0",
        "licence": "MIT",
        "attribution": "Copyright (c) 2025-2026 Ian Butterworth and contributors",
    },
    "philly_gpu": {
        "what": "DNN trainings on Microsoft's Philly clusters.",
        "source": "https://github.com/alibaba/clusterdata, commit 7a6c496e4f4b6ce6150be8f881cb051bf2abff42, "
        "cluster-trace-gpu-v2020/analysis/philly_runtime.csv; 20 000 of 80 257 jobs of 1 s to 24 h, drawn evenly",
        "licence": "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/",
        "attribution": "Jeon et al., USENIX ATC 2019 (https://github.com/msr-fiddle/philly-traces), by way of Weng et "
        "al., NSDI 2022. Changes: filtered, sampled, and reduced to quantiles",
    },
}


def main() -> None:
    """Read the traces, write the figures."""
    drawn = []
    for trace in traces(Path(sys.argv[1])):
        jobs = [*trace.train, *trace.test]
        table = {"quantiles_of_duration": quantiles([job.duration for job in jobs])}
        drawn.append({"name": trace.name, **SOURCES[trace.name], "n": len(jobs), **table, **_FITS[trace.name](jobs)})
    figures = {"about": ABOUT, "probabilities": PROBABILITIES, "traces": drawn}
    FIGURES_FILE.write_text(readable(figures), encoding="utf-8")


def quantiles(values: Iterable[float]) -> list[float]:
    """One for each of the probabilities, from the least value to the greatest."""
    ascending = sorted(values)
    ranks = QuantileTable([rank / (len(ascending) - 1) for rank in range(len(ascending))], ascending)
    return [rounded(ranks.at(probability)) for probability in PROBABILITIES]


def rounded(value: float) -> float:
    """Five digits are enough, and three decimals."""
    return round(float(f"{value:.5g}"), 3)


def fit_of_encodes(jobs: Sequence[PastJob]) -> dict[str, Any]:
    """The line of ln(duration) on ln(length), what each configuration adds to it, and what remains."""
    ln_lengths = [math.log(job.length or math.nan) for job in jobs]
    slope, intercept = statistics.linear_regression(ln_lengths, [math.log(job.duration) for job in jobs])
    residuals = [
        math.log(job.duration) - intercept - slope * ln_length for job, ln_length in zip(jobs, ln_lengths, strict=True)
    ]
    of_key = grouped(jobs, residuals)
    effects = {key: statistics.fmean(of_key[key]) for key in sorted(of_key, key=int)}
    return {
        "intercept": round(intercept, 4),
        "slope": round(slope, 4),
        "effects": [round(effect, 3) for effect in effects.values()],
        "quantiles_of_ln_length": quantiles(ln_lengths),
        "quantiles_of_residual": quantiles(
            residual - effects[job.key or ""] for job, residual in zip(jobs, residuals, strict=True)
        ),
    }


def fit_of_ci_jobs(jobs: Sequence[PastJob]) -> dict[str, Any]:
    """Mean and spread of each class, without its name, and the shape around them that is common to all."""
    of_class = grouped(jobs, [math.log(job.duration) for job in jobs])
    fits = [(statistics.fmean(logs), statistics.pstdev(logs), logs) for logs in of_class.values()]
    return {
        "classes": [{"mean": round(mean, 3), "sd": round(sd, 3), "n": len(logs)} for mean, sd, logs in sorted(fits)],
        "quantiles_of_standardised_residual": quantiles((ln - mean) / sd for mean, sd, logs in fits for ln in logs),
    }


def no_fit(_: Sequence[PastJob]) -> dict[str, Any]:
    """Nothing is known of a job beforehand."""
    return {}


_FITS: dict[str, Callable[[Sequence[PastJob]], dict[str, Any]]] = {
    "x264_ugc": fit_of_encodes,
    "julia_ci": fit_of_ci_jobs,
    "philly_gpu": no_fit,
}


def grouped(jobs: Sequence[PastJob], values: Sequence[float]) -> dict[str, list[float]]:
    """The values by the key of their job."""
    of_key: dict[str, list[float]] = defaultdict(list)
    for job, value in zip(jobs, values, strict=True):
        of_key[job.key or ""].append(value)
    return of_key


def readable(figures: dict[str, Any]) -> str:
    """JSON with a line for each text or class, and as many numbers of a list in a line as there is room for."""
    text = json.dumps(figures, indent=1, ensure_ascii=False)
    text = re.sub(r"\{\s+(\"mean\"[^}]+?)\s+\}", lambda row: "{" + " ".join(row[1].split()) + "}", text)
    return re.sub(r"\[[\s\d.,e-]+\]", _filled, text) + "\n"


def _filled(numbers: re.Match[str]) -> str:
    lines = textwrap.wrap(" ".join(numbers[0][1:-1].split()), 115)
    return "[\n" + "\n".join(f"    {line}" for line in lines) + "\n   ]"


if __name__ == "__main__":
    main()
