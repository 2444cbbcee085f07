"""`check_all` with bulk requests: the requests after a fault, or after a response that lacks a job, on frozen time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import unquote

import pytest
import requests
from support.adapters import FunctionAdapter, response
from support.fixtures import Clock, LogLines
from support.in_process_service import HOST, KEY
from support.virtual_time import Reply, client_of, json_reply, present, run

from translation_client import (
    Job,
    RequestFailed,
    TranslationClientError,
    TranslationStatus,
    UnexpectedAnswer,
    VideoTranslationClient,
    WaitCancelled,
)
from translation_client.services import service as service_module
from translation_client.services.heygen import HEYGEN

Trouble = Callable[[], requests.Response]

JSON = "application/json"


def refused() -> requests.Response:
    raise requests.ConnectionError("the connection broke")


TROUBLE: dict[str, Trouble] = {
    "500": lambda: response(500, b"{}"),
    "503": lambda: response(503, b"{}"),
    "503 with Retry-After": lambda: response(503, b"{}", retry_after="5"),
    "503 of a day": lambda: response(503, b"{}", retry_after="86400"),
    "503 of a minute": lambda: response(503, b"{}", retry_after="60"),
    "503 with nonsense": lambda: response(503, b"{}", retry_after="soon"),
    "429": lambda: response(429, b"{}"),
    "html": lambda: response(200, b"<html>maintenance</html>"),
    "broken": refused,
    "another shape": lambda: response(200, b'{"data": {"status": "completed"}}'),
    "an empty list": lambda: response(200, b'{"data": []}'),
    "400": lambda: response(400, b"{}"),
    "401": lambda: response(401, b"{}"),
    "404": lambda: response(404, b"{}"),
    "501": lambda: response(501, b"{}"),
}
LASTING = ("503 of a day", "503 of a minute", "400", "401", "404", "501")
"""Bulk requests with these responses are not retried."""


class Service:
    """HeyGen, whose bulk route can be made to fail.

    Attributes:
        pages: The ids of each bulk request.
        singles: The ids that were checked singly.
        lacks: The ids that bulk responses lack.
        words: The status words by which bulk responses list a job, if it is not once as `processing`.
        alone: The response to the single check of a job.
    """

    def __init__(
        self,
        clock: Clock,
        trouble: Callable[[int], requests.Response | None] = lambda _: None,
        service: service_module.Service = HEYGEN,
        max_faults: int = 3,
    ) -> None:
        self.pages: list[list[str]] = []
        self.singles: list[str] = []
        self.lacks: set[str] = set()
        self.words: dict[str, list[str]] = {}
        self.alone: dict[str, Trouble] = {}
        self._trouble = trouble
        session = requests.Session()
        session.mount("http://", FunctionAdapter(self._respond))
        self.client = VideoTranslationClient(
            HOST, service=service, api_key=KEY, session=session, sleep=clock.tick, max_faults=max_faults
        )

    def _respond(self, request: requests.PreparedRequest) -> requests.Response:
        last = unquote(str(request.url).rpartition("/")[2])
        if "ids=" not in last:
            self.singles.append(last)
            usual = response(200, json.dumps({"data": {"status": "running"}}).encode())
            return self.alone[last]() if last in self.alone else usual
        ids = last.partition("ids=")[2].split(",")
        self.pages.append(ids)
        trouble = self._trouble(len(self.pages))
        words = [(one, word) for one in ids if one not in self.lacks for word in self.words.get(one, ["processing"])]
        listed = [{"video_id": one, "status": word} for one, word in words]
        return response(200, json.dumps({"data": listed}).encode()) if trouble is None else trouble


def ids(number: int) -> list[str]:
    return [f"job-{one}" for one in range(number)]


def seen(jobs: list[Job]) -> list[tuple[str | None, TranslationStatus]]:
    return [(job.id, job.status) for job in jobs]


PENDING = [(one, TranslationStatus.PENDING) for one in ids(250)]


@pytest.mark.parametrize("single_id", ["", None], ids=["empty", "of an old pickle"])
def test_the_job_without_an_id_is_checked_by_a_request_of_its_own(clock: Clock, single_id: str | None) -> None:
    """If the service has such a job. The other jobs are in bulk requests."""
    service = Service(clock, service=replace(HEYGEN, single_job_path="/v2/video_translate/only"))
    single = Job("", TranslationStatus.PENDING, "pending")
    vars(single)["id"] = single_id

    checked = service.client.check_all(["job-1", single, "job-2"])

    assert [job.id for job in checked] == ["job-1", "", "job-2"]
    assert (service.pages, service.singles) == ([["job-1", "job-2"]], ["only"])
    with pytest.raises(ValueError, match="jobs must have ids"):
        Service(clock).client.check_all([single])


@pytest.mark.parametrize("kind", TROUBLE)
def test_a_fault_of_one_bulk_request_loses_no_job(kind: str, clock: Clock) -> None:
    """The request is retried once, if that may help and `Retry-After` is short. Else the jobs are checked singly."""
    service = Service(clock, lambda number: TROUBLE[kind]() if number == 2 else None)

    assert seen(service.client.check_all(ids(250))) == PENDING
    if kind in LASTING:
        assert service.pages == [ids(250)[:100], ids(250)[100:200]]
        assert service.singles == ids(250)[100:]
    else:
        assert service.pages == [ids(250)[:100], ids(250)[100:200], ids(250)[100:200], ids(250)[200:]]
        assert service.singles == []


@pytest.mark.parametrize("kind", TROUBLE)
def test_a_bulk_route_that_always_fails_costs_two_requests_at_most(kind: str, clock: Clock, lines: LogLines) -> None:
    """Each of them has a log line."""
    service = Service(clock, lambda _: TROUBLE[kind]())
    began = clock()

    assert seen(service.client.check_all(ids(250))) == PENDING
    assert len(service.pages) == (1 if kind in LASTING else 2)
    assert service.singles == ids(250)
    assert len(lines.of("check_failed")) == len(service.pages)
    assert lines.of("gave_up") == []
    assert len(lines.of("retry_after_ignored")) == (2 if kind == "503 with nonsense" else 0)
    assert (clock() - began).total_seconds() <= 6


def test_the_log_lines_of_a_bulk_request_and_its_retry_have_one_wait_id(clock: Clock, lines: LogLines) -> None:
    """Their attempts are numbered."""
    Service(clock, lambda number: response(500, b"{}") if number == 1 else None).client.check_all(ids(2))
    failed, received = lines.of("check_failed")[0], lines.of("response_received")[0]

    assert failed["wait_id"] == received["wait_id"]
    assert (failed["attempt"], received["attempt"]) == (1, 2)
    assert 0.375 <= failed["sleep_seconds"] <= 0.625


def test_a_bulk_request_is_not_retried_with_max_faults_1(clock: Clock, lines: LogLines) -> None:
    """As any other request."""
    service = Service(clock, lambda _: response(500, b"{}"), max_faults=1)

    assert seen(service.client.check_all(ids(2))) == PENDING[:2]
    assert len(service.pages) == 1
    assert [line["sleep_seconds"] for line in lines.of("check_failed")] == [0.0]


@pytest.mark.parametrize("way", ["lacks", "fails"])
@pytest.mark.parametrize("kind", ["404", "401", "500", "html"])
def test_the_error_of_check_all_is_that_of_the_single_check(kind: str, way: str, clock: Clock) -> None:
    """It has the id of the job. The bulk response lacks the job, or the bulk request fails."""
    service = Service(clock, lambda _: response(500, b"{}") if way == "fails" else None)
    service.lacks = {"job-3"}
    service.alone["job-3"] = TROUBLE[kind]
    errors: list[TranslationClientError] = []
    for call in (lambda: service.client.check("job-3"), lambda: service.client.check_all(ids(5))):
        with pytest.raises(TranslationClientError) as caught:
            call()
        errors.append(caught.value)

    alone, together = errors
    assert type(alone) is type(together)
    assert str(alone).replace("0.0 s", "") == str(together).replace("0.0 s", "")
    assert together.job_id == "job-3"
    assert isinstance(together, (RequestFailed, UnexpectedAnswer))


def test_a_job_that_the_bulk_response_lacks_keeps_its_known_fields(clock: Clock) -> None:
    """As a job in the response does: its language and the time of its submission."""
    service = Service(clock)
    service.lacks = {"job-1"}
    known = [Job(one, TranslationStatus.PENDING, "pending", language="es", submitted_at=5.0) for one in ids(3)]
    jobs = service.client.check_all(known)

    assert [(job.id, job.language, job.submitted_at, job.checks) for job in jobs] == [
        (one, "es", 5.0, 1) for one in ids(3)
    ]
    assert service.singles == ["job-1"]


@pytest.mark.parametrize(
    "words", [["not_found"], ["Not-Found"], ["completed", "failed"], ["processing", "not_found"], [""]]
)
def test_a_job_without_a_status_in_the_bulk_response_is_checked_singly(words: list[str], clock: Clock) -> None:
    """The same holds for two different statuses. The single check says whether the job exists."""
    service = Service(clock)
    service.words = {"job-1": words}
    assert seen(service.client.check_all(ids(3))) == PENDING[:3]
    assert (len(service.pages), service.singles) == (1, ["job-1"])

    service.alone["job-1"] = TROUBLE["404"]
    with pytest.raises(RequestFailed, match="HTTP 404") as caught:
        service.client.check_all(ids(3))
    assert caught.value.job_id == "job-1"


@pytest.mark.parametrize("word", ["completed", "failed"])
def test_a_final_job_in_a_bulk_response_costs_no_further_request(word: str, clock: Clock) -> None:
    """It may lack its link, which `download` requests itself."""
    service = Service(clock)
    service.words = {"job-1": [word]}

    assert service.client.check_all(ids(3))[1].raw_status == word
    assert (len(service.pages), service.singles) == (1, [])


def test_a_bulk_response_in_which_every_job_is_not_found_is_no_fault(clock: Clock, lines: LogLines) -> None:
    """The request is not retried."""
    service = Service(clock)
    service.words = {one: ["not_found"] for one in ids(3)}
    assert seen(service.client.check_all(ids(3))) == PENDING[:3]
    assert (len(service.pages), service.singles) == (1, ids(3))
    assert lines.of("check_failed") == []


def test_an_unknown_status_word_in_a_bulk_response_is_logged_once(clock: Clock, lines: LogLines) -> None:
    """Two jobs have it."""
    service = Service(clock)
    service.words = {"job-0": ["dreaming"], "job-2": ["dreaming"]}

    assert seen(service.client.check_all(ids(3))) == PENDING[:3]
    assert [line["raw_status"] for line in lines.of("unknown_status")] == ["dreaming"]


def test_an_id_that_is_given_twice_is_returned_twice(clock: Clock) -> None:
    """The jobs are in the order of the ids."""
    jobs = ["job-1", "job-0", "job-1"]
    assert [job.id for job in Service(clock).client.check_all(jobs)] == jobs


def test_a_closed_client_checks_no_jobs(clock: Clock) -> None:
    """Neither in bulk nor singly."""
    service = Service(clock)
    service.client.close()

    with pytest.raises(WaitCancelled):
        service.client.check_all(ids(3))
    assert (service.pages, service.singles) == ([], [])


def test_the_asyncio_client_checks_singly_after_a_bulk_timeout() -> None:
    """An attempt at a bulk request has half of the time that is left. There are two attempts."""
    bulk: list[float] = []
    singles: list[tuple[str, float]] = []

    def respond(path: str) -> Reply:
        if "ids=" in path:
            bulk.append(present())
            return json_reply({}, 500, seconds=1e6)
        singles.append((path.rpartition("/")[2], present()))
        return json_reply({"data": {"status": "running"}})

    async def checked() -> list[Job]:
        async with client_of(respond, service="heygen", api_key=KEY, request_timeout=10, timeout=8) as client:
            return await client.check_all(ids(3))

    assert seen(run(checked())) == PENDING[:3]
    first, second = bulk
    assert (first, second >= 4) == (0, True)
    assert [job_id for job_id, _ in singles] == ids(3)
    assert singles[0][1] == pytest.approx((second + 8) / 2)


@pytest.mark.parametrize("service", ["reference", "heygen"])
def test_the_timeout_of_check_all_is_that_of_each_request(service: str) -> None:
    """All requests together take longer, and every response is used."""
    jobs = [f"job-{number}" for number in range(1000 if service == "heygen" else 100)]

    def respond(path: str) -> Reply:
        last = path.rpartition("/")[2]
        entries = [{"id": one, "status": "completed"} for one in last.partition("ids=")[2].split(",")]
        single = {"result": "completed", "data": {"status": "completed"}}
        return json_reply({"data": entries} if "ids=" in last else single, seconds=4.0 if "ids=" in last else 0.5)

    async def checked() -> list[Job]:
        async with client_of(respond, service=service, api_key=KEY, timeout=30, request_timeout=10) as client:
            return await client.check_all(jobs)

    found = run(checked())
    assert [job.id for job in found] == jobs
    assert {job.status for job in found} == {TranslationStatus.COMPLETED}
    assert max(job.elapsed for job in found) == pytest.approx(4.0 if service == "heygen" else 0.5, abs=0.1)


def test_the_timeout_of_the_blocking_client_is_that_of_each_request_too(clock: Clock) -> None:
    """Ten responses of four seconds each, with a timeout of 30 seconds."""

    def respond(_: requests.PreparedRequest) -> requests.Response:
        clock.tick(4)
        return response(200, b'{"result": "completed"}')

    session = requests.Session()
    session.mount("http://", FunctionAdapter(respond))
    client = VideoTranslationClient(HOST, session=session, sleep=clock.tick, timeout=30)

    assert [job.elapsed for job in client.check_all(ids(10))] == [4.0] * 10
