"""What goes to stdout and what to stderr, and the exit codes."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress

from .._models import Job, TranslationStatus

EXIT_OK, EXIT_JOB_FAILED, EXIT_USAGE, EXIT_REQUEST_FAILED, EXIT_TIMED_OUT, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 130
EXIT_SOFTWARE, EXIT_IOERR = 70, 74
"""A mistake of ours, and an answer that nobody took: `EX_SOFTWARE` and `EX_IOERR` of sysexits.h."""


class OutputLostError(Exception):
    """Nobody takes what we write to stdout."""


def echo(text: str) -> None:
    """Write to stdout, now, so that we hear of it when it cannot be."""
    if sys.stdout is None:
        raise OutputLostError
    try:
        print(text, flush=True)
    except OSError as error:
        with suppress(OSError):  # what is left in the buffer would be tried again at the exit, and complained about
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputLostError from error


def echo_error(text: str) -> None:
    """Write to stderr, if there is one: an exit code is worth more than a sentence."""
    with suppress(OSError):
        if sys.stderr is not None:
            print(text, file=sys.stderr)


def code_of(status: TranslationStatus) -> int:
    """Whether the job failed."""
    return EXIT_JOB_FAILED if status is TranslationStatus.ERROR else EXIT_OK


def print_job(job: Job, shown: str, *, as_json: bool) -> None:
    """Write one field of a job to stdout, or all of them as JSON."""
    fields = job.to_dict()
    echo(json.dumps(fields) if as_json else str(fields[shown]))
