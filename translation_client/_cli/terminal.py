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
_CLEAR = "\r\x1b[K"


class StatusLine:
    """The line, and the sleep that keeps it moving."""

    def __init__(self, stream: TextIO, timeout: float) -> None:
        """Begin without drawing anything.

        Args:
            stream: The terminal.
            timeout: Seconds for the whole wait; `math.inf` is not shown.
        """
        self._stream = stream
        self._watch = Stopwatch()
        self._limit = f" of {timeout:g}" if math.isfinite(timeout) else ""
        self._status = "asking"

    def show(self, job: Job) -> None:
        """Take over what was seen."""
        percent = "" if job.progress is None else f" {job.progress:.0%}"
        checks = "1 check" if job.checks == 1 else f"{job.checks} checks"
        self._status = f"{shown_text(job, 'raw_status')}{percent} · {checks}"
        self._draw("")

    def sleep(self, seconds: float) -> None:
        """Sleep, and count down."""
        end = Deadline.after(seconds, self._watch)
        while not end.has_passed:
            left = end.left
            self._draw(f" · next in {left:.0f} s")
            with end.stopwatch.measure():
                time.sleep(min(left, REDRAW_SECONDS))

    def clear(self) -> None:
        """Take the line away."""
        self._write(_CLEAR)

    def _draw(self, what_next: str) -> None:
        text = f"{self._status} · {self._watch.elapsed:.0f}{self._limit} s{what_next}"
        width = shutil.get_terminal_size().columns
        # The cursor goes back to the start, so that a log line that comes in between writes over it.
        self._write(f"{_CLEAR}{text[: width - 1]}\r")

    def _write(self, text: str) -> None:
        with suppress(OSError):  # the terminal may go away in the middle of a wait, which goes on
            self._stream.write(text)
            self._stream.flush()


@contextmanager
def download_bar(stream: TextIO | None) -> Iterator[Callable[[int, int | None], None] | None]:
    """Show a bar for the length of a block; None where there is no terminal, or no `rich` (the extra `[cli]`).

    Gives what is to be told the bytes that are there, and those that there will be.
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
    """How many jobs stand how, and those that were heard of last."""

    ROWS = 15

    def __init__(self) -> None:
        """Begin with none."""
        self._jobs: dict[str | None, Job] = {}
        self._ended: Counter[str] = Counter()

    def record_job(self, job: Job) -> None:
        """Take over an answer."""
        self._jobs.pop(job.id, None)
        if not job.status.is_final:
            self._jobs[job.id] = job  # the latest comes last

    def ended(self, outcome: Job | TranslationClientError) -> None:
        """Take over what came of a job."""
        self._jobs.pop(outcome.id if isinstance(outcome, Job) else outcome.job_id, None)
        self._ended[str(outcome.status) if isinstance(outcome, Job) else type(outcome).__name__] += 1

    def __rich__(self) -> Any:
        from rich.table import Table

        ended = ", ".join(f"{count} {what}" for what, count in self._ended.items()) or "none yet"
        table = Table(title=f"{len(self._jobs)} pending; ended: {ended}", title_justify="left")
        for name in ("job", "status", "progress", "checks", "seconds"):
            table.add_column(name)
        for job in tuple(self._jobs.values())[-self.ROWS :]:
            progress = "" if job.progress is None else f"{job.progress:.0%}"
            job_id, word = str(shown_text(job, "id")), shown_text(job, "raw_status")
            table.add_row(job_id, word, progress, str(job.checks), f"{job.elapsed:.0f}")
        return table


@contextmanager
def batch_table(stream: TextIO | None) -> Iterator[BatchTable | None]:
    """Show a table of many jobs for the length of a block; None where there is no terminal, or no `rich`."""
    try:
        from rich.console import Console
        from rich.live import Live
    except ModuleNotFoundError:
        stream = None
    if stream is None:
        yield None
        return
    table = BatchTable()
    # Where the answers go to the same terminal, they are written above the table; elsewhere they are left alone.
    is_shared = sys.stdout is not None and sys.stdout.isatty()
    rate = 1 / REDRAW_SECONDS
    console = Console(file=stream)
    with Live(table, console=console, transient=True, refresh_per_second=rate, redirect_stdout=is_shared):
        yield table


def exit_in_order_on_sigterm() -> None:
    """Let a termination unwind the stack as an interrupt does, or what has to be put away would stay."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
