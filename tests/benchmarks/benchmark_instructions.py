"""Instructions for each check through the whole library, and for each bare `requests.Session.get(...).json()`.

Run it: `python tests/benchmarks/benchmark_instructions.py`. It needs valgrind, and takes a minute. Unlike CPU time, the
number of instructions hardly depends on what else the machine does: two runs differ by less than 1 %. So it shows
whether a change of the library made a check cheaper or dearer. It leaves out the time in the kernel.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

FEW, MANY = 50, 250
"""Checks of two runs: their difference leaves out the start of the interpreter, the imports and the first request."""

BARE = """
import requests
session = requests.Session()
for _ in range({checks}):
    assert session.get("{url}/status", timeout=10).json()["result"] == "pending"
"""

LIBRARY = """
from tenacity import wait_none
from translation_client import RetriesExhausted, VideoTranslationClient
client = VideoTranslationClient("{url}", max_retries={checks} - 1, timeout=6000, request_timeout=600, wait=wait_none(),
                                sleep=lambda _: None)
try:
    client.wait()
except RetriesExhausted as error:
    assert error.checks == {checks}
"""


def main() -> None:
    """Measure, and print the figures."""
    server_file = Path(__file__).with_name("keepalive_server.py")
    with subprocess.Popen([sys.executable, str(server_file)], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            bare, library = (per_check(program, url) for program in (BARE, LIBRARY))
        finally:
            server.terminate()
    print(f"bare Session.get().json(): {bare:9.0f} instructions for each check")
    print(f"translation_client:        {library:9.0f}")
    print(f"ratio: {library / bare:.2f}")


def per_check(program: str, url: str) -> float:
    """The instructions of one check, with two JSON lines of log on a standard error that goes nowhere."""
    few, many = (instructions(program.format(checks=checks, url=url)) for checks in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def instructions(program: str) -> int:
    """The instructions of an interpreter that runs a program, all its threads together."""
    redirected = f"import os, sys\nsys.stderr = open(os.devnull, 'w')\n{program}"
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}", sys.executable, "-c", redirected]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    assert collected is not None, done.stderr
    return int(collected[1])


if __name__ == "__main__":
    main()
