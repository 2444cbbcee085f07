"""Child processes that a test interrupts. coverage.py does not measure them, and none outlives its test."""

from __future__ import annotations

import os
import signal
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
    with _sigint_not_ignored():
        process = _started(command, env or {})
    with process:
        try:
            yield process
        finally:
            process.kill()  # does nothing to one that has ended


def _started(command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**inherited, **env}
    )


@contextmanager
def _sigint_not_ignored() -> Iterator[None]:
    """Handle SIGINT for the length of a block: a child inherits that it is ignored, as a shell does it for what runs with `&`."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
