"""Output to stdout and stderr, and the exit codes."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress

from .._models import Job, TranslationStatus

EXIT_OK, EXIT_JOB_FAILED, EXIT_USAGE, EXIT_REQUEST_FAILED, EXIT_TIMED_OUT, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 130
EXIT_SOFTWARE, EXIT_IOERR = 70, 74
"""An internal error, and a stdout that cannot be written: `EX_SOFTWARE` and `EX_IOERR` of sysexits.h."""


class OutputLostError(Exception):
    """Stdout cannot be written."""


def echo(text: str) -> None:
    """Write to stdout and flush, so that a failure shows here.

    Raises:
        OutputLostError: Stdout is closed or cannot be written.
    """
    if sys.stdout is None:
        raise OutputLostError
    try:
        print(text, flush=True)
    except OSError as error:
        with suppress(OSError):  # the exit would try to flush the rest of the buffer, and print an error
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputLostError from error


def echo_error(text: str) -> None:
    """Write to stderr. Failures are ignored, as the exit code matters more than the message."""
    with suppress(OSError):
        if sys.stderr is not None:
            print(text, file=sys.stderr)


def exit_code_of(status: TranslationStatus) -> int:
    """Return the exit code for the status of a job."""
    return EXIT_JOB_FAILED if status is TranslationStatus.ERROR else EXIT_OK


def print_job(job: Job, field: str, *, as_json: bool) -> None:
    """Write one field of a job to stdout, or all of them as JSON."""
    fields = job.to_dict()
    echo(json.dumps(fields) if as_json else str(fields[field]))
