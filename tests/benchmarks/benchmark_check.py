"""CPU for each check through the whole library, against a bare `requests.Session.get(...).json()` loop.

Run it: `python tests/benchmarks/benchmark_check.py`. Both sides talk to the same server process, in turns within one
run; what counts is the ratio, and of the ratios of all rounds the median. The library does what it does in a wait:
policy, models, and two JSON lines of log for each check, on a standard error that goes to a file.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stderr
from pathlib import Path

import requests
from tenacity import wait_none

from translation_client import RetriesExhausted, VideoTranslationClient

CHECKS = 500
ROUNDS = 15
GOAL = 0.7


def main() -> None:
    """Measure, and print the figures."""
    server_file = Path(__file__).with_name("keepalive_server.py")
    with (
        subprocess.Popen([sys.executable, str(server_file)], stdout=subprocess.PIPE, text=True) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        try:
            assert server.stdout is not None
            report(server.stdout.readline().strip(), Path(folder) / "log.jsonl")
        finally:
            server.terminate()


def report(url: str, log_file: Path) -> None:
    """Run the two sides in turns."""
    with requests.Session() as session, a_client(url) as client, log_file.open("w") as log, redirect_stderr(log):
        bare(session, url), ours(client)  # connections, caches
        rounds = [(bare(session, url), ours(client)) for _ in range(ROUNDS)]
    per_check = [1e6 * statistics.median(side) / CHECKS for side in zip(*rounds, strict=True)]
    ratio = statistics.median(library / plain for plain, library in rounds)
    print(f"bare Session.get().json(): {per_check[0]:6.0f} µs of CPU for each check")
    print(f"translation_client:        {per_check[1]:6.0f} µs, {log_file.stat().st_size} bytes of log")
    print(f"ratio: {ratio:.2f} (goal: at most {GOAL})")


def a_client(url: str) -> VideoTranslationClient:
    """A client that waits without sleeping."""
    return VideoTranslationClient(url, max_retries=CHECKS - 1, timeout=600, wait=wait_none(), sleep=lambda _: None)


def bare(session: requests.Session, url: str) -> float:
    """What one writes without a library; CPU seconds."""
    started = time.process_time()
    for _ in range(CHECKS):
        assert session.get(f"{url}/status", timeout=10).json()["result"] == "pending"
    return time.process_time() - started


def ours(client: VideoTranslationClient) -> float:
    """The same through the library; CPU seconds."""
    started = time.process_time()
    try:
        client.wait()
    except RetriesExhausted as error:
        assert error.checks == CHECKS
    return time.process_time() - started


if __name__ == "__main__":
    main()
