"""The command line: the result on stdout, everything else on stderr, and an exit code for the outcome."""

from __future__ import annotations

import argparse
import io
import json
import logging
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from .._client import VideoTranslationClient
from .._exceptions import JobFailed, RetriesExhausted, TranslationClientError, WaitTimeout
from .._jobs.batch.options import JobResult
from .._logging import LOGGER_NAME
from .._models import Job
from ..services import get_service
from .demo import ServerDidNotStartError, running_fake_server
from .output import (
    EXIT_INTERRUPTED,
    EXIT_IOERR,
    EXIT_JOB_FAILED,
    EXIT_OK,
    EXIT_REQUEST_FAILED,
    EXIT_SOFTWARE,
    EXIT_TIMED_OUT,
    EXIT_USAGE,
    OutputLostError,
    code_of,
    echo,
    echo_error,
    print_job,
)
from .parser import FROM_STDIN, client_arguments, is_of_many, job_arguments, parser, resume_command
from .terminal import StatusLine, batch_table, download_bar, exit_in_order_on_sigterm

UNWATCHED = ("demo", "schedule", "submit")
"""Commands that log on a terminal too. The log of `submit` has the idempotency key, in case the process ends."""

T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    options = parser().parse_args(arguments)
    if is_watched := options.command not in UNWATCHED and not options.verbose and _is_terminal(sys.stderr):
        logging.getLogger(LOGGER_NAME).setLevel(logging.WARNING)
    commands: dict[str, Callable[[], int]] = {
        "submit": lambda: _submit(options),
        "status": lambda: _status(options),
        "wait": lambda: _wait(options, is_watched=is_watched),
        "download": lambda: _download(options, is_watched=is_watched),
        "delete": lambda: _delete(options),
        "schedule": lambda: _done(options, lambda: _schedule(options)),
        "demo": _demo,
    }
    try:
        return commands[options.command]()
    except KeyboardInterrupt as interrupt:
        usual = "" if options.command in ("submit", "download", "delete") else "; the job is still running"
        echo_error(f"interrupted. {interrupt}" if interrupt.args else f"interrupted{usual}")
        return EXIT_INTERRUPTED
    except UsageError as error:
        echo_error(f"translation-client {options.command}: {error}")
        return EXIT_USAGE
    except OutputLostError:
        return EXIT_IOERR
    except Exception:  # noqa: BLE001  # Python would exit with 1, which means that the job failed
        echo_error(traceback.format_exc())
        return EXIT_SOFTWARE


class UsageError(Exception):
    """An argument is not valid."""


def _is_terminal(stream: Any) -> bool:
    return stream is not None and bool(stream.isatty())


def _submit(options: argparse.Namespace) -> int:
    with _client(options) as client:
        return _answered(options, lambda: _submitted(client, options), shown="id")


def _submitted(client: VideoTranslationClient, options: argparse.Namespace) -> Job:
    return client.submit(
        options.video,
        options.target_language,
        source_language=options.source_language,
        options=dict(options.options),
        queue=options.queue,
        idempotency_key=options.idempotency_key,
        timeout=options.timeout,
    )


def _status(options: argparse.Namespace) -> int:
    with _client(options) as client:
        return _answered(options, lambda: client.check(options.job_id))


def _wait(options: argparse.Namespace, *, is_watched: bool) -> int:
    if is_of_many(options):
        with _client(options) as client:
            return _of_usage(lambda: wait_for_many(client, options, is_watched=is_watched))
    return _watched_wait(options) if is_watched else _plain_wait(options)


def _plain_wait(options: argparse.Namespace) -> int:
    with _client(options) as client:
        return _answered(options, lambda: client.wait(options.job_id, **job_arguments(options)))


def _watched_wait(options: argparse.Namespace) -> int:
    line = StatusLine(sys.stderr, options.timeout or get_service(options.service).defaults.timeout)
    with _client(options, sleep=line.sleep) as client:
        return _answered(options, lambda: _last_of(client, options, line))


def _download(options: argparse.Namespace, *, is_watched: bool) -> int:
    exit_in_order_on_sigterm()  # or an incomplete temporary file would stay
    with _client(options) as client, download_bar(sys.stderr if is_watched else None) as on_progress:
        wanted = {"language": options.language, "timeout": options.timeout, "on_progress": on_progress}
        return _done(options, lambda: str(client.download(options.job_id, options.path, **wanted)))


def _delete(options: argparse.Namespace) -> int:
    with _client(options) as client:
        return _done(options, lambda: _deleted(client, options.job_id))


def _deleted(client: VideoTranslationClient, job_id: str) -> str:
    client.delete(job_id)
    return "deleted"


def _done(options: argparse.Namespace, do: Callable[[], str]) -> int:
    try:
        text = _of_usage(do)
    except JobFailed as error:
        echo_error(str(error))
        return EXIT_JOB_FAILED
    except TranslationClientError as error:
        return _failed(options, error)
    except OSError as error:
        echo_error(f"translation-client {options.command}: {error}")
        return EXIT_REQUEST_FAILED
    echo(text)
    return EXIT_OK


def _of_usage(do: Callable[[], T]) -> T:
    try:
        return do()
    except ValueError as error:
        raise UsageError(error) from error


def _last_of(client: VideoTranslationClient, options: argparse.Namespace, line: StatusLine) -> Job:
    try:
        for job in client.watch(options.job_id, **job_arguments(options)):
            line.show(job)
    finally:
        line.clear()
    return job


def _schedule(options: argparse.Namespace) -> str:
    from .schedule import (
        as_json,
        as_text,
        preview,  # imported for this command only
    )

    given = {name: getattr(options, name) for name in ("check_cost", "target_lag", "max_lag", "kind", "video_seconds")}
    table = preview(options.durations, options.history, options.service, horizon=options.until, **given)
    return json.dumps(as_json(table)) if options.json else as_text(table)


def _demo() -> int:
    try:
        with running_fake_server() as url, VideoTranslationClient(url, backoff_factor=1) as client:
            status = client.get_status()
    except (ServerDidNotStartError, TranslationClientError) as error:
        echo_error(str(error))
        return EXIT_REQUEST_FAILED
    echo(f"Final status: {status}")
    return code_of(status)


def _client(options: argparse.Namespace, **more: Any) -> VideoTranslationClient:
    return _of_usage(
        lambda: VideoTranslationClient(options.base_url, service=options.service, **client_arguments(options), **more)
    )


def _answered(options: argparse.Namespace, ask: Callable[[], Job], shown: str = "status") -> int:
    try:
        job = _of_usage(ask)
    except TranslationClientError as error:
        if error.job is not None:
            print_job(error.job, shown, as_json=options.json)
        return _failed(options, error)
    except OSError as error:  # from reading the video file
        raise UsageError(error) from error
    print_job(job, shown, as_json=options.json)
    return code_of(job.status)


def _failed(options: argparse.Namespace, error: TranslationClientError) -> int:
    echo_error(str(error))
    if error.may_have_been_accepted is not False and error.idempotency_key is not None:
        echo_error(f"To go on: the same command with --idempotency-key={shlex.quote(error.idempotency_key)}")
    if isinstance(error, (WaitTimeout, RetriesExhausted)):
        if options.command in ("status", "wait"):
            echo_error(f"To go on waiting: {resume_command(options)}")
        return EXIT_TIMED_OUT
    return EXIT_REQUEST_FAILED


WORST_FIRST = (EXIT_REQUEST_FAILED, EXIT_TIMED_OUT, EXIT_JOB_FAILED, EXIT_OK)
"""The exit code of many jobs is the first of these that occurred."""


def wait_for_many(client: VideoTranslationClient, options: argparse.Namespace, *, is_watched: bool) -> int:
    """Wait for many jobs, and return the exit code.

    Raises:
        ValueError: An argument is not valid.
    """
    if options.submitted_at is not None:
        raise ValueError("submitted_at is of one job, and cannot be said of several")
    codes = {EXIT_OK}
    with batch_table(sys.stderr if is_watched else None) as table:
        outcomes = client.as_completed(
            _ids(options),
            checks_per_second=options.checks_per_second,
            max_in_flight=options.max_in_flight,
            on_progress=None if table is None else table.record_job,
            kind=options.kind,
            video_seconds=options.video_seconds,
        )
        for outcome in outcomes:
            codes.add(_shown(outcome, as_json=options.json))
            if table is not None:
                table.ended(outcome)
    return next(code for code in WORST_FIRST if code in codes)


def _ids(options: argparse.Namespace) -> Iterator[str]:
    """Yield the ids of the arguments. `-` stands for those on stdin, which are read as slots become free."""
    for job_id in (options.job_id, *options.more_ids):
        if job_id != FROM_STDIN:
            yield job_id
            continue
        if sys.stdin is None:
            raise ValueError("there is no stdin to read ids from")
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="surrogateescape")  # a byte that is not UTF-8 must not end the other jobs
        yield from (line.strip() for line in sys.stdin if line.strip())


def _shown(outcome: JobResult, *, as_json: bool) -> int:
    if isinstance(outcome, Job):
        echo(json.dumps(outcome.to_dict()) if as_json else f"{outcome.id}\t{outcome.status}")
        return code_of(outcome.status)
    echo_error(str(outcome))
    status = None if outcome.job is None else str(outcome.job.status)
    error = type(outcome).__name__
    fields = {"id": _printable(outcome.job_id), "status": status, "error": error, "message": str(outcome)}
    echo(json.dumps(fields) if as_json else f"{_printable(outcome.job_id)}\t{error}")
    return _code_of_error(outcome)


def _code_of_error(error: TranslationClientError) -> int:
    return EXIT_TIMED_OUT if isinstance(error, (WaitTimeout, RetriesExhausted)) else EXIT_REQUEST_FAILED


def _printable(job_id: str | None) -> str:
    """Return an id that any stream can encode."""
    return str(job_id).encode("utf-8", "backslashreplace").decode()
