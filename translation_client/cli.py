"""The command line: the answer on stdout, everything else on stderr, and an exit code that says how it went."""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .client import VideoTranslationClient
from .command_line import client_arguments, command_to_go_on, is_of_many, job_arguments, parser
from .demo import ServerDidNotStartError, running_fake_server
from .errors import JobFailed, RetriesExhausted, TranslationClientError, WaitTimeout
from .logs import LOGGER_NAME
from .models import Job
from .output import (
    ANSWER_LOST,
    BROKEN,
    FINISHED,
    INTERRUPTED,
    JOB_FAILED,
    REQUEST_FAILED,
    TIMED_OUT,
    USAGE,
    AnswerLostError,
    answer,
    code_of,
    print_job,
    say,
)
from .services import service_named
from .terminal import ProgressLine, download_bar, exit_in_order_on_sigterm

UNWATCHED = ("demo", "schedule", "submit")
"""An order keeps its lines: the key to go on with is in one, should this process end."""

T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
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
        usual = "" if options.command in ("submit", "download", "delete") else "; the job goes on at the service"
        say(f"interrupted. {interrupt}" if interrupt.args else f"interrupted{usual}")
        return INTERRUPTED
    except UsageError as error:
        say(f"translation-client {options.command}: {error}")
        return USAGE
    except AnswerLostError:
        return ANSWER_LOST
    except Exception:  # noqa: BLE001  # Python's own exit code for it is 1, and that would say that the job failed
        say(traceback.format_exc())
        return BROKEN


class UsageError(Exception):
    """An argument cannot be used."""


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
        from .cli_of_many import wait_for_many  # of this command alone

        with _client(options) as client:
            return _of_usage(lambda: wait_for_many(client, options, is_watched=is_watched))
    return _watched_wait(options) if is_watched else _plain_wait(options)


def _plain_wait(options: argparse.Namespace) -> int:
    with _client(options) as client:
        return _answered(options, lambda: client.wait(options.job_id, **job_arguments(options)))


def _watched_wait(options: argparse.Namespace) -> int:
    line = ProgressLine(sys.stderr, options.timeout or service_named(options.service).limits.timeout)
    with _client(options, sleep=line.sleep) as client:
        return _answered(options, lambda: _last_of(client, options, line))


def _download(options: argparse.Namespace, *, is_watched: bool) -> int:
    exit_in_order_on_sigterm()  # or half a file would stay, under a name that nobody knows
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
        say(str(error))
        return JOB_FAILED
    except TranslationClientError as error:
        return _failed(options, error)
    except OSError as error:
        say(f"translation-client {options.command}: {error}")
        return REQUEST_FAILED
    answer(text)
    return FINISHED


def _of_usage(do: Callable[[], T]) -> T:
    try:
        return do()
    except ValueError as error:
        raise UsageError(error) from error


def _last_of(client: VideoTranslationClient, options: argparse.Namespace, line: ProgressLine) -> Job:
    try:
        for job in client.watch(options.job_id, **job_arguments(options)):
            line.show(job)
    finally:
        line.clear()
    return job


def _schedule(options: argparse.Namespace) -> str:
    from .timetable import as_json, as_text, timetable_for  # of this command alone

    given = {name: getattr(options, name) for name in ("check_cost", "target_lag", "max_lag", "key", "video_seconds")}
    table = timetable_for(options.durations, options.history, options.service, horizon=options.until, **given)
    return json.dumps(as_json(table)) if options.json else as_text(table)


def _demo() -> int:
    try:
        with running_fake_server() as url, VideoTranslationClient(url, backoff_factor=1) as client:
            status = client.get_status()
    except (ServerDidNotStartError, TranslationClientError) as error:
        say(str(error))
        return REQUEST_FAILED
    answer(f"Final status: {status}")
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
    except OSError as error:  # the video that is to be sent
        raise UsageError(error) from error
    print_job(job, shown, as_json=options.json)
    return code_of(job.status)


def _failed(options: argparse.Namespace, error: TranslationClientError) -> int:
    say(str(error))
    if error.may_have_been_accepted is not False and error.idempotency_key is not None:
        say(f"To go on: the same command with --idempotency-key={shlex.quote(error.idempotency_key)}")
    if isinstance(error, (WaitTimeout, RetriesExhausted)):
        if options.command in ("status", "wait"):
            say(f"To go on waiting: {command_to_go_on(options)}")
        return TIMED_OUT
    return REQUEST_FAILED
