"""Thousands of jobs waited for at once: throughput, memory, punctuality, and how the cost grows with their number.

Run it: `python tests/benchmarks/benchmark_batch.py`. It writes `BATCH.md` beside itself. The server, `fast_server.py`,
is a process of its own; all clients talk to it over the loopback device, one after the other.

Throughput: checks a second of a job that stays pending, as fast as it goes, 100 at once. The library does all that it
does in a wait: policy, models, two JSON lines of log for each check on a standard error that goes to a file. The others
read the JSON of the response and nothing else. All take turns within one run; of the rounds the median counts. Each round
begins with connections that are open.

Memory: a child process waits for 10 000 jobs that stay pending, and reads its resident memory from the system
when it has made one check, and when it has 20 000 responses; after a garbage collection both times.

Punctuality: another child waits for 10 000 jobs at 1 000 checks a second until all are finished. Of the check that
finds a job finished, the delay counts from the was_due_at time, when the job was due and the rate limiter allowed a request,
to the time when the response was read. For this the batch gets a queue and a rate limiter that watch: `pop_due` notes the `due`
of the entry that it hands out, `acquire`, which a batch calls next, what `next_slot()` returned just before; the later of the
two is the was_due_at time. The response was read when `on_progress` is called. A slot that a limiter gave up (it makes up for
20 ms at the most) delays nothing by this count, but shows in the checks a second, which are reported beside it.

Virtual time: nothing is sent, and no time passes but on the clock. First the queue and the rate limiter alone, then a
whole batch, with a logger that drops its lines, on an event loop that jumps to its next timer.

Bulk: requests that the server counts until 10 000 jobs of 5 to 10 s are finished, checked every 3 s.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import gc
import importlib.util
import json
import math
import os
import platform
import random
import re
import selectors
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import aiohttp
import requests
from tenacity import wait_fixed, wait_none, wait_random

from translation_client import AsyncVideoTranslationClient, Job, _clock
from translation_client._clock import monotonic
from translation_client._config import NO_FEATURES
from translation_client._jobs.batch import runner as runner_module
from translation_client._jobs.batch.batch_job import BatchJob
from translation_client._jobs.batch.due_queue import DueQueue
from translation_client._jobs.batch.options import JobResult, batch_options
from translation_client._jobs.batch.rate_limiter import Permit, RateLimiter
from translation_client._jobs.batch.runner import BatchRunner
from translation_client._jobs.context import ClientContext
from translation_client._models import Request, Response
from translation_client.services.reference import REFERENCE

HERE = Path(__file__).parent
COMMAND = "python tests/benchmarks/benchmark_batch.py"

ROUNDS = 5
AT_ONCE = 100
CHECKS = 4000
THREADED_CHECKS = 2000
HTTPX_CHECKS = 300
JOBS = 10_000
PER_SECOND = 1000
SIZES = (100, 1_000, 10_000, 100_000)
VIRTUAL_CHECKS = 3
LEAST_VIRTUAL_CHECKS = 15_000
LEAST_PURE_CHECKS = 300_000

SINGLY = dataclasses.replace(REFERENCE, bulk=None)

THREADS, HTTPX, BARE, OURS = "threads, requests.Session each", "httpx.AsyncClient", "bare aiohttp", "translation_client"


class Goal(NamedTuple):
    """What is to be reached, and what is."""

    text: str
    limit: float
    measured: float
    is_least: bool = False

    @property
    def is_reached(self) -> bool:
        """Whether it is."""
        return self.measured >= self.limit if self.is_least else self.measured <= self.limit

    @property
    def row(self) -> tuple[str, ...]:
        """For a table."""
        limit = f"at {'least' if self.is_least else 'most'} {self.limit:g}"
        return self.text, f"{self.measured:.3g}", limit, "reached" if self.is_reached else "missed"


class Speed(NamedTuple):
    """Checks a second, and what each costs of the processor, in microseconds."""

    per_second: float
    cpu: float


class Holding(NamedTuple):
    """What 10 000 pending jobs take: MB of memory above the idle client, and threads."""

    megabytes: float
    threads: int


class Punctuality(NamedTuple):
    """How late the last checks came, in milliseconds, and how many checks a second there were."""

    median: float
    p99: float
    worst: float
    per_second: float
    threads: int


class Costs(NamedTuple):
    """Microseconds of the processor for each check, for a number of jobs."""

    jobs: int
    pure: float
    batch: float


class Figures(NamedTuple):
    """All that was measured."""

    speeds: dict[str, Speed]
    holding: Holding
    punctuality: Punctuality
    costs: list[Costs]
    singly: int
    together: int


def main() -> None:
    """Measure, and write the file; or be one of the children."""
    match sys.argv[1:]:
        case [name, url] if name in CHILDREN:
            print(json.dumps(asyncio.run(CHILDREN[name](url))))
        case []:
            text = report(measured())
            print(text)
            (HERE / "BATCH.md").write_text(text, encoding="utf-8")
        case _:
            raise SystemExit(__doc__)


def measured() -> Figures:
    """Measure it all."""
    with served("pending") as url:
        speeds = throughput(url)
        holding = Holding(*in_child("hold", url))
    with served("timed", "5", "10") as url:
        punctuality = Punctuality(*in_child("be_punctual", url))
    counts = []
    for name in ("ask_singly", "ask_together"):
        with served("timed", "5", "5") as url:
            in_child(name, url)
            counts.append(requests_to(url))
    return Figures(speeds, holding, punctuality, [costs_of(size) for size in SIZES], *counts)


@contextmanager
def served(*mode: str) -> Iterator[str]:
    """The URL of a server in a child process."""
    command = [sys.executable, str(HERE / "fast_server.py"), *mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def requests_to(url: str) -> int:
    """Return how many requests a server has responded to."""
    with urllib.request.urlopen(f"{url}/_count", timeout=10) as response:
        return int(response.read())


def in_child(name: str, url: str) -> list[Any]:
    """Run one of the children, its log in a file, and read the figures that it prints."""
    with tempfile.TemporaryFile("w") as log:
        command = [sys.executable, __file__, name, url]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True, check=True, timeout=120)
    return list(json.loads(done.stdout))


# Throughput


def throughput(url: str) -> dict[str, Speed]:
    """Let all sides take turns; the median of each."""
    sides: dict[str, Callable[[str], Speed]] = {THREADS: by_threads, BARE: by_aiohttp, OURS: by_ours}
    if importlib.util.find_spec("httpx"):
        sides[HTTPX] = by_httpx
    with tempfile.TemporaryFile("w") as log, redirect_stderr(log):
        rounds = [{name: side(url) for name, side in sides.items()} for _ in range(ROUNDS)]
    return {name: median_of([one[name] for one in rounds]) for name in sides}


def median_of(speeds: Sequence[Speed]) -> Speed:
    """The median of both figures."""
    return Speed(*(statistics.median(side) for side in zip(*speeds, strict=True)))


@contextmanager
def timed(checks: int) -> Iterator[list[Speed]]:
    """Take the time of so many checks; the list has their speed afterwards."""
    gc.collect()
    speeds: list[Speed] = []
    began, cpu = time.perf_counter(), time.process_time()
    yield speeds
    speeds.append(Speed(checks / (time.perf_counter() - began), 1e6 * (time.process_time() - cpu) / checks))


def by_threads(url: str) -> Speed:
    """A thread for each job, and a session for each thread."""
    sessions = [requests.Session() for _ in range(AT_ONCE)]
    share = THREADED_CHECKS // AT_ONCE

    def send_check(session: requests.Session, times: int) -> None:
        for _ in range(times):
            assert session.get(f"{url}/status/job", timeout=30).json()["result"] == "pending"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(send_check, sessions, [1] * AT_ONCE))
        with timed(THREADED_CHECKS) as speeds:
            list(pool.map(send_check, sessions, [share] * AT_ONCE))
    for session in sessions:
        session.close()
    return speeds[0]


def by_aiohttp(url: str) -> Speed:
    """A task for each job."""

    async def run() -> Speed:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:

            async def send_check() -> None:
                async with session.get(f"{url}/status/job") as response:
                    assert (await response.json())["result"] == "pending"

            return await in_tasks(send_check, CHECKS)

    return asyncio.run(run())


def by_httpx(url: str) -> Speed:
    """The same with another library."""
    httpx: Any = importlib.import_module("httpx")  # where it is not installed, this side is left out

    async def run() -> Speed:
        limits = httpx.ServiceDefaults(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        async with httpx.AsyncClient(limits=limits, timeout=30) as client:

            async def send_check() -> None:
                assert (await client.get(f"{url}/status/job")).json()["result"] == "pending"

            return await in_tasks(send_check, HTTPX_CHECKS)

    return asyncio.run(run())


async def in_tasks(send_check: Callable[[], Awaitable[None]], checks: int) -> Speed:
    """Ask so many times, from 100 tasks."""

    async def share(times: int) -> None:
        for _ in range(times):
            await send_check()

    await asyncio.gather(*(share(1) for _ in range(AT_ONCE)))
    with timed(checks) as speeds:
        await asyncio.gather(*(share(checks // AT_ONCE) for _ in range(AT_ONCE)))
    return speeds[0]


def by_ours(url: str) -> Speed:
    """The same through the library."""

    async def run() -> Speed:
        share = CHECKS // AT_ONCE
        async with a_client(url, max_retries=share - 1, wait=wait_none()) as client:
            await asyncio.gather(*(client.check("job") for _ in range(AT_ONCE)))
            with timed(CHECKS) as speeds:
                outcomes = await client.wait_all(ids(AT_ONCE), checks_per_second=math.inf)
        assert all(checks_of(outcome) == share for outcome in outcomes)
        return speeds[0]

    return asyncio.run(run())


def a_client(url: str, **more: Any) -> AsyncVideoTranslationClient:
    """A client that asks about each job by itself, unless it is told otherwise."""
    settings = {"service": SINGLY, "timeout": 600, "request_timeout": 30, "max_retries": math.inf, **more}
    return AsyncVideoTranslationClient(url, **settings)


def ids(number: int) -> list[str]:
    """So many names of jobs."""
    return [f"job-{one}" for one in range(number)]


def checks_of(outcome: JobResult) -> int:
    """The number of responses."""
    return outcome.checks


# Children


async def hold(url: str) -> Holding:
    """Wait for 10 000 jobs that stay pending, and see what that takes."""
    responses, threads = 0, 0
    megabytes = [0.0, 0.0]
    enough = asyncio.Event()

    def note(_: Job) -> None:
        nonlocal responses, threads
        responses += 1
        threads = max(threads, process_status("Threads"))
        if responses == 2 * JOBS:
            megabytes[1] = resident()
            enough.set()

    async with a_client(url, wait=wait_fixed(2)) as client:
        await client.check("job")
        megabytes[0] = resident()
        await client.wait_all(ids(JOBS), checks_per_second=math.inf, on_progress=note, cancel=enough)
    return Holding(megabytes[1] - megabytes[0], threads)


def resident() -> float:
    """The resident memory of this process, in MB, once nothing is left to be collected."""
    gc.collect()
    return process_status("VmRSS") * 1024 / 1e6


def process_status(what: str) -> int:
    """A number in what Linux says of this process."""
    found = re.search(rf"^{what}:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    assert found is not None
    return int(found[1])


async def be_punctual(url: str) -> Punctuality:
    """Wait for 10 000 jobs at 1 000 checks a second, and see how late the checks come."""
    watch = Watch()
    threads = checks = 0

    def note(job: Job) -> None:
        nonlocal threads, checks
        checks += 1
        if checks % PER_SECOND == 0:
            threads = max(threads, threading.active_count())
        if job.status.is_final:
            watch.record_job(str(job.id), monotonic())

    vars(runner_module).update(
        DueQueue=functools.partial(WatchedQueue, watch), RateLimiter=functools.partial(WatchedLimiter, watch)
    )
    async with a_client(url, wait=wait_fixed(2)) as client:
        await client.check("job")
        began = monotonic()
        outcomes = await client.wait_all(ids(JOBS), checks_per_second=PER_SECOND, on_progress=note)
    assert all(isinstance(outcome, Job) for outcome in outcomes)
    return punctuality_of(watch.delays, checks / (monotonic() - began), threads)


def punctuality_of(delays: Sequence[float], per_second: float, threads: int) -> Punctuality:
    """Sum delays up, which are in seconds."""
    hundredths = statistics.quantiles(delays, n=100, method="inclusive")
    return Punctuality(1e3 * hundredths[49], 1e3 * hundredths[98], 1e3 * max(delays), per_second, threads)


class Watch:
    """Return when each check was planned, and how late its response came."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self._planned: dict[str, float] = {}
        self._latest = ""

    def popped(self, job_id: str, due: float) -> None:
        """Note when a job was due, which is being asked about."""
        self._latest = job_id
        self._planned[job_id] = due

    def allowed(self, turn: float) -> None:
        """Note from when on the rate limiter allowed that."""
        self._planned[self._latest] = max(self._planned[self._latest], turn)

    def record_job(self, job_id: str, moment: float) -> None:
        """Note that it was seen finished."""
        self.delays.append(moment - self._planned[job_id])


class WatchedQueue(DueQueue[BatchJob]):
    """A queue that notes when each entry that it pops was due."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def pop_due(self, now: float) -> BatchJob | None:
        """Remove and return the most overdue job."""
        due = self.next_due
        batch_job = super().pop_due(now)
        if batch_job is not None:
            self._watch.popped(str(batch_job.poller.requestor.state.job_id), due)
        return batch_job


class WatchedLimiter(RateLimiter):
    """A rate limiter that notes when the request of each permit was allowed."""

    def __init__(self, watch: Watch, per_second: float) -> None:
        super().__init__(per_second)
        self._watch = watch

    def acquire(self, now: float) -> Permit | None:
        """Note when the next request is allowed, and return its permit."""
        self._watch.allowed(self.next_slot())
        return super().acquire(now)


async def ask_singly(url: str) -> list[int]:
    """Wait for 10 000 jobs, by a question for each."""
    return await ask_about_all(a_client(url, wait=wait_fixed(3)))


async def ask_together(url: str) -> list[int]:
    """Wait for 10 000 jobs, by questions about many."""
    return await ask_about_all(a_client(url, wait=wait_fixed(3), service=REFERENCE))


async def ask_about_all(client: AsyncVideoTranslationClient) -> list[int]:
    """Wait until all are finished; how many there were."""
    async with client:
        outcomes = await client.wait_all(ids(JOBS), checks_per_second=math.inf)
    assert all(isinstance(outcome, Job) for outcome in outcomes)
    return [len(outcomes)]


CHILDREN: dict[str, Callable[[str], Coroutine[Any, Any, Any]]] = {
    one.__name__: one for one in (hold, be_punctual, ask_singly, ask_together)
}


# Virtual time


def costs_of(jobs: int) -> Costs:
    """What a check costs, by the queue and the rate limiter alone and by a whole batch."""
    return Costs(
        jobs, cost_of(in_queue, jobs, LEAST_PURE_CHECKS), cost_of(in_virtual_batch, jobs, LEAST_VIRTUAL_CHECKS)
    )


def cost_of(run: Callable[[int], int], jobs: int, least_checks: int) -> float:
    """Microseconds for a check; of few jobs, in many runs one after the other."""
    runs = max(1, least_checks // (jobs * VIRTUAL_CHECKS))
    run(SIZES[0])  # caches
    gc.collect()
    began = time.process_time()
    checks = sum(run(jobs) for _ in range(runs))
    cost = 1e6 * (time.process_time() - began) / checks
    assert checks == jobs * VIRTUAL_CHECKS * runs
    return cost


class Entry:
    """An entry of a queue, and nothing else."""

    __slots__ = ("call_in_flight", "checks", "due_at", "ends_at", "was_due_at")

    def __init__(self) -> None:
        self.due_at = self.was_due_at = 0.0
        self.call_in_flight = False
        self.ends_at = 600.0
        self.checks = 0


def in_queue(jobs: int) -> int:
    """Go through the queue until all jobs are finished; how many checks that takes."""
    queue: DueQueue[Entry] = DueQueue()
    limiter = RateLimiter(math.inf)
    chance = random.Random(jobs)
    for _ in range(jobs):
        queue.add(Entry())
    present, checks = 0.0, 0
    while queue:
        present = max(present, queue.next_due, limiter.next_slot())
        entry = queue.pop_due(present)
        assert entry is not None
        limiter.acquire(present)
        checks += 1
        entry.checks += 1
        if entry.checks == VIRTUAL_CHECKS:
            queue.remove(entry)
        else:
            queue.reschedule(entry, present + chance.uniform(0.5, 1.5))
    return checks


class JumpingSelector(selectors.DefaultSelector):
    """Does not wait for time to pass, but has it passed."""

    def __init__(self) -> None:
        super().__init__()
        self.present = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Look what is ready at the end of the time."""
        self.present += max(0.0, timeout or 0.0)
        return super().select(0 if timeout is not None else None)


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to its next timer."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.present


class StubTransport:
    """FunctionAdapter at once: pending twice, then completed."""

    base_url = "http://127.0.0.1"
    is_closed = False
    max_connections = 100

    def __init__(self) -> None:
        self.checks = 0
        self._checks_of: dict[str, int] = {}

    async def send(self, request: Request, *_: Any, **__: Any) -> Response:
        """Make one call."""
        self.checks += 1
        checks = self._checks_of[request.path] = self._checks_of.get(request.path, 0) + 1
        is_final = checks == VIRTUAL_CHECKS
        return Response(200, {}, b'{"result": "completed"}' if is_final else b'{"result": "pending"}', 0.0)

    async def sleep(self, seconds: float, cancel: Any, watch: Any) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    def close_idle(self) -> None:
        """Do nothing: there are no connections."""


class NoLog:
    """Drops all lines."""

    def info(self, *_: Any, **__: Any) -> None:
        """Drop it."""

    warning = error = info


@functools.cache
def virtual_context() -> ClientContext:
    """The parts of a client, without a log."""
    return a_client(StubTransport.base_url, wait=wait_random(0.5, 1.5), logger=NoLog())._context


def in_virtual_batch(jobs: int) -> int:
    """Wait for jobs on a clock that jumps; how many checks that takes."""
    loop, transport = JumpingLoop(), StubTransport()
    context: Any = dataclasses.replace(virtual_context(), transport=transport)
    terms = batch_options(
        checks_per_second=math.inf,
        max_in_flight=math.inf,
        timeout=600,
        cancel=None,
        on_progress=None,
        features=NO_FEATURES,
    )

    async def run() -> None:
        outcomes = [outcome async for _, outcome in BatchRunner(context, terms, ids(jobs)).results()]
        assert len(outcomes) == jobs
        assert all(isinstance(outcome, Job) for outcome in outcomes)

    with virtual(loop):
        loop.run_until_complete(run())
    return transport.checks


@contextmanager
def virtual(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Have the library see the clock of a loop."""
    usual = vars(_clock)["time"]
    vars(_clock)["time"] = SimpleNamespace(monotonic=loop.time, time=loop.time)
    try:
        yield
    finally:
        vars(_clock)["time"] = usual
        loop.close()


# The report


def goals_of(figures: Figures) -> list[Goal]:
    """Compare with what is wanted."""
    speeds, costs = figures.speeds, figures.costs
    threads = max(figures.holding.threads, figures.punctuality.threads)
    return [
        Goal(f"checks a second over those of {THREADS}", 5, times(speeds, THREADS), is_least=True),
        Goal(f"checks a second over those of {BARE}", 0.5, times(speeds, BARE), is_least=True),
        Goal("10 000 pending jobs: MB above the idle client", 60, figures.holding.megabytes),
        Goal("the same: threads", 3, threads),
        Goal("the same at 1 000 checks a second: 99th percentile of the delay, ms", 100, figures.punctuality.p99),
        Goal("queue and rate limiter: cost of a check, 100 000 jobs over 100", 2, costs[-1].pure / costs[0].pure),
        Goal("batch: cost of a check, 100 000 jobs over 100", 2, costs[-1].batch / costs[0].batch),
        Goal("requests one by one over requests in bulk", 50, figures.singly / figures.together, is_least=True),
    ]


def times(speeds: dict[str, Speed], other: str) -> float:
    """How many times as fast as another one we are."""
    return speeds[OURS].per_second / speeds[other].per_second


def report(figures: Figures) -> str:
    """All figures, as Markdown."""
    parts = [
        "# Thousands of jobs at once",
        f"Written by `{COMMAND}`, which describes the method; not to be edited.",
        f"Python {platform.python_version()}, aiohttp {aiohttp.__version__}, {os.cpu_count()} processors.",
        table(("goal", "measured", "wanted", ""), [goal.row for goal in goals_of(figures)]),
        f"At full tilt, {AT_ONCE} at once, median of {ROUNDS} rounds:",
        table(("client", "checks a second", "processor for each, µs", "times as fast"), speed_rows(figures.speeds)),
        lateness_line(figures.punctuality),
        "In virtual time, microseconds of the processor for each check; all jobs finish:",
        table(("jobs", "queue and rate limiter", "batch"), [cost_row(one) for one in figures.costs]),
        f"Until 10 000 jobs were finished: {figures.singly} requests one by one, {figures.together} in bulk.",
    ]
    return "\n\n".join(parts) + "\n"


def lateness_line(late: Punctuality) -> str:
    """In a sentence."""
    delays = f"{late.median:.3g} ms (median), {late.p99:.3g} ms (99th percentile), {late.worst:.3g} ms (worst)"
    pace = f"{late.per_second:.0f} checks a second from beginning to end"
    return f"10 000 jobs at 1 000 checks a second: delays of {delays}; {pace}."


def speed_rows(speeds: dict[str, Speed]) -> list[tuple[str, ...]]:
    """One for each side, the slowest first; how many times as fast as it we are."""
    rows: list[tuple[str, ...]] = [
        (name, f"{speed.per_second:.0f}", f"{speed.cpu:.0f}", f"{times(speeds, name):.2f}")
        for name, speed in sorted(speeds.items(), key=lambda item: item[1].per_second)
    ]
    return rows if HTTPX in speeds else [*rows, (HTTPX, "not installed", "", "")]


def cost_row(costs: Costs) -> tuple[str, ...]:
    """For the table."""
    return str(costs.jobs), f"{costs.pure:.3g}", f"{costs.batch:.3g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


if __name__ == "__main__":
    main()
