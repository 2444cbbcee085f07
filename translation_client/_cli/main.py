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
    echo,
    echo_error,
    exit_code_of,
    print_job,
)
from .parser import FROM_STDIN, client_arguments, is_batch, job_arguments, parser, resume_command
from .terminal import StatusLine, batch_table, download_bar, exit_in_order_on_sigterm

COMMANDS_WITH_LOG = ("demo", "schedule", "submit")
"""Commands that log on a terminal too. The log of `submit` has the idempotency key, in case the process ends."""

T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    options = parser().parse_args(arguments)
    if has_progress := options.command not in COMMANDS_WITH_LOG and not options.verbose and _is_terminal(sys.stderr):
        logging.getLogger(LOGGER_NAME).setLevel(logging.WARNING)
    commands: dict[str, Callable[[], int]] = {
        "submit": lambda: _submit(options),
        "status": lambda: _status(options),
        "wait": lambda: _wait(options, has_progress=has_progress),
        "download": lambda: _download(options, has_progress=has_progress),
        "delete": lambda: _delete(options),
        "schedule": lambda: _print_text_of(options, lambda: _schedule(options)),
        "demo": _demo,
    }
    try:
        return commands[options.command]()
    except KeyboardInterrupt as interrupt:
        note = "; the job is still running" if options.command in ("status", "wait") else ""
        echo_error(f"interrupted. {interrupt}" if interrupt.args else f"interrupted{note}")
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
        return _print_job_of(options, lambda: _submit_job(client, options), field="id")


def _submit_job(client: VideoTranslationClient, options: argparse.Namespace) -> Job:
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
        return _print_job_of(options, lambda: client.check(options.job_id))


def _wait(options: argparse.Namespace, *, has_progress: bool) -> int:
    if is_batch(options):
        with _client(options) as client:
            return _raising_usage_error(lambda: wait_for_batch(client, options, has_progress=has_progress))
    return _wait_with_progress(options) if has_progress else _wait_with_log(options)


def _wait_with_log(options: argparse.Namespace) -> int:
    with _client(options) as client:
        return _print_job_of(options, lambda: client.wait(options.job_id, **job_arguments(options)))


def _wait_with_progress(options: argparse.Namespace) -> int:
    line = StatusLine(sys.stderr, options.timeout or get_service(options.service).defaults.timeout)
    with _client(options, sleep=line.sleep) as client:
        return _print_job_of(options, lambda: _watch(client, options, line))


def _download(options: argparse.Namespace, *, has_progress: bool) -> int:
    exit_in_order_on_sigterm()  # or an incomplete temporary file would stay
    with _client(options) as client, download_bar(sys.stderr if has_progress else None) as on_progress:
        arguments = {"language": options.language, "timeout": options.timeout, "on_progress": on_progress}
        return _print_text_of(options, lambda: str(client.download(options.job_id, options.path, **arguments)))


def _delete(options: argparse.Namespace) -> int:
    with _client(options) as client:
        return _print_text_of(options, lambda: _delete_job(client, options.job_id))


def _delete_job(client: VideoTranslationClient, job_id: str) -> str:
    client.delete(job_id)
    return "deleted"


def _print_text_of(options: argparse.Namespace, call: Callable[[], str]) -> int:
    try:
        text = _raising_usage_error(call)
    except JobFailed as error:
        echo_error(str(error))
        return EXIT_JOB_FAILED
    except TranslationClientError as error:
        return _report_error(options, error)
    except OSError as error:
        echo_error(f"translation-client {options.command}: {error}")
        return EXIT_REQUEST_FAILED
    echo(text)
    return EXIT_OK


def _raising_usage_error(call: Callable[[], T]) -> T:
    try:
        return call()
    except ValueError as error:
        raise UsageError(error) from error


def _watch(client: VideoTranslationClient, options: argparse.Namespace, line: StatusLine) -> Job:
    try:
        for job in client.watch(options.job_id, **job_arguments(options)):
            line.show(job)
    finally:
        line.clear()
    return job


def _schedule(options: argparse.Namespace) -> str:
    from .schedule import as_json, format_table, preview  # imported for this command only

    arguments = {
        name: getattr(options, name) for name in ("check_cost", "target_lag", "max_lag", "kind", "video_seconds")
    }
    table = preview(options.durations, options.history, options.service, horizon=options.until, **arguments)
    return json.dumps(as_json(table)) if options.json else format_table(table)


def _demo() -> int:
    try:
        with running_fake_server() as url, VideoTranslationClient(url, backoff_factor=1) as client:
            status = client.get_status()
    except (ServerDidNotStartError, TranslationClientError) as error:
        echo_error(str(error))
        return EXIT_REQUEST_FAILED
    echo(f"Final status: {status}")
    return exit_code_of(status)


def _client(options: argparse.Namespace, **more: Any) -> VideoTranslationClient:
    return _raising_usage_error(
        lambda: VideoTranslationClient(options.base_url, service=options.service, **client_arguments(options), **more)
    )


def _print_job_of(options: argparse.Namespace, call: Callable[[], Job], field: str = "status") -> int:
    try:
        job = _raising_usage_error(call)
    except TranslationClientError as error:
        if error.job is not None:
            print_job(error.job, field, as_json=options.json)
        return _report_error(options, error)
    except OSError as error:  # from reading the video file
        raise UsageError(error) from error
    print_job(job, field, as_json=options.json)
    return exit_code_of(job.status)


def _report_error(options: argparse.Namespace, error: TranslationClientError) -> int:
    echo_error(str(error))
    if error.may_have_been_accepted is not False and error.idempotency_key is not None:
        echo_error(
            f"To retry the submission, run the same command with --idempotency-key={shlex.quote(error.idempotency_key)}"
        )
    if isinstance(error, (WaitTimeout, RetriesExhausted)) and options.command in ("status", "wait"):
        echo_error(f"To resume waiting: {resume_command(options)}")
    return _exit_code_of_error(error)


WORST_FIRST = (EXIT_REQUEST_FAILED, EXIT_TIMED_OUT, EXIT_JOB_FAILED, EXIT_OK)
"""The exit code of many jobs is the first of these that occurred."""


def wait_for_batch(client: VideoTranslationClient, options: argparse.Namespace, *, has_progress: bool) -> int:
    """Wait for many jobs, and return the exit code.

    Raises:
        ValueError: An argument is not valid.
    """
    if options.submitted_at is not None:
        raise ValueError("--submitted-at is the time of a single job: leave it out for several jobs")
    codes = {EXIT_OK}
    with batch_table(sys.stderr if has_progress else None) as table:
        results = client.as_completed(
            _ids(options),
            checks_per_second=options.checks_per_second,
            max_in_flight=options.max_in_flight,
            on_progress=None if table is None else table.record_job,
            kind=options.kind,
            video_seconds=options.video_seconds,
        )
        for result in results:
            codes.add(_print_result(result, as_json=options.json))
            if table is not None:
                table.record_result(result)
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


def _print_result(result: JobResult, *, as_json: bool) -> int:
    if isinstance(result, Job):
        echo(json.dumps(result.to_dict()) if as_json else f"{result.id}\t{result.status}")
        return exit_code_of(result.status)
    echo_error(str(result))
    status = None if result.job is None else str(result.job.status)
    error = type(result).__name__
    fields = {"id": _encodable(result.job_id), "status": status, "error": error, "message": str(result)}
    echo(json.dumps(fields) if as_json else f"{_encodable(result.job_id)}\t{error}")
    return _exit_code_of_error(result)


def _exit_code_of_error(error: TranslationClientError) -> int:
    return EXIT_TIMED_OUT if isinstance(error, (WaitTimeout, RetriesExhausted)) else EXIT_REQUEST_FAILED


def _encodable(job_id: str | None) -> str:
    """Return an id that any stream can encode."""
    return str(job_id).encode("utf-8", "backslashreplace").decode()
