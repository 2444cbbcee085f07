"""Import time of the blocking client over that of its three dependencies alone.

Run it: `python tests/benchmarks/benchmark_import.py`. Fresh interpreters, the two sides in turns, compiled files in a
cache of the benchmark's own (an installed package has them); of the ratios of all rounds the median.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

ROUNDS = 40
GOAL = 1.15

DEPENDENCIES = "import requests, tenacity, structlog"
LIBRARY = "from translation_client import VideoTranslationClient"
TIMED = "import time; started = time.perf_counter(); {}; print(time.perf_counter() - started)"


def main() -> None:
    """Measure, and print the figures."""
    with tempfile.TemporaryDirectory() as cache:
        seconds(DEPENDENCIES, cache), seconds(LIBRARY, cache)  # which fills it
        rounds = [(seconds(DEPENDENCIES, cache), seconds(LIBRARY, cache)) for _ in range(ROUNDS)]
    dependencies, library = (1000 * statistics.median(side) for side in zip(*rounds, strict=True))
    ratio = statistics.median(ours / theirs for theirs, ours in rounds)
    print(f"requests, tenacity, structlog: {dependencies:6.1f} ms")
    print(f"translation_client:            {library:6.1f} ms")
    print(f"ratio: {ratio:.2f} (goal: at most {GOAL})")


def seconds(statement: str, cache: str) -> float:
    """Time one import in an interpreter of its own."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", TIMED.format(statement)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout)


if __name__ == "__main__":
    main()
