"""The command line of the fake server."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from textwrap import fill
from typing import Any

from .dialects import SERVICES
from .fault_syntax import SYNTAX, parse_fault
from .faults import MEANINGS, ROUTES
from .scenario import OUTCOMES, Scenario, parse_duration

DESCRIPTION = """A video translation service for development and tests, on 127.0.0.1.

GET /status returns the status of the single job, which starts at the first request for it. POST /jobs
creates a job, GET /status/<job_id> returns its status, and GET /status?ids=<job_id>,<job_id> those of
several jobs. GET /jobs/<job_id>/result returns its result, and DELETE /jobs/<job_id> deletes it. With
--service, the paths are those of HeyGen, ElevenLabs or Azure. The URL is printed on a line of its own
when the server listens."""

FAULT_HELP = f"{SYNTAX}, or a JSON object; can be repeated, see below"

EPILOG = f"""A fault is {SYNTAX}:
  ROUTE    the operation whose responses have the fault (default: status):
{fill(", ".join(ROUTES), initial_indent=" " * 11, subsequent_indent=" " * 11)}
  WHEN     2 (the second response), every-3, or a time interval such as 5s-8s. Responses of status and result are
           counted for each job, and the time is that of the job. Other responses are counted for the server, and
           the time is that since its start
  WHAT     a status code, or one of
{"".join(f"             {action:20}{meaning}" + chr(10) for action, meaning in MEANINGS.items() if action != "answer")}\
  SECONDS  default: 1
for example
  --fault 2:503 --fault every-3:drop --fault 5s-8s:429:Retry-After=3 --fault 1:drip-body@0.5
  --fault create/1:503 --fault result/1:truncate
A fault affects only the response: a job is created or deleted all the same, unless the fault is a status code from
400 to 429, or refuse.
A JSON object can have more fields:
  --fault '{{"nth": 2, "action": "truncate", "status_code": 404, "headers": {{"X": "y"}}, "body": "no", "route": "result"}}'

While the server runs, PUT /_control/faults sets the faults (a JSON list), GET /_control/faults lists
them, GET /_control/requests the last 10,000 requests, GET /_control/submissions the jobs that were created, and
POST /_control/reset restarts the server without jobs and with the faults of the command line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted, and return the exit code."""
    parser = _build_parser()
    options = parser.parse_args(arguments)
    try:
        scenario = _build_scenario(options)
    except ValueError as error:
        parser.error(str(error))
    try:
        from .server import Server
    except ModuleNotFoundError as error:
        print(f"{error}: install the extra with  pip install 'translation-client[server]'", file=sys.stderr)
        return 1
    return _serve(Server, scenario, options)


def _build_scenario(options: argparse.Namespace) -> Scenario:
    return Scenario(
        duration=options.duration,
        outcome=options.outcome,
        seed=options.seed,
        faults=tuple(options.fault),
        api_key=options.api_key,
        max_jobs=options.max_jobs,
        result_bytes=options.result_bytes,
        link_seconds=options.link_seconds,
        link_delay=options.link_delay,
    )


def _serve(server_class: Any, scenario: Scenario, options: argparse.Namespace) -> int:
    try:
        server = server_class(scenario, port=options.port, is_quiet=False, service=options.service)
    except OSError as error:
        print(f"cannot listen on port {options.port}: {error}. Use --port 0 for a free one.", file=sys.stderr)
        return 1
    print(server.url, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.close()
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fake-translation-server",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=_parse_port, default=5000, help="the port, 0 for a free one (default: 5000)")
    parser.add_argument(
        "--duration",
        type=_argparse_type(parse_duration),
        default=10.0,
        metavar="SECONDS",
        help="the duration of a job: 10, or a range, 5-15, for a random one (default: 10)",
    )
    parser.add_argument(
        "--outcome", choices=OUTCOMES, default="completed", help="the outcome of the jobs (default: completed)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="the seed of the random durations; the same seed repeats them (default: 0)"
    )
    parser.add_argument(
        "--fault", type=_argparse_type(parse_fault), action="append", default=[], metavar="FAULT", help=FAULT_HELP
    )
    _add_service_options(parser)
    return parser


def _add_service_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("service").add_argument
    add("--service", choices=SERVICES, default="reference", help="the service to imitate (default: reference)")
    add(
        "--api-key",
        metavar="KEY",
        help="the only valid API key (default: any is valid; see the service for whether one is needed)",
    )
    add("--max-jobs", type=int, metavar="N", help="the maximum number of pending jobs (default: no limit)")
    add("--result-bytes", type=int, default=65536, metavar="N", help="the size of a result in bytes (default: 65536)")
    add(
        "--link-seconds",
        type=float,
        metavar="SECONDS",
        help="how long the URL of a result is valid (default: no limit)",
    )
    add(
        "--link-delay",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="the delay from the completion of a job until its result is available (default: 0)",
    )


def _parse_port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port must be a number from 0 to 65535; got {text!r}")
    return int(text)


def _argparse_type(parse: Any) -> Any:
    def parse_argument(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse_argument
