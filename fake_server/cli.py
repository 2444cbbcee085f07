"""The command line of the fake server."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from textwrap import fill
from typing import Any

from .dialects import SERVICES
from .fault_syntax import SYNTAX, parse_fault
from .faults import ACTIONS, ROUTES
from .scenario import OUTCOMES, Scenario, parse_duration

DESCRIPTION = """A video translation service to develop and test against, on 127.0.0.1.

GET /status is the single job, whose clock starts when it is first asked for; POST /jobs makes a job,
GET /status/<job_id> asks for it, GET /jobs/<job_id>/result is what came of it. With --service it answers
on the paths of HeyGen, ElevenLabs or Azure instead. Prints its URL on a line of its own once it listens."""

FAULT_HELP = f"{SYNTAX}, or a JSON object; may be given several times. See below"

EPILOG = f"""A fault, {SYNTAX}:
  ROUTE    which answers it strikes:
{fill(", ".join(ROUTES), initial_indent=" " * 11, subsequent_indent=" " * 11)}
           (default: status)
  WHEN     2 (the second answer), every-3, or 5s-8s; status and result count the answers about a job, in the job's
           time, all others those of the server, since its start
  WHAT     a status code, or one of
{fill(", ".join(ACTIONS[1:]), initial_indent=" " * 11, subsequent_indent=" " * 11, break_on_hyphens=False)}
  SECONDS  the delay of late, or that between two bytes of a drip
for example
  --fault 2:503 --fault every-3:drop --fault 5s-8s:429:Retry-After=3 --fault 1:drip-body@0.5
  --fault create/1:503 --fault result/1:truncate
Of a create or a delete the answer alone is struck, and it has been done; with 400 to 429, or refuse, it has not.
As a JSON object it says more:
  --fault '{{"nth": 2, "action": "truncate", "status_code": 404, "headers": {{"X": "y"}}, "body": "no", "route": "result"}}'

PUT /_control/faults takes a list of them while it runs, GET /_control/requests lists what arrived,
GET /_control/submissions the jobs that were made, POST /_control/reset starts anew."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted, and return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        scenario = _scenario(options)
    except ValueError as error:
        parser.error(str(error))
    try:
        from .server import Server
    except ModuleNotFoundError as error:
        print(f"{error}: install the extra with  pip install 'translation-client[server]'", file=sys.stderr)
        return 1
    return _serve(Server, scenario, options)


def _scenario(options: argparse.Namespace) -> Scenario:
    return Scenario(
        options.duration,
        options.outcome,
        options.seed,
        tuple(options.fault),
        options.api_key,
        options.max_jobs,
        options.result_bytes,
        options.link_seconds,
        options.link_delay,
    )


def _serve(make_server: Any, scenario: Scenario, options: argparse.Namespace) -> int:
    try:
        server = make_server(scenario, port=options.port, is_quiet=False, service=options.service)
    except OSError as error:
        print(f"cannot listen on port {options.port}: {error}. --port 0 takes a free one.", file=sys.stderr)
        return 1
    print(server.url, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fake-translation-server",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=_port, default=5000, help="0 for a free one (default: 5000)")
    parser.add_argument(
        "--duration",
        type=_checked(parse_duration),
        default=10.0,
        metavar="SECONDS",
        help="how long a job takes: 10, or a range, 5-15, from which each job draws (default: 10)",
    )
    parser.add_argument("--outcome", choices=OUTCOMES, default="completed", help="how jobs end (default: completed)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws; the same one repeats them (default: 0)")
    parser.add_argument(
        "--fault", type=_checked(parse_fault), action="append", default=[], metavar="FAULT", help=FAULT_HELP
    )
    _add_service_options(parser)
    return parser


def _add_service_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("the service").add_argument
    add("--service", choices=SERVICES, default="reference", help="which one it is (default: reference)")
    add("--api-key", metavar="KEY", help="the only key that is accepted (default: any)")
    add("--max-jobs", type=int, metavar="N", help="how many may be pending at once (default: any number)")
    add("--result-bytes", type=int, default=65536, metavar="N", help="the size of a result (default: 65536)")
    add("--link-seconds", type=float, metavar="SECONDS", help="how long a link to a result works (default: for ever)")
    add(
        "--link-delay",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how long a job is completed before its result is there (default: 0)",
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, got {text!r}")
    return int(text)


def _checked(parse: Any) -> Any:
    def parse_argument(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse_argument
