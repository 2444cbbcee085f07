"""How late calls end: after their deadline, after `close` and after a cancellation, against a bare sleep of the same length.

Run it: `python tests/benchmarks/benchmark_deadline.py`. Call and sleep take turns within one run, so that both meet the
same machine. Late is what comes on top of the length; of each the median and the latest of all rounds, and the ratio of
the medians. The servers, a child process on loopback, are silent, drip, or send for ever. It takes half a minute.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from translation_client import (
    AsyncVideoTranslationClient,
    Job,
    TranslationClientError,
    TranslationStatus,
    VideoTranslationClient,
)

SECONDS = 0.15
"""The length of a sleep, and of a call until it is ended."""

REFUSAL_SECONDS = 1.0
"""How long the body of a refusal is read."""

OTHERWISE = 8.0
"""The limits that do not end the call."""

ROUNDS = 5
LONGEST_RUN_SECONDS = 40.0
"""After which no further round begins."""


class SilentLogger:
    """A logger that logs nothing."""

    def info(self, *_: Any, **__: Any) -> None: ...

    warning = error = info


class Ending(NamedTuple):
    """What ends a call, and where it is then.

    Attributes:
        name: For the table.
        place: The path of a server of `hanging_server.py`.
        by: `timeout`, `close`, `event`, or `refusal`.
        promised_ms: How late it may be at most, on a machine that is not busy.
        seconds: The length.
        call: The method, `wait` or `download`.
    """

    name: str
    place: str
    by: str
    promised_ms: float
    seconds: float = SECONDS
    call: str = "wait"


ENDINGS = (
    Ending("deadline, silent server", "silent", "timeout", 250),
    Ending("deadline, dripping body", "drip", "timeout", 250),
    Ending("deadline, endless file", "endless", "timeout", 250, call="download"),
    Ending("close, while it sleeps", "pending", "close", 50),
    Ending("close, during a request", "silent", "close", 500),
    Ending("event, while it sleeps", "pending", "event", 50),
    Ending("event, during a request", "silent", "event", 500),
    Ending("refusal, dripping body", "refusal", "refusal", 250, REFUSAL_SECONDS),
)

Measure = Callable[[], float]
"""Returns by how many seconds something ended late."""


def limits_of(ending: Ending) -> dict[str, Any]:
    """Limits of which only that one ends the call."""
    timeout = ending.seconds if ending.by == "timeout" and ending.call == "wait" else OTHERWISE
    limits = {"timeout": timeout, "request_timeout": OTHERWISE, "backoff_factor": OTHERWISE, "max_delay": OTHERWISE}
    return {**limits, "logger": SilentLogger()}


def arguments_of(ending: Ending, url: str, folder: Path) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments of the call."""
    if ending.call == "wait":
        return ("j",), {}
    job = Job("j", TranslationStatus.COMPLETED, "completed", result_url=f"{url}/{ending.place}")
    return (job, folder / "file"), {"timeout": ending.seconds}


def late_blocking(ending: Ending, url: str, folder: Path) -> float:
    """Return how late a call of the blocking client ends."""
    arguments, more = arguments_of(ending, url, folder)
    cancel = threading.Event()
    with VideoTranslationClient(f"{url}/{ending.place}", **limits_of(ending)) as client:
        began = time.perf_counter()

        def end() -> None:
            time.sleep(max(0.0, began + ending.seconds - time.perf_counter()))
            client.close() if ending.by == "close" else cancel.set()

        ender = threading.Thread(target=end)
        if ending.by in ("close", "event"):
            ender.start()
        try:
            getattr(client, ending.call)(*arguments, cancel=cancel, **more)
        except TranslationClientError:
            return time.perf_counter() - began - ending.seconds
        finally:
            if ender.ident is not None:
                ender.join()
    raise AssertionError("nothing ended it")


async def late_in_a_task(ending: Ending, url: str, folder: Path) -> float:
    """Return how late a call of the asyncio client ends."""
    arguments, more = arguments_of(ending, url, folder)
    cancel = asyncio.Event()
    closing: list[asyncio.Task[None]] = []
    async with AsyncVideoTranslationClient(f"{url}/{ending.place}", **limits_of(ending)) as client:

        def end() -> None:
            closing.append(asyncio.create_task(client.close())) if ending.by == "close" else cancel.set()

        began = time.perf_counter()
        if ending.by in ("close", "event"):
            asyncio.get_running_loop().call_later(ending.seconds, end)
        try:
            await getattr(client, ending.call)(*arguments, cancel=cancel, **more)
        except TranslationClientError:
            return time.perf_counter() - began - ending.seconds
        finally:
            await asyncio.gather(*closing)
    raise AssertionError("nothing ended it")


def late_sleep(seconds: float) -> float:
    """Return how late `time.sleep` ends."""
    began = time.perf_counter()
    time.sleep(seconds)
    return time.perf_counter() - began - seconds


async def late_sleep_in_a_task(seconds: float) -> float:
    """Return how late `asyncio.sleep` ends."""
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    return time.perf_counter() - began - seconds


def sides_of(ending: Ending, url: str, folder: Path) -> dict[str, tuple[Measure, Measure]]:
    """What is measured for each client: the call, and the sleep."""
    return {
        "blocking": (partial(late_blocking, ending, url, folder), partial(late_sleep, ending.seconds)),
        "asyncio": (
            lambda: asyncio.run(late_in_a_task(ending, url, folder)),
            lambda: asyncio.run(late_sleep_in_a_task(ending.seconds)),
        ),
    }


@contextmanager
def hanging_server() -> Iterator[str]:
    """Run the servers for the length of a block, and give their URL."""
    command = [sys.executable, str(Path(__file__).with_name("hanging_server.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def row(name: str, side: str, ours: list[float], bare: list[float], promised_ms: float) -> str:
    """One line of the table."""
    late, late_bare = (1000 * statistics.median(each) for each in (ours, bare))
    latest, latest_bare = (1000 * max(each) for each in (ours, bare))
    ratio = late / late_bare
    return (
        f"{name:26} {side:9} {late:7.2f} ms ({latest:7.2f})   {late_bare:6.2f} ms ({latest_bare:6.2f}) "
        f"{ratio:8.1f}   {promised_ms:5.0f} ms"
    )


def main() -> None:
    """Measure, and print the figures."""
    last = time.monotonic() + LONGEST_RUN_SECONDS
    print("late by, median (latest)             of the call                  of a sleep    ratio   promised")
    with hanging_server() as url, tempfile.TemporaryDirectory() as folder:
        for ending in ENDINGS:
            for side, (call, sleep) in sides_of(ending, url, Path(folder)).items():
                call()  # what is imported or opened once
                rounds = [(call(), sleep())]
                while len(rounds) < (ROUNDS if ending.seconds == SECONDS else 2) and time.monotonic() < last:
                    rounds.append((call(), sleep()))
                ours, bare = (list(each) for each in zip(*rounds, strict=True))
                print(row(ending.name, side, ours, bare, ending.promised_ms), flush=True)


if __name__ == "__main__":
    main()
