"""A batch gives each job the same outcome as `wait` alone: 2 000 jobs and a bulk route, each with a script of its own.

In virtual time, without sockets. The scripts are drawn so that the outcome does not depend on the exact time of a
check, which the rate limit of a batch and the random part of the fault sleeps move: no job changes shortly before its
deadline, a temporary trouble is shorter than `max_faults` sleeps, an endless one has the time for them, and few jobs
pause all others.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from support.job_scripts import WORDS, ScriptedServer, Step, drawn_bulk, drawn_script, outcome_of
from support.virtual_time import client_of, json_reply, present, run
from tenacity import stop_after_attempt

from translation_client import AsyncVideoTranslationClient, Job, TranslationClientError
from translation_client.services.heygen import HEYGEN
from translation_client.services.reference import REFERENCE
from translation_client.services.service import Service

pytestmark = pytest.mark.exhaustive

JOBS, FEWER = 2000, 300
KEY = "key-0123456789"
TIMEOUT = 240.0
MOST_TROUBLE = 3.0
"""The longest temporary trouble, in seconds: five faults take at least 5.6 s."""

SETTINGS: dict[str, Any] = {
    "api_key": KEY,
    "timeout": TIMEOUT,
    "max_retries": float("inf"),
    "max_faults": 5,
    "backoff_factor": 2,
    "max_delay": 60,
    "request_timeout": 2,
}


async def wait_alone(client: AsyncVideoTranslationClient, job_id: str) -> Job | TranslationClientError:
    try:
        return await client.wait(job_id)
    except TranslationClientError as error:
        return error


async def each_alone(client: AsyncVideoTranslationClient, ids: list[str]) -> list[Job | TranslationClientError]:
    return await asyncio.gather(*(wait_alone(client, job_id) for job_id in ids))


class BatchSetup:
    """The scripts of jobs and of a bulk route, and the outcomes of the jobs."""

    def __init__(
        self,
        service: Service,
        jobs: int,
        seed: int,
        last_change: float = 60,
        retry_after: str | None = None,
        bulk_seconds: float = 0.06,
        **settings: Any,
    ) -> None:
        chance = random.Random(seed)
        self.ids = [f"job-{number}" for number in range(jobs)]
        self.scripts = {job_id: drawn_script(chance, last_change, MOST_TROUBLE) for job_id in self.ids}
        self.bulk = drawn_bulk(chance, TIMEOUT)
        self._service = service
        self._retry_after = retry_after
        self._bulk_seconds = bulk_seconds
        self._settings = {**SETTINGS, **settings}

    def outcomes(self, way: str) -> tuple[list[tuple[str, object]], ScriptedServer]:
        """Return the outcome of each job, and the server.

        A job is waited for `alone`, or in a batch with the bulk route (`fine`, `faulty`) or without it (`single`).
        """
        service = replace(self._service, bulk=None) if way == "single" else self._service
        bulk = self.bulk if way == "faulty" else [(0.0, "fine")]
        server = ScriptedServer(service, self.scripts, bulk, present, self._retry_after, self._bulk_seconds)

        async def waited() -> list[Job | TranslationClientError]:
            async with client_of(server.respond, service=service, **self._settings) as client:
                if way == "alone":
                    return await each_alone(client, self.ids)
                return await client.wait_all(self.ids, checks_per_second=5000)

        return [outcome_of(result) for result in run(waited())], server

    def unlike(self, ones: list[tuple[str, object]], others: list[tuple[str, object]]) -> dict[str, Any]:
        """Return the jobs whose outcomes differ, with their scripts."""
        both = zip(self.ids, ones, others, strict=True)
        return {job_id: (self.scripts[job_id], one, other) for job_id, one, other in both if one != other}


def test_each_of_2000_jobs_has_the_same_outcome_in_a_batch_as_alone() -> None:
    """With a bulk route that fails in many ways, and without a bulk route."""
    setup = BatchSetup(REFERENCE, JOBS, seed=1)
    for job_id in (setup.ids[0], setup.ids[JOBS // 2]):
        setup.scripts[job_id] = [Step(0, None, lambda: json_reply({}, 429, retry_after="86400"))]
    alone, _ = setup.outcomes("alone")
    single, without = setup.outcomes("single")
    faulty, with_bulk = setup.outcomes("faulty")

    assert len(Counter(alone)) >= 12  # two statuses, timeouts, the refusals, and faults of several kinds
    assert setup.unlike(alone, single) == {}
    assert setup.unlike(alone, faulty) == {}
    assert without.in_bulk == 0
    assert with_bulk.failed_in_bulk >= 10
    assert with_bulk.single < 0.8 * without.single


@pytest.mark.parametrize("seed", range(2, 6))
@pytest.mark.parametrize("service", [REFERENCE, HEYGEN], ids=["reference", "heygen"])
def test_a_job_has_the_same_outcome_in_a_batch_as_alone(service: Service, seed: int) -> None:
    """Also at HeyGen, where a finished job needs a single request for its link."""
    setup = BatchSetup(service, FEWER, seed)
    alone, _ = setup.outcomes("alone")
    faulty, _ = setup.outcomes("faulty")

    assert setup.unlike(alone, faulty) == {}


@pytest.mark.parametrize("seed", range(6, 8))
@pytest.mark.parametrize("way", ["single", "fine", "faulty"])
def test_a_job_exhausts_its_retries_in_a_batch_only_if_it_does_so_alone(way: str, seed: int) -> None:
    """Four retries end after 30 s. A job that ends up to one second before has ended."""
    setup = BatchSetup(REFERENCE, FEWER, seed, last_change=29, max_retries=4, backoff_factor=2)
    alone, _ = setup.outcomes("alone")
    together, _ = setup.outcomes(way)

    assert ("RetriesExhausted", None) in alone
    assert setup.unlike(alone, together) == {}


@pytest.mark.parametrize("seed", range(8, 10))
@pytest.mark.parametrize("way", ["single", "fine", "faulty"])
@pytest.mark.parametrize("limit", [{"max_retries": 2}, {"stop": stop_after_attempt(3)}], ids=["max_retries", "stop"])
def test_a_retry_after_of_bulk_responses_uses_up_no_more_retries_than_alone(
    limit: dict[str, Any], way: str, seed: int
) -> None:
    """Every response has one, also those to bulk requests: checks are after 0, 70 and 140 s."""
    setup = BatchSetup(REFERENCE, FEWER, seed, last_change=135, retry_after="70", **limit)
    alone, _ = setup.outcomes("alone")
    together, _ = setup.outcomes(way)

    assert ("RetriesExhausted", None) in alone
    assert setup.unlike(alone, together) == {}


@pytest.mark.parametrize("way", ["fine", "faulty"])
def test_a_retry_after_of_bulk_responses_changes_no_outcome_without_max_retries(way: str) -> None:
    """In a bulk response it counts for at most a minute, so that the checks are at other times than alone."""
    setup = BatchSetup(REFERENCE, FEWER, seed=10, last_change=150, retry_after="70")
    alone, _ = setup.outcomes("alone")
    together, _ = setup.outcomes(way)

    assert setup.unlike(alone, together) == {}


@pytest.mark.parametrize("way", ["single", "fine", "faulty"])
@pytest.mark.parametrize("bulk_seconds", [0.06, 0.5, 1.5])
def test_a_slow_bulk_route_costs_no_job_its_last_check(bulk_seconds: float, way: str) -> None:
    """Some jobs change as late as one second before the deadline."""
    setup = BatchSetup(REFERENCE, FEWER, seed=11, bulk_seconds=bulk_seconds)
    chance = random.Random(12)
    for job_id in setup.ids:
        ends = [Step(chance.uniform(TIMEOUT - 12, TIMEOUT - 1), chance.choice(WORDS))]
        setup.scripts[job_id] = [Step(0, "pending"), *(ends if chance.random() < 0.8 else [])]
    alone, _ = setup.outcomes("alone")
    together, _ = setup.outcomes(way)

    assert len(Counter(alone)) == 3
    assert setup.unlike(alone, together) == {}
