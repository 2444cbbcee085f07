"""Child processes that a test interrupts: coverage.py is not in them, and none outlives its test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager


@contextmanager
def running(command: Sequence[str], env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run a command for the length of a block, and kill it at the end if it has not ended by itself.

    coverage.py is kept out of it: an exception that a signal handler raises inside its tracer leaves its lock locked, and the
    next call in that process never returns, or the exception is lost.

    Args:
        command: The program and its arguments; stdout and stderr are pipes.
        env: Added to the environment.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**inherited, **(env or {})}
    ) as process:
        try:
            yield process
        finally:
            process.kill()  # does nothing to one that has ended
