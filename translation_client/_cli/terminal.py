"""Progress on a terminal: one line for one job, a table for many."""

from __future__ import annotations

import math
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from .._clock import Deadline, Stopwatch
from .._exceptions import TranslationClientError
from .._models import Job, shown_text

REDRAW_SECONDS = 0.25
"""250 ms: how often the status line is drawn again."""

_CLEAR = "\r\x1b[K"


class StatusLine:
    """A status line, and a sleep that redraws it."""

    def __init__(self, stream: TextIO, timeout: float) -> None:
        """Create the line. Nothing is drawn yet.

        Args:
            stream: The terminal.
            timeout: Seconds for the whole wait. `math.inf` is not shown.
        """
        self._stream = stream
        self._watch = Stopwatch()
        self._limit = f" of {timeout:g}" if math.isfinite(timeout) else ""
        self._status = "checking"

    def show(self, job: Job) -> None:
        """Draw the result of a check."""
        percent = "" if job.progress is None else f" {job.progress:.0%}"
        checks = "1 check" if job.checks == 1 else f"{job.checks} checks"
        self._status = f"{shown_text(job, 'raw_status')}{percent} · {checks}"
        self._draw("")

    def sleep(self, seconds: float) -> None:
        """Sleep with a countdown."""
        end = Deadline.after(seconds, self._watch)
        while not end.expired:
            left = end.remaining
            self._draw(f" · next in {left:.0f} s")
            with end.stopwatch.measure():
                time.sleep(min(left, REDRAW_SECONDS))

    def clear(self) -> None:
        """Clear the line."""
        self._write(_CLEAR)

    def _draw(self, note: str) -> None:
        text = f"{self._status} · {self._watch.elapsed:.0f}{self._limit} s{note}"
        width = shutil.get_terminal_size().columns
        # The cursor returns to the start, so that a log line overwrites the status line.
        self._write(f"{_CLEAR}{text[: width - 1]}\r")

    def _write(self, text: str) -> None:
        with suppress(OSError):  # the wait continues if the terminal goes away
            self._stream.write(text)
            self._stream.flush()


@contextmanager
def download_bar(stream: TextIO | None) -> Iterator[Callable[[int, int | None], None] | None]:
    """Show a progress bar for the length of a block.

    Yields the progress callback, with the bytes received and the total. None without a terminal or without `rich` (the
    extra `[cli]`).
    """
    try:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn
    except ModuleNotFoundError:
        stream = None
    if stream is None:
        yield None
        return
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda received, total: bar.update(task, completed=received, total=total)


class BatchTable:
    """The jobs of a batch: how many are pending, how many have ended, and the latest results."""

    ROWS = 15

    def __init__(self) -> None:
        """Create an empty table."""
        self._jobs: dict[str, Job] = {}
        self._result_counts: Counter[str] = Counter()

    def record_job(self, job: Job) -> None:
        """Record the result of a check."""
        self._jobs.pop(job.id, None)
        if not job.status.is_final:
            self._jobs[job.id] = job  # the latest is last

    def record_result(self, result: Job | TranslationClientError) -> None:
        """Record the end of a job."""
        self._jobs.pop(result.id if isinstance(result, Job) else result.job_id or "", None)
        self._result_counts[str(result.status) if isinstance(result, Job) else type(result).__name__] += 1

    def __rich__(self) -> Any:
        from rich.table import Table

        ended = ", ".join(f"{count} {kind}" for kind, count in self._result_counts.items()) or "none yet"
        table = Table(title=f"{len(self._jobs)} pending; ended: {ended}", title_justify="left")
        for name in ("job", "status", "progress", "checks", "seconds"):
            table.add_column(name)
        for job in tuple(self._jobs.values())[-self.ROWS :]:
            progress = "" if job.progress is None else f"{job.progress:.0%}"
            job_id, shown_status = str(shown_text(job, "id")), shown_text(job, "raw_status")
            table.add_row(job_id, shown_status, progress, str(job.checks), f"{job.elapsed:.0f}")
        return table


@contextmanager
def batch_table(stream: TextIO | None) -> Iterator[BatchTable | None]:
    """Show a table of many jobs for the length of a block. Yields None without a terminal or without `rich`."""
    try:
        from rich.console import Console
        from rich.live import Live
    except ModuleNotFoundError:
        stream = None
    if stream is None:
        yield None
        return
    table = BatchTable()
    # Results on the same terminal are written above the table. A redirected stdout is left alone.
    is_shared = sys.stdout is not None and sys.stdout.isatty()
    rate = 1 / REDRAW_SECONDS
    console = Console(file=stream)
    with Live(table, console=console, transient=True, refresh_per_second=rate, redirect_stdout=is_shared):
        yield table


def exit_in_order_on_sigterm() -> None:
    """Exit on SIGTERM by an exception, as on an interrupt, so that `finally` blocks clean up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
