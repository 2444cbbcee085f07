"""Batches in virtual time: a failing bulk route, pauses, deadlines, repeated ids, exceptions, and cancelled batches."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from itertools import count, pairwise
from typing import Any

import pytest
import requests
from support.adapters import FunctionAdapter, response
from support.fixtures import LogLines
from support.in_process_service import HOST
from support.job_scripts import ScriptedServer, Step
from support.virtual_time import LATENCY, Reply, broken, client_of, html_reply, json_reply, mute, present, run
from tenacity import stop_after_attempt

from translation_client import (
    DurationHistory,
    Job,
    RequestFailed,
    RetriesExhausted,
    TranslationClientError,
    TranslationStatus,
    UnexpectedAnswer,
    VideoTranslationClient,
    WaitTimeout,
)
from translation_client._jobs.batch import runner as runner_module
from translation_client._jobs.batch.runner import BatchRunner
from translation_client.schedule.history import history_from_durations
from translation_client.services.elevenlabs import ELEVENLABS
from translation_client.services.heygen import HEYGEN
from translation_client.services.reference import REFERENCE
from translation_client.services.service import BulkSpec, Service

SINGLE = replace(REFERENCE, bulk=None)
USUAL: dict[str, Any] = {"timeout": 60, "max_retries": math.inf, "backoff_factor": 1, "max_delay": 1}

TROUBLE: dict[str, Callable[[], Reply]] = {
    "500": lambda: json_reply({}, 500),
    "503": lambda: json_reply({}, 503),
    "503 with Retry-After": lambda: json_reply({}, 503, retry_after="86400"),
    "504 after a while": lambda: json_reply({}, 504, seconds=9.0),
    "429 with Retry-After": lambda: json_reply({}, 429, retry_after="86400"),
    "html": html_reply,
    "broken": broken,
    "mute": mute,
    "no JSON object": lambda: json_reply([]),
    "the single job": lambda: json_reply({"result": "pending"}),
    "an empty list": lambda: json_reply({"results": []}),
    "a stranger": lambda: json_reply({"results": [{"id": "x", "result": "completed"}]}),
    "nonsense": lambda: json_reply({"results": [{"id": ["x"]}, None, 5, {"result": {}}]}),
    "400": lambda: json_reply({}, 400),
    "401": lambda: json_reply({}, 401),
    "403": lambda: json_reply({}, 403),
    "404": lambda: json_reply({}, 404),
    "405": lambda: json_reply({}, 405),
    "501": lambda: json_reply({}, 501),
}
REFUSALS = ("400", "401", "403", "404", "405", "501")
ASK_FOR_TIME = ("503 with Retry-After", "429 with Retry-After")


class Server:
    """A server with a route for single jobs and a bulk route, which records the requests.

    Attributes:
        requests: The time and the job ids of each request.
    """

    def __init__(self, ends_at: float = math.inf, bulk: Callable[[int], Reply | None] = lambda _: None) -> None:
        self.requests: list[tuple[float, tuple[str, ...]]] = []
        self.replies: dict[str, Callable[[], Reply]] = {}
        self.entries: dict[str, Any] = {}
        self._ends_at = ends_at
        self._bulk = bulk

    @property
    def bulk(self) -> list[float]:
        """The times of the bulk requests."""
        return [at for at, ids in self.requests if len(ids) > 1]

    @property
    def single(self) -> list[float]:
        """The times of the requests for a single job."""
        return [at for at, ids in self.requests if len(ids) == 1]

    def times_of(self, job_id: str) -> list[float]:
        """The times of the requests for this job alone."""
        return [at for at, ids in self.requests if ids == (job_id,)]

    def respond(self, path: str) -> Reply:
        """Return the response to a request."""
        last = path.rsplit("/", 1)[1]
        if "ids=" not in last:
            self.requests.append((present(), (last,)))
            return self.replies[last]() if last in self.replies else json_reply({"result": self.word})
        ids = tuple(last.partition("ids=")[2].split(","))
        self.requests.append((present(), ids))
        trouble = self._bulk(len(self.bulk))
        if trouble is not None:
            return trouble
        entries = [self.entries.get(job_id, {"id": job_id, "result": self.word}) for job_id in ids]
        return json_reply({"results": entries})

    @property
    def word(self) -> str:
        """The present status word of the jobs."""
        return "completed" if present() >= self._ends_at else "pending"


Outcomes = list[Job | TranslationClientError]


def ids(number: int) -> list[str]:
    return [f"j{one}" for one in range(number)]


def wait_all(
    server: Server, jobs: Any, *, service: Service = REFERENCE, client: dict[str, Any] | None = None, **options: Any
) -> Outcomes:
    """Return the outcomes of `wait_all` in virtual time."""

    async def waited() -> Outcomes:
        async with client_of(server.respond, service=service, **{**USUAL, **(client or {})}) as made:
            return await made.wait_all(jobs, **options)

    return run(waited())


def kinds_of(outcomes: Outcomes) -> set[str]:
    return {str(one.status) if isinstance(one, Job) else type(one).__name__ for one in outcomes}


# A bulk route that fails


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", TROUBLE)
def test_bulk_requests_go_on_after_one_failed_bulk_request(kind: str) -> None:
    """Meanwhile jobs are checked singly. After a refusal or a `Retry-After`, the next bulk request comes later."""
    seconds = 45 if kind in REFUSALS else 15
    server = Server(ends_at=seconds, bulk=lambda number: TROUBLE[kind]() if number == 3 else None)

    assert kinds_of(wait_all(server, ids(120), checks_per_second=50)) == {"completed"}
    if kind in ASK_FOR_TIME:
        return
    lost = 31 * 50 if kind in REFUSALS else 3 * 50  # single requests: seconds times the full rate
    assert len(server.requests) <= 2 * seconds + 2 + lost
    assert len([at for at in server.bulk if at > seconds - 10]) >= 10


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", TROUBLE)
def test_jobs_are_completed_though_the_bulk_route_always_fails(kind: str) -> None:
    """With `max_faults=1` one fault of its own would end a job. Bulk requests are tried less and less often."""
    server = Server(ends_at=20, bulk=lambda _: TROUBLE[kind]())
    outcomes = wait_all(server, ids(40), client={"max_faults": 1}, checks_per_second=500)

    assert kinds_of(outcomes) == {"completed"}
    assert len(server.bulk) >= 1
    if kind in ASK_FOR_TIME:  # a pause may last until it is time for the last checks
        return
    assert max(one.elapsed for one in outcomes) <= 20 + 1 + 2.5  # the backoff, and the wait for bulk responses
    assert {one.checks for one in outcomes if isinstance(one, Job)} <= set(range(17, 23))
    most = 1 if kind in REFUSALS else 6  # at 0, 0.5, 1.5, 3.5, 7.5 and 15.5 s
    assert len(server.bulk) <= most


def test_bulk_requests_are_tried_again_30_seconds_after_a_refusal() -> None:
    """It may have come from a gateway in the middle of a deployment."""
    server = Server(bulk=lambda number: json_reply({}, 404) if number == 1 else None)
    wait_all(server, ids(50), client={"timeout": 100}, checks_per_second=500)

    first, second, *more = server.bulk
    assert first == 0
    assert second == pytest.approx(30, abs=2)
    assert len(more) >= 60


def test_the_time_between_trial_bulk_requests_grows_up_to_five_minutes() -> None:
    """Each trial is one request in addition to the single ones."""
    server = Server(bulk=lambda _: json_reply({}, 500))
    wait_all(server, ids(2), client={"timeout": 1300, "backoff_factor": 5, "max_delay": 5})

    gaps = [after - before for before, after in pairwise(server.bulk)]
    assert gaps[:10] == pytest.approx([0.5 * 2**n for n in range(10)], abs=5.2)
    assert gaps[-1] == pytest.approx(300, abs=5.2)


def test_jobs_are_checked_singly_while_a_trial_bulk_request_is_in_flight() -> None:
    """No job waits for its response."""
    server = Server(bulk=lambda number: json_reply({}, 500) if number == 1 else mute())
    wait_all(server, ids(10), client={"timeout": 30}, checks_per_second=500)

    times = server.times_of("j3")
    assert max(after - before for before, after in pairwise(times)) <= 1.1


def test_no_job_waits_longer_than_two_seconds_for_a_bulk_response() -> None:
    """Unless bulk responses usually take that long."""
    slow = Server(bulk=lambda number: mute() if number == 1 else None)
    wait_all(slow, ids(10), client={"timeout": 20})
    assert slow.times_of("j3")[0] == pytest.approx(2.0, abs=0.2)


def test_a_bulk_route_that_is_always_slow_is_used() -> None:
    """The first slow response is a fault. The response to a trial shows that the time is usual."""

    def respond_slowly(_: int) -> Reply:
        return json_reply({"results": [{"id": one, "result": "pending"} for one in ids(100)]}, seconds=3.0)

    server = Server(bulk=respond_slowly)
    wait_all(server, ids(100), client={"timeout": 100, "backoff_factor": 5, "max_delay": 5}, checks_per_second=500)

    assert len(server.bulk) >= 10
    assert len([at for at in server.single if 10 < at < 90]) == 0


@pytest.mark.parametrize("entry", [None, {"id": "j3"}, {"id": "j3", "result": "not_found"}, {"id": "j3", "result": []}])
def test_a_job_without_a_status_in_a_bulk_response_is_checked_singly(entry: Any) -> None:
    """Each time, and it stays in the bulk requests. The statuses of the other jobs are used."""
    server = Server(ends_at=10)
    server.entries["j3"] = entry
    outcomes = wait_all(server, ids(50), checks_per_second=500)

    assert kinds_of(outcomes) == {"completed"}
    assert {ids for _, ids in server.requests if len(ids) == 1} == {("j3",)}
    assert len(server.bulk) <= len(server.single) + 1
    assert len({len(ids) for _, ids in server.requests}) == 2  # single requests, or all jobs


@pytest.mark.parametrize("service", [REFERENCE, SINGLE], ids=["bulk", "single"])
def test_an_unknown_status_word_is_logged_once_for_each_job(service: Service, lines: LogLines) -> None:
    """Whether it comes in a bulk response or in a single one."""
    server = Server(ends_at=10)
    server.entries["j0"] = {"id": "j0", "result": "dreaming"}
    server.replies["j0"] = lambda: json_reply({"result": "dreaming"})
    outcomes = wait_all(server, ids(3), service=service, client={"timeout": 20, "logger": None})

    assert kinds_of(outcomes) == {"completed", "WaitTimeout"}
    assert [(line["job_id"], line["raw_status"]) for line in lines.of("unknown_status")] == [("j0", "dreaming")]


@pytest.mark.parametrize("word", ["completed", "failed"])
def test_a_final_job_of_a_batch_equals_the_result_of_wait(word: str) -> None:
    """Its language and its dates are only in the response to a single request."""
    details = {
        "status": word,
        "video_url": "https://f.test/1",
        "output_language": "es",
        "created_at": 5,
        "failure_message": "why",
    }

    def respond(path: str) -> Reply:
        entries = [{"video_id": one, "status": word} for one in ids(2)]
        return json_reply({"data": entries if "ids=" in path else details})

    async def waited() -> tuple[Job, Outcomes]:
        async with client_of(respond, service=HEYGEN, api_key="key-0123456789") as client:
            return await client.wait("j0"), await client.wait_all(ids(2))

    alone, outcomes = run(waited())
    together = outcomes[0]
    assert isinstance(together, Job)
    assert replace(together, elapsed=0.0) == replace(alone, elapsed=0.0)
    assert (together.language, together.submitted_at) == ("es", 5.0)


def test_a_job_with_two_statuses_in_a_bulk_response_is_checked_singly() -> None:
    """The last of the entries would have ended it."""
    listed = [{"id": "j0", "result": "pending"}, {"id": "j1", "result": "pending"}, {"id": "j0", "result": "error"}]
    server = Server(ends_at=5, bulk=lambda _: json_reply({"results": listed}) if present() < 5 else None)

    assert kinds_of(wait_all(server, ids(2))) == {"completed"}
    assert {ids for _, ids in server.requests if len(ids) == 1} == {("j0",)}


@pytest.mark.parametrize("code", [429, 503])
def test_a_retry_after_of_a_day_suspends_bulk_requests_for_a_minute(code: int) -> None:
    """It comes with one failed bulk request."""
    trouble = json_reply({}, code, retry_after="86400")
    server = Server(ends_at=100, bulk=lambda number: trouble if number == 1 else None)

    assert kinds_of(wait_all(server, ids(50), client={"timeout": 200}, checks_per_second=500)) == {"completed"}
    assert server.bulk[1] == pytest.approx(60, abs=1.5)
    assert len([at for at in server.single if at > 62]) == 0


def test_an_empty_list_in_a_bulk_response_is_a_fault_of_the_bulk_route() -> None:
    """It is not handled like a response that lacks each of the jobs."""
    server = Server(ends_at=10, bulk=lambda number: json_reply({"results": []}) if number == 2 else None)
    wait_all(server, ids(100), checks_per_second=500)

    assert len(server.single) <= 150
    assert len(server.bulk) >= 10


def test_a_job_id_at_which_the_bulk_route_fails_delays_no_job() -> None:
    """Each bulk request with this id fails, and all of its jobs are still checked."""
    server = Server(ends_at=20, bulk=lambda _: json_reply({}, 500) if "j7" in server.requests[-1][1] else None)
    outcomes = wait_all(server, ids(300), checks_per_second=50)

    assert kinds_of(outcomes) == {"completed"}
    assert max(one.elapsed for one in outcomes) <= 20 + 8


@pytest.mark.parametrize("service", [REFERENCE, SINGLE], ids=["bulk", "single"])
@pytest.mark.parametrize(
    ("reply", "kind", "faults"),
    [
        (lambda: json_reply({}, 500), RequestFailed, 5),
        (html_reply, UnexpectedAnswer, 5),
        (lambda: json_reply({}, 404), RequestFailed, 1),
        (lambda: json_reply({}, 401), RequestFailed, 1),
    ],
)
def test_only_single_requests_count_towards_the_faults_of_a_job(
    service: Service, reply: Callable[[], Reply], kind: type[Exception], faults: int
) -> None:
    """It has as many attempts as with `wait`, whatever the bulk route does."""
    server = Server(ends_at=30, bulk=lambda number: json_reply({}, 504) if number % 2 else None)
    server.replies["j0"] = reply
    server.entries["j0"] = None
    outcomes = wait_all(server, ids(20), service=service, checks_per_second=500)

    assert type(outcomes[0]) is kind
    assert outcomes[0].attempts == len(server.times_of("j0")) == faults
    assert kinds_of(outcomes[1:]) == {"completed"}


def test_a_failed_request_for_the_link_of_a_job_fails_only_that_job() -> None:
    """At HeyGen a finished job needs a single request for its link."""

    def respond(path: str) -> Reply:
        last = path.rsplit("/", 1)[1]
        if "ids=" in last:
            entries = [{"video_id": one, "status": "completed"} for one in last.partition("ids=")[2].split(",")]
            return json_reply({"data": entries})
        if last == "j1":
            return json_reply({}, 500)
        if last == "j2" and present() < 5:
            return json_reply({}, 500)
        return json_reply({"data": {"status": "completed", "video_url": "http://v.test/1"}})

    async def waited() -> Outcomes:
        settings = {**USUAL, "service": HEYGEN, "api_key": "key-0123456789", "max_faults": 6}
        async with client_of(respond, **settings) as client:
            return await client.wait_all(ids(4))

    outcomes = run(waited())
    assert [type(one) for one in outcomes] == [Job, RequestFailed, Job, Job]
    assert [one.result_url for one in outcomes if isinstance(one, Job)] == ["http://v.test/1"] * 3


# Deadlines


@pytest.mark.parametrize("kind", TROUBLE)
def test_the_last_check_before_the_deadline_is_made_if_the_bulk_route_fails(kind: str) -> None:
    """A bulk request leaves half of the remaining time for it."""
    server = Server(ends_at=59.5, bulk=lambda _: TROUBLE[kind]() if present() > 59 else None)
    client = {"backoff_factor": 58, "max_delay": 58}
    assert kinds_of(wait_all(server, ids(20), client=client, checks_per_second=5000)) == {"completed"}


@pytest.mark.parametrize(("number", "rate", "timeout"), [(30, 10, 4), (20, 10, 3), (150, None, 2), (250, None, 4)])
def test_a_bulk_request_without_a_response_leaves_time_for_single_requests(
    number: int, rate: float | None, timeout: float
) -> None:
    """The rate limit of the batch allows one for each job within `timeout`."""
    server = Server(ends_at=0, bulk=lambda _: mute())
    outcomes = wait_all(server, ids(number), client={"timeout": timeout}, checks_per_second=rate)

    assert kinds_of(outcomes) == {"completed"}
    assert server.bulk


def test_jobs_wait_for_a_slow_bulk_response_if_single_requests_take_too_long() -> None:
    """Otherwise most of the 1000 jobs would have no response before the deadline."""

    def slow(_: int) -> Reply:
        jobs = server.requests[-1][1]
        return json_reply({"results": [{"id": one, "result": "completed"} for one in jobs]}, seconds=0.4)

    server = Server(bulk=slow)
    assert kinds_of(wait_all(server, ids(1000), client={"timeout": 2})) == {"completed"}
    assert server.single == []


def slow_server(seconds: float, ends_at: float) -> Server:
    """Make a server whose bulk responses take a while."""

    def slow(_: int) -> Reply:
        jobs = server.requests[-1][1]
        return json_reply({"results": [{"id": one, "result": server.word} for one in jobs]}, seconds=seconds)

    server = Server(ends_at=ends_at, bulk=slow)
    return server


@pytest.mark.parametrize(
    "limit", [{}, {"max_retries": 10}, {"stop": stop_after_attempt(11)}], ids=["no limit", "max_retries", "stop"]
)
@pytest.mark.parametrize("before", [9, 4, 1])
@pytest.mark.parametrize("seconds", [0.3, 0.5, 1.9, 5])
def test_a_slow_bulk_route_leaves_the_last_check_to_single_requests(
    seconds: float, before: float, limit: dict[str, Any]
) -> None:
    """A bulk request would be early by twice its response time, and jobs completed after it would time out."""
    server = slow_server(seconds, 60 - before)
    client = {"backoff_factor": 2, "max_delay": 60, "request_timeout": 10, **limit}

    assert kinds_of(wait_all(server, ids(3), client=client)) == {"completed"}
    assert len([at for at in server.single if at > 55]) <= 3


@pytest.mark.parametrize("checks", [5, 6, 7, 8, 9])
@pytest.mark.parametrize("kind", ["max_retries", "stop"])
def test_a_slow_bulk_route_does_not_turn_a_time_out_into_retries_exhausted(kind: str, checks: int) -> None:
    """It takes one more check. Alone, the checks of a job are at 0, 2, 6, 14, 30 and 59.7 s."""
    server = slow_server(0.5, math.inf)
    limit: dict[str, Any] = (
        {"max_retries": checks - 1} if kind == "max_retries" else {"stop": stop_after_attempt(checks)}
    )
    client = {"backoff_factor": 2, "max_delay": 60, **limit}

    alone = {"WaitTimeout"} if checks > 5 else {"RetriesExhausted"}
    assert kinds_of(wait_all(server, ids(3), service=SINGLE, client=client)) == alone
    assert kinds_of(wait_all(server, ids(3), client=client)) == alone


@pytest.mark.parametrize("service", [REFERENCE, SINGLE], ids=["bulk", "single"])
@pytest.mark.parametrize("code", [429, 503])
def test_a_retry_after_of_a_day_for_one_job_does_not_end_the_others(service: Service, code: int) -> None:
    """All others pause, at the latest until it is time for their last checks."""
    server = Server(ends_at=5)
    server.replies["j0"] = lambda: json_reply({}, code, retry_after="86400")
    server.entries["j0"] = None
    outcomes = wait_all(server, ids(300), service=service, client={"timeout": 20}, checks_per_second=50)

    assert isinstance(outcomes[0], WaitTimeout)
    assert outcomes[0].retry_after == 86400
    assert outcomes[0].elapsed < 3
    assert kinds_of(outcomes[1:]) == {"completed"}


def test_a_pause_of_all_jobs_ends_after_a_minute() -> None:
    """If no deadline comes earlier."""
    server = Server(ends_at=5)
    server.replies["j0"] = lambda: json_reply({}, 429, retry_after="86400")
    outcomes = wait_all(server, ids(300), service=SINGLE, client={"timeout": 3600}, checks_per_second=50)

    assert kinds_of(outcomes) == {"WaitTimeout", "completed"}
    times = sorted(server.single)
    longest = max(after - before for before, after in pairwise(times))
    assert longest == pytest.approx(60, abs=1)


def test_a_pause_ends_early_enough_for_the_last_checks_of_all_jobs() -> None:
    """For 200 jobs at 20 per second that is ten seconds before the deadline, and at the full rate."""
    server = Server(ends_at=1)
    server.replies["j0"] = lambda: (
        json_reply({}, 429, retry_after="29") if present() < 1 else json_reply({"result": "error"})
    )
    outcomes = wait_all(server, ids(200), service=SINGLE, client={"timeout": 30}, checks_per_second=20)

    assert kinds_of(outcomes) == {"completed", "error"}
    assert 15 <= next(at for at in server.single if at > 1) <= 20


def test_a_job_read_during_a_pause_is_first_checked_after_it() -> None:
    """Its own deadline does not end the pause."""
    server = Server()
    server.replies["a"] = lambda: (
        json_reply({}, 429, retry_after="8") if present() < 5 else json_reply({"result": "error"})
    )
    server.replies["b"] = lambda: json_reply({"result": "completed"})

    async def late() -> AsyncIterator[str]:
        yield "a"
        await asyncio.sleep(2)
        yield "b"

    outcomes = wait_all(server, late(), service=SINGLE)
    assert [str(one.status) for one in outcomes if isinstance(one, Job)] == ["error", "completed"]
    assert min(server.times_of("b")) == pytest.approx(8, abs=0.2)


@pytest.mark.parametrize("code", [429, 503])
def test_a_retry_after_for_one_job_pauses_the_requests_for_all_jobs(code: int) -> None:
    """For the second that it states, except for requests that are in flight already."""
    refused: list[float] = []

    def refuse_once() -> Reply:
        refused.append(present() + LATENCY)
        return json_reply({"result": "pending"}) if len(refused) != 2 else json_reply({}, code, retry_after="1")

    server = Server(ends_at=5)
    server.replies["j4"] = lambda: json_reply({"result": "completed"}) if len(refused) > 2 else refuse_once()
    outcomes = wait_all(server, ids(10), service=SINGLE, checks_per_second=20)

    assert kinds_of(outcomes) == {"completed"}
    assert not [at for at in server.single if refused[1] + 0.001 < at < refused[1] + 0.999]
    assert [at for at in server.single if refused[1] + 0.999 <= at < refused[1] + 1.2]


@pytest.mark.parametrize("rate", [3, 15])
def test_requests_reach_the_rate_limit(rate: int) -> None:
    """The backoff is so short that all checks are due at once."""
    server = Server()
    client = {"timeout": 10, "backoff_factor": 0.01, "max_delay": 0.02}
    wait_all(server, ids(50), service=SINGLE, client=client, checks_per_second=rate)

    assert 0.9 * 10 * rate <= len(server.single) <= 10 * rate + 1


@pytest.mark.parametrize("seed", range(5))
def test_the_rate_limit_holds_though_connecting_takes_a_while(seed: int) -> None:
    """It limits the requests that arrive in any second, not those that are sent: some may need a new TLS connection."""
    chance = random.Random(seed)
    arrivals: list[float] = []

    def respond(path: str) -> Reply:
        seconds = chance.choice([0.0, 0.05, 0.2])
        arrivals.append(present() + seconds)
        return json_reply({"result": "pending"}, seconds=seconds + LATENCY)

    async def waited() -> None:
        client = {"timeout": 10, "backoff_factor": 0.01, "max_delay": 0.02, "max_retries": math.inf, "service": SINGLE}
        async with client_of(respond, **client) as tasks:
            await tasks.wait_all(ids(20), checks_per_second=5)

    run(waited())
    moments = sorted(arrivals)
    assert len(moments) > 30
    assert all(later - earlier >= 1 for earlier, later in zip(moments, moments[5:]))  # noqa: B905  # five apart


def test_a_hanging_bulk_request_does_not_delay_the_time_out_of_a_job() -> None:
    """Each job ends at its own deadline, and not at that of the job that was read last."""
    ended: dict[str, float] = {}
    server = Server(bulk=lambda number: mute() if number == 2 else None)

    async def late() -> AsyncIterator[str]:
        yield "j0"
        yield "j1"
        await asyncio.sleep(0.85)
        yield "j2"

    async def waited() -> None:
        client = {"timeout": 1.0, "backoff_factor": 50, "max_delay": 60, "max_retries": math.inf}
        async with client_of(server.respond, **client) as tasks:
            async for outcome in tasks.as_completed(late()):
                assert isinstance(outcome, WaitTimeout)
                ended[str(outcome.job_id)] = present()

    run(waited())
    assert len(server.bulk) == 2
    assert max(ended["j0"], ended["j1"]) <= 1.0 + 0.1
    assert ended["j2"] == pytest.approx(1.85, abs=0.1)


def test_a_429_of_the_bulk_route_with_retry_after_pauses_all_jobs() -> None:
    """As a 429 to a single request does."""
    trouble = json_reply({}, 429, retry_after="8")
    server = Server(ends_at=3, bulk=lambda number: trouble if number == 1 else None)
    outcomes = wait_all(server, ids(100), checks_per_second=500)

    assert kinds_of(outcomes) == {"completed"}
    assert min(at for at, _ in server.requests if at > 0) == pytest.approx(8, abs=0.1)


def test_a_retry_after_of_a_bulk_response_delays_its_jobs_by_at_most_a_minute() -> None:
    """It is about all of them, and their retries have no limit that a further check could use up."""
    pending = json_reply({"results": [{"id": f"j{one}", "result": "pending"} for one in range(3)]}, retry_after="86400")
    server = Server(ends_at=1, bulk=lambda number: pending if number == 1 else None)
    seen: list[Job] = []
    outcomes = wait_all(server, ids(3), client={"timeout": 3600}, on_progress=seen.append)

    assert kinds_of(outcomes) == {"completed"}
    assert max(job.elapsed for job in outcomes if isinstance(job, Job)) == pytest.approx(60, abs=1)
    assert [job.retry_after for job in seen] == [86400] * 3 + [None] * 3


@pytest.mark.parametrize(
    ("service", "limit"),
    [
        (REFERENCE, {"max_retries": 10}),
        (REFERENCE, {"stop": stop_after_attempt(11)}),
        (SINGLE, {"max_retries": 10}),
    ],
    ids=["bulk", "bulk, stop", "single"],
)
def test_a_long_retry_after_of_bulk_responses_uses_up_no_more_retries_than_wait(
    service: Service, limit: dict[str, Any]
) -> None:
    """A check each minute would leave none for the time at which the jobs are completed."""

    def respond(path: str) -> Reply:
        word = "completed" if present() >= 1500 else "pending"
        entries = [{"id": one, "result": word} for one in ids(3)]
        return json_reply({"results": entries} if "ids=" in path else {"result": word}, retry_after="300")

    settings = {**USUAL, "timeout": 3600, **limit}

    async def alone() -> Job:
        async with client_of(respond, service=service, **settings) as client:
            return await client.wait("j0")

    async def together() -> Outcomes:
        async with client_of(respond, service=service, **settings) as client:
            return await client.wait_all(ids(3))

    outcomes = run(together())
    assert kinds_of(outcomes) == {"completed"}
    assert {one.checks for one in outcomes} == {run(alone()).checks} == {6}


def test_a_429_of_the_bulk_route_without_retry_after_pauses_all_jobs_briefly() -> None:
    """For 0.5 s, the same as after the first fault of a job."""
    server = Server(ends_at=3, bulk=lambda number: json_reply({}, 429) if number == 1 else None)
    assert kinds_of(wait_all(server, ids(100), checks_per_second=500)) == {"completed"}
    assert min(at for at, _ in server.requests if at > 0) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("headers", [{}, {"retry_after": "8"}])
def test_a_503_of_the_bulk_route_does_not_pause_the_jobs(headers: dict[str, Any]) -> None:
    """It is about the bulk route, and single requests may succeed."""
    server = Server(ends_at=3, bulk=lambda number: json_reply({}, 503, **headers) if number == 1 else None)
    assert kinds_of(wait_all(server, ids(100), checks_per_second=500)) == {"completed"}
    assert min(at for at, _ in server.requests if at > 0) < 0.1


def test_repeated_429_responses_of_the_bulk_route_pause_all_jobs_once() -> None:
    """The next bulk request is a trial, whose failure says nothing about single requests."""
    server = Server(ends_at=20, bulk=lambda _: json_reply({}, 429, retry_after="5"))
    outcomes = wait_all(server, ids(40), checks_per_second=500)

    assert kinds_of(outcomes) == {"completed"}
    assert max(one.elapsed for one in outcomes) <= 20 + 2
    times = sorted(at for at, _ in server.requests)
    assert [round(after) for before, after in pairwise(times) if after - before > 2] == [5]


# Last checks that are due at the same time

RARE = {"backoff_factor": 60, "max_delay": 60}
"""With this backoff a job is checked at the start of its wait, and for the last time before its deadline."""


@pytest.mark.parametrize(
    ("number", "rate", "timeout", "ends_at"),
    [(150, None, 6, 4), (1000, None, 30, 18), (6, 1, 30, 20), (10, 0.5, 60, 30), (20, 10, 6, 3)],
)
def test_jobs_whose_last_checks_are_due_together_are_checked_early(
    number: int, rate: float | None, timeout: float, ends_at: float
) -> None:
    """The rate limit allows too few checks at the last moment. Each job has as many checks as alone."""
    server = Server(ends_at=ends_at)
    client = {**RARE, "timeout": timeout}
    outcomes = wait_all(server, ids(number), service=SINGLE, client=client, checks_per_second=rate)

    assert kinds_of(outcomes) == {"completed"}
    assert {one.checks for one in outcomes if isinstance(one, Job)} == {2}
    most = rate or 100
    times = server.single
    assert max(len([at for at in times if begin <= at < begin + 1 / min(1, most)]) for begin in times) <= max(1, most)


def test_a_job_with_an_early_check_is_checked_again_before_its_deadline() -> None:
    """If the other jobs leave time for it. The jobs are completed 0.5 s before the deadline."""
    server = Server(ends_at=5.5)
    outcomes = wait_all(server, ids(150), service=SINGLE, client={**RARE, "timeout": 6})

    assert {one.checks for one in outcomes} == {2, 3}
    completed = [one for one in outcomes if isinstance(one, Job)]
    assert len(completed) >= 40  # at the full rate the last half second has 50


def test_jobs_whose_only_check_is_the_last_one_are_checked_early_too() -> None:
    """According to the history they take far longer than `timeout`."""
    server = Server(ends_at=20)
    jobs = [Job(one, TranslationStatus.PENDING, "pending", submitted_at=time.time()) for one in ids(6)]
    client = {"timeout": 30, "history": history_from_durations([99.0] * 20, "reference"), "check_cost": 5}
    outcomes = wait_all(server, jobs, service=SINGLE, client=client, checks_per_second=1)

    assert kinds_of(outcomes) == {"completed"}
    assert 20 < server.single[0] < 26
    assert len(server.single) == 6


def test_a_job_that_was_checked_early_does_not_delay_the_last_checks_of_others() -> None:
    """Though its check would be due before theirs, as its responses are slower. Twelve jobs have no early check."""
    server = Server(ends_at=5.68)
    slow = ids(150)[12:]
    server.replies.update(dict.fromkeys(slow, lambda: json_reply({"result": server.word}, seconds=0.06)))
    outcomes = wait_all(server, ids(150), service=SINGLE, client={**RARE, "timeout": 6})

    assert {len(server.times_of(job_id)) for job_id in ids(12)} == {2}
    assert kinds_of(outcomes[:12]) == {"completed"}


@pytest.mark.parametrize("rate", [1, 0.3])
def test_the_only_job_of_a_batch_has_its_last_check_just_before_its_deadline(rate: float) -> None:
    """However low the rate is."""
    server = Server()
    wait_all(server, ["j0"], service=SINGLE, client={**RARE, "timeout": 30}, checks_per_second=rate)
    assert server.single == pytest.approx([0, 29.71], abs=0.03)


@pytest.mark.parametrize(("max_retries", "checks"), [(1, 2), (2, 2), (3, 3)])
def test_an_early_check_uses_up_none_of_the_retries_of_a_job(max_retries: int, checks: int) -> None:
    """It is made only if the checks of the job stay below the limit with one more."""
    server = Server()
    client = {**RARE, "timeout": 30, "max_retries": max_retries}
    outcomes = wait_all(server, ids(6), service=SINGLE, client=client, checks_per_second=1)

    assert kinds_of(outcomes) == {"WaitTimeout"}
    assert {len(server.times_of(job_id)) for job_id in ids(6)} <= {1, 2, checks}
    assert (min(at for at in server.single if at > 7) < 29) is (checks > 2)


def test_an_early_check_does_not_shorten_retry_after() -> None:
    """Of 23 s. Without it the last of six jobs at one per second would be checked after 19 s."""
    server = Server()
    for job_id in ids(6):
        server.replies[job_id] = lambda: json_reply({"result": "pending"}, retry_after="23")
    wait_all(server, ids(6), service=SINGLE, client={**RARE, "timeout": 30}, checks_per_second=1)

    for job_id in ids(6):
        first, *others = server.times_of(job_id)
        assert all(at >= first + 23 for at in others)


def test_a_fault_of_an_early_check_does_not_count_towards_max_faults() -> None:
    """Alone the job would not have been checked at that time."""
    server = Server()
    for job_id in ids(6):
        server.replies[job_id] = lambda: (
            json_reply({}, 500) if 10 < present() < 29.6 else json_reply({"result": server.word})
        )
    client = {**RARE, "timeout": 30, "max_faults": 1}
    outcomes = wait_all(server, ids(6), service=SINGLE, client=client, checks_per_second=1)

    assert len([at for at in server.single if 10 < at < 29.6]) == 5
    assert kinds_of(outcomes) == {"WaitTimeout"}


def test_a_retry_after_past_the_deadline_ends_a_job_at_once_at_an_early_check_too() -> None:
    """As after any other fault."""
    server = Server()
    for job_id in ids(6):
        server.replies[job_id] = lambda: (
            json_reply({}, 500, retry_after="60") if present() > 10 else json_reply({"result": "pending"})
        )
    outcomes = wait_all(server, ids(6), service=SINGLE, client={**RARE, "timeout": 30}, checks_per_second=1)

    assert kinds_of(outcomes) == {"WaitTimeout"}
    assert {len(server.times_of(job_id)) for job_id in ids(6)} == {2}
    ended_at = {one.job_id: one.elapsed for one in outcomes if isinstance(one, WaitTimeout)}
    assert ended_at == pytest.approx({job_id: server.times_of(job_id)[1] for job_id in ids(6)}, abs=0.1)


def test_a_bulk_route_that_fails_late_leaves_time_for_a_request_for_each_job() -> None:
    """At the full rate these take a second and a half."""
    server = Server(ends_at=4, bulk=lambda _: json_reply({}, 500) if present() > 4 else None)
    outcomes = wait_all(server, ids(150), client={**RARE, "timeout": 6})
    assert kinds_of(outcomes) == {"completed"}


def test_bulk_requests_suffice_for_the_last_checks_of_3000_jobs() -> None:
    """Early checks leave time for them."""
    server = Server(ends_at=28)
    outcomes = wait_all(server, ids(3000), client={**RARE, "timeout": 30})
    assert kinds_of(outcomes) == {"completed"}


# Early checks in bulk


def test_a_bulk_request_for_other_jobs_does_not_shorten_retry_after() -> None:
    """Though the job could be part of it without a further request."""
    server = Server(ends_at=40)
    server.entries["j0"] = None
    server.replies["j0"] = lambda: json_reply({"result": "pending"}, retry_after="20")
    wait_all(server, ids(20), client={"timeout": 50})

    times = [at for at, ids in server.requests if "j0" in ids]
    later = [at for at in times if at > times[1] + 0.1]
    assert later[0] >= times[1] + 20


@pytest.mark.parametrize("limit", [{"max_retries": 4}, {"max_retries": math.inf, "stop": stop_after_attempt(5)}])
def test_early_checks_in_bulk_do_not_shorten_a_wait_with_limited_retries(limit: dict[str, Any]) -> None:
    """The last check of a job is not before that of `wait`, whose five are at 0, 4, 8, 12 and 16 s."""
    server = Server()

    async def staggered() -> AsyncIterator[str]:
        for number in range(40):
            yield f"j{number}"
            await asyncio.sleep(0.1)

    outcomes = wait_all(server, staggered(), client={"backoff_factor": 4, "max_delay": 4, **limit})
    assert kinds_of(outcomes) == {"RetriesExhausted"}
    assert {one.checks for one in outcomes} == {5}
    assert min(one.elapsed for one in outcomes if isinstance(one, RetriesExhausted)) >= 16 * 0.98
    if "stop" not in limit:
        assert len(server.requests) <= 40 + 3 * 5 + 40  # the first checks, some bulk requests, and the last checks


def test_jobs_due_at_different_times_come_to_share_bulk_requests() -> None:
    """If nothing limits their checks."""
    server = Server(ends_at=30)

    async def staggered() -> AsyncIterator[str]:
        for number in range(50):
            yield f"j{number}"
            await asyncio.sleep(0.02)

    wait_all(server, staggered())
    assert len([at for at, _ in server.requests if at > 10]) <= 20 * 5  # single requests would be a thousand


@pytest.mark.exhaustive
@pytest.mark.parametrize("service", [REFERENCE, HEYGEN], ids=["reference", "heygen"])
def test_bulk_requests_are_at_most_a_twentieth_of_the_single_requests(service: Service) -> None:
    """At HeyGen each completed job has one single request besides, as only its response has the link."""

    def requested(service: Service) -> ScriptedServer:
        scripts = {job_id: [Step(0, "pending"), Step(20, "completed")] for job_id in ids(300)}
        server = ScriptedServer(service, scripts, [(0.0, "fine")], present)

        async def waited() -> Outcomes:
            async with client_of(server.respond, service=service, api_key="key-0123456789", **USUAL) as client:
                return await client.wait_all(ids(300), checks_per_second=2000)

        assert kinds_of(run(waited())) == {"completed"}
        return server

    single, together = requested(replace(service, bulk=None)), requested(service)
    assert (single.in_bulk, together.single) == (0, 300 if service is HEYGEN else 0)
    assert 20 * together.in_bulk <= single.single


def test_jobs_that_need_single_checks_do_not_split_bulk_requests() -> None:
    """They are skipped where they stand between other jobs in the queue."""
    server = Server(ends_at=20)
    odd = [f"j{one}" for one in range(1, 100, 2)]
    server.entries.update(dict.fromkeys(odd))
    wait_all(server, ids(100), checks_per_second=1000)

    assert {ids[0] for _, ids in server.requests if len(ids) == 1} == set(odd)
    assert len(server.bulk) <= 2 * 21


# Repeated ids, and a low `max_in_flight`


@pytest.mark.parametrize("service", [REFERENCE, SINGLE], ids=["bulk", "single"])
@pytest.mark.parametrize("max_in_flight", [1, 2, None])
def test_a_repeated_id_has_the_same_outcome(service: Service, max_in_flight: int | None) -> None:
    """Whether it is read during the wait or after it, whatever the outcome is, and with any `max_in_flight`."""
    server = Server(ends_at=3)
    server.replies["j1"] = lambda: json_reply({}, 404)
    server.entries["j1"] = {"id": "j1", "result": "not_found"}
    outcomes = wait_all(server, [*ids(3), *ids(3), "j1"], service=service, max_in_flight=max_in_flight)

    assert [outcomes[one] is outcomes[one + 3] for one in range(3)] == [True] * 3
    assert isinstance(outcomes[1], RequestFailed)
    assert outcomes[6] is outcomes[1]
    assert len(server.times_of("j1")) == 1


DUBBINGS = replace(
    ELEVENLABS,
    bulk=BulkSpec(
        "/v1/dubbing?ids={job_ids}",
        max_ids=10,
        list_field="results",
        id_field="id",
        status_field="status",
        statuses={},
    ),
)
"""A service whose jobs have a result for each language, with a bulk route."""


def dubbed(path: str) -> Reply:
    """Return the response about one or several jobs, each with results in two languages."""
    last = path.rsplit("/", 1)[1]
    if "ids=" not in last:
        return json_reply({"status": "dubbed", "dubbing_id": last, "target_languages": ["de", "fr"]})
    requested_ids = last.partition("ids=")[2].split(",")
    assert len(set(requested_ids)) == len(requested_ids)
    return json_reply({"results": [{"id": one, "status": "dubbed"} for one in requested_ids]})


@pytest.mark.parametrize("service", [DUBBINGS, replace(DUBBINGS, bulk=None)], ids=["bulk", "single"])
@pytest.mark.parametrize("max_in_flight", [1, None])
def test_jobs_with_the_same_id_keep_their_own_attributes(service: Service, max_in_flight: int | None) -> None:
    """Otherwise the file in another language would be downloaded."""
    known: list[dict[str, Any]] = [
        {"language": "fr"},
        {"language": "de"},
        {"language": "fr", "expected_seconds": 5.0},
        {"language": "fr", "submitted_at": 3.0},
    ]
    jobs = [Job(one, TranslationStatus.PENDING, "pending", **fields) for one in ids(3) for fields in known]

    async def waited() -> tuple[list[Job], Outcomes, list[Job]]:
        async with client_of(dubbed, service=service, api_key="key-0123456789") as client:
            alone = [await client.wait(job) for job in jobs]
            return alone, await client.wait_all(jobs, max_in_flight=max_in_flight), await client.check_all(jobs)

    def known_of(outcomes: Any) -> list[Any]:
        return [(one.id, one.language, one.expected_seconds, one.submitted_at) for one in outcomes]

    alone, together, checked = run(waited())
    assert known_of(alone) == known_of(together) == known_of(checked) == known_of(jobs)


def test_a_bulk_request_has_an_id_in_two_languages_once() -> None:
    """Both jobs share it."""
    paths: list[str] = []

    def respond(path: str) -> Reply:
        paths.append(path)
        return dubbed(path)

    async def waited() -> Outcomes:
        jobs = [Job(one, TranslationStatus.PENDING, "pending", language=to) for one in ids(2) for to in ("de", "fr")]
        async with client_of(respond, service=DUBBINGS, api_key="key-0123456789") as client:
            return await client.wait_all(jobs)

    assert [one.language for one in run(waited()) if isinstance(one, Job)] == ["de", "fr"] * 2
    assert paths == ["/v1/dubbing?ids=j0,j1"]


@pytest.mark.parametrize("kind", [list, set, dict.fromkeys])
def test_the_caller_may_remove_ended_jobs_from_the_source(kind: Callable[[list[str]], Any]) -> None:
    """The batch is still reading: 5 jobs of 30 are in flight at once."""
    server, jobs = Server(ends_at=0), kind(ids(30))

    async def waited() -> list[str]:
        ended = []
        async with client_of(server.respond, **USUAL) as client:
            async for one in client.as_completed(jobs, max_in_flight=5):
                ended.append(str(one.id if isinstance(one, Job) else one.job_id))
                _remove(jobs, ended[-1])
        return ended

    assert sorted(run(waited())) == sorted(ids(30))
    assert len(jobs) == 0


@pytest.mark.parametrize("kind", [list, set, dict.fromkeys])
def test_the_caller_of_the_blocking_client_may_remove_ended_jobs_from_the_source(
    kind: Callable[[list[str]], Any],
) -> None:
    """As with the asyncio client."""
    session = requests.Session()
    session.mount("http://", FunctionAdapter(lambda _: response(200, b'{"result": "completed"}')))
    jobs, ended = kind(ids(30)), []
    with VideoTranslationClient(HOST, service=SINGLE, session=session) as client:
        for one in client.as_completed(jobs, max_in_flight=5, checks_per_second=math.inf):
            ended.append(str(one.id if isinstance(one, Job) else one.job_id))
            _remove(jobs, ended[-1])

    assert sorted(ended) == sorted(ids(30))


def test_a_batch_ends_if_asyncio_sleep_is_patched_to_return_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Test suites do so. A loop that awaits the patched function never yields to the event loop or its timers."""
    calls = count()

    async def at_once(_: float) -> None:
        if next(calls) > 100_000:
            raise RuntimeError("a loop that never yields")

    monkeypatch.setattr(asyncio, "sleep", at_once)
    assert kinds_of(wait_all(Server(ends_at=3), ids(300))) == {"completed"}
    assert kinds_of(wait_all(Server(), ids(3), client={"timeout": 5})) == {"WaitTimeout"}
    session = requests.Session()
    session.mount("http://", FunctionAdapter(lambda _: response(200, b'{"result": "completed"}')))
    with VideoTranslationClient(HOST, service=SINGLE, session=session) as client:
        assert kinds_of(client.wait_all(ids(300), checks_per_second=math.inf)) == {"completed"}


class LimitedServer(Server):
    """A server that allows `per_second` requests, up to `burst` at once, and responds to others with a 429."""

    def __init__(self, per_second: float, burst: float) -> None:
        super().__init__(ends_at=60)
        self._per_second, self._burst, self._tokens, self._at = per_second, burst, burst, 0.0
        self.refused = 0

    def respond(self, path: str) -> Reply:
        now = present()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1:
            self.refused += 1
            return json_reply({}, 429, retry_after="1")
        self._tokens -= 1
        return super().respond(path)


@pytest.mark.parametrize(("per_second", "burst"), [(1, 1), (2, 2), (5, 5)])
def test_checks_per_second_below_the_limit_of_the_server_avoids_a_429(per_second: float, burst: float) -> None:
    """Each 429 counts towards `max_faults` of the job that it hits, so the limit has to be given."""
    server = LimitedServer(per_second, burst)
    patient = {"timeout": 3600, "max_delay": 30, "max_faults": 1}

    outcomes = wait_all(server, ids(50), service=SINGLE, client=patient, checks_per_second=0.95 * per_second)
    assert (kinds_of(outcomes), server.refused) == ({"completed"}, 0)


def _remove(jobs: Any, job_id: str) -> None:
    jobs.pop(job_id) if isinstance(jobs, dict) else jobs.remove(job_id)


class Wordless:
    """An object that is no job, and whose `__str__` and `__repr__` raise."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __str__(self) -> str:
        raise self._error

    __repr__ = __str__


@pytest.mark.parametrize("error", [RuntimeError("no text"), StopIteration(), ValueError("no text")], ids=repr)
def test_an_object_without_a_repr_in_a_source_is_one_error(error: Exception) -> None:
    """The other jobs go on. In a list it raises a TypeError."""

    async def source() -> AsyncIterator[Any]:
        for one in ("j0", Wordless(error), "j1"):
            yield one

    outcomes = wait_all(Server(ends_at=0), source())
    assert [type(one) for one in outcomes] == [Job, RequestFailed, Job]
    assert "job must be a Job or its id, got <" in str(outcomes[1])
    with pytest.raises(TypeError, match="job must be a Job or its id, got <"):
        wait_all(Server(ends_at=0), [Wordless(error)])


@pytest.mark.parametrize("service", [REFERENCE, SINGLE], ids=["bulk", "single"])
def test_a_slow_consumer_does_not_stop_the_waits(service: Service) -> None:
    """`max_in_flight` is less than the number of ended jobs whose outcomes were not taken."""
    server = Server(ends_at=1)

    async def waited() -> Outcomes:
        async with client_of(server.respond, service=service, **USUAL) as client:
            taken: Outcomes = []
            async for outcome in client.as_completed(ids(20), max_in_flight=3):
                taken.append(outcome)
                await asyncio.sleep(70)  # longer than the `timeout` of a job
            return taken

    outcomes = run(waited())
    assert kinds_of(outcomes) == {"completed"}
    assert len(outcomes) == 20


# Exceptions in a batch, and cancelled batches

CAUSES = [
    LookupError("mine"),
    SystemExit(3),
    KeyboardInterrupt(),
    asyncio.CancelledError(),
    GeneratorExit(),
    StopAsyncIteration(),
    TimeoutError("mine"),
]
CHANGED = (asyncio.CancelledError, GeneratorExit, StopIteration, StopAsyncIteration)


class Dead(Iterator[str]):
    """A source that yields one job, and then raises."""

    def __init__(self, error: BaseException) -> None:
        self._ids = iter(["j0"])
        self._error = error

    def __next__(self) -> str:
        for one in self._ids:
            return one
        raise self._error


async def dead_source(error: BaseException) -> AsyncIterator[str]:
    yield "j0"
    await asyncio.sleep(2)
    raise error


class DeadHistory(DurationHistory):
    """A history whose `jobs` raises an exception that the client does not expect."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    def jobs(self, *_: Any, **__: Any) -> Any:
        raise self._error


class DeadLogger:
    def __init__(self, error: BaseException) -> None:
        self._error = error

    def info(self, *_: Any, **__: Any) -> None:
        raise self._error

    warning = error = info


def raises(error: BaseException) -> Callable[..., Any]:
    def function(*_: Any, **__: Any) -> Any:
        raise error

    return function


async def error_of(call: Awaitable[object]) -> BaseException:
    """Return what an awaitable raises, whatever it is."""
    try:
        await call
    except BaseException as error:  # noqa: BLE001  # the tests are about all of them
        return error
    raise AssertionError("nothing was raised")


def raised_by(server: Server, jobs: Any, client: dict[str, Any] | None = None, **options: Any) -> BaseException:
    """Return what `wait_all` raises, and check that no task is left."""

    async def waited() -> BaseException:
        async with client_of(server.respond, **{**USUAL, **(client or {})}) as made:
            before = asyncio.all_tasks()
            error = await error_of(made.wait_all(jobs, **options))
            assert asyncio.all_tasks() == before
            return error

    return run(waited())


def assert_is(error: BaseException, cause: BaseException) -> None:
    """Assert that it is the cause, or a RuntimeError if Python takes the cause for the end of a task or iteration."""
    if not isinstance(cause, CHANGED):
        assert error is cause
        return
    assert type(error) is RuntimeError
    assert type(cause).__name__ in str(error)


@pytest.mark.parametrize("cause", CAUSES, ids=repr)
@pytest.mark.parametrize("where", ["iterator", "async generator", "on_progress", "on_progress in bulk"])
def test_an_exception_of_the_source_or_of_on_progress_is_raised(where: str, cause: BaseException) -> None:
    """Whatever its class is, and at once, long before the deadline."""
    server = Server()
    if where == "iterator":
        error = raised_by(server, Dead(cause))
    elif where == "async generator":
        error = raised_by(server, dead_source(cause))
    else:
        jobs = ids(5 if "bulk" in where else 1)
        error = raised_by(server, jobs, on_progress=raises(cause))
    assert_is(error, cause)
    assert where == "iterator" or all(at < 5 for at, _ in server.requests)  # its thread does not run in virtual time


def test_a_stop_iteration_of_on_progress_becomes_a_runtime_error() -> None:
    """Python would take it for the end of the source, or of the iteration over the outcomes."""
    error = raised_by(Server(), ["j0"], on_progress=raises(StopIteration()))
    assert type(error) is RuntimeError
    assert "StopIteration" in str(error)


@pytest.mark.parametrize("cause", CAUSES, ids=repr)
@pytest.mark.parametrize("where", ["logger", "history"])
def test_an_exception_of_the_history_or_a_base_exception_of_the_logger_is_raised(
    where: str, cause: BaseException
) -> None:
    """Also if it is raised while the jobs are read. Other exceptions of the logger are ignored."""
    dead: dict[str, Any] = {"logger": DeadLogger(cause)}
    if where == "history":
        dead = {"history": DeadHistory(cause), "check_cost": 1}
    job = Job("j0", TranslationStatus.PENDING, "pending", submitted_at=1.0)
    if where == "logger" and isinstance(cause, Exception):  # the client ignores it everywhere
        assert kinds_of(wait_all(Server(ends_at=1), [job], client=dead)) == {"completed"}
        return
    assert_is(raised_by(Server(), [job], client=dead), cause)


@pytest.mark.parametrize(
    "part",
    [
        "_read_source",
        "_enforce_limits",
        "_run_worker",
        "_next_request",
        "_plan_request",
        "_record_check",
        "_apply_bulk_response",
    ],
)
def test_an_exception_in_a_part_of_the_batch_runner_is_raised(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No task is left waiting."""
    cause = ZeroDivisionError("ours")
    monkeypatch.setattr(BatchRunner, part, raises(cause))
    assert raised_by(Server(), ids(5)) is cause


def test_a_cancelled_error_of_the_source_becomes_a_runtime_error() -> None:
    """The batch was not cancelled. The outcomes from before are yielded first."""

    async def waited() -> list[str]:
        async with client_of(Server(ends_at=0).respond, **USUAL) as client:
            other = asyncio.ensure_future(asyncio.sleep(1000, "j1"))

            async def source() -> AsyncIterator[str]:
                yield "j0"
                yield await other

            asyncio.get_running_loop().call_later(3, other.cancel)
            taken: list[str] = []

            async def take() -> None:
                async for outcome in client.as_completed(source()):
                    assert isinstance(outcome, Job)
                    taken.append(str(outcome.id))

            error = await error_of(take())
            assert str(error) == "CancelledError was raised while reading jobs, although the batch was not cancelled"
            assert isinstance(error.__cause__, asyncio.CancelledError)
            return taken

    assert run(waited()) == ["j0"]


@pytest.mark.parametrize("when", [0.0, 0.01, 0.5, 3.0])
def test_cancelling_the_batch_raises_cancelled_error(when: float) -> None:
    """No task is left, also if none of the batch had started."""

    async def waited() -> None:
        async with client_of(Server().respond, **USUAL) as client:
            before = asyncio.all_tasks()
            task = asyncio.ensure_future(client.wait_all(dead_source(asyncio.CancelledError()) if when < 1 else ids(5)))
            await asyncio.sleep(when)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert asyncio.all_tasks() == before

    run(waited())


def test_anext_after_a_cancelled_anext_raises_a_runtime_error() -> None:
    """A timeout around one outcome ends the batch while jobs are still running."""

    async def waited() -> list[str]:
        async with client_of(Server(ends_at=5).respond, **USUAL) as client:
            outcomes = client.as_completed(ids(3))
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(outcomes), 1)
            for _ in range(2):
                with pytest.raises(RuntimeError, match="as_completed was cancelled before all jobs had ended"):
                    await anext(outcomes)
            return [str(one.id) async for one in client.as_completed(ids(3)) if isinstance(one, Job)]

    assert run(waited()) == ids(3)


def test_closing_a_batch_closes_the_async_generator_of_its_source() -> None:
    """The source is an object whose `__aiter__` is an asynchronous generator."""
    closed: list[str] = []

    class Source:
        async def __aiter__(self) -> AsyncIterator[str]:
            try:
                for one in ids(50):
                    yield one
            finally:
                await asyncio.sleep(1)
                closed.append("source")

    async def waited() -> None:
        async with client_of(Server(ends_at=0).respond, **USUAL) as client:
            outcomes: Any = client.as_completed(Source(), max_in_flight=2)
            assert isinstance(await anext(outcomes), Job)
            await outcomes.aclose()
            assert closed == ["source"]

    run(waited())


def test_closing_the_client_in_on_progress_ends_all_waits() -> None:
    """Each outcome is a `WaitCancelled`, and nothing is raised."""
    server = Server()

    async def waited() -> Outcomes:
        client = client_of(server.respond, **USUAL)
        closing: list[asyncio.Future[None]] = []

        def close(_: Job) -> None:
            if not closing:
                closing.append(asyncio.ensure_future(client.close()))

        outcomes = await client.wait_all(ids(20), on_progress=close)
        await asyncio.gather(*closing)
        return outcomes

    assert kinds_of(run(waited())) == {"WaitCancelled"}


def test_a_cancelled_batch_records_its_pending_jobs_in_the_history() -> None:
    """Each takes longer than the time until its last check."""
    history = DurationHistory()

    async def waited() -> None:
        jobs = [Job(one, TranslationStatus.PENDING, "pending", submitted_at=time.time()) for one in ids(3)]
        async with client_of(Server().respond, history=history, check_cost=1, **USUAL) as client:
            outcomes: Any = client.as_completed(jobs)
            first = asyncio.ensure_future(anext(outcomes))
            await asyncio.sleep(10)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first

    run(waited())
    learned = history.jobs("reference")
    assert len(learned) == 3
    assert all(1 <= one.pending_until <= 10 and one.finished_by is None for one in learned), learned


def test_an_exception_while_a_cancelled_batch_is_recorded_leaves_no_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cause = LookupError("mine")

    async def waited() -> None:
        async with client_of(Server().respond, **USUAL) as client:
            before = asyncio.all_tasks()
            outcomes: Any = client.as_completed(ids(3))
            first = asyncio.ensure_future(anext(outcomes))
            await asyncio.sleep(1)
            monkeypatch.setattr(runner_module, "islice", raises(cause))
            first.cancel()
            with pytest.raises(LookupError) as caught:
                await first
            assert caught.value is cause
            assert asyncio.all_tasks() == before

    run(waited())


# The single job


@pytest.mark.parametrize("single_id", ["", None], ids=["empty", "of an old pickle"])
@pytest.mark.parametrize("source", [list, iter], ids=["list", "iterator"])
def test_the_single_job_of_the_service_can_be_one_of_a_batch(
    source: Callable[[list[Job | str]], Any], single_id: str | None
) -> None:
    """It has no id, so it is checked by requests of its own."""
    server = Server(ends_at=5)
    single = Job("", TranslationStatus.PENDING, "pending")
    vars(single)["id"] = single_id
    results = wait_all(server, source([single, "j0", "j1", single]))

    assert [one.id for one in results if isinstance(one, Job) and one.status == "completed"] == ["", "j0", "j1", ""]
    assert server.times_of("status")
    assert all(
        requested_ids == ("status",) or set(requested_ids) <= {"j0", "j1"} for _, requested_ids in server.requests
    )


@pytest.mark.parametrize("service", ["heygen", "azure"])
def test_a_job_without_an_id_is_rejected_if_the_service_has_no_single_job(service: str) -> None:
    """In a list, before a request is sent. From an iterator, it is the error of that job."""
    single = Job("", TranslationStatus.PENDING, "pending")
    with VideoTranslationClient(HOST, service=service, api_key="k") as client:
        with pytest.raises(ValueError, match="jobs must have ids"):
            client.wait_all([single])
        [error] = client.wait_all(iter([single]))

    assert str(error) == "nothing was sent: jobs must have ids"
