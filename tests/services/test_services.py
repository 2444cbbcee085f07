"""Services as data: paths of fields, status words, error bodies, bulk responses, and custom services."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from support.adapters import FunctionAdapter, response
from support.fixtures import Clock, LogLines, SilentLogger
from support.in_process_service import HOST, KEY, VIDEO

from translation_client import (
    AsyncVideoTranslationClient,
    ComputedField,
    Job,
    JobFailed,
    Problem,
    RequestFailed,
    Service,
    ServiceDefaults,
    SubmitSpec,
    TranslationStatus,
    UnexpectedAnswer,
    VideoTranslationClient,
    WaitTimeout,
)
from translation_client._cli.parser import parser
from translation_client._models import Fault, MissingField, Refusal, Request, Response
from translation_client.services import SERVICES, azure
from translation_client.services.json_path import as_timestamp, describe_path, get_path, set_path
from translation_client.services.service import BulkSpec
from translation_client.services.statuses import COMMON_STATUSES
from translation_client.services.submission import Step, Steps, SubmitRequest

PENDING, COMPLETED, ERROR = TranslationStatus


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("a", 1),
        ("b.c", "x"),
        ("b.d.1", "two"),
        ("b.d.0.e", 5),
        ("b.d.9", None),
        ("b.d.x", None),
        ("a.b", None),
        ("nothing", None),
        ("null", None),
        (("nothing", "null", "b.c"), "x"),
        (("nothing",), None),
        (None, None),
        (ComputedField("the next one", lambda whole: whole["a"] + 1), 2),
    ],
)
def test_get_path_finds_a_value_by_a_path_by_several_paths_or_by_a_function(place: Any, value: Any) -> None:
    """Of several paths, the first that leads to a value counts."""
    whole = {"a": 1, "b": {"c": "x", "d": [{"e": 5}, "two"]}, "null": None}

    assert get_path(whole, place) == value


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1795598826, 1795598826.0),
        (1795598826.5, 1795598826.5),
        (1795598826500, 1795598826.5),
        ("2026-11-25T09:27:06Z", 1795598826.0),
        ("2026-11-25T09:27:06.5+00:00", 1795598826.5),
        ("2026-11-25T10:27:06.1234567+01:00", 1795598826.123456),
        ("2026-11-25 09:27:06", 1795598826.0),
        ("yesterday", None),
        ("", None),
        ("2026-13-45T99:00:00Z", None),
        (True, None),
        (-1, None),
        (1e300, None),
        (float("nan"), None),
        (None, None),
        ({}, None),
    ],
)
def test_as_timestamp_reads_unix_times_and_iso_8601(value: Any, seconds: float | None) -> None:
    """Seconds, milliseconds, and ISO 8601 with any number of digits, on every Python. Anything else is `None`."""
    assert as_timestamp(value) == (None if seconds is None else pytest.approx(seconds, abs=1e-6, rel=0))


@pytest.mark.parametrize(
    ("service", "body", "submitted", "finished"),
    [
        ("heygen", {"data": {"status": "running", "created_at": 1795598826}}, 1795598826, None),
        ("elevenlabs", {"status": "dubbing", "created_at": "2026-11-25T09:27:06Z"}, 1795598826, None),
        (
            "azure",
            {
                "status": "Succeeded",
                "result": {"translatedVideoFileUrl": "https://x.test/v"},
                "createdDateTime": "2026-11-25T09:27:06Z",
                "lastActionDateTime": "2026-11-25T09:28:06Z",
            },
            1795598826,
            1795598886,
        ),
        (
            "azure",
            {
                "status": "Running",
                "createdDateTime": "2026-11-25T09:27:06Z",
                "lastActionDateTime": "2026-11-25T09:28:06Z",
            },
            1795598826,
            None,
        ),
        ("reference", {"result": "pending", "created_at": 5, "finished_at": 9}, 5, 9),
    ],
)
def test_submitted_at_and_finished_at_are_read_from_the_fields_of_each_service(
    service: str, body: dict[str, Any], submitted: float, finished: float | None
) -> None:
    """Azure's `lastActionDateTime` is the end of a job only once the job has ended."""
    job = SERVICES[service].read_status(Response(200, {}, json.dumps(body).encode()), "job-1")

    assert (job.submitted_at, job.finished_at) == (submitted, finished)


def test_set_path_adds_a_value_without_changing_the_body() -> None:
    """The values beside it are kept."""
    body = {"video": {"type": "url"}}

    assert set_path(body, "video.url", "u") == {"video": {"type": "url", "url": "u"}}
    assert set_path(body, "languages.0", "es") == {**body, "languages": ["es"]}
    assert set_path({}, "a.b.c", 1) == {"a": {"b": {"c": 1}}}
    assert body == {"video": {"type": "url"}}
    assert describe_path(("a.b", "c")) == "a.b or c"


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error": {"code": "rate_limit_exceeded", "message": "slow down", "doc_url": "x"}}, "rate_limit_exceeded", "slow down"),
        ({"error": {"code": "InvalidRequest", "message": "no", "innererror": {"code": "X"}}}, "InvalidRequest", "no"),
        ({"detail": {"status": "system_busy", "message": "busy"}}, "system_busy", "busy"),
        ({"detail": {"code": "not_found", "message": "none", "status": "x"}}, "not_found", "none"),
        ({"detail": [{"loc": ["body", "target_lang"], "msg": "Field required", "type": "missing"}]}, None, "body.target_lang: Field required"),
        ({"detail": [{"msg": "Field required"}]}, None, "Field required"),
        ({"detail": [7]}, None, None),
        ({"detail": "Not authenticated"}, None, "Not authenticated"),
        (
            {"type": "https://x.test/quota", "title": "Quota", "status": 429, "detail": "none left"},
            "429",
            "none left",
        ),
        ({"type": "https://x.test/quota", "title": "Quota"}, "https://x.test/quota", "Quota"),
        ({"errorCode": "rate", "message": "m"}, "rate", "m"),
        ({"code": 100, "message": "m"}, "100", "m"),
        ({"error": "in one sentence", "code": "too_many_jobs"}, "too_many_jobs", "in one sentence"),
        ({"error": None, "message": "m"}, None, "m"),
        ({"code": True, "error": []}, None, None),
        ({}, None, None),
    ],
)  # fmt: skip
def test_problem_reads_the_code_and_message_of_an_error_body(
    body: dict[str, Any], code: str | None, message: str | None
) -> None:
    """In the shapes that the services use."""
    problem = Problem(body)

    assert (problem.code, problem.message, dict(problem)) == (code, message, body)


@pytest.mark.parametrize(
    ("service", "body", "code", "message"),
    [
        ("heygen", {"error": {"code": "insufficient_credit", "message": "no credits"}}, "insufficient_credit", "no credits"),
        ("azure", {"error": {"code": "Unauthorized", "message": "wrong key"}}, "Unauthorized", "wrong key"),
        ("elevenlabs", {"detail": {"status": "invalid_api_key", "message": "wrong"}}, "invalid_api_key", "wrong"),
        ("reference", {"type": "about:blank", "title": "Gone", "detail": "deleted"}, "about:blank", "deleted"),
    ],
)  # fmt: skip
def test_request_failed_has_the_code_and_message_of_the_error_body(
    clock: Clock, service: str, body: dict[str, Any], code: str, message: str
) -> None:
    """The message of the error contains that of the body."""
    session = requests.Session()
    session.mount("http://", FunctionAdapter(lambda _: response(402, json.dumps(body).encode())))
    client = VideoTranslationClient(HOST, service=service, api_key=KEY, session=session, sleep=clock.tick)

    with pytest.raises(RequestFailed, match=message) as caught:
        client.check("job-1")
    assert caught.value.problem is not None
    assert (caught.value.problem.code, caught.value.problem.message) == (code, message)


WORDS = [
    ("heygen", {"data": {"status": "pending"}}, PENDING),
    ("heygen", {"data": {"status": "running"}}, PENDING),
    ("heygen", {"data": {"status": "processing"}}, PENDING),
    ("heygen", {"data": {"status": "completed", "video_url": "https://f.test/1"}}, COMPLETED),
    ("heygen", {"data": {"status": "succeeded", "video_url": "https://f.test/1"}}, COMPLETED),
    ("heygen", {"error": None, "data": {"status": "success", "url": "https://f.test/1", "message": None}}, COMPLETED),
    ("heygen", {"data": {"status": "completed", "video_url": None}}, PENDING),
    ("heygen", {"data": {"status": "success", "url": ""}}, PENDING),
    ("heygen", {"data": {"status": "failed", "failure_message": "why"}}, ERROR),
    ("heygen", {"error": None, "data": {"status": "failed", "message": "why"}}, ERROR),
    ("elevenlabs", {"status": "queued"}, PENDING),
    ("elevenlabs", {"status": "preparing"}, PENDING),
    ("elevenlabs", {"status": "dubbing"}, PENDING),
    ("elevenlabs", {"status": "dubbed", "target_languages": ["es"]}, COMPLETED),
    ("elevenlabs", {"status": "failed", "error": "why"}, ERROR),
    ("azure", {"status": "NotStarted"}, PENDING),
    ("azure", {"status": "Running"}, PENDING),
    ("azure", {"status": "Succeeded", "result": {"translatedVideoFileUrl": "https://f.test/1"}}, COMPLETED),
    ("azure", {"status": "Succeeded"}, PENDING),
    ("azure", {"status": "Failed", "failureReason": "why"}, ERROR),
    ("azure", {"status": "Canceled", "failureReason": "why"}, ERROR),
]


@pytest.mark.parametrize(("service", "body", "status"), WORDS)
def test_status_words_of_each_service(service: str, body: dict[str, Any], status: TranslationStatus) -> None:
    """In both vocabularies of HeyGen. A completed job without its link is pending."""
    job = SERVICES[service].read_status(Response(200, {}, json.dumps(body).encode()), "job-1")

    assert job.status is status
    assert SERVICES[service].is_known_status(job.raw_status)
    assert job.error == ("why" if status is ERROR else None)


def test_a_204_of_azure_means_that_there_is_no_such_job() -> None:
    """A 204 of HeyGen is a fault."""
    with pytest.raises(Refusal, match=r"there is no such job \(HTTP 204 No Content\)"):
        SERVICES["azure"].read_status(Response(204, {}, b""), "job-1")
    with pytest.raises(Fault):
        SERVICES["heygen"].read_status(Response(204, {}, b""), "job-1")


STATUS_WORDS = [
    *COMMON_STATUSES,
    "FAILED",
    "In-Progress",
    "dreaming",
    "ready",
    *("", " ", "x" * 101, 1, 1.5, True, None, ["completed"], {"status": "completed"}),
]


@pytest.mark.parametrize("name", ["reference", "heygen"])
def test_a_status_word_means_the_same_in_a_bulk_response(name: str) -> None:
    """Every service knows the common words. What is no word for one request is none for the other."""
    service = SERVICES[name]
    assert service.bulk is not None
    for word in STATUS_WORDS:
        alone = {"result": word, "data": {"status": word, "video_url": "https://f.test/1"}}
        listed = [{"id": "j", "video_id": "j", "result": word, "status": word}]
        received = Response(200, {}, json.dumps({"results": listed, "data": listed}).encode())
        found_in_bulk = service.bulk.read(received, ["j"])
        try:
            job = service.read_status(Response(200, {}, json.dumps(alone).encode()), "j")
        except Fault:
            assert found_in_bulk == {}, word
            continue
        bulk_job = found_in_bulk["j"]
        assert (bulk_job.status, bulk_job.raw_status) == (job.status, job.raw_status), word
        if isinstance(word, str) and word in COMMON_STATUSES:
            assert job.status is COMMON_STATUSES[word]


def test_status_words_of_single_and_bulk_requests_are_known_to_both() -> None:
    """Where they differ, each request keeps its own meaning. A common word has the meaning of the request."""
    own = {"ready": "pending", "done": "pending"}
    bulk = BulkSpec(
        "/jobs?ids={job_ids}", 10, "jobs", "id", "status", {"ready": "error", "live": "completed", "success": "error"}
    )
    service = Service("mine", "/jobs/{job_id}", statuses=own, bulk=bulk)
    alone = {"ready": PENDING, "done": PENDING, "live": COMPLETED, "success": COMPLETED, "finished": COMPLETED}
    in_bulk = {**alone, "ready": ERROR, "success": ERROR}
    for changed in (service, replace(service, name="ours")):
        assert changed.bulk is not None
        for word, meaning in alone.items():
            listed = Response(200, {}, json.dumps({"jobs": [{"id": "j", "status": word}]}).encode())
            assert changed.bulk.read(listed)["j"].status is in_bulk[word]
            assert changed.read_status(Response(200, {}, json.dumps({"status": word}).encode()), "j").status is meaning
            assert changed.is_known_status(word)
    assert not service.is_known_status("not_found")


@pytest.mark.parametrize(
    ("listed", "word"),
    [
        ([("j", "completed"), ("j", "failed")], None),
        ([("j", "failed"), ("j", "running"), ("j", "running")], None),
        ([("j", "not_found"), ("j", "running")], None),
        ([("j", "failed"), ("j", "not_found")], None),
        ([("J", "completed"), ("J", "failed")], None),
        ([("J", "completed"), ("j ", "failed"), ("J", "completed")], "completed"),
        ([("j", "completed"), ("j", "failed"), ("J", "completed")], None),
        ([("j", "running"), ("J", "completed")], "running"),
        ([("j", "running"), ("j", "pending"), ("j", "")], "pending"),
    ],
)
def test_a_job_with_contradictory_entries_in_a_bulk_response_is_left_out(
    listed: list[tuple[str, str]], word: str | None
) -> None:
    """The other jobs of the response are read."""
    bulk = SERVICES["heygen"].bulk
    assert bulk is not None
    entries = [{"video_id": one, "status": status} for one, status in [*listed, ("k", "running")]]
    jobs = bulk.read(Response(200, {}, json.dumps({"data": entries}).encode()), ["j", "k"])

    assert {job_id: job.raw_status for job_id, job in jobs.items()} == {"k": "running"} | ({"j": word} if word else {})


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ([], Fault, "not a JSON object"),
        ({"data": {}}, MissingField, "'data'"),
        ({"other": []}, MissingField, "'data'"),
    ],
)
def test_a_bulk_response_without_its_list_of_jobs_is_an_error(body: Any, kind: type[Exception], message: str) -> None:
    """The error names the missing field. The response says nothing about any job."""
    bulk = SERVICES["heygen"].bulk
    assert bulk is not None
    with pytest.raises(kind, match=message):
        bulk.read(Response(200, {}, json.dumps(body).encode()), ["job-1"])


ACME = Service(
    name="acme",
    base_url="https://api.acme.test",
    defaults=ServiceDefaults(timeout=120),
    key_header="X-Acme-Key",
    key_prefix="",
    key_variable="ACME_API_KEY",
    needs_key=True,
    status_path="/v1/videos/{job_id}",
    status_field="video.state",
    statuses={"In Queue": "pending", "live": "completed", "broken": "error"},
    progress_field="video.progress",
    result_field=("video.links.0.href", "video.href"),
    error_field="video.reason",
    delete_path="/v1/videos/{job_id}",
    submit=SubmitSpec(
        path="/v1/videos",
        id_field="video.id",
        video_field="source.href",
        language_field="into.0",
        body={"source": {"kind": "href"}, "quality": "high"},
        key_header="X-Request-Token",
    ),
)


def test_a_custom_service_is_defined_by_data_alone(clock: Clock, lines: LogLines, tmp_path: Path) -> None:
    """Submit, wait and download work as with any other service, without a subclass."""
    sent_requests: list[tuple[str, str, Any]] = []
    states = iter(["in-queue", "IN QUEUE", "polishing", "live"])

    def respond(request: requests.PreparedRequest) -> requests.Response:
        url = str(request.url)
        sent_requests.append((str(request.method), url, request.body))
        assert ("acme.test" in url) == ("X-Acme-Key" in request.headers)
        if "files.test" in url:
            return response(200, b"film", content_type="video/mp4")
        if request.method == "POST":
            return response(201, b'{"video": {"id": "v/1"}}')
        video = {"state": next(states), "progress": 0.5, "links": [{"href": "https://files.test/1?sig=x"}]}
        return response(200, json.dumps({"video": video}).encode())

    session = requests.Session()
    session.mount("https://", FunctionAdapter(respond))
    with VideoTranslationClient(service=ACME, api_key=KEY, session=session, sleep=clock.tick) as client:
        job = client.submit("https://example.com/talk.mp4", "Spanish")
        job = client.wait(job)
        job.raise_for_status()
        assert client.download(job, tmp_path / "talk.mp4").read_bytes() == b"film"

    assert sent_requests[0][:2] == ("POST", "https://api.acme.test/v1/videos")
    assert json.loads(sent_requests[0][2]) == {
        "source": {"kind": "href", "href": "https://example.com/talk.mp4"},
        "quality": "high",
        "into": ["Spanish"],
    }
    assert [url for _, url, _ in sent_requests[1:-1]] == ["https://api.acme.test/v1/videos/v%2F1"] * 4
    assert [line["raw_status"] for line in lines.of("unknown_status")] == ["polishing"]
    assert job.progress == 0.5


def test_a_service_in_the_registry_is_found_by_its_name(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the client, and on the command line."""
    monkeypatch.setitem(SERVICES, "acme", ACME)
    monkeypatch.setenv("ACME_API_KEY", KEY)

    assert "service='acme'" in repr(VideoTranslationClient(service="acme"))
    assert parser().parse_args(["status", "job-1", "--service", "acme"]).service == "acme"


def test_a_service_without_status_words_uses_the_common_ones(clock: Clock) -> None:
    """`ready` and `stale` are not among them, as services mean different things by them."""
    service = Service("mine", "/jobs/{job_id}", base_url=HOST)

    for words, status in (
        (["queued", "IN-PROGRESS", "Not", "Started", "dubbing"], PENDING),
        (["done", "succeeded", "Complete", "finished"], COMPLETED),
        (["failed", "REJECTED", "timed_out", "cancelled", "expired"], ERROR),
        (["ready", "stale"], PENDING),
    ):
        for word in words:
            job = service.read_status(Response(200, {}, json.dumps({"status": word}).encode()), "j")
            assert job.status is status, word
    assert not service.is_known_status("ready")


def test_the_error_of_a_job_may_be_an_object_with_a_message(clock: Clock) -> None:
    """`JobFailed` has the message."""
    service = Service("mine", "/jobs/{job_id}", base_url=HOST)
    body = {"status": "failed", "error": {"code": 7, "message": "no sound"}}
    job = service.read_status(Response(200, {}, json.dumps(body).encode()), "j")

    with pytest.raises(JobFailed, match="no sound"):
        job.raise_for_status()


def test_status_words_and_job_ids_may_be_integers(clock: Clock) -> None:
    """Some services number them."""
    service = Service(
        "mine",
        "/jobs/{job_id}",
        base_url=HOST,
        statuses={1: "pending", 8: "completed"},  # type: ignore[dict-item]  # for those who do not run mypy
        submit=SubmitSpec("/jobs"),
    )
    session = requests.Session()
    session.mount("http://", FunctionAdapter(lambda _: response(200, b'{"id": 42, "status": 8}')))
    client = VideoTranslationClient(service=service, session=session, sleep=clock.tick)

    assert client.wait(client.submit(VIDEO, "es")).id == client.check("42").id == "42"
    assert client.check("42").raw_status == "8"


@pytest.mark.parametrize("job_id", ["", ".", "..", "a\nb", "\x1b[2J", None, [], {}, True])
def test_an_invalid_job_id_in_a_response_counts_as_missing(clock: Clock, job_id: Any) -> None:
    """Otherwise it would be sent in requests, and shown."""
    session = requests.Session()
    session.mount("http://", FunctionAdapter(lambda _: response(200, json.dumps({"id": job_id}).encode())))

    with pytest.raises(UnexpectedAnswer, match="without 'id'"):
        VideoTranslationClient(HOST, session=session, sleep=clock.tick).submit(VIDEO, "es")


@pytest.mark.parametrize(
    "entry", [7, *({"video_id": one, "status": "completed"} for one in (["a"], {"a": 1}, None, 7))]
)
def test_an_invalid_entry_of_a_bulk_response_is_left_out(entry: Any) -> None:
    """It raises no error."""
    bulk = SERVICES["heygen"].bulk
    assert bulk is not None
    assert bulk.read(Response(200, {}, json.dumps({"data": [entry]}).encode()), ["job-1"]) == {}


def test_a_bulk_response_has_the_error_of_a_failed_job(clock: Clock) -> None:
    """As a response for a single job does. `check_all` rejects a string in place of a list."""
    body = {"data": [{"video_id": "job-1", "status": "failed", "error": {"message": "no sound"}}]}
    session = requests.Session()
    session.mount("http://", FunctionAdapter(lambda _: response(200, json.dumps(body).encode())))
    without_links = replace(SERVICES["heygen"], has_late_result=False, result_field=None)
    client = VideoTranslationClient(HOST, service=without_links, api_key=KEY, session=session, sleep=clock.tick)
    [job] = client.check_all(["job-1"])

    with pytest.raises(JobFailed, match="no sound"):
        job.raise_for_status()
    with pytest.raises(TypeError, match="jobs must be a list or another iterable"):
        client.check_all("job-1")


@pytest.mark.parametrize(("service", "count"), [("heygen", 500), ("elevenlabs", 5)])
def test_the_time_out_of_check_all_applies_to_each_request(clock: Clock, service: str, count: int) -> None:
    """Not to all of them together."""

    def respond(request: requests.PreparedRequest) -> requests.Response:
        clock.tick(0.8)
        ids = str(request.url).partition("=")[2].replace("%2C", ",").split(",")
        listed = [{"video_id": one, "status": "processing"} for one in ids]
        return response(200, json.dumps({"data": listed, "status": "dubbing"}).encode())

    session = requests.Session()
    session.mount("http://", FunctionAdapter(respond))
    client = VideoTranslationClient(HOST, service=service, api_key=KEY, session=session, timeout=2)
    checked = client.check_all([f"job-{number}" for number in range(count)])

    assert len(checked) == count
    assert {round(job.elapsed, 3) for job in checked} == {0.8}


def test_a_list_of_languages_in_an_unexpected_shape_raises_unexpected_answer(clock: Clock) -> None:
    """The error names the field. No part of the list is returned."""
    for listed in ([{"name": "Spanish"}], ["Spanish", {"name": "French"}], [], "Spanish"):
        session = requests.Session()
        body = json.dumps({"data": {"languages": listed}}).encode()
        session.mount("http://", FunctionAdapter(lambda _, body=body: response(200, body)))  # type: ignore[misc]  # one argument
        client = VideoTranslationClient(HOST, service="heygen", api_key=KEY, session=session, sleep=clock.tick)
        with pytest.raises(UnexpectedAnswer, match=r"data\.languages"):
            client.languages()


def test_operation_location_is_followed_only_at_the_origin_of_the_service(clock: Clock) -> None:
    """Behind a gateway it has another origin, which must not get the API key. The path follows from the id."""
    for located, looked in (
        (f"{HOST}/v/operations/order-1.translation?v=1", f"{HOST}/v/operations/order-1.translation?v=1"),
        (f"{HOST}/operations/ORDER-1.translation/state", f"{HOST}/operations/ORDER-1.translation/state"),
        (
            "https://westeurope.azure.test/operations/ORDER-1%2Etranslation",
            f"{HOST}/operations/order-1.translation?api-version=2025-05-20",
        ),
        (None, f"{HOST}/operations/order-1.translation?api-version=2025-05-20"),
    ):
        requested_urls: list[str] = []

        def respond(
            request: requests.PreparedRequest, located: str | None = located, requested_urls: list[str] = requested_urls
        ) -> requests.Response:
            requested_urls.append(str(request.url))
            head = {} if located is None or "/iterations/" in str(request.url) else {"operation_location": located}
            return response(200, b'{"status": "Succeeded"}', **head)

        session = requests.Session()
        session.mount("http://", FunctionAdapter(respond))
        client = VideoTranslationClient(HOST, service="azure", api_key=KEY, session=session, sleep=clock.tick)
        client.submit(VIDEO, "es-ES", idempotency_key="order-1")
        assert requested_urls[1] == looked


def test_a_wait_for_a_job_of_elevenlabs_times_out_after_an_hour_by_default(clock: Clock) -> None:
    """The number of retries has no limit."""
    session = requests.Session()
    adapter = FunctionAdapter(lambda _: response(200, b'{"status": "dubbing"}'))
    session.mount("https://", adapter)
    client = VideoTranslationClient(service="elevenlabs", api_key=KEY, session=session, sleep=clock.tick)

    with pytest.raises(WaitTimeout) as caught:
        client.wait("job-1")
    assert 3600 <= caught.value.elapsed + 0.5 <= 3600.75
    assert len(adapter.requests) > 60
    assert str(adapter.requests[0].url) == "https://api.elevenlabs.io/v1/dubbing/job-1"


@pytest.mark.parametrize(
    ("located", "chosen"),
    [
        (None, None),
        ("https://azure.test/operations/mine.translation?api-version=1", None),
        ("/operations/other.iteration", None),
        ("https://azure.test/operations/0f1e2d3c?api-version=1", "0f1e2d3c"),
        ("https://azure.test/elsewhere", None),
    ],
)
def test_an_operation_id_chosen_by_azure_is_not_taken_for_another_job(located: str | None, chosen: str | None) -> None:
    """It is no sign of a response about another job, whose id a client of this package would have chosen."""
    assert azure._id_chosen_by_service(located) == chosen


class PresignedFlow:
    """A submission that uploads to a storage host first, by a signed URL."""

    key_pattern = None
    max_file_bytes = None

    def __init__(self, upload_url: str) -> None:
        self._upload_url = upload_url

    def check(self, request: SubmitRequest) -> None: ...

    def new_key(self) -> str:
        return ""

    def steps(self, _: SubmitRequest) -> Steps:
        upload = Request("PUT", self._upload_url, json={"size": 1})
        yield Step("upload", upload, Response.require_json, creates_job=False, is_idempotent=True)
        return Job("job-1", TranslationStatus.PENDING, "pending")


class Storage(BaseHTTPRequestHandler):
    """A storage host that stores the last PUT request."""

    def do_PUT(self) -> None:  # the name that http.server expects
        body = self.rfile.read(int(self.headers["Content-Length"]))
        vars(self.server)["puts"] = (self.path, dict(self.headers.items()), body)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize("client", [VideoTranslationClient, AsyncVideoTranslationClient])
def test_a_request_to_another_origin_keeps_method_and_body_without_the_api_key(client: type[Any]) -> None:
    """An upload by a signed URL needs this."""
    with HTTPServer(("127.0.0.1", 0), Storage) as storage:
        thread = threading.Thread(target=storage.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        flow = PresignedFlow(f"http://127.0.0.1:{storage.server_port}/put?sig=1")
        service = Service(name="mine", status_path="/jobs/{job_id}", submit=flow)
        arguments: Any = {"service": service, "api_key": "s3cret-key", "headers": {"X-Mine": "1"}, "max_faults": 1}

        async def submit() -> Job:
            async with AsyncVideoTranslationClient(
                "http://127.0.0.1:9", logger=SilentLogger(), **arguments
            ) as submitting:
                return await submitting.submit("http://v/v.mp4", "es")

        try:
            if client is AsyncVideoTranslationClient:
                job = asyncio.run(submit())
            else:
                with VideoTranslationClient("http://127.0.0.1:9", logger=SilentLogger(), **arguments) as submitting:
                    job = submitting.submit("http://v/v.mp4", "es")
        finally:
            storage.shutdown()
            thread.join()

    path, headers, body = vars(storage)["puts"]
    assert (job.id, path, json.loads(body)) == ("job-1", "/put?sig=1", {"size": 1})
    assert headers["Content-Type"] == "application/json"
    assert not {"Authorization", "X-Mine"} & set(headers)
