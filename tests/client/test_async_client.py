"""Both clients, asyncio and blocking, on frozen time: the same arguments, requests, log lines, results and errors."""

from __future__ import annotations

import asyncio
import gc
import inspect
import math
import random
import socket
import subprocess
import sys
import threading
import time
import uuid
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import requests
import tenacity
from support.adapters import BASE_URL
from support.both_clients import CLIENTS, Side, side_of
from support.ends_soon import ENDS_SOON, LASTS_LONG, PATIENT
from support.fixtures import Clock, LogLines
from support.garbage import only_new_objects_collected
from support.hostile_server import mute, serving
from support.in_process_service import KEY, KEYED, LANGUAGE, SERVICES, VIDEO, left_in

from fake_server import Scenario
from fake_server.storage import result_body
from translation_client import (
    AsyncVideoTranslationClient,
    DurationHistory,
    Job,
    RequestFailed,
    TranslationClientError,
    TranslationStatus,
    VideoTranslationClient,
    WaitCancelled,
    WaitTimeout,
)
from translation_client._config import RANDOM

START = "2026-11-23T09:00:00"

BATCH = {"as_completed", "wait_all"}
"""Methods that wait for many jobs, which other files test."""

DIFFERENT = {"cancel", "session", "sleep"}
"""Parameters with other annotations: the event, the session, and the function whose result may be awaited."""


def methods_of(client: type[Any]) -> dict[str, Any]:
    """Return the public methods by name, inherited or not."""
    found = inspect.getmembers(client, inspect.isfunction)
    return {name: method for name, method in found if not name.startswith("_") and name not in BATCH}


METHODS = sorted(methods_of(VideoTranslationClient))


def test_both_clients_have_the_same_public_methods() -> None:
    """Only the methods by which a context is entered and left have other names."""
    assert set(methods_of(AsyncVideoTranslationClient)) == set(METHODS)
    assert len(METHODS) >= 10


@pytest.mark.parametrize("name", ["__init__", *METHODS])
def test_a_method_has_the_same_parameters_in_both_clients(name: str) -> None:
    """The same names, order, kinds and defaults, and the same annotations except for those in `DIFFERENT`."""
    ours, theirs = (inspect.signature(getattr(client, name)).parameters for client in CLIENTS)
    assert list(ours) == list(theirs)
    for one, other in zip(ours.values(), theirs.values(), strict=True):
        assert (one.name, one.kind, one.default) == (other.name, other.kind, other.default)
        if one.name not in DIFFERENT:
            assert one.annotation == other.annotation, one.name


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_the_same_return_annotation_in_both_clients(name: str) -> None:
    """Except that an `Iterator` is an `AsyncIterator`."""
    hints = (inspect.signature(getattr(client, name)).return_annotation for client in CLIENTS)
    theirs, ours = map(inspect.formatannotation, hints)

    assert ours == theirs.replace("Iterator[", "AsyncIterator[")


@pytest.mark.parametrize("name", METHODS)
def test_the_docstring_of_a_method_names_the_blocking_method(name: str) -> None:
    """That one describes the arguments and errors. The docstring of `close` is the same in both clients."""
    ours = inspect.getdoc(getattr(AsyncVideoTranslationClient, name)) or ""
    theirs = inspect.getdoc(getattr(VideoTranslationClient, name))

    assert f"`VideoTranslationClient.{name}`" in ours or (name == "close" and ours == theirs)


@pytest.mark.parametrize("name", METHODS)
def test_each_method_except_watch_is_a_coroutine_function(name: str) -> None:
    """`watch` is iterated over."""
    assert inspect.iscoroutinefunction(getattr(AsyncVideoTranslationClient, name)) is (name != "watch")


Errand = Callable[[Side], Coroutine[Any, Any, Any]]


class Record(NamedTuple):
    """The outcome of an action, the log lines, the requests received, and the duration in seconds."""

    outcome: Any
    lines: list[dict[str, Any]]
    arrivals: list[tuple[float, str, str, dict[str, str]]]
    took: float


def facts_of(error: BaseException) -> dict[str, Any]:
    """Return the text and the attributes of an error, and the class and the text of its cause."""
    cause = error.__cause__
    shown = cause and (type(cause), str(cause))
    return {"type": type(error), "text": str(error), "cause": shown, **vars(error), "__notes__": None}


@pytest.fixture
def recorded(clock: Clock, lines: LogLines, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Record]:
    """Run an action with one kind of client, each time from the same date and with the same random numbers."""

    def record(kind: type[Any], action: Errand, scenario: Scenario, service: str = "reference", **more: Any) -> Record:
        clock.move_to(START)
        chance = random.Random(7)
        monkeypatch.setattr(RANDOM, "random", chance.random)
        monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=chance.getrandbits(128), version=4))
        del lines[:]
        side = side_of(kind, scenario, service, clock, **more)
        began = time.monotonic()
        outcome: Any
        try:
            outcome = asyncio.run(action(side))
        except Exception as error:  # noqa: BLE001  # whatever it is, it has to be the same
            outcome = facts_of(error)
        names = ("Host", "Authorization", "X-Api-Key", "Xi-Api-Key", "Ocp-Apim-Subscription-Key", "Idempotency-Key")
        arrivals = [
            (one.at, one.method, one.path, {name: one.headers.get(name, "") for name in (*names, "Range")})
            for one in side.lab.arrivals
        ]
        logged = [{key: value for key, value in line.items() if key != "wait_id"} for line in lines]
        return Record(outcome, logged, arrivals, time.monotonic() - began)

    return record


class Errands:
    """Calls that are made with both clients."""

    @staticmethod
    async def wait(side: Side) -> Any:
        return await side.call("wait", side.lab.create())

    @staticmethod
    async def wait_for_the_single_job(side: Side) -> Any:
        return await side.call("wait")

    @staticmethod
    async def get_status(side: Side) -> Any:
        return await side.call("get_status", side.lab.create())

    @staticmethod
    async def watch(side: Side) -> Any:
        return await side.call("watch", side.lab.create())

    @staticmethod
    async def check(side: Side) -> Any:
        return await side.call("check", side.lab.create())

    @staticmethod
    async def check_all(side: Side) -> Any:
        made = [side.lab.create() for _ in range(3)]
        known = Job(made[0], TranslationStatus.PENDING, "pending", language="es", submitted_at=5.0)
        return await side.call("check_all", [known, *made[1:], made[1]])

    @staticmethod
    async def check_all_of_one_text(side: Side) -> Any:
        return await side.call("check_all", "job-1")

    @staticmethod
    async def wait_for_an_unknown_job(side: Side) -> Any:
        return await side.call("wait", "nobody")

    @staticmethod
    async def wait_twice(side: Side) -> Any:
        return [await side.call("wait", side.lab.create()) for _ in range(2)]

    @staticmethod
    async def wait_for_a_short_time(side: Side) -> Any:
        return await side.call("wait", side.lab.create(), timeout=7.5)

    @staticmethod
    async def watch_for_a_short_time(side: Side) -> Any:
        return await side.call("watch", side.lab.create(), timeout=7.5)


STOP = tenacity.stop_after_attempt(3)

SCENARIOS: dict[str, tuple[Errand, Scenario, dict[str, Any]]] = {
    "finished at once": (Errands.wait, Scenario(0), {}),
    "plain": (Errands.wait, Scenario(100), {}),
    "without an id": (Errands.wait_for_the_single_job, Scenario(100), {}),
    "a job that fails": (Errands.wait, Scenario(30, outcome="error"), {}),
    "its status alone": (Errands.get_status, Scenario(30), {}),
    "each answer": (Errands.watch, Scenario(100), {}),
    "each answer over faults": (Errands.watch, Scenario(30, faults=["2:503", "3:drop", "5:unknown-word"]), {}),
    "each answer in a short time": (Errands.watch_for_a_short_time, Scenario(100), {}),
    "jitter": (Errands.wait, Scenario(100), {"jitter": 0.5}),
    "a backoff that is long": (Errands.wait, Scenario(100), {"backoff_factor": 9, "max_delay": 20}),
    "a fault": (Errands.wait, Scenario(30, faults=["2:503"]), {}),
    "faults of several kinds": (Errands.wait, Scenario(60, faults=["1:drop", "2:html", "4:mute", "6:reset"]), {}),
    "faults until none is left": (Errands.wait, Scenario(60, faults=["2:500", "3:502", "4:500"]), {"max_faults": 3}),
    "faults that are spread": (Errands.wait, Scenario(60, faults=["1:500", "3:500", "5:500"]), {"max_faults": 2}),
    "unreadable for ever": (Errands.wait, Scenario(0, faults=["every-1:invalid-json"]), {}),
    "mute for ever": (Errands.wait, Scenario(0, faults=["every-1:mute"]), {"timeout": 35}),
    "Retry-After on an answer": (Errands.wait, Scenario(60, faults=["2:unknown-word:Retry-After=17"]), {}),
    "Retry-After on a fault": (Errands.wait, Scenario(60, faults=["2:429:Retry-After=17"]), {}),
    "Retry-After beyond the end": (Errands.wait, Scenario(60, faults=["2:503:Retry-After=999"]), {}),
    "Retry-After that is none": (Errands.wait, Scenario(60, faults=["2:503:Retry-After=soon"]), {}),
    "unknown words": (Errands.wait, Scenario(30, faults=["1:unknown-word", "3:unknown-word"]), {}),
    "timeout": (Errands.wait, Scenario(1000), {"timeout": 50}),
    "timeout of the call": (Errands.wait_for_a_short_time, Scenario(1000), {}),
    "timeout in a call": (Errands.wait, Scenario(1000, faults=["3:mute"]), {"timeout": 10}),
    "retries exhausted": (Errands.wait, Scenario(1000), {"max_retries": 3}),
    "no retries": (Errands.wait, Scenario(1000), {"max_retries": 0}),
    "the caller's stop": (Errands.wait, Scenario(1000), {"stop": STOP}),
    "the caller's wait": (Errands.wait, Scenario(30), {"wait": tenacity.wait_incrementing(1, 2)}),
    "refused": (Errands.wait, Scenario(30, faults=["2:403"]), {}),
    "refused at once": (Errands.wait_for_an_unknown_job, Scenario(30), {}),
    "one question": (Errands.check, Scenario(30, faults=["1:503"]), {}),
    "one question in vain": (Errands.check, Scenario(30, faults=["every-1:503"]), {"max_faults": 2}),
    "one question until the time is up": (Errands.check, Scenario(30, faults=["every-1:mute"]), {"timeout": 25}),
    "many questions": (Errands.check_all, Scenario(0, faults=["1:503"]), {}),
    "many that are one text": (Errands.check_all_of_one_text, Scenario(0), {}),
    "two waits one after the other": (Errands.wait_twice, Scenario((5, 50)), {}),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_both_clients_send_the_same_requests_and_have_the_same_outcome(
    name: str, recorded: Callable[..., Record]
) -> None:
    """Each request is at the same time, each log line is the same, and so is the result or error at the end."""
    action, scenario, arguments = SCENARIOS[name]
    theirs, ours = (recorded(kind, action, scenario, **arguments) for kind in CLIENTS)

    assert ours.lines == theirs.lines
    assert ours.arrivals == theirs.arrivals
    assert ours.outcome == theirs.outcome
    assert ours.took == theirs.took


def test_the_scenarios_cover_each_kind_of_error_and_log_line(recorded: Callable[..., Record]) -> None:
    """They end with each error that these calls can raise, and have each line that a wait can log."""
    records = [recorded(AsyncVideoTranslationClient, *SCENARIOS[name][:2], **SCENARIOS[name][2]) for name in SCENARIOS]
    ends = {record.outcome["type"].__name__ for record in records if isinstance(record.outcome, dict)}
    events = {line["event"] for record in records for line in record.lines}
    reasons = {line["reason"] for record in records for line in record.lines if "reason" in line}

    assert ends == {"RequestFailed", "RetriesExhausted", "TypeError", "UnexpectedAnswer", "WaitTimeout"}
    assert events >= {"status_checked", "sleeping", "check_failed", "retry_after_ignored", "unknown_status", "gave_up"}
    assert reasons >= {"backoff", "retry_after", "deadline", "schedule", "faults", "refused", "retries", "timeout"}


@pytest.mark.parametrize("service", SERVICES)
def test_both_clients_submit_wait_download_and_delete_with_the_same_requests(
    service: str, recorded: Callable[..., Record], tmp_path: Path
) -> None:
    """With the same headers at the same times, and with the same faults on the way."""
    files: list[bytes] = []

    async def action(side: Side) -> Any:
        known = await side.call("languages")
        job = await side.submit()
        done = await side.call("wait", job)
        seen: list[tuple[int, int | None]] = []
        file = await side.call(
            "download", done, tmp_path / f"{len(files)}.mp4", on_progress=lambda *moved: seen.append(moved)
        )
        files.append(file.read_bytes())
        again = await side.call("check", job)
        checked = await side.call("check_all", [job, done])
        gone = None
        if service != "reference":
            gone = await side.call("delete", job)
        [submission] = side.lab.submissions
        assert files[-1] == bytes(result_body(submission.job_id, 65536))
        return known, job, done, seen, again, checked, gone

    scenario = Scenario(30, faults=["1:503", "result/1:truncate", "result/2:500", "delete/1:drop"])
    theirs, ours = (recorded(kind, action, scenario, service) for kind in CLIENTS)

    assert not isinstance(theirs.outcome, dict), theirs.outcome
    assert ours == theirs
    assert left_in(tmp_path) == ["0.mp4", "1.mp4"]


LOST = ("drop", "reset-in-headers", "truncate", "mute", "html", "wrong-shape", "302", "204", "500", "503:Retry-After=3")
REFUSED = ("400", "401", "413", "429", "429:Retry-After=3", "425")


@pytest.mark.parametrize("service", SERVICES)
def test_both_clients_report_the_same_after_a_failed_submission(service: str, recorded: Callable[..., Record]) -> None:
    """Whether a job may be running, and the idempotency key to retry with. Neither client submits twice."""
    submissions = []

    async def action(side: Side) -> Any:
        try:
            return await side.submit()
        finally:
            submissions.append(len(side.lab.submissions))

    errors = []
    once, always = (
        ([f"create/1:{fault}"] for fault in (*LOST, *REFUSED)),
        ([f"create/every-1:{one}"] for one in LOST[:3]),
    )
    for faults in (*once, *always):
        theirs, ours = (recorded(kind, action, Scenario(30, faults=faults), service, max_faults=3) for kind in CLIENTS)
        assert ours == theirs, faults
        errors += [ours.outcome] if isinstance(ours.outcome, dict) else []
    assert {error["may_have_been_accepted"] for error in errors} == {True, False}
    assert any(error["idempotency_key"] for error in errors) is (service in KEYED)
    assert set(submissions) == {0, 1}


@pytest.mark.parametrize(("service", "file"), [("heygen", "film.mp4"), ("elevenlabs", "film.mp4")])
def test_both_clients_upload_a_file_with_the_same_requests(
    service: str, file: str, recorded: Callable[..., Record], tmp_path: Path
) -> None:
    """As the service requires, with a retry after a fault."""
    (tmp_path / file).write_bytes(random.Random(3).randbytes(200_000))

    async def action(side: Side) -> Any:
        return await side.call("submit", tmp_path / file, LANGUAGE[service])

    scenario = Scenario(30, faults=["upload/1:503"] if service == "heygen" else ["create/1:429"])
    theirs, ours = (recorded(kind, action, scenario, service) for kind in CLIENTS)

    assert isinstance(ours.outcome, Job)
    assert ours == theirs


@pytest.mark.parametrize("service", KEYED)
@pytest.mark.parametrize("fault", ["403", "drop", "429"])
def test_a_failed_submission_with_a_key_of_the_caller_may_have_been_accepted(
    service: str, fault: str, recorded: Callable[..., Record]
) -> None:
    """Also if it is refused, as the outcome of an earlier submission with the same idempotency key is unknown."""
    key = "0f0e0d0c-1234-4abc-8def-0123456789ab"

    async def action(side: Side) -> Any:
        return await side.submit(idempotency_key=key)

    scenario = Scenario(30, faults=[f"create/every-1:{fault}"])
    theirs, ours = (recorded(kind, action, scenario, service, max_faults=2) for kind in CLIENTS)

    assert ours == theirs
    assert (ours.outcome["may_have_been_accepted"], ours.outcome["idempotency_key"]) == (True, key)


def test_both_clients_wait_for_a_free_slot_with_queue_true(recorded: Callable[..., Record]) -> None:
    """Without it, they raise an error."""

    async def action(side: Side) -> Any:
        await side.submit()
        with pytest.raises(TranslationClientError) as caught:
            await side.submit()
        return facts_of(caught.value), await side.submit(queue=True)

    theirs, ours = (recorded(kind, action, Scenario(30, max_jobs=1), "heygen") for kind in CLIENTS)

    assert ours == theirs
    assert [line["event"] for line in ours.lines].count("waiting_for_slot") >= 1


def test_both_clients_reject_a_language_that_is_not_listed(recorded: Callable[..., Record]) -> None:
    """Before a submission, and with the same message. The list is requested again, as it was cached."""

    async def action(side: Side) -> Any:
        await side.call("languages")
        await side.call("submit", VIDEO, "Spanisch")

    theirs, ours = (recorded(kind, action, Scenario(30), "heygen") for kind in CLIENTS)

    assert ours == theirs
    assert ours.outcome["type"] is ValueError
    assert len(ours.arrivals) == 2


@pytest.mark.parametrize("status", ["pending", "error"])
def test_both_clients_raise_the_same_error_for_a_download_without_a_result(
    status: str, recorded: Callable[..., Record], tmp_path: Path
) -> None:
    """No file is created."""

    async def action(side: Side) -> Any:
        job = await side.submit()
        if status == "error":
            job = await side.call("wait", job)
        return await side.call("download", job, tmp_path / "out.mp4")

    scenario = Scenario(30, outcome="error")
    theirs, ours = (recorded(kind, action, scenario, "heygen") for kind in CLIENTS)

    assert ours == theirs
    assert ours.outcome["type"].__name__ == {"pending": "ResultNotReady", "error": "JobFailed"}[status]
    assert left_in(tmp_path) == []


def test_both_clients_record_the_same_history(recorded: Callable[..., Record]) -> None:
    """Each check is at the same time."""
    histories: list[DurationHistory] = []

    async def action(side: Side) -> Any:
        jobs = []
        for number in range(6):
            job = replace(await side.submit(), language="es")
            call = ("wait", "get_status", "watch")[number % 3]
            jobs.append(await side.call(call, job, kind="es", video_seconds=90 + number))
        return jobs

    def learning(kind: type[Any]) -> Record:
        histories.append(DurationHistory())
        more = {"history": histories[-1], "check_cost": 3, "timeout": 3600}
        return recorded(kind, action, Scenario((20, 60), seed=4), **more)

    theirs, ours = learning(VideoTranslationClient), learning(AsyncVideoTranslationClient)

    assert ours == theirs
    assert {line["reason"] for line in ours.lines if line["event"] == "sleeping"} == {"schedule"}
    assert histories[0].jobs("reference") == histories[1].jobs("reference")
    assert len(histories[1].jobs("reference")) == 6


@pytest.mark.parametrize("is_watched", [False, True])
def test_a_wait_that_ends_early_records_that_the_job_takes_longer(
    is_watched: bool, recorded: Callable[..., Record]
) -> None:
    """After a timeout, or if `watch` is closed after two statuses."""
    histories: list[DurationHistory] = []

    async def action(side: Side) -> Any:
        job = await side.submit()
        if not is_watched:
            return await side.call("wait", job, timeout=40)
        watching = side.client.watch(job)
        if isinstance(watching, AsyncIterator):
            seen = [await anext(watching), await anext(watching)]
            await watching.aclose()  # type: ignore[attr-defined]  # a generator
        else:
            seen = [next(watching), next(watching)]
            watching.close()
        return seen

    def learning(kind: type[Any]) -> Record:
        histories.append(DurationHistory())
        return recorded(kind, action, Scenario(500), history=histories[-1], check_cost=3, timeout=3600)

    theirs, ours = learning(VideoTranslationClient), learning(AsyncVideoTranslationClient)

    assert ours == theirs
    [learned] = histories[1].jobs("reference")
    assert (learned.pending_until > 0, learned.finished_by) == (True, None)
    assert [learned] == histories[0].jobs("reference")


def test_history_true_keeps_a_history_in_memory(recorded: Callable[..., Record]) -> None:
    """With a `check_cost` of 3 s, the first checks are 3, 12, 27 and 48 s after the submission.

    The later jobs have fewer checks, by the history.
    """

    async def action(side: Side) -> Any:
        return [await side.call("wait", await side.submit()) for _ in range(8)]

    more = {"history": True, "check_cost": 3, "timeout": 3600}
    theirs, ours = (recorded(kind, action, Scenario(40), **more) for kind in CLIENTS)
    checks = [line["elapsed_seconds"] for line in ours.lines if line["event"] == "status_checked"]

    assert ours == theirs
    assert checks[:4] == [3, 12, 27, 48]
    assert len(checks) < 8 * 4


def test_the_time_out_of_watch_starts_with_the_call(clock: Clock, lines: LogLines) -> None:
    """The time that the caller takes between two statuses counts."""

    async def action(side: Side) -> None:
        watching = side.client.watch(timeout=10)
        clock.tick(4)
        assert (await anext(watching)).elapsed == 4
        clock.tick(7)
        with pytest.raises(WaitTimeout):
            await anext(watching)

    asyncio.run(action(side_of(AsyncVideoTranslationClient, Scenario(100), "reference", clock)))


@pytest.mark.parametrize("is_awaited", [False, True])
def test_sleep_may_be_a_function_or_a_coroutine_function(is_awaited: bool, clock: Clock, lines: LogLines) -> None:
    """Its argument is the number of seconds."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.tick(seconds)

    async def sleep_in_a_task(seconds: float) -> None:
        await asyncio.sleep(0)
        sleep(seconds)

    chosen = sleep_in_a_task if is_awaited else sleep
    side = side_of(AsyncVideoTranslationClient, Scenario(14), "reference", clock, sleep=chosen)
    asyncio.run(side.call("wait"))

    assert slept == [2, 4, 8]


def test_concurrent_waits_of_one_client_do_not_share_their_state(clock: Clock, lines: LogLines) -> None:
    """Forty waits in tasks of one event loop, each with its own backoff and its own count of checks."""

    async def action(side: Side) -> list[Job]:
        ids = [side.lab.create() for _ in range(40)]
        return list(await asyncio.gather(*(side.client.wait(job_id) for job_id in ids)))

    async def sleep(seconds: float) -> None:
        """Sleep on the shared clock, which the task with the earliest end moves on."""
        due = time.monotonic() + seconds
        sleepers.append(due)
        while True:
            await asyncio.sleep(0)
            if due <= time.monotonic():
                break
            if due == min(sleepers):
                clock.tick(due - time.monotonic() + 1e-6)
        sleepers.remove(due)

    sleepers: list[float] = []
    side = side_of(AsyncVideoTranslationClient, Scenario((10, 300)), "reference", clock, sleep=sleep)
    jobs = asyncio.run(action(side))

    assert [job.id for job in jobs] == [f"job-{number}" for number in range(1, 41)]
    by_wait: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by_wait.setdefault(line["wait_id"], []).append(line)
    assert len(by_wait) == 40
    for logged in by_wait.values():
        pauses = [line["sleep_seconds"] for line in logged if line["event"] == "sleeping"]
        assert pauses == [min(2 * 2**number, 60) for number in range(len(pauses))]
        assert len({line["job_id"] for line in logged}) == 1
        [job] = [job for job in jobs if job.id == logged[0]["job_id"]]
        assert job.checks == len(pauses) + 1


WRONG: list[tuple[str, Any]] = [
    *(
        (name, value)
        for name in ("timeout", "request_timeout", "max_delay", "backoff_factor")
        for value in (0, math.nan)
    ),
    *((name, math.inf) for name in ("request_timeout", "max_delay", "backoff_factor", "jitter")),
    ("max_retries", -1),
    ("max_retries", 1.5),
    ("max_faults", 0),
    ("jitter", 1.1),
    ("timeout", "3"),
    ("timeout", True),
    ("timeout", 10**400),
    ("base_url", "ftp://host"),
    ("base_url", "http://u:s3cret@ho st"),
    ("base_url", None),
    ("base_url", b"http://host"),
    ("api_key", "s3cr3t\n"),
    ("api_key", ""),
    ("api_key", b"k"),
    ("headers", {"X y": "1"}),
    ("headers", [("a", "b")]),
    ("wait", 3),
    ("stop", "never"),
    ("sleep", 1.0),
    ("logger", 42),
    ("service", "heygen2"),
    ("service", None),
    ("history", True),
    ("check_cost", 3),
    ("max_lag", 3),
    ("jitter", 2),
]


def refusal(call: Callable[[], object]) -> tuple[type[BaseException], str]:
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_both_constructors_reject_an_invalid_argument_with_the_same_message(name: str, value: Any) -> None:
    """With an error of the same class, before an event loop is needed."""
    arguments = {"base_url": BASE_URL, name: value}
    theirs, ours = (refusal(lambda made=made: made(**arguments)) for made in CLIENTS)  # type: ignore[misc]  # mypy knows no such lambda

    assert ours == theirs
    assert name in ours[1] or name == "history"


@pytest.mark.parametrize("session", [requests.Session(), object(), "s"])
def test_a_session_that_is_no_aiohttp_session_is_rejected(session: Any) -> None:
    """A `requests.Session` would block the event loop."""
    with pytest.raises(TypeError, match=r"session must be an aiohttp\.ClientSession, got a value of type"):
        AsyncVideoTranslationClient(BASE_URL, session=session)


def test_the_blocking_client_rejects_an_aiohttp_session() -> None:
    """The asyncio client accepts it."""

    async def made() -> None:
        async with aiohttp.ClientSession() as session:
            AsyncVideoTranslationClient(BASE_URL, session=session)
            with pytest.raises(TypeError, match=r"session must be a requests\.Session"):
                VideoTranslationClient(BASE_URL, session=session)  # type: ignore[arg-type]  # the point of the test

    asyncio.run(made())


BAD_CALLS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    **{f"{name} without time": (name, (), {"timeout": 0}) for name in ("wait", "get_status", "watch")},
    **{f"{name} of bytes": (name, (b"job",), {}) for name in ("wait", "get_status", "watch", "check", "delete")},
    **{f"{name} of nothing": (name, ("",), {}) for name in ("wait", "get_status", "watch", "check", "delete")},
    **{f"{name} with a kind of lines": (name, (), {"kind": "a\nb"}) for name in ("wait", "get_status", "watch")},
    **{f"{name} ordered before 1970": (name, (), {"submitted_at": -1}) for name in ("wait", "get_status", "watch")},
    **{f"{name} of an empty video": (name, (), {"video_seconds": 0}) for name in ("wait", "get_status", "watch")},
    "many of one text": ("check_all", ("job-1",), {}),
    "many of bytes": ("check_all", ([b"job-1"],), {}),
    "many of nothing": ("check_all", ([""],), {}),
    "many of no id": ("check_all", ([Job("", TranslationStatus.PENDING, "pending")],), {}),
    "a video of another scheme": ("submit", ("ftp://h/v", "Spanish (Spain)"), {}),
    "a video that is not there": ("submit", ("/no/such/film.mp4", "Spanish (Spain)"), {}),
    "no language": ("submit", (VIDEO, " "), {}),
    "a language of bytes": ("submit", (VIDEO, b"es"), {}),
    "options that are none": ("submit", (VIDEO, "Spanish (Spain)"), {"options": [1]}),
    "a key of lines": ("submit", (VIDEO, "Spanish (Spain)"), {"idempotency_key": "a\nb"}),
    "an order without time": ("submit", (VIDEO, "Spanish (Spain)"), {"timeout": -1}),
    "a folder": ("download", ("job-1", "/"), {}),
    "no folder": ("download", ("job-1", "/no/such/folder/x"), {}),
    "no path": ("download", ("job-1", 7), {}),
    "a download without time": ("download", ("job-1", "x.mp4"), {"timeout": 0}),
    "progress that cannot be called": ("download", ("job-1", "x.mp4"), {"on_progress": 3}),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_both_clients_reject_an_invalid_argument_of_a_method_alike(name: str, recorded: Callable[..., Record]) -> None:
    """With the same error and message. No request is sent, and nothing is logged."""
    method, arguments, more = BAD_CALLS[name]

    async def action(side: Side) -> Any:
        return await side.call(method, *arguments, **more)

    theirs, ours = (recorded(kind, action, Scenario(0), "heygen") for kind in CLIENTS)

    assert ours == theirs
    assert ours.outcome["type"] in (TypeError, ValueError, FileNotFoundError)
    assert (ours.arrivals, ours.lines) == ([], [])


def test_the_arguments_of_watch_are_checked_at_the_call() -> None:
    """And not only when it is first iterated over."""
    client = AsyncVideoTranslationClient(BASE_URL)

    with pytest.raises(ValueError, match="timeout must be"):
        client.watch(timeout=0)
    with pytest.raises(TypeError, match="cancel must be"):
        client.watch(cancel=True)  # type: ignore[arg-type]  # the point of the test


class NotAnEvent:
    """An object with only one method of an event."""

    def is_set(self) -> bool:
        return False


@pytest.mark.parametrize("cancel", [True, threading.Lock(), NotAnEvent()])
@pytest.mark.parametrize("method", ["wait", "get_status", "watch", "submit", "download"])
def test_a_cancel_argument_that_is_no_event_is_rejected(method: str, cancel: Any, clock: Clock, tmp_path: Path) -> None:
    """Before a request is sent."""
    arguments = {"submit": (VIDEO, "es"), "download": ("job-1", tmp_path / "x")}.get(method, ())
    side = side_of(AsyncVideoTranslationClient, Scenario(0), "reference", clock)

    with pytest.raises(TypeError, match="cancel must be an event of threading or of asyncio, got"):
        asyncio.run(side.call(method, *arguments, cancel=cancel))
    assert side.lab.arrivals == []


def test_an_event_class_as_cancel_argument_is_rejected() -> None:
    """It has the methods of an event, but no instance to call them on."""
    with pytest.raises(TypeError, match="cancel must be"):
        AsyncVideoTranslationClient(BASE_URL).watch(cancel=threading.Event)  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize("event", [asyncio.Event, threading.Event])
@pytest.mark.parametrize("method", ["wait", "get_status", "watch", "submit", "download"])
def test_an_asyncio_or_threading_event_cancels_a_call(
    method: str, event: Callable[[], Any], clock: Clock, lines: LogLines, tmp_path: Path
) -> None:
    """If it was set before the call, no request is sent."""
    arguments = {"submit": (VIDEO, "es"), "download": ("job-1", tmp_path / "x")}.get(method, ())
    side = side_of(AsyncVideoTranslationClient, Scenario(0), "reference", clock)

    async def action() -> None:
        cancel = event()
        cancel.set()
        await side.call(method, *arguments, cancel=cancel)

    with pytest.raises(WaitCancelled):
        asyncio.run(action())
    assert side.lab.arrivals == []
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("event", [asyncio.Event, threading.Event])
def test_an_event_that_is_set_during_a_sleep_cancels_the_wait(
    event: Callable[[], Any], clock: Clock, lines: LogLines
) -> None:
    """Without a further request, also if `sleep` is a function of the caller."""

    async def action() -> None:
        cancel = event()

        def sleep(seconds: float) -> None:
            clock.tick(seconds)
            cancel.set()

        side = side_of(AsyncVideoTranslationClient, Scenario(100), "reference", clock, sleep=sleep)
        with pytest.raises(WaitCancelled) as caught:
            await side.call("wait", cancel=cancel)
        assert (caught.value.attempts, caught.value.elapsed, len(side.lab.arrivals)) == (1, 2, 1)

    asyncio.run(action())
    assert lines[-1]["reason"] == "cancelled"


CALLS_AFTER_CLOSE: dict[str, tuple[Any, ...]] = {
    "wait": (),
    "get_status": (),
    "watch": (),
    "check": (),
    "check_all": (["job-1"],),
    "languages": (),
    "submit": (VIDEO, "Spanish (Spain)"),
    "download": ("job-1", "x.mp4"),
    "delete": ("job-1",),
}


@pytest.mark.parametrize("method", CALLS_AFTER_CLOSE)
def test_after_close_each_method_raises_wait_cancelled_in_both_clients(
    method: str, recorded: Callable[..., Record]
) -> None:
    """With the same message, and no request is sent. A second `close` has no effect."""
    arguments: tuple[Any, ...] = CALLS_AFTER_CLOSE[method]

    async def action(side: Side) -> Any:
        await side.call("close")
        await side.call("close")
        return await side.call(
            method, *(arguments or ("job-1",) if method in ("wait", "watch", "check") else arguments)
        )

    service = "reference" if method == "get_status" else "heygen"
    theirs, ours = (recorded(kind, action, Scenario(0), service) for kind in CLIENTS)

    assert ours == theirs
    assert ours.outcome["type"] is WaitCancelled
    assert ours.arrivals == []


def test_every_public_method_is_tested_after_close() -> None:
    """A new method needs a row, or this test fails."""
    assert {*CALLS_AFTER_CLOSE, "close"} == set(METHODS)


def test_leaving_the_context_closes_the_client() -> None:
    """Entering it returns the client itself, which is created outside of any event loop."""
    client = AsyncVideoTranslationClient(BASE_URL)

    async def used() -> None:
        async with client as entered:
            assert entered is client
        with pytest.raises(WaitCancelled):
            await client.check()

    asyncio.run(used())


def test_the_repr_is_that_of_the_blocking_client_and_shows_no_secret() -> None:
    """With `Async` before it. The password in the URL and the header are not shown."""
    ours, theirs = (
        repr(made("http://u:s3cret@host/x", service="reference", headers={"X": "s3cret"})) for made in reversed(CLIENTS)
    )

    assert ours == f"Async{theirs}"
    assert "s3cret" not in ours


def test_a_client_that_is_not_initialized_has_a_repr() -> None:
    """So has one whose arguments are rejected, as in the blocking client."""
    assert repr(AsyncVideoTranslationClient.__new__(AsyncVideoTranslationClient)) == (
        "<AsyncVideoTranslationClient, not initialized>"
    )


@pytest.mark.parametrize("by", ["close", "event", "time"])
def test_close_or_an_event_or_the_time_out_ends_a_hanging_request(by: str, lines: LogLines) -> None:
    """The waiting call raises the error, and not the task that ends it, on each version of Python."""

    async def action() -> None:
        cancel = threading.Event()
        async with AsyncVideoTranslationClient(
            server.url, **{**PATIENT, "timeout": 0.2 if by == "time" else LASTS_LONG}
        ) as client:
            calling = asyncio.create_task(client.wait(cancel=cancel))
            while by != "time" and not server.requests:
                await asyncio.sleep(0.001)
            if by == "close":
                await asyncio.create_task(client.close())
            if by == "event":
                cancel.set()
            with pytest.raises(WaitTimeout if by == "time" else WaitCancelled):
                await asyncio.wait_for(calling, ENDS_SOON)

    with serving(mute) as server:
        asyncio.run(action())


def test_an_upload_without_progress_ends_after_request_timeout(tmp_path: Path) -> None:
    """aiohttp writes the file in another task, and `submit` raises the error, on each version of Python."""
    film = tmp_path / "film.mp4"
    with film.open("wb") as file:
        file.truncate(24 * 1024 * 1024)

    async def action() -> None:
        async with AsyncVideoTranslationClient(
            url, service="elevenlabs", api_key=KEY, timeout=LASTS_LONG, request_timeout=0.2, max_faults=1
        ) as client:
            with pytest.raises(RequestFailed, match=r"no response within 0\.2 s"):
                await asyncio.wait_for(client.submit(film, "es"), ENDS_SOON)

    with socket.create_server(("127.0.0.1", 0)) as listener:  # its socket buffers hold less than the file
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with only_new_objects_collected(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            asyncio.run(action())
            gc.collect()
    assert [str(warning.message) for warning in caught] == []


def ran(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


def test_aiohttp_is_imported_by_the_first_asyncio_client() -> None:
    """Neither the blocking client nor an import of the class imports it."""
    done = ran(
        "import sys, translation_client\n"
        "from translation_client import AsyncVideoTranslationClient\n"
        "translation_client.VideoTranslationClient('http://127.0.0.1:9').close()\n"
        "early = [name for name in sys.modules if 'aiohttp' in name]\n"
        "assert not early, early\n"
        "AsyncVideoTranslationClient('http://127.0.0.1:9')\n"
        "assert 'aiohttp' in sys.modules\n"
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_import_error_without_aiohttp_names_the_extra() -> None:
    """The rest of the package works, including `from translation_client import *`."""
    done = ran(
        "import sys\n"
        "sys.modules['aiohttp'] = None\n"
        "from translation_client import *\n"
        "for _ in range(2):\n"
        "    try:\n"
        "        AsyncVideoTranslationClient('http://127.0.0.1:9')\n"
        "    except ImportError as error:\n"
        "        print(error.name, error)\n"
        "VideoTranslationClient('http://127.0.0.1:9').close()\n"
    )

    assert (done.returncode, done.stderr) == (0, "")
    printed = done.stdout.splitlines()
    assert len(printed) == 2
    for line in printed:
        assert line.startswith("aiohttp ")
        assert "AsyncVideoTranslationClient" in line
        assert "pip install 'translation-client[async]'" in line
