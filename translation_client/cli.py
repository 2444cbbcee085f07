"""The command line: the answer on stdout, everything else on stderr, and an exit code that says how it went."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import math
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from .client import VideoTranslationClient
from .command_line import client_arguments, command_to_go_on, job_arguments, parser
from .demo import ServerDidNotStartError, running_fake_server
from .errors import JobFailed, RetriesExhausted, TranslationClientError, WaitTimeout
from .logs import LOGGER_NAME
from .models import Job, TranslationStatus
from .services import service_named
from .terminal import ProgressLine, download_bar, exit_in_order_on_sigterm

FINISHED, JOB_FAILED, USAGE, REQUEST_FAILED, TIMED_OUT, INTERRUPTED = 0, 1, 2, 3, 4, 130
BROKEN, ANSWER_LOST = 70, 74
"""A mistake of ours, and an answer that nobody took: `EX_SOFTWARE` and `EX_IOERR` of sysexits.h."""

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
        "wait": lambda: _watched_wait(options) if is_watched else _wait(options),
        "download": lambda: _download(options, is_watched=is_watched),
        "delete": lambda: _delete(options),
        "schedule": lambda: _done(options, lambda: _schedule(options)),
        "demo": _demo,
    }
    try:
        return commands[options.command]()
    except KeyboardInterrupt as interrupt:
        usual = "" if options.command in ("submit", "download", "delete") else "; the job goes on at the service"
        _say(f"interrupted. {interrupt}" if interrupt.args else f"interrupted{usual}")
        return INTERRUPTED
    except UsageError as error:
        _say(f"translation-client {options.command}: {error}")
        return USAGE
    except AnswerLostError:
        return ANSWER_LOST
    except Exception:  # noqa: BLE001  # Python's own exit code for it is 1, and that would say that the job failed
        _say(traceback.format_exc())
        return BROKEN


class UsageError(Exception):
    """An argument cannot be used."""


class AnswerLostError(Exception):
    """Nobody takes what we write to stdout."""


def _answer(text: str) -> None:
    """Write to stdout, now, so that we hear of it when it cannot be."""
    if sys.stdout is None:
        raise AnswerLostError
    try:
        print(text, flush=True)
    except OSError as error:
        with suppress(OSError):  # what is left in the buffer would be tried again at the exit, and complained about
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise AnswerLostError from error


def _say(text: str) -> None:
    """Write to stderr, if there is one: an exit code is worth more than a sentence."""
    with suppress(OSError):
        if sys.stderr is not None:
            print(text, file=sys.stderr)


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


def _wait(options: argparse.Namespace) -> int:
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
        text = _used(do)
    except JobFailed as error:
        _say(str(error))
        return JOB_FAILED
    except TranslationClientError as error:
        return _failed(options, error)
    except OSError as error:
        _say(f"translation-client {options.command}: {error}")
        return REQUEST_FAILED
    _answer(text)
    return FINISHED


def _used(do: Callable[[], T]) -> T:
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
        _say(str(error))
        return REQUEST_FAILED
    _answer(f"Final status: {status}")
    return _code(status)


def _client(options: argparse.Namespace, **more: Any) -> VideoTranslationClient:
    return _used(
        lambda: VideoTranslationClient(options.base_url, service=options.service, **client_arguments(options), **more)
    )


def _answered(options: argparse.Namespace, ask: Callable[[], Job], shown: str = "status") -> int:
    try:
        job = _used(ask)
    except TranslationClientError as error:
        if error.job is not None:
            _print_job(error.job, shown, as_json=options.json)
        return _failed(options, error)
    except OSError as error:  # the video that is to be sent
        raise UsageError(error) from error
    _print_job(job, shown, as_json=options.json)
    return _code(job.status)


def _failed(options: argparse.Namespace, error: TranslationClientError) -> int:
    _say(str(error))
    if error.may_have_been_accepted and error.idempotency_key is not None:
        _say(f"To go on: the same command with --idempotency-key={shlex.quote(error.idempotency_key)}")
    if isinstance(error, (WaitTimeout, RetriesExhausted)):
        if options.command in ("status", "wait"):
            _say(f"To go on waiting: {command_to_go_on(options)}")
        return TIMED_OUT
    return REQUEST_FAILED


def _code(status: TranslationStatus) -> int:
    return JOB_FAILED if status is TranslationStatus.ERROR else FINISHED


def _print_job(job: Job, shown: str, *, as_json: bool) -> None:
    fields = {field.name: _finite(getattr(job, field.name)) for field in dataclasses.fields(job)}
    _answer(json.dumps(fields) if as_json else str(fields[shown]))


def _finite(value: Any) -> Any:
    """Copy a value without NaN and infinities, which Python reads in JSON, and nobody else does."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
