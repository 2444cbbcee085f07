"""How does the command line wait for many jobs? A line on stdout for each as it ends, and a table for whoever looks on."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Iterator

from .client import VideoTranslationClient
from .command_line import FROM_STDIN
from .errors import RetriesExhausted, TranslationClientError, WaitTimeout
from .fleet.terms import Outcome
from .models import Job
from .output import FINISHED, JOB_FAILED, REQUEST_FAILED, TIMED_OUT, answer, code_of, say
from .terminal import fleet_table

WORST_FIRST = (REQUEST_FAILED, TIMED_OUT, JOB_FAILED, FINISHED)
"""Of several jobs the exit code is that of the worst."""


def wait_for_many(client: VideoTranslationClient, options: argparse.Namespace, *, is_watched: bool) -> int:
    """Wait for all of them; the exit code.

    Raises:
        ValueError: An argument cannot be used.
    """
    if options.submitted_at is not None:
        raise ValueError("submitted_at is of one job, and cannot be said of several")
    codes = {FINISHED}
    with fleet_table(sys.stderr if is_watched else None) as table:
        outcomes = client.as_completed(
            _ids(options),
            checks_per_second=options.checks_per_second,
            max_in_flight=options.max_in_flight,
            on_progress=None if table is None else table.saw,
            key=options.key,
            video_seconds=options.video_seconds,
        )
        for outcome in outcomes:
            codes.add(_shown(outcome, as_json=options.json))
            if table is not None:
                table.ended(outcome)
    return next(code for code in WORST_FIRST if code in codes)


def _ids(options: argparse.Namespace) -> Iterator[str]:
    """The ids that were typed; where a `-` stands, those on stdin, read as there is room for them."""
    for job_id in (options.job_id, *options.more_ids):
        if job_id != FROM_STDIN:
            yield job_id
            continue
        if sys.stdin is None:
            raise ValueError("there is no stdin to read ids from")
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="surrogateescape")  # an odd byte is an odd id, and ends none of the others
        yield from (line.strip() for line in sys.stdin if line.strip())


def _shown(outcome: Outcome, *, as_json: bool) -> int:
    if isinstance(outcome, Job):
        answer(json.dumps(outcome.to_dict()) if as_json else f"{outcome.id}\t{outcome.status}")
        return code_of(outcome.status)
    say(str(outcome))
    status = None if outcome.job is None else str(outcome.job.status)
    error = type(outcome).__name__
    fields = {"id": _printable(outcome.job_id), "status": status, "error": error, "message": str(outcome)}
    answer(json.dumps(fields) if as_json else f"{_printable(outcome.job_id)}\t{error}")
    return _code_of_error(outcome)


def _code_of_error(error: TranslationClientError) -> int:
    return TIMED_OUT if isinstance(error, (WaitTimeout, RetriesExhausted)) else REQUEST_FAILED


def _printable(job_id: str | None) -> str:
    """An id as it can be written to any stream."""
    return str(job_id).encode("utf-8", "backslashreplace").decode()
