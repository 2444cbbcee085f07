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
from typing import Any

from .arguments import address, path_segment
from .client import VideoTranslationClient
from .demo import ServerDidNotStartError, running_fake_server
from .errors import RetriesExhausted, TranslationClientError, WaitTimeout
from .logs import LOGGER_NAME
from .models import Job, TranslationStatus
from .services.reference import REFERENCE
from .terminal import ProgressLine

FINISHED, JOB_FAILED, USAGE, REQUEST_FAILED, TIMED_OUT, INTERRUPTED = 0, 1, 2, 3, 4, 130
BROKEN, ANSWER_LOST = 70, 74
"""A mistake of ours, and an answer that nobody took: `EX_SOFTWARE` and `EX_IOERR` of sysexits.h."""

LIMITS = REFERENCE.limits

API_KEY_VARIABLE = "TRANSLATION_CLIENT_API_KEY"

EPILOG = f"""The answer goes to stdout, everything else to stderr. Exit codes: 0 finished (and a status of pending),
1 the job failed, 2 usage, 3 the request failed, 4 timed out, 130 interrupted, 70 broken, 74 the answer was lost.
An API key is read from the environment variable {API_KEY_VARIABLE}."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = _parser().parse_args(arguments)
    if is_watched := options.command != "demo" and not options.verbose and _is_terminal(sys.stderr):
        logging.getLogger(LOGGER_NAME).setLevel(logging.WARNING)
    commands: dict[str, Callable[[], int]] = {
        "status": lambda: _status(options),
        "wait": lambda: _watched_wait(options) if is_watched else _wait(options),
        "demo": _demo,
    }
    try:
        return commands[options.command]()
    except KeyboardInterrupt:
        _say("interrupted; the job goes on at the service")
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


def _status(options: argparse.Namespace) -> int:
    with _client(options) as client:
        return _answered(options, lambda: client.check(options.job_id))


def _wait(options: argparse.Namespace) -> int:
    with _client(options) as client:
        return _answered(options, lambda: client.wait(options.job_id))


def _watched_wait(options: argparse.Namespace) -> int:
    line = ProgressLine(sys.stderr, options.timeout or LIMITS.timeout)
    with _client(options, sleep=line.sleep) as client:
        return _answered(options, lambda: _last_of(client, options.job_id, line))


def _last_of(client: VideoTranslationClient, job_id: str | None, line: ProgressLine) -> Job:
    try:
        for job in client.watch(job_id):
            line.show(job)
    finally:
        line.clear()
    return job


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
    key = os.environ.get(API_KEY_VARIABLE) or None
    try:
        if options.job_id is not None:
            path_segment(options.job_id)
        return VideoTranslationClient(options.base_url, api_key=key, **_numbers_given(options), **more)
    except ValueError as error:
        raise UsageError(error) from error


def _numbers_given(options: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in vars(options).items() if name in _CLIENT_OPTIONS and value is not None}


def _answered(options: argparse.Namespace, ask: Callable[[], Job]) -> int:
    try:
        job = ask()
    except TranslationClientError as error:
        if error.job is not None:
            _print_job(error.job, as_json=options.json)
        _say(str(error))
        if not isinstance(error, (WaitTimeout, RetriesExhausted)):
            return REQUEST_FAILED
        _say(f"To go on waiting: {_command_to_go_on(options)}")
        return TIMED_OUT
    _print_job(job, as_json=options.json)
    return _code(job.status)


def _code(status: TranslationStatus) -> int:
    return JOB_FAILED if status is TranslationStatus.ERROR else FINISHED


def _print_job(job: Job, *, as_json: bool) -> None:
    fields = {field.name: _finite(getattr(job, field.name)) for field in dataclasses.fields(job)}
    _answer(json.dumps(fields) if as_json else str(job.status))


def _finite(value: Any) -> Any:
    """Copy a value without NaN and infinities, which Python reads in JSON, and nobody else does."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _command_to_go_on(options: argparse.Namespace) -> str:
    job = ["--", options.job_id] if options.job_id else []  # an id may begin with a dash
    url = address(options.base_url).url  # without a password
    numbers = [f"--{name.replace('_', '-')}={value:g}" for name, value in _numbers_given(options).items()]
    return shlex.join(["translation-client", "wait", "--base-url", url, *numbers, *job])


_CLIENT_OPTIONS = {
    "timeout": f"seconds for the whole wait (default: {LIMITS.timeout:g})",
    "request_timeout": f"seconds for one HTTP call (default: {LIMITS.request_timeout:g})",
    "max_faults": f"consecutive failed calls that fail a check (default: {LIMITS.max_faults:g})",
    "max_retries": f"how often to ask again while the job is pending (default: {LIMITS.max_retries:g})",
    "backoff_factor": "seconds before the first retry, doubled for each further one (default: 2)",
    "max_delay": "the longest pause in seconds (default: 60)",
    "jitter": "the part by which a pause may be longer or shorter, from 0 to 1 (default: 0)",
}
_OF_ONE_CHECK = ("timeout", "request_timeout", "max_faults")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="translation-client", description=__doc__, epilog=EPILOG)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_job_command(commands, "status", "ask once how a job stands", _OF_ONE_CHECK)
    _add_job_command(commands, "wait", "wait until a job is finished", tuple(_CLIENT_OPTIONS))
    commands.add_parser("demo", help="see it work: runs the fake server, and waits for its job", epilog=EPILOG)
    return parser


def _add_job_command(commands: Any, name: str, help_text: str, numbers: Sequence[str]) -> None:
    command = commands.add_parser(name, help=help_text, description=help_text, epilog=EPILOG)
    command.add_argument("job_id", nargs="?", metavar="JOB_ID", help="left out: the single job of the server")
    command.add_argument("--base-url", required=True, metavar="URL", help="the address of the service")
    for option in numbers:
        command.add_argument(
            f"--{option.replace('_', '-')}", type=float, metavar="NUMBER", help=_CLIENT_OPTIONS[option]
        )
    command.add_argument("--json", action="store_true", help="print the whole job as JSON")
    command.add_argument("-v", "--verbose", action="store_true", help="log each attempt on a terminal, too")
