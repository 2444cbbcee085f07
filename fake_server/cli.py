"""The command line of the fake server."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from textwrap import fill
from typing import Any

from .faults import ACTIONS
from .notation import FORM, parse_fault
from .scenario import OUTCOMES, Scenario, parse_duration

DESCRIPTION = """A video translation service to develop and test against, on 127.0.0.1.

GET /status is the single job, whose clock starts when it is first asked for; POST /jobs makes a job,
GET /status/<job_id> asks for it. Prints its URL on a line of its own once it listens."""

FAULT_HELP = f"{FORM}, or a JSON object; may be given several times. See below"

EPILOG = f"""A fault, {FORM}:
  WHEN     2 (the second answer about a job), every-3, or 5s-8s (of the job's time)
  WHAT     a status code, or one of
{fill(", ".join(ACTIONS[1:]), initial_indent=" " * 11, subsequent_indent=" " * 11, break_on_hyphens=False)}
  SECONDS  the delay of late, or that between two bytes of a drip
for example
  --fault 2:503 --fault every-3:drop --fault 5s-8s:429:Retry-After=3 --fault 1:drip-body@0.5
As a JSON object it says more:
  --fault '{{"nth": 2, "action": "truncate", "status_code": 404, "headers": {{"X": "y"}}, "body": "no"}}'

PUT /_control/faults takes a list of them while it runs, GET /_control/requests lists what arrived,
POST /_control/reset starts anew."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; the exit code."""
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
    return _serve(Server, scenario, options.port)


def _scenario(options: argparse.Namespace) -> Scenario:
    return Scenario(options.duration, options.outcome, options.seed, tuple(options.fault))


def _serve(make_server: Any, scenario: Scenario, port: int) -> int:
    try:
        server = make_server(scenario, port=port, is_quiet=False)
    except OSError as error:
        print(f"cannot listen on port {port}: {error}. --port 0 takes a free one.", file=sys.stderr)
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
    return parser


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
