"""Batches on real sockets: outcomes, the rate limiter, bulk requests, cancellation, and single waits for comparison."""

from __future__ import annotations

import asyncio
import gc
import itertools
import math
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from support.child_processes import running
from support.ends_soon import ENDS_SOON, LASTS_LONG, ends_soon
from support.fixtures import LogLines, ServerTime, SilentLogger
from support.hostile_server import mute, refusing_url, serving
from support.job_scripts import BulkScript, Script, ScriptedServer, drawn_bulk, drawn_script, outcome_of

from fake_server import InProcessAdapter, Lab, Scenario, Server, create_app
from translation_client import (
    AsyncVideoTranslationClient,
    DurationHistory,
    Job,
    RequestFailed,
    TranslationClientError,
    VideoTranslationClient,
    WaitCancelled,
    WaitTimeout,
)
from translation_client._jobs.batch import runner as runner_module
from translation_client._jobs.batch import thread
from translation_client._models import Fault
from translation_client._transports.event_loop import sleep_on_loop
from translation_client.services.heygen import HEYGEN
from translation_client.services.reference import REFERENCE

pytestmark = pytest.mark.covered

Outcome = Job | TranslationClientError

WAYS = ("blocking", "asyncio")
BOTH = pytest.mark.parametrize("way", WAYS)
SINGLE = replace(REFERENCE, bulk=None)
"""The reference service, without its bulk requests."""
SINGLE_HEYGEN = replace(HEYGEN, bulk=None)

ENDLESS = 3600.0

USUAL: dict[str, Any] = {"timeout": LASTS_LONG, "backoff_factor": 0.05, "max_delay": 0.2, "max_retries": 10_000}


def settings_of(client: dict[str, Any]) -> dict[str, Any]:
    return {"logger": SilentLogger(), **USUAL, **client}


def wait_all(way: str, url: str, jobs: Any, *, client: dict[str, Any] | None = None, **arguments: Any) -> list[Outcome]:
    """Call `wait_all` of either client."""
    if way == "blocking":
        with VideoTranslationClient(url, **settings_of(client or {})) as blocking:
            return blocking.wait_all(jobs, **arguments)

    async def waited() -> list[Outcome]:
        async with AsyncVideoTranslationClient(url, **settings_of(client or {})) as tasks:
            return await tasks.wait_all(jobs, **arguments)

    return asyncio.run(asyncio.wait_for(waited(), 2 * LASTS_LONG))


def completed(
    way: str,
    url: str,
    jobs: Any,
    *,
    client: dict[str, Any] | None = None,
    take: Callable[[Outcome], object] = lambda _: None,
    **arguments: Any,
) -> list[Outcome]:
    """Return all that `as_completed` of either client yields. `take` gets each outcome before the next is requested."""
    outcomes: list[Outcome] = []

    def taken(outcome: Outcome) -> None:
        outcomes.append(outcome)
        take(outcome)

    if way == "blocking":
        with VideoTranslationClient(url, **settings_of(client or {})) as blocking:
            for outcome in blocking.as_completed(jobs, **arguments):
                taken(outcome)
            return outcomes

    async def waited() -> list[Outcome]:
        async with AsyncVideoTranslationClient(url, **settings_of(client or {})) as tasks:
            async for outcome in tasks.as_completed(jobs, **arguments):
                taken(outcome)
            return outcomes

    return asyncio.run(asyncio.wait_for(waited(), 2 * LASTS_LONG))


def made(server: Server, number: int) -> list[str]:
    """Create so many jobs, which begin now."""
    return [server._lab.create() for _ in range(number)]


def ids_of(outcomes: Iterable[Outcome]) -> list[str | None]:
    return [outcome.id if isinstance(outcome, Job) else outcome.job_id for outcome in outcomes]


def jobs_of(outcomes: Iterable[Outcome]) -> list[Job]:
    """Return the outcomes, all of which have to be jobs."""
    jobs = list(outcomes)
    assert [outcome for outcome in jobs if not isinstance(outcome, Job)] == []
    return [outcome for outcome in jobs if isinstance(outcome, Job)]


def are_within(rate: float, moments: list[float]) -> bool:
    """Return True if no request arrived before its turn. One that arrives late may have been sent in time.

    That no second has more than its share, and that the whole rate is used, is tested in virtual time: in
    `jobs/batch/test_batch_parts.py` and `jobs/batch/test_batch.py`.
    """
    return all(number <= rate * moment + 1 + max(1, 0.05 * rate) for number, moment in enumerate(sorted(moments), 1))


def until(happened: Callable[[], object]) -> None:
    end = time.monotonic() + LASTS_LONG
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def sockets_open() -> int:
    return len([fd for fd in Path("/proc/self/fd").iterdir() if _is_socket(fd)])


def _is_socket(fd: Path) -> bool:
    with suppress(OSError):
        return str(fd.readlink()).startswith("socket:")
    return False


def threads_of_ours() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith(("batch", "source of jobs"))]


# Outcomes


@BOTH
def test_as_completed_yields_each_of_two_hundred_jobs_once_as_it_ends(way: str, server_time: ServerTime) -> None:
    """No job is yielded before it has ended. Time moves on by 0.1 s once all that have ended are yielded."""
    yielded: set[str] = set()

    def ended_by_now() -> set[str]:
        return {job_id for job_id in ids if life[job_id] <= server_time.seconds}

    def take(outcome: Outcome) -> None:
        yielded.update(str(one) for one in ids_of([outcome]))
        assert yielded <= ended_by_now()
        while yielded == ended_by_now() != set(ids):
            server_time.advance(0.1)

    with Server(Scenario(duration=(0.1, 0.9), seed=3)) as server:
        ids = made(server, 200)
        life = {job_id: server._lab.job_state(job_id).life.duration for job_id in ids}
        server_time.advance(0.2)
        outcomes = jobs_of(completed(way, server.url, ids, take=take))

    assert sorted(str(job.id) for job in outcomes) == sorted(ids)


@BOTH
def test_wait_all_returns_the_outcomes_in_the_order_of_the_ids(way: str) -> None:
    """In whatever order the jobs end."""
    with Server(Scenario(duration=(0, 0.4))) as server:
        ids = made(server, 60)[::-1]
        assert ids_of(wait_all(way, server.url, ids)) == ids


@BOTH
def test_a_repeated_id_is_one_job_whose_outcome_is_returned_each_time(way: str) -> None:
    """Repeated while the job is waited for, and after it has ended, when no further request is made."""
    both_ended = threading.Event()
    ended: set[Any] = set()
    requested: list[int] = []

    def on_progress(job: Job) -> None:
        ended.update([job.id] if job.status.is_final else [])
        if len(ended) == 2:
            both_ended.set()

    with Server(Scenario(duration=0.1)) as server:
        [one, other] = made(server, 2)

        def late() -> Iterator[str]:
            yield from (one, other, one)
            assert both_ended.wait(LASTS_LONG)
            time.sleep(0.2)
            requested.append(len(server.requests))
            yield one

        client = {"service": SINGLE, "backoff_factor": 0.2}
        outcomes = jobs_of(wait_all(way, server.url, late(), client=client, on_progress=on_progress))
        assert len(server.requests) == requested[0]

    assert ids_of(outcomes) == [one, other, one, one]
    assert outcomes[0] is outcomes[2] is outcomes[3]


@BOTH
@pytest.mark.parametrize("source", [list, iter])
def test_an_empty_batch_has_no_outcomes_and_sends_no_request(way: str, source: Callable[[list[str]], Any]) -> None:
    """From a list, and from an iterator."""
    with Server() as server:
        assert wait_all(way, server.url, source([])) == []
        assert completed(way, server.url, source([])) == []
        assert server.requests == []


@BOTH
@pytest.mark.parametrize("service", [REFERENCE, SINGLE], ids=["bulk", "single"])
def test_an_unknown_id_is_an_error_of_that_job_alone(way: str, service: Any) -> None:
    """A 404 with its id. The waits for the other jobs go on."""
    with Server(Scenario(duration=0.2)) as server:
        ids = made(server, 20)
        outcomes = wait_all(way, server.url, [*ids[:10], "nobody", *ids[10:]], client={"service": service})

    error = outcomes.pop(10)
    assert isinstance(error, RequestFailed)
    assert (error.job_id, error.status_code) == ("nobody", 404)
    assert ids_of(jobs_of(outcomes)) == ids


@BOTH
def test_failed_jobs_are_returned_as_jobs(way: str) -> None:
    """With the status `error`, as by a single wait."""
    with Server(Scenario(duration=0.1, outcome="error")) as server:
        outcomes = jobs_of(wait_all(way, server.url, made(server, 5)))

    assert {str(job.status) for job in outcomes} == {"error"}


@BOTH
@pytest.mark.parametrize("source", [["a", ""], ["a", 5], ["a", []], ["a", None]], ids=["empty", "int", "list", "None"])
def test_an_invalid_job_id_ends_the_batch_with_value_error_or_type_error(way: str, source: list[Any]) -> None:
    """It is a mistake of the program, and not the end of a wait."""
    with Server() as server, pytest.raises((ValueError, TypeError), match="job") as caught:
        wait_all(way, server.url, source)
    assert "unhashable" not in str(caught.value)
    assert threads_of_ours() == []


@BOTH
@pytest.mark.parametrize("rate", [None, 0.5])
def test_each_job_of_a_batch_has_its_own_timeout(way: str, rate: float | None) -> None:
    """Also if the rate limiter allows no check of it before."""
    with Server(Scenario(duration=ENDLESS)) as server:
        ids = made(server, 30)  # at half a request a second these take a minute
        began = time.monotonic()
        client = {"timeout": 0.6, "service": SINGLE}
        with ends_soon(0.6):
            outcomes = wait_all(way, server.url, ids, client=client, checks_per_second=rate)
        elapsed = time.monotonic() - began

    assert ids_of(outcomes) == ids
    assert {type(outcome) for outcome in outcomes} == {WaitTimeout}
    assert elapsed >= 0.4


@BOTH
@pytest.mark.parametrize("fault", ["503", "drop", "html", "reset", "truncate"])
@pytest.mark.parametrize("service", [REFERENCE, SINGLE], ids=["bulk", "single"])
def test_a_batch_survives_a_fault_of_a_check_and_of_a_bulk_request(way: str, service: Any, fault: str) -> None:
    """As a single wait does."""
    with Server(Scenario(duration=0.2, faults=[f"1:{fault}", f"bulk/1:{fault}"])) as server:
        ids = made(server, 20)
        assert ids_of(jobs_of(wait_all(way, server.url, ids, client={"service": service}))) == ids


@BOTH
@pytest.mark.parametrize("service", [REFERENCE, SINGLE], ids=["bulk", "single"])
def test_a_service_that_goes_down_is_an_error_of_each_pending_job(way: str, service: Any) -> None:
    """Each job has an error of its own, with its id."""
    with Server(Scenario(duration=ENDLESS)) as server:
        ids = made(server, 30)
        killer = threading.Timer(0.4, server.close)
        killer.start()
        outcomes = wait_all(way, server.url, ids, client={"max_faults": 2, "service": service})
        killer.join()

    assert ids_of(outcomes) == ids
    assert {type(outcome) for outcome in outcomes} == {RequestFailed}
    assert len({id(outcome) for outcome in outcomes}) == 30


# The rate limiter


def moments_of_checks(way: str, jobs: int, timeout: float, *, client: dict[str, Any], **arguments: Any) -> list[float]:
    """Return when the requests of a batch arrived until its timeout, which is longer if a busy machine sends none."""
    for seconds in (timeout, ENDS_SOON):
        with Server(Scenario(duration=ENDLESS)) as server:
            outcomes = wait_all(way, server.url, made(server, jobs), client={**client, "timeout": seconds}, **arguments)
            moments = [arrival.at for arrival in server.requests]
        assert {type(outcome) for outcome in outcomes} == {WaitTimeout}
        if moments:
            break
    assert moments
    return moments


@BOTH
@pytest.mark.parametrize("rate", [3, 15])
def test_checks_of_a_batch_keep_to_checks_per_second(way: str, rate: int) -> None:
    """None is sent before its turn."""
    client = {"service": SINGLE, "backoff_factor": 0.01, "max_delay": 0.02}
    assert are_within(rate, moments_of_checks(way, 50, 2.2, client=client, checks_per_second=rate))


def test_a_thousand_jobs_are_checked_within_the_default_rate() -> None:
    """The default is a hundred requests a second."""
    assert are_within(100, moments_of_checks("asyncio", 1000, 1.5, client={"service": SINGLE}))


def test_a_429_to_a_bulk_request_throttles_the_rate_limiter_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one response, however many jobs it is about."""
    from translation_client._jobs.batch.rate_limiter import RateLimiter

    heard: list[float] = []
    usual = RateLimiter.throttle

    def throttle(budget: RateLimiter, now: float) -> None:
        heard.append(now)
        usual(budget, now)

    monkeypatch.setattr(RateLimiter, "throttle", throttle)
    with Server(Scenario(duration=0.2, faults=["bulk/1:429:Retry-After=0"])) as server:
        jobs_of(wait_all("asyncio", server.url, made(server, 30)))

    assert len(heard) == 1


# Bulk requests


@BOTH
def test_bulk_requests_are_used_where_the_service_has_them(way: str) -> None:
    """By default. That they are a twentieth of the single requests is tested in `jobs/batch/test_batch.py`."""
    with Server(Scenario(duration=0.5)) as server:
        ids = made(server, 300)
        assert ids_of(jobs_of(wait_all(way, server.url, ids, checks_per_second=2000))) == ids
        assert "ids=" in server.requests[0].path


@BOTH
def test_the_bulk_request_of_heygen_is_used(way: str) -> None:
    """With the API key. Each completed job is checked by itself, too, as only that response has its link."""
    key = {"X-Api-Key": "key-0123456789"}
    with Server(Scenario(duration=0.5, api_key=key["X-Api-Key"]), service="heygen") as server:
        body: Any = {"video": {"type": "url", "url": "https://v"}, "output_languages": ["Spanish (Spain)"]}
        url = f"{server.url}/v3/video-translations"
        with requests.Session() as session:
            made_by = [session.post(url, json=body, headers=key, timeout=LASTS_LONG).json() for _ in range(60)]
        ids = [one["data"]["video_translation_ids"][0] for one in made_by]
        before = len(server.requests)
        client = {"service": HEYGEN, "api_key": key["X-Api-Key"]}
        jobs = jobs_of(wait_all(way, server.url, ids, client=client, checks_per_second=2000))
        paths = [one.path for one in server.requests[before:]]

    assert ids_of(jobs) == ids
    assert {str(job.status) for job in jobs} == {"completed"}
    assert "ids=" in paths[0]
    assert {f"/v3/video-translations/{one}" for one in ids} <= set(paths)


@pytest.mark.parametrize("service", [HEYGEN, SINGLE_HEYGEN], ids=["bulk", "single"])
def test_a_job_of_a_batch_has_the_link_and_language_of_a_single_wait(service: Any) -> None:
    """Also if its link is there only later than its status `completed`."""
    with Server(Scenario(duration=0.2, link_delay=0.3), service="heygen") as server:
        client = {"service": "heygen", "api_key": "k", "base_url": server.url}
        with VideoTranslationClient(**settings_of({**client, "service": service})) as blocking:
            ids = [blocking.submit("https://v/1.mp4", "Spanish (Spain)").id for _ in range(3)]
            batch = jobs_of(blocking.wait_all([str(one) for one in ids]))
            alone = [blocking.wait(one) for one in ids]

    assert [job.language for job in batch] == [job.language for job in alone]
    assert [bool(job.result_url) for job in batch] == [bool(job.result_url) for job in alone] == [True] * 3


@BOTH
@pytest.mark.parametrize(
    "fault",
    [
        "bulk/every-1:404",
        "bulk/every-1:400",
        '{"route": "bulk", "every": 1, "status_code": 200, "body": "{\\"result\\": \\"pending\\"}"}',
    ],
    ids=["404", "400", "single job"],
)
def test_jobs_are_checked_singly_if_the_server_rejects_bulk_requests(way: str, fault: str) -> None:
    """By a 404, a 400, or the response to a single check. At most three bulk requests are sent."""
    with Server(Scenario(duration=0.2, faults=[fault])) as server:
        ids = made(server, 30)
        assert ids_of(jobs_of(wait_all(way, server.url, ids, checks_per_second=500))) == ids
        assert 1 <= len([one for one in server.requests if "ids=" in one.path]) <= 3


@BOTH
def test_a_bulk_request_that_failed_with_503_is_sent_again(way: str, server_time: ServerTime) -> None:
    """Meanwhile each job is checked by itself. The jobs end once bulk requests work again."""
    failed: list[int] = []

    def on_progress(_: Job) -> None:
        paths = [one.path for one in server.requests]
        bulk = sum("ids=" in path for path in paths)
        if not failed and {f"/status/{one}" for one in ids} <= set(paths):
            failed.append(bulk)
            server_time.advance(1.5)
        elif failed and bulk > failed[0]:
            server_time.advance(2)

    with Server(Scenario(duration=2, faults=["bulk/0s-1s:503"])) as server:
        ids = made(server, 30)
        assert ids_of(jobs_of(wait_all(way, server.url, ids, on_progress=on_progress))) == ids
    assert failed[0] >= 1


def test_a_job_missing_from_a_bulk_response_is_checked_singly() -> None:
    """The others are taken from the response."""
    with Server(Scenario(duration=0)) as server:
        ids = made(server, 3)
        body = (
            f'{{"results": [{{"id": "{ids[0]}", "result": "completed"}}, {{"id": "{ids[1]}", "result": "completed"}}]}}'
        )
        text = body.replace('"', '\\"')
        server.faults = [f'{{"route": "bulk", "every": 1, "status_code": 200, "body": "{text}"}}']
        assert ids_of(jobs_of(wait_all("asyncio", server.url, ids))) == ids
        assert [one.path for one in server.requests if "ids=" not in one.path] == [f"/status/{ids[2]}"]


@pytest.mark.parametrize("way", [*WAYS, "caller's session"])
@pytest.mark.parametrize("fault", ["mute", "504", "html", "truncate", "drop"])
def test_bulk_requests_that_always_fail_end_no_job(way: str, fault: str) -> None:
    """Single checks are made meanwhile, with a caller's session by eight threads. One fault of a job would end it."""
    with Server(Scenario(duration=1.0, faults=[f"bulk/every-1:{fault}"])) as server, requests.Session() as session:
        ids = made(server, 30)
        more = {"request_timeout": LASTS_LONG, **({"session": session} if way not in WAYS else {})}
        jobs = jobs_of(wait_all(way if way in WAYS else "blocking", server.url, ids, client={"max_faults": 1, **more}))
        bulk = [one for one in server.requests if "ids=" in one.path]

    assert ids_of(jobs) == ids
    longest = max(job.elapsed for job in jobs)  # on a quick machine 3 s: two for the first bulk response
    assert longest <= ENDS_SOON
    assert 1 <= len(bulk) <= 4 + math.log2(1 + longest)  # as each sleep is twice the one before


@BOTH
def test_a_retry_after_of_a_day_ends_one_job_and_delays_no_other(way: str) -> None:
    """That job ends at its second check. It is the only one that is checked twice."""
    with Server(Scenario(duration=ENDLESS)) as server:
        [asking] = made(server, 1)
        server._lab.scenario = Scenario(duration=0)
        ids = [asking, *made(server, 99)]
        server.faults = ["2:429:Retry-After=86400"]
        client = {"service": SINGLE, "backoff_factor": 0.5, "max_delay": 0.5}
        outcomes = wait_all(way, server.url, ids, client=client, checks_per_second=50)

    ended, *others = outcomes
    assert isinstance(ended, WaitTimeout)
    assert (ended.retry_after, ended.attempts) == (86400, 2)
    assert ids_of(jobs_of(others)) == ids[1:]


# The caller's functions, and sources


CAUSES: list[Callable[[], BaseException]] = [
    lambda: LookupError("mine"),
    lambda: SystemExit(3),
    KeyboardInterrupt,
    asyncio.CancelledError,
    GeneratorExit,
    StopIteration,
    StopAsyncIteration,
]
CHANGED = (asyncio.CancelledError, GeneratorExit, StopIteration, StopAsyncIteration)
"""Python would take these for the end of a task or of an iteration: they are raised as a `RuntimeError`."""


class DeadSource(Iterator[str]):
    """A source that yields some jobs, and then raises."""

    def __init__(self, ids: list[str], error: BaseException) -> None:
        self._ids = iter(ids)
        self._error = error

    def __next__(self) -> str:
        for one in self._ids:
            return one
        raise self._error


def error_of(call: Callable[[], object]) -> BaseException:
    """Return the exception that a call raises, of any class."""
    try:
        call()
    except BaseException as error:  # noqa: BLE001  # the tests are about all of them
        return error
    raise AssertionError("nothing was raised")


@BOTH
@pytest.mark.parametrize(
    ("where", "cause"),
    [
        pytest.param(where, cause, id=f"{where} {cause()!r}")
        for where in ("source", "on_progress")
        for cause in CAUSES
        if (where, cause) != ("source", StopIteration)  # that is the end of a source
    ],
)
def test_an_exception_of_any_class_in_source_or_on_progress_is_raised(
    way: str, where: str, cause: Callable[[], BaseException]
) -> None:
    """Soon, and no thread is left. Those in `CHANGED` become a `RuntimeError`."""
    raised = cause()

    def dead(_: Job) -> None:
        raise raised

    with Server(Scenario(duration=ENDLESS)) as server:
        ids = made(server, 5)
        jobs: Any = DeadSource(ids, raised) if where == "source" else ids
        options: dict[str, Any] = {"on_progress": dead} if where == "on_progress" else {}
        with ends_soon():  # the timeout of a job is a minute
            error = error_of(lambda: wait_all(way, server.url, jobs, **options))
        until(lambda: not threads_of_ours())

    if isinstance(raised, CHANGED):
        assert type(error) is RuntimeError
        assert type(raised).__name__ in str(error)
    else:
        assert error is raised


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: repr(cause()))
def test_an_exception_in_a_hook_of_the_callers_session_is_raised(cause: Callable[[], BaseException]) -> None:
    """As by a single wait, except for those in `CHANGED`."""
    raised = cause()

    def dead(*_: Any, **__: Any) -> None:
        raise raised

    with Server(Scenario(duration=ENDLESS)) as server, requests.Session() as session:
        session.hooks["response"].append(dead)
        client = {"session": session}
        error = error_of(lambda: wait_all("blocking", server.url, made(server, 2), client=client))
        until(lambda: not threads_of_ours())

    if isinstance(raised, CHANGED):
        assert type(error) is RuntimeError
        assert type(raised).__name__ in str(error)
        assert error.__cause__ is raised
    else:
        assert error is raised


@BOTH
def test_finished_jobs_are_yielded_before_the_error_of_the_source(way: str) -> None:
    """Also to a slow consumer."""
    taken: list[Outcome] = []
    finished = threading.Semaphore(0)

    def source(ids: list[str]) -> Iterator[str]:
        yield from ids
        for _ in ids:
            assert finished.acquire(timeout=LASTS_LONG)
        time.sleep(0.1)
        raise asyncio.CancelledError

    async def take(url: str, jobs: Any) -> None:
        async with AsyncVideoTranslationClient(url, **settings_of({})) as client:
            async for outcome in client.as_completed(jobs, on_progress=lambda _: finished.release()):
                taken.append(outcome)
                await asyncio.sleep(0.2)

    def take_blocking(url: str, jobs: Any) -> None:
        with VideoTranslationClient(url, **settings_of({})) as client:
            for outcome in client.as_completed(jobs, on_progress=lambda _: finished.release()):
                taken.append(outcome)
                time.sleep(0.2)

    with Server(Scenario(duration=0)) as server:
        jobs = source(made(server, 5))
        call = (
            (lambda: take_blocking(server.url, jobs))
            if way == "blocking"
            else (lambda: asyncio.run(take(server.url, jobs)))
        )
        error = error_of(call)

    assert type(error) is RuntimeError
    assert len(jobs_of(taken)) == 5


def test_stopping_the_event_loop_of_a_batch_raises_runtime_error() -> None:
    """`on_progress` stops it. No thread is left."""
    with Server(Scenario(duration=ENDLESS)) as server:
        error = error_of(
            lambda: wait_all(
                "blocking", server.url, made(server, 3), on_progress=lambda _: asyncio.get_running_loop().stop()
            )
        )
        assert type(error) is RuntimeError
        until(lambda: not threads_of_ours())


def test_a_batch_thread_that_ends_unexpectedly_raises_runtime_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the thread passes on neither a result nor an error."""
    monkeypatch.setattr(thread._BatchThread, "_run", lambda _: None)
    with Server(Scenario(duration=ENDLESS)) as server, pytest.raises(RuntimeError, match="ended unexpectedly"):
        wait_all("blocking", server.url, made(server, 3))


@pytest.mark.parametrize("service", [REFERENCE, SINGLE], ids=["bulk", "single"])
def test_closing_the_client_in_on_progress_cancels_all_waits(service: Any) -> None:
    """`close` is called in the thread of the batch, and does not wait for it."""
    with Server(Scenario(duration=ENDLESS)) as server:
        client = VideoTranslationClient(server.url, **settings_of({"service": service}))
        outcomes = client.wait_all(made(server, 20), on_progress=lambda _: client.close())
        until(lambda: not threads_of_ours())

    assert {type(outcome) for outcome in outcomes} == {WaitCancelled}


@BOTH
def test_on_progress_is_called_with_every_response(way: str) -> None:
    """The last one of each job included."""
    updates: list[Job] = []
    with Server(Scenario(duration=0.3)) as server:
        ids = made(server, 3)
        jobs = jobs_of(wait_all(way, server.url, ids, client={"service": SINGLE}, on_progress=updates.append))
        number = len(server.requests)

    assert len(updates) == number
    assert {str(job.id) for job in updates if job.status.is_final} == set(ids)
    assert sum(job.checks for job in jobs) == number


@BOTH
@pytest.mark.parametrize("service", [REFERENCE, SINGLE], ids=["bulk", "single"])
def test_an_exception_in_on_progress_ends_as_completed(way: str, service: Any) -> None:
    """It is raised, and no thread is left."""

    def broken(job: Job) -> None:
        raise LookupError("mine")

    with Server(Scenario(duration=ENDLESS)) as server:
        with pytest.raises(LookupError, match="mine"):
            completed(way, server.url, made(server, 5), client={"service": service}, on_progress=broken)
        assert threads_of_ours() == []


@BOTH
def test_an_exception_in_a_source_ends_wait_all(way: str) -> None:
    """It is raised."""

    def broken(ids: list[str]) -> Iterator[str]:
        yield from ids
        raise LookupError("mine")

    with Server(Scenario(duration=ENDLESS)) as server, pytest.raises(LookupError, match="mine"):
        wait_all(way, server.url, broken(made(server, 2)))


@BOTH
def test_an_endless_source_is_read_only_as_max_in_flight_allows(way: str) -> None:
    """Jobs that are waited for count, and outcomes that the caller has not taken yet."""
    read: list[str] = []
    most: list[int] = []
    with Server(Scenario(duration=0.05)) as server:

        def endless() -> Iterator[str]:
            while True:
                read.append(server._lab.create())
                yield read[-1]

        if way == "blocking":
            with VideoTranslationClient(server.url, **settings_of({})) as blocking:
                outcomes: Any = blocking.as_completed(endless(), max_in_flight=5)
                for number, _ in enumerate(outcomes):
                    time.sleep(0.03)  # a slow consumer
                    most.append(len(read) - number)
                    if number == 20:
                        break
                outcomes.close()
        else:

            async def waited() -> None:
                async with AsyncVideoTranslationClient(server.url, **settings_of({})) as client:
                    each: Any = client.as_completed(endless(), max_in_flight=5)
                    for number in range(21):
                        await anext(each)
                        await asyncio.sleep(0.03)
                        most.append(len(read) - number)
                    await each.aclose()

            asyncio.run(asyncio.wait_for(waited(), LASTS_LONG))

    assert len(most) == 21
    assert max(most) <= 5 + 2
    until(lambda: not threads_of_ours())


@BOTH
def test_a_source_that_repeats_an_id_is_read_only_as_max_in_flight_allows(way: str) -> None:
    """Outcomes that are not taken yet use memory, be they of one job or of many."""
    read: list[str] = []
    read_counts: list[int] = []
    with Server(Scenario(duration=0.5)) as server:
        [one] = made(server, 1)

        def same() -> Iterator[str]:
            while len(read) < 2000:
                read.append(one)
                yield one

        jobs_of(wait_all(way, server.url, same(), max_in_flight=5, on_progress=lambda _: read_counts.append(len(read))))

    assert max(read_counts) <= 5 + 2


@BOTH
def test_max_in_flight_limits_the_jobs_that_are_waited_for(way: str, server_time: ServerTime) -> None:
    """Others are not checked before a job has ended. Each second of the server ends one job."""
    counts: Counter[str] = Counter()
    most: list[int] = []

    def on_progress(job: Job) -> None:
        counts[str(job.id)] += 1
        ended = int(server_time.seconds)
        most.append(len({one.path for one in server.requests}) - ended)
        if all(counts[one] >= 2 for one in ids[ended : ended + 4]):  # and others have had the time to be checked
            server_time.advance(1)

    with Server() as server:
        ids = []
        for number in range(12):
            server._lab.scenario = Scenario(duration=number + 1)
            ids += made(server, 1)
        outcomes = wait_all(way, server.url, ids, client={"service": SINGLE}, max_in_flight=4, on_progress=on_progress)

    assert ids_of(jobs_of(outcomes)) == ids
    assert max(most) == 4


# Cancellation, and batches that are left early


@BOTH
@pytest.mark.parametrize("max_in_flight", [None, 5])
def test_an_event_cancels_every_wait_of_a_batch(way: str, max_in_flight: int | None) -> None:
    """Each job of the list has an outcome, also if `max_in_flight` has kept it waiting."""
    cancel = threading.Event()
    with Server(Scenario(duration=ENDLESS)) as server:
        ids = made(server, 20)
        threading.Timer(0.3, cancel.set).start()
        with ends_soon(0.3):
            outcomes = wait_all(way, server.url, ids, cancel=cancel, max_in_flight=max_in_flight)

    assert {type(outcome) for outcome in outcomes} == {WaitCancelled}
    assert ids_of(outcomes) == ids


def test_an_asyncio_event_cancels_every_wait_of_a_batch() -> None:
    """In the asyncio client."""

    async def waited(url: str, ids: list[str]) -> list[Outcome]:
        cancel = asyncio.Event()
        asyncio.get_running_loop().call_later(0.2, cancel.set)
        async with AsyncVideoTranslationClient(url, **settings_of({})) as client:
            return await asyncio.wait_for(client.wait_all(ids, cancel=cancel), ENDS_SOON)

    with Server(Scenario(duration=ENDLESS)) as server:
        ids = made(server, 5)
        outcomes = asyncio.run(waited(server.url, ids))
    assert {type(outcome) for outcome in outcomes} == {WaitCancelled}
    assert ids_of(outcomes) == ids


def ended_before(way: str, end: str, jobs: Any) -> list[Outcome]:
    """Return the outcomes of a batch whose client was closed, or whose event was set, before it began."""
    cancel = threading.Event()
    if end == "event":
        cancel.set()
    if way == "blocking":
        with closing(VideoTranslationClient("http://127.0.0.1:1", **settings_of({}))) as blocking:
            if end == "close":
                blocking.close()
            return blocking.wait_all(jobs, cancel=cancel)

    async def waited() -> list[Outcome]:
        async with AsyncVideoTranslationClient("http://127.0.0.1:1", **settings_of({})) as tasks:
            if end == "close":
                await tasks.close()
            return await tasks.wait_all(jobs, cancel=cancel)

    return asyncio.run(asyncio.wait_for(waited(), 2 * LASTS_LONG))


async def stepping(ids: list[str]) -> AsyncIterator[str]:
    """A source that lets other tasks run before each of its jobs."""
    for one in ids:
        await asyncio.sleep(0)
        yield one


@pytest.mark.parametrize("end", ["close", "event"])
@pytest.mark.parametrize("max_in_flight", [10_000, 3])
@pytest.mark.parametrize(
    ("way", "source"),
    [("blocking", list), ("blocking", iter), ("asyncio", list), ("asyncio", iter), ("asyncio", stepping)],
)
def test_each_job_of_a_batch_cancelled_before_it_begins_has_an_outcome(
    way: str, source: Callable[[list[str]], Any], max_in_flight: int, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From any source that can be read without waiting; the time for that is 10 s here, for slow machines."""
    monkeypatch.setattr(runner_module, "SOURCE_WAIT_SECONDS", 10.0)
    monkeypatch.setattr("translation_client._jobs.batch.options.DEFAULT_IN_FLIGHT", max_in_flight)
    ids = [f"j{number}" for number in range(250)]
    outcomes = ended_before(way, end, source(ids))

    assert ids_of(outcomes) == ids
    assert {type(outcome) for outcome in outcomes} == {WaitCancelled}


def source_is_waited_for(monkeypatch: pytest.MonkeyPatch, is_read: Callable[[], bool]) -> None:
    """Let a cancelled batch wait for its source for 0.01 s, or until something is read on a slow machine."""
    monkeypatch.setattr(runner_module, "SOURCE_WAIT_SECONDS", 0.01)

    async def sleep(seconds: float) -> None:
        end = time.monotonic() + LASTS_LONG
        await sleep_on_loop(seconds)
        while seconds == 0.01 and not is_read() and time.monotonic() < end:
            await asyncio.sleep(0.005)

    monkeypatch.setattr(runner_module, "sleep_on_loop", sleep)


@BOTH
@pytest.mark.parametrize("end", ["close", "event"])
def test_a_batch_cancelled_before_it_begins_does_not_wait_for_its_source(
    way: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that the source yields later may be meant for another consumer."""
    reading, release = threading.Event(), threading.Event()
    was_released: list[bool] = []

    def late() -> Iterator[str]:
        yield "j0"
        reading.set()
        was_released.append(release.wait(LASTS_LONG))
        yield "j1"

    source_is_waited_for(monkeypatch, reading.is_set)
    with ends_soon():
        outcomes = ended_before(way, end, late())
    assert was_released == []
    release.set()
    assert ids_of(outcomes) == ["j0"]
    assert {type(outcome) for outcome in outcomes} == {WaitCancelled}
    until(lambda: not threads_of_ours())
    assert was_released == [True]


@BOTH
def test_a_batch_cancelled_before_it_begins_stops_reading_an_endless_source(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default, after half a second (`MAX_SOURCE_WAITS` times `SOURCE_WAIT_SECONDS`)."""
    read: list[str] = []

    def endless() -> Iterator[str]:
        for number in itertools.count():
            read.append(f"j{number}")
            yield read[-1]

    source_is_waited_for(monkeypatch, lambda: len(read) > 1)
    with ends_soon():
        outcomes = ended_before(way, "close", endless())
    assert {type(outcome) for outcome in outcomes} == {WaitCancelled}
    assert ids_of(outcomes) == read[: len(outcomes)]
    until(lambda: not threads_of_ours())


def test_a_job_that_a_source_yields_after_the_cancellation_is_cancelled() -> None:
    """Also if the caller has not taken the outcomes yet."""

    async def waited(url: str, ids: list[str]) -> None:
        cancel = asyncio.Event()

        async def late() -> AsyncIterator[str]:
            yield ids[0]
            asyncio.get_running_loop().call_later(0.1, cancel.set)  # not before the batch has begun
            await asyncio.sleep(0.5)
            yield ids[1]

        async with AsyncVideoTranslationClient(url, **settings_of({})) as client:
            outcomes: list[Outcome] = []
            async for outcome in client.as_completed(late(), cancel=cancel):
                outcomes.append(outcome)
                await asyncio.sleep(0.7)  # a slow consumer
        assert {type(outcome) for outcome in outcomes} == {WaitCancelled}
        assert ids_of(outcomes) == ids

    with Server(Scenario(duration=ENDLESS)) as server, ends_soon(1.5):
        asyncio.run(waited(server.url, made(server, 2)))


def test_close_in_another_thread_cancels_every_wait_of_a_batch() -> None:
    """As it cancels a single one."""
    with Server(Scenario(duration=ENDLESS)) as server:
        ids = made(server, 20)
        client = VideoTranslationClient(server.url, **settings_of({}))
        threading.Timer(0.3, client.close).start()
        outcomes = client.wait_all(ids)

    assert {type(outcome) for outcome in outcomes} == {WaitCancelled}
    assert ids_of(outcomes) == ids


@pytest.mark.parametrize("more", [{}, {"history": True, "check_cost": 1}], ids=["plain", "history"])
def test_close_in_another_task_cancels_every_wait_of_a_batch(more: dict[str, Any]) -> None:
    """A batch that is begun with the closed client is cancelled, too."""

    async def waited(url: str, ids: list[str]) -> list[Outcome]:
        client = AsyncVideoTranslationClient(url, **settings_of(more))
        task = asyncio.ensure_future(client.wait_all(ids))
        await asyncio.sleep(0.2)
        await client.close()
        return [*await asyncio.wait_for(task, ENDS_SOON), *await asyncio.wait_for(client.wait_all(ids), ENDS_SOON)]

    with Server(Scenario(duration=ENDLESS)) as server:
        ids = made(server, 20)
        outcomes = asyncio.run(waited(server.url, ids))
    assert {type(outcome) for outcome in outcomes} == {WaitCancelled}
    assert ids_of(outcomes) == [*ids, *ids]


@pytest.mark.parametrize("how", ["break", "close", "collected"])
def test_leaving_as_completed_early_leaves_no_thread_and_no_socket(how: str) -> None:
    """By `break`, by `close`, or by garbage collection."""
    with (
        Server(Scenario(duration=ENDLESS)) as server,
        VideoTranslationClient(server.url, **settings_of({})) as client,
    ):
        lab, before = server._lab, sockets_open()
        ids = [lab.create() for _ in range(50)]
        lab.scenario = Scenario(duration=0)
        ids.append(lab.create())
        outcomes: Any = client.as_completed(ids)
        yielded: list[Outcome] = []
        if how == "break":
            for outcome in outcomes:
                yielded.append(outcome)
                break
        else:
            yielded.append(next(outcomes))
        assert ids_of(yielded) == ids[-1:]
        assert threads_of_ours() != []
        if how == "close":
            outcomes.close()
        else:
            del outcomes
            gc.collect()
        assert threads_of_ours() == []
        until(lambda: sockets_open() <= before)


def test_a_batch_collected_in_its_own_thread_raises_no_unraisable_exception() -> None:
    """The garbage collector runs in whatever thread allocates, also in that of the batch."""
    messages: list[str] = []
    holder: dict[str, Any] = {}

    def collect(job: Job) -> None:
        if holder.get("left"):
            gc.collect()

    class Circle:
        def __init__(self, outcomes: Any) -> None:
            self.me = self
            self.outcomes = outcomes

    usual = sys.unraisablehook
    gc.disable()
    sys.unraisablehook = lambda what: messages.append(str(what.exc_value))
    try:
        with (
            Server(Scenario(duration=ENDLESS)) as server,
            VideoTranslationClient(server.url, **settings_of({})) as client,
        ):
            done = made(server, 1)
            server._lab.scenario = Scenario(duration=0)
            circle = Circle(client.as_completed([*done, server._lab.create()], on_progress=collect))
            assert next(circle.outcomes)
            del circle
            holder["left"] = True
            until(lambda: not threads_of_ours())
    finally:
        sys.unraisablehook = usual
        gc.enable()
    assert messages == []


@pytest.mark.parametrize("kind", ["list", "generator", "async generator"])
def test_an_asyncio_batch_that_is_left_early_leaves_no_task(kind: str) -> None:
    """Once it is closed. An async generator as its source is closed, too."""
    closed: list[str] = []

    async def waited(url: str, ids: list[str]) -> None:
        def plain() -> Iterator[str]:
            yield from ids

        async def tasks() -> AsyncIterator[str]:
            try:
                for one in ids:
                    yield one
            finally:
                closed.append("source")

        source: Any = {"list": ids, "generator": plain(), "async generator": tasks()}[kind]
        async with AsyncVideoTranslationClient(url, **settings_of({})) as client:
            outcomes: Any = client.as_completed(source, max_in_flight=2)
            assert await asyncio.wait_for(anext(outcomes), LASTS_LONG)
            await outcomes.aclose()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert closed == (["source"] if kind == "async generator" else [])

    with Server(Scenario(duration=0)) as server:
        asyncio.run(waited(server.url, made(server, 10)))


LEAVING = """
import asyncio, gc, itertools, sys, threading
from translation_client import AsyncVideoTranslationClient, VideoTranslationClient

import logging
logging.getLogger("asyncio").addFilter(lambda line: not line.msg.startswith("Executing"))  # a busy machine is slow

class SilentLogger:
    def info(self, *_, **__): ...
    warning = error = info

url, ids, way = sys.argv[1], sys.argv[2].split(","), sys.argv[3]
settings = dict(timeout=60, backoff_factor=0.05, max_retries=1000, logger=SilentLogger())

async def source():
    for one in ids:
        yield one

async def main():
    async with AsyncVideoTranslationClient(url, **settings) as client:
        if way == "break":
            async for outcome in client.as_completed(source(), max_in_flight=3):
                break
        elif way == "break a generator":
            async for outcome in client.as_completed(iter(ids), max_in_flight=3):
                break
        elif way == "cancel":
            task = asyncio.ensure_future(client.wait_all(ids))
            await asyncio.sleep(0.2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        elif way == "leave":
            task = asyncio.ensure_future(client.wait_all(ids))
            await asyncio.sleep(0.2)
            sys.leaving = task
        elif way == "end":
            sys.leaving = asyncio.ensure_future(client.wait_all(ids))
            await asyncio.sleep(0.2)
            return

if way.startswith("blocking"):
    client = VideoTranslationClient(url, **settings)
    outcomes = client.as_completed(iter(ids) if "generator" in way else ids, max_in_flight=3)
    next(outcomes)
    if "close" in way:
        outcomes.close()
        client.close()
else:
    asyncio.run(main(), debug=True)
gc.collect()
"""


def child(program: str, *arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
    return running([sys.executable, "-X", "dev", "-W", "error", "-c", program, *arguments])


def ended(process: subprocess.Popen[str], seconds: float = 60) -> tuple[int, str]:
    _, stderr = process.communicate(timeout=seconds)
    return process.returncode, stderr


@pytest.mark.parametrize(
    "way",
    ["break", "break a generator", "cancel", "leave", "end", "blocking close", "blocking", "blocking generator close"],
)
def test_a_program_that_leaves_a_batch_early_prints_no_warning(way: str) -> None:
    """No "Task was destroyed", no exception that was never retrieved, and no `ResourceWarning`."""
    with Server(Scenario(duration=ENDLESS)) as server:
        slow = made(server, 5)
        server._lab.scenario = Scenario(duration=0)
        with child(LEAVING, server.url, ",".join([server._lab.create(), *slow]), way) as process:
            assert ended(process) == (0, "")


INTERRUPTED = """
import asyncio, sys, requests
from translation_client import AsyncVideoTranslationClient, VideoTranslationClient
import logging
url, ids, way = sys.argv[1], sys.argv[2].split(","), sys.argv[3]
settings = dict(timeout=60, request_timeout=60, backoff_factor=0.05, max_delay=0.1, max_retries=10000)

async def main():
    async with AsyncVideoTranslationClient(url, **settings) as client:
        await client.wait_all(ids)

logging.getLogger("translation_client").addHandler(logging.NullHandler())
if way == "asyncio":
    asyncio.run(main())
elif way == "session":
    with requests.Session() as session:
        VideoTranslationClient(url, session=session, **settings).wait_all(ids)
else:
    with VideoTranslationClient(url, **settings) as client:
        client.wait_all(ids)
"""


@pytest.mark.parametrize("way", ["blocking", "asyncio", "session"])
def test_ctrl_c_ends_a_program_that_waits_for_a_batch(way: str) -> None:
    """With `KeyboardInterrupt`, and no warning."""
    with (
        Server(Scenario(duration=ENDLESS)) as server,
        child(INTERRUPTED, server.url, ",".join(made(server, 20)), way) as process,
    ):
        until(lambda: len(server.requests) >= 3)
        process.send_signal(signal.SIGINT)
        code, stderr = ended(process, 2 * ENDS_SOON)  # the wait takes a minute

    assert code in (-signal.SIGINT, 130)
    assert stderr.rstrip().endswith("KeyboardInterrupt")
    assert not any(word in stderr for word in ("destroyed", "retrieved", "ResourceWarning", "Exception ignored"))


def test_ctrl_c_ends_a_program_whose_session_hangs_in_a_request() -> None:
    """The request, whose response is of no use any more, does not delay the exit."""
    with serving(mute) as server, child(INTERRUPTED, server.url, "a,b", "session") as process:
        until(lambda: len(server.requests) >= 1)
        process.send_signal(signal.SIGINT)
        code, _ = ended(process, 2 * ENDS_SOON)  # the request takes a minute

    assert code in (-signal.SIGINT, 130)


HASTY = """
import os, signal, sys, threading, time
from translation_client import VideoTranslationClient
from translation_client._jobs.batch import thread

usual = thread._BatchThread._run

def late(self):
    time.sleep(0.2)  # a busy machine
    usual(self)

thread._BatchThread._run = late
threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
VideoTranslationClient(sys.argv[1], timeout=60).wait_all(["a"])
"""


def test_ctrl_c_ends_a_program_whose_batch_thread_has_just_started() -> None:
    """The interrupt comes before the thread runs its event loop."""
    with Server(Scenario(duration=ENDLESS)) as server, child(HASTY, server.url) as process:
        code, stderr = ended(process)  # without the interrupt the wait takes a minute

    assert code in (-signal.SIGINT, 130)
    assert "KeyboardInterrupt" in stderr


@pytest.mark.parametrize("request_timeout", [1.0, LASTS_LONG])
def test_a_request_of_the_callers_session_ends_by_its_own_timeout(request_timeout: float) -> None:
    """It cannot be cancelled, as in a single wait. The batch does not wait for it, and its thread ends with it."""
    cancel = threading.Event()
    with serving(mute) as server, requests.Session() as session:
        settings = settings_of({"session": session, "request_timeout": request_timeout, "max_faults": math.inf})
        with VideoTranslationClient(server.url, **settings) as client:
            threading.Timer(0.2, cancel.set).start()
            with ends_soon(0.2):
                outcomes = client.wait_all(["a", "b"], cancel=cancel)
            assert {type(outcome) for outcome in outcomes} == {WaitCancelled}
            if request_timeout < ENDS_SOON:  # the server is mute for a minute
                with ends_soon(request_timeout):
                    until(lambda: not threads_of_ours())


# Event loops, sessions and extras


def test_a_blocking_batch_works_inside_a_running_event_loop() -> None:
    """As in Jupyter."""

    async def cell(url: str, ids: list[str]) -> list[Outcome]:
        with VideoTranslationClient(url, **settings_of({})) as client:
            return list(client.as_completed(ids))

    with Server(Scenario(duration=0.1)) as server:
        ids = made(server, 5)
        assert sorted(str(job.id) for job in jobs_of(asyncio.run(cell(server.url, ids)))) == sorted(ids)


def test_a_batch_uses_the_callers_session() -> None:
    """Each request has its headers."""
    with Server(Scenario(duration=0.2)) as server, requests.Session() as session:
        session.headers["X-Mine"] = "yes"
        ids = made(server, 30)
        with VideoTranslationClient(server.url, **settings_of({"session": session, "service": SINGLE})) as client:
            assert ids_of(jobs_of(client.wait_all(ids))) == ids
        assert {arrival.headers.get("X-Mine") for arrival in server.requests} == {"yes"}
    until(lambda: not threads_of_ours())


def test_a_batch_uses_a_session_with_an_in_process_adapter() -> None:
    """Which has no sockets."""
    lab = Lab(Scenario(duration=0.2))
    ids = [lab.create() for _ in range(30)]
    with requests.Session() as session:
        session.mount("http://fake.test", InProcessAdapter(create_app(lab)))
        with VideoTranslationClient("http://fake.test", **settings_of({"session": session})) as client:
            assert ids_of(jobs_of(client.wait_all(ids))) == ids
    until(lambda: not threads_of_ours())


def test_a_batch_without_aiohttp_raises_import_error_that_names_the_extra() -> None:
    """When the method is called, and not at the first outcome."""
    program = """
import sys
sys.modules["aiohttp"] = None
from translation_client import VideoTranslationClient
client = VideoTranslationClient("http://127.0.0.1:1")
for call in (client.as_completed, client.wait_all):
    try:
        call(["a"])
    except ImportError as error:
        assert "translation-client[async]" in str(error), error
    else:
        raise SystemExit("no error")
"""
    with child(program) as process:
        assert ended(process) == (0, "")


# Compared with a single wait


class Scripted(ThreadingHTTPServer):
    """A server of scripted jobs, whose scripts begin when it is made."""

    daemon_threads = True
    request_queue_size = 200

    def __init__(self, service: Any, scripts: dict[str, Script], bulk: BulkScript) -> None:
        super().__init__(("127.0.0.1", 0), ScriptedHandler)
        began = time.monotonic()
        self.over = threading.Event()
        self.script = ScriptedServer(service, scripts, bulk, lambda: time.monotonic() - began)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class ScriptedHandler(BaseHTTPRequestHandler):
    """Responds by a script."""

    protocol_version = "HTTP/1.1"
    server: Scripted

    def do_GET(self) -> None:
        reply = self.server.script.respond(self.path)
        self.server.over.wait(min(reply.seconds, 60))
        if isinstance(reply.outcome, Fault):
            self.close_connection = True
            return
        self.send_response(reply.outcome.status_code)
        for name, value in reply.outcome.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.outcome.body)))
        self.end_headers()
        self.wfile.write(reply.outcome.body)

    def log_message(self, *_: Any) -> None: ...


@BOTH
def test_a_job_of_a_batch_has_the_same_outcome_as_a_single_wait(way: str) -> None:
    """With bulk requests that fail in every way, and without them. As in `test_batch_outcomes.py`, in real time."""
    for slowness in (1, 4, 10):  # slower ones for a busy machine, where a request may take too long
        alone, single, faulty = outcomes_of_scripts(way, slowness)
        if alone == single == faulty:
            break
    assert single == alone
    assert faulty == alone


def outcomes_of_scripts(way: str, slowness: float) -> list[dict[str, tuple[str, object]]]:
    """Return the outcomes of the same scripts in single waits, in a batch, and in one whose bulk requests fail."""
    chance = random.Random(1)
    ids = [f"job-{number}" for number in range(30)]
    scripts = {job_id: drawn_script(chance, 1.5 * slowness, 0.4 * slowness) for job_id in ids}
    bulk = drawn_bulk(chance, 10 * slowness)
    settings: dict[str, Any] = {"max_faults": 3, "backoff_factor": 0.05 * slowness, "max_delay": 0.4 * slowness}
    settings |= {"timeout": 10 * slowness, "request_timeout": 1.5 * slowness}

    async def each_alone(url: str) -> list[Outcome]:
        async with AsyncVideoTranslationClient(url, **settings_of(settings)) as client:
            return await asyncio.gather(*(client.wait(job_id) for job_id in ids), return_exceptions=True)  # type: ignore[return-value]  # errors of ours

    def outcomes(kind: str) -> dict[str, tuple[str, object]]:
        service = SINGLE if kind == "single" else REFERENCE
        with Scripted(service, scripts, bulk) as server:
            url = f"http://127.0.0.1:{server.server_port}"
            if kind == "alone":
                return dict(zip(ids, map(outcome_of, asyncio.run(each_alone(url))), strict=True))
            together = wait_all(way, url, ids, client={**settings, "service": service}, checks_per_second=2000)
            return dict(zip(ids, map(outcome_of, together), strict=True))

    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(outcomes, ["alone", "single", "faulty"]))


def submitted(url: str, number: int) -> list[Job]:
    """Submit so many jobs, so that their age is known."""
    with VideoTranslationClient(url, **settings_of({})) as client:
        return [client.submit(f"https://videos.example.com/{one}.mp4", "es") for one in range(number)]


@BOTH
@pytest.mark.parametrize("service", [REFERENCE, SINGLE], ids=["bulk", "single"])
def test_a_history_records_the_durations_of_a_batch(way: str, service: Any) -> None:
    """A job that is final at its first check is not recorded."""
    for duration in (1.5, 6, 24):  # on a busy machine, short jobs are completed at their first check
        history = DurationHistory()
        with Server(Scenario(duration=duration)) as server:
            client = {"history": history, "check_cost": 0.01, "service": service}
            jobs = jobs_of(wait_all(way, server.url, submitted(server.url, 10), client=client))
        learned = [job for job in jobs if job.checks > 1]
        assert len(history.jobs("reference")) == len(learned)
        if learned:
            return
    pytest.fail("no job was pending at its first check")


def test_a_history_records_a_pending_job_of_a_batch_that_is_left_early() -> None:
    """That it was still pending at some age is recorded, as for a watch that is left."""
    history = DurationHistory()
    with Server(Scenario(duration=ENDLESS)) as server:
        [slow] = submitted(server.url, 1)
        server._lab.scenario = Scenario(duration=0.2)
        [quick] = submitted(server.url, 1)
        settings = settings_of({"history": history, "check_cost": 0.01})
        with VideoTranslationClient(server.url, **settings) as client:
            outcomes: Any = client.as_completed([slow, quick])
            first = next(outcomes)
            outcomes.close()

    assert first.id == quick.id
    assert len(history.jobs("reference")) == 1 + (first.checks > 1)


def test_a_job_of_a_batch_is_logged_like_one_of_a_single_wait(lines: LogLines) -> None:
    """The same events, in the same order, under its id."""
    logged: list[list[str]] = []
    for is_alone in (True, False):
        lines.clear()
        with Server(Scenario(duration=0, faults=["1:relapse", "2:503"])) as server:
            [one] = made(server, 1)
            settings = {**USUAL, "service": SINGLE, "backoff_factor": 1}
            with VideoTranslationClient(server.url, **settings) as client:
                if is_alone:
                    client.wait(one)
                else:
                    client.wait_all([one])
        logged.append([line["event"] for line in lines if line.get("job_id") == one])

    assert logged[0] == logged[1]
    assert "job_finished" in logged[0]


def test_a_refused_connection_is_an_error_of_each_job() -> None:
    """Each error has the id of its job."""
    with refusing_url() as url:
        outcomes = wait_all("asyncio", url, ["a", "b"], client={"max_faults": 1})
    assert ids_of(outcomes) == ["a", "b"]
    assert {type(outcome) for outcome in outcomes} == {RequestFailed}
