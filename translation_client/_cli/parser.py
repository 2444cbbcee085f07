"""The arguments of the command line."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from .._auth.urls import parse_base_url
from ..services import SERVICES
from ..services.reference import REFERENCE

DEFAULTS = REFERENCE.defaults

NUMBER_OPTIONS = {
    "timeout": f"seconds for the whole call, or for each of many jobs (default: {DEFAULTS.timeout:g} for the reference service, 3600 for the others)",
    "request_timeout": f"seconds for one HTTP call (default: {DEFAULTS.request_timeout:g})",
    "max_faults": f"give up after so many failed attempts in a row (default: {DEFAULTS.max_faults:g}, 10 for the others)",
    "max_retries": f"checks after the first one while the job is pending (default: {DEFAULTS.max_retries:g}, no limit for the others)",
    "backoff_factor": "seconds between the first two checks, doubled for each further one (default: 2)",
    "max_delay": "the longest sleep of the backoff in seconds (default: 60)",
    "jitter": "the fraction by which a sleep may be longer or shorter, from 0 to 1 (default: 0)",
    "check_cost": "learn when to check (with --history): how many seconds of delay one request is worth",
    "target_lag": "learn when to check, instead of --check-cost: the mean seconds from the end of a job to the check that sees it",
    "max_lag": "with a learned schedule: the longest time between two checks in seconds",
}
_TIMEOUT_TEXTS = {
    "download": {"timeout": "seconds for the whole download (default: no limit)"},
    "submit": {
        "timeout": f"seconds for the whole submission (default: {DEFAULTS.timeout:g} for the reference service, 3600 for the others; no limit for a file)"
    },
}
_SCHEDULE_OPTION_NAMES = ("check_cost", "target_lag", "max_lag")

FROM_STDIN = "-"
OTHER_CLIENT_OPTION_NAMES = ("history",)
JOB_OPTION_NAMES = ("kind", "video_seconds", "submitted_at")

_SINGLE_REQUEST_OPTION_NAMES = ("timeout", "request_timeout", "max_faults")

_KEYS = ", ".join(f"{service.key_variable} ({name})" for name, service in SERVICES.items())

EPILOG = f"""The result goes to stdout, everything else to stderr. Exit codes: 0 success (status: also while pending),
1 the job failed, 2 invalid arguments, 3 the request failed, 4 timed out or no retries left, 130 interrupted, 143 terminated, 70 internal error, 74 stdout not writable.
The API key is read from an environment variable: {_KEYS}."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    root = argparse.ArgumentParser(
        prog="translation-client",
        description="Submit video translation jobs, wait for them, and download the results.",
        epilog=EPILOG,
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_submit(commands)
    _add_job_command(commands, "status", "check the status of a job once", _SINGLE_REQUEST_OPTION_NAMES)
    wait = _add_job_command(commands, "wait", "wait until a job, or many jobs, are finished", tuple(NUMBER_OPTIONS))
    _add_batch_options(wait)
    _add_history_options(wait)
    wait.add_argument(
        "--submitted-at", type=float, metavar="SECONDS", help="the Unix time of the submission, in seconds"
    )
    _add_schedule(commands)
    download = _add_command(
        commands, "download", "download the result of a completed job to a file", _SINGLE_REQUEST_OPTION_NAMES
    )
    download.add_argument("job_id", metavar="JOB_ID", help="the id of the job")
    download.add_argument("path", metavar="PATH", help="the file; an existing one is replaced")
    download.add_argument("--language", help="which result, if a job has several (ElevenLabs)")
    delete = _add_command(
        commands, "delete", "delete a job and its result at the service", _SINGLE_REQUEST_OPTION_NAMES
    )
    delete.add_argument("job_id", metavar="JOB_ID", help="the id of the job")
    commands.add_parser("demo", help="run the fake server, and wait for its job", epilog=EPILOG)
    return root


def _add_submit(commands: Any) -> None:
    submit = _add_command(
        commands, "submit", "submit a video, and print the id of the job", _SINGLE_REQUEST_OPTION_NAMES
    )
    submit.add_argument("video", metavar="VIDEO", help="an http(s) URL, or a file where the service takes files")
    submit.add_argument(
        "target_language", metavar="LANGUAGE", help="the language to translate into, as the service spells it"
    )
    submit.add_argument(
        "--source-language", metavar="LANGUAGE", help="the language of the video (default: detected by the service)"
    )
    submit.add_argument(
        "--queue", action="store_true", help="if the service runs as many jobs as it allows, wait for a free slot"
    )
    submit.add_argument(
        "--idempotency-key", metavar="KEY", help="repeat a submission whose result is unknown, under its key"
    )
    submit.add_argument(
        "--option",
        type=_option,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="options",
        help="a field that only this service has, as JSON or plain text; repeatable",
    )
    submit.add_argument("--json", action="store_true", help="print the whole job as JSON")


def _add_batch_options(wait: argparse.ArgumentParser) -> None:
    wait.add_argument(
        "more_ids",
        nargs="*",
        metavar="JOB_ID",
        help="more jobs: each is printed as it ends; `-` reads ids from stdin, one a line",
    )
    wait.add_argument(
        "--checks-per-second",
        type=float,
        metavar="NUMBER",
        help="with many jobs: the maximum number of requests in any second (default: 100)",
    )
    wait.add_argument(
        "--max-in-flight",
        type=float,
        metavar="NUMBER",
        help="with many jobs: the maximum number of jobs at once (default: 10000)",
    )


def _add_schedule(commands: Any) -> None:
    text = "print when a job would be checked; sends nothing"
    schedule = commands.add_parser("schedule", help=text, description=text, epilog=EPILOG)
    schedule.add_argument("--service", choices=sorted(SERVICES), default=REFERENCE.name, help="default: %(default)s")
    _add_numbers(schedule, _SCHEDULE_OPTION_NAMES, {})
    _add_history_options(schedule)
    schedule.add_argument(
        "--until",
        type=float,
        metavar="SECONDS",
        help="the last second shown (default: when 95 %% of such jobs are finished)",
    )
    schedule.add_argument("--json", action="store_true", help="print the table as JSON")
    schedule.add_argument(
        "durations", nargs="*", type=float, metavar="SECONDS", help="durations of past jobs, instead of --history"
    )


def _add_history_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--history", metavar="FILE", help="the file with the durations of past jobs, which `wait` creates and extends"
    )
    command.add_argument(
        "--kind", metavar="KIND", help="a label shared by jobs that take similarly long, such as a language and a mode"
    )
    command.add_argument("--video-seconds", type=float, metavar="SECONDS", help="the length of the video in seconds")


def _add_job_command(commands: Any, name: str, help_text: str, numbers: Sequence[str]) -> argparse.ArgumentParser:
    command = _add_command(commands, name, help_text, numbers)
    command.add_argument(
        "job_id",
        nargs="?",
        metavar="JOB_ID",
        help="the id of the job (default: the single job of the reference service)",
    )
    command.add_argument("--json", action="store_true", help="print the whole job as JSON")
    return command


def _add_command(commands: Any, name: str, help_text: str, numbers: Sequence[str]) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=help_text, description=help_text, epilog=EPILOG)
    command.add_argument("--service", choices=sorted(SERVICES), default=REFERENCE.name, help="default: %(default)s")
    command.add_argument(
        "--base-url",
        metavar="URL",
        help="the URL of the service (default: its own; required for reference, which has none)",
    )
    _add_numbers(
        command,
        numbers,
        _TIMEOUT_TEXTS.get(name, {}),
    )
    command.add_argument("-v", "--verbose", action="store_true", help="log each attempt, even on a terminal")
    return command


def _add_numbers(command: argparse.ArgumentParser, numbers: Sequence[str], texts: Mapping[str, str]) -> None:
    for option in numbers:
        text = {**NUMBER_OPTIONS, **texts}[option]
        command.add_argument(f"--{option.replace('_', '-')}", type=float, metavar="NUMBER", help=text)


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"an option is NAME=VALUE, got {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def is_batch(options: argparse.Namespace) -> bool:
    """Return True if there are several jobs to wait for."""
    return bool(options.more_ids) or options.job_id == FROM_STDIN


def client_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of the client that are on the command line."""
    return _set_options(options, (*NUMBER_OPTIONS, *OTHER_CLIENT_OPTION_NAMES))


def job_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments about the job that are on the command line."""
    return _set_options(options, JOB_OPTION_NAMES)


def resume_command(options: argparse.Namespace) -> str:
    """Return the command that resumes the wait."""
    job = ["--", options.job_id] if options.job_id else []  # an id may begin with a dash
    url = [] if options.base_url is None else ["--base-url", parse_base_url(options.base_url).url]  # without a password
    service = [] if options.service == REFERENCE.name else ["--service", options.service]
    arguments = {**client_arguments(options), **job_arguments(options)}
    flags = [_as_option(name, value) for name, value in arguments.items()]
    return shlex.join(["translation-client", "wait", *service, *url, *flags, *job])


def _set_options(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(options, name, None)) is not None}


def _as_option(name: str, value: Any) -> str:
    option = f"--{name.replace('_', '-')}"
    is_round = isinstance(value, float) and value == float(f"{value:g}")
    return f"{option}={value:g}" if is_round else f"{option}={value}"
