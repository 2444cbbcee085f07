"""The way from a submission to the downloaded file at each service, and the requests that are sent."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from support.fixtures import Clock, LogLines
from support.in_process_service import HOST, KEY, LANGUAGE, SERVICES, SIGNATURE, STORAGE, VIDEO, ClientSetup, left_in

from fake_server import Scenario
from translation_client import (
    JobFailed,
    RequestFailed,
    ResultNotReady,
    TooManyJobs,
    TranslationStatus,
    UnexpectedAnswer,
    WaitTimeout,
)

every_service = pytest.mark.parametrize("service", SERVICES)


@every_service
def test_submit_wait_and_download_return_the_translation(
    clock: Clock, lines: LogLines, tmp_path: Path, service: str
) -> None:
    """One job is submitted, and no other file is left behind."""
    setup = ClientSetup(clock, service)
    job = setup.client.submit(VIDEO, setup.language)
    assert (job.status, job.language) == (TranslationStatus.PENDING, setup.language)
    job = setup.client.wait(job)
    job.raise_for_status()
    path = setup.client.download(job, tmp_path / "talk.es.mp4")

    assert path == tmp_path / "talk.es.mp4"
    assert path.read_bytes() == setup.file_of(job)
    assert left_in(tmp_path) == ["talk.es.mp4"]
    assert len(setup.lab.submissions) == 1
    assert [line["job_id"] for line in lines.of("job_submitted")] == [job.id]
    assert [line["bytes"] for line in lines.of("file_downloaded")] == [65536]


@every_service
def test_another_client_can_wait_and_download_by_the_job_id_alone(clock: Clock, tmp_path: Path, service: str) -> None:
    """The other fields of the `Job` are not needed."""
    setup = ClientSetup(clock, service)
    job_id = str(setup.submit().id)
    other = ClientSetup(clock, service)
    other.session.adapters = setup.session.adapters

    assert other.client.wait(job_id).status == "completed"
    assert other.client.download(job_id, tmp_path / "out.mp4").stat().st_size == 65536


@every_service
def test_a_failed_job_raises_job_failed_and_has_no_file(clock: Clock, tmp_path: Path, service: str) -> None:
    """In `raise_for_status` and in `download`."""
    setup = ClientSetup(clock, service, Scenario(5, outcome="error"))
    job = setup.finished()

    assert job.status == "error"
    with pytest.raises(JobFailed, match="failed at the service"):
        job.raise_for_status()
    with pytest.raises(JobFailed):
        setup.client.download(job, tmp_path / "out.mp4")
    assert left_in(tmp_path) == []


@every_service
def test_the_download_of_a_pending_job_raises_result_not_ready(
    clock: Clock, lines: LogLines, tmp_path: Path, service: str
) -> None:
    """The error says to wait first."""
    setup = ClientSetup(clock, service)
    job = setup.submit()

    with pytest.raises(ResultNotReady, match=r"is not ready yet.*client\.wait\(") as caught:
        setup.client.download(job, tmp_path / "out.mp4")
    assert caught.value.job_id == job.id
    assert (caught.value.attempts, caught.value.checks) == (1, 1)
    assert caught.value.job is not None
    assert [line["reason"] for line in lines.of("gave_up")] == ["pending"]
    assert left_in(tmp_path) == []


@every_service
def test_a_deleted_job_cannot_be_checked(clock: Clock, service: str) -> None:
    """The deletion is one request."""
    setup = ClientSetup(clock, service)
    job = setup.finished()
    setup.client.delete(job)

    assert len(setup.requested_paths("DELETE")) == 1
    with pytest.raises(RequestFailed):
        setup.client.check(job)


@every_service
@pytest.mark.parametrize("fault", ["delete/1:503", "delete/1:drop", "delete/1:html"])
def test_a_deletion_whose_response_is_lost_succeeds(clock: Clock, service: str, fault: str) -> None:
    """The retry finds no job to delete, which is no error. A 200 response with an HTML page needs no retry."""
    setup = ClientSetup(clock, service, Scenario(0, faults=[fault]))
    job = setup.finished()
    setup.client.delete(job)

    assert len(setup.requested_paths("DELETE")) == (1 if fault.endswith("html") else 2)


def test_the_deletion_of_an_unknown_job_is_an_error(clock: Clock) -> None:
    """Also in a retry after a 429, as the first request was not processed and has deleted nothing."""
    setup = ClientSetup(clock, "heygen", Scenario(faults=["delete/1:429"]))
    with pytest.raises(RequestFailed, match="no such job"):
        setup.client.delete("nope")
    with pytest.raises(RequestFailed, match=r"refused to delete job 'nope': HTTP 404 .* no such job"):
        ClientSetup(clock, "heygen").client.delete("nope")


def test_the_api_key_is_sent_to_the_api_and_never_to_the_storage_host(clock: Clock, tmp_path: Path) -> None:
    """The storage host of the fake server refuses a request with an API key."""
    for service, header in (("heygen", "X-Api-Key"), ("azure", "Ocp-Apim-Subscription-Key")):
        setup = ClientSetup(clock, service)
        setup.client.download(setup.finished(), tmp_path / "out.mp4")
        arrivals = setup.lab.arrivals

        assert arrivals[-1].headers["Host"] == STORAGE.removeprefix("http://")
        assert KEY not in str(arrivals[-1])
        assert {arrival.headers.get(header) for arrival in arrivals[:-1]} == {KEY}
        assert {arrival.headers["Host"] for arrival in arrivals[:-1]} == {HOST.removeprefix("http://")}


def test_requests_of_a_submission_to_heygen(clock: Clock) -> None:
    """The list of languages is requested first. The idempotency key is sent without quotes."""
    setup = ClientSetup(clock, "heygen")
    setup.submit(source_language="English", options={"mode": "precision", "title": "Talk"})
    [submission] = setup.lab.submissions
    post = setup.lab.arrivals[1]

    assert setup.requested_paths("GET") == ["/v3/video-translations/languages"]
    assert (post.method, post.path) == ("POST", "/v3/video-translations")
    assert '"' not in post.headers["Idempotency-Key"]
    assert {
        name: submission.fields[name] for name in ("video", "output_languages", "mode", "title", "input_language")
    } == {
        "video": {"type": "url", "url": VIDEO},
        "output_languages": ["Spanish (Spain)"],
        "mode": "precision",
        "title": "Talk",
        "input_language": "English",
    }


def test_requests_of_a_submission_to_elevenlabs(clock: Clock) -> None:
    """A form even without a file, with booleans as `true`. The expected duration in the response is kept."""
    setup = ClientSetup(clock, "elevenlabs")
    job = setup.submit(source_language="en", options={"watermark": True, "num_speakers": 2})
    [submission] = setup.lab.submissions

    assert setup.lab.arrivals[0].headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert submission.fields == {
        "source_url": VIDEO,
        "target_lang": "es",
        "source_lang": "en",
        "watermark": "true",
        "num_speakers": "2",
    }
    assert job.expected_seconds == 30
    assert setup.client.wait(job).expected_seconds == 30


def test_requests_of_a_submission_to_azure(clock: Clock) -> None:
    """A translation, its operation until it has succeeded, then the iteration. The client chooses the id."""
    setup = ClientSetup(clock, "azure")
    job = setup.submit(source_language="en-US", options={"speakerCount": 2})
    first, *looks, last = [(arrival.method, arrival.path.partition("?")[0]) for arrival in setup.lab.arrivals]
    base = f"/videotranslation/translations/{job.id}"

    assert first == ("PUT", base)
    assert looks == [("GET", f"/videotranslation/operations/{job.id}.translation")] * 3
    assert last == ("PUT", f"{base}/iterations/{job.id}")
    [submission] = setup.lab.submissions
    assert submission.fields["input"] == {
        "videoFileUrl": VIDEO,
        "targetLocale": "es-ES",
        "sourceLocale": "en-US",
        "voiceKind": "PlatformVoice",
        "speakerCount": 2,
    }


def test_an_azure_translation_that_fails_is_a_refused_submission(clock: Clock) -> None:
    """The error has the code and the message of the failed operation."""
    body = '{"status": "Failed", "error": {"code": "Unreadable", "message": "no video there"}}'
    faults = [{"nth": 2, "route": "operation", "action": "answer", "status_code": 200, "body": body}]
    setup = ClientSetup(clock, "azure", Scenario(faults=[_fault(one) for one in faults]))

    with pytest.raises(RequestFailed, match=r"the translation could not be made .*no video there") as caught:
        setup.submit()
    assert caught.value.problem is not None
    assert (caught.value.problem.code, setup.lab.submissions) == ("Unreadable", [])


def _fault(data: dict[str, object]) -> str:
    import json

    return json.dumps(data)


@pytest.mark.parametrize("service", ["heygen", "azure"])
def test_a_completed_job_without_its_link_is_pending(clock: Clock, lines: LogLines, service: str) -> None:
    """HeyGen documents that the link may be late. The job is pending until then, whatever its status word."""
    job = ClientSetup(clock, service, Scenario(duration=5, link_delay=40)).finished()
    waited = [line for line in lines.of("status_checked") if line["raw_status"].lower() in ("completed", "succeeded")]

    assert job.status == "completed"
    assert job.result_url is not None
    assert [line["status"] for line in waited] == ["pending"] * (len(waited) - 1) + ["completed"]
    assert len(waited) >= 2


def test_check_all_sends_one_bulk_request_for_each_hundred_jobs(clock: Clock) -> None:
    """An unknown job among them is an error."""
    setup = ClientSetup(clock, "heygen", Scenario(duration=(0, 60)))
    jobs = [setup.submit(idempotency_key=f"order-{number}") for number in range(150)]
    before = len(setup.lab.arrivals)
    clock.tick(30)
    seen = setup.client.check_all([*jobs[:-1], str(jobs[-1].id)])

    assert len(setup.lab.arrivals) - before == 2
    assert [job.id for job in seen] == [job.id for job in jobs]
    assert {job.raw_status for job in seen} == {"processing", "completed"}
    assert seen[0].language == "Spanish (Spain)"
    with pytest.raises(RequestFailed, match="HTTP 404"):
        setup.client.check_all([str(jobs[0].id), "nope"])


def test_check_all_returns_the_jobs_of_the_reference_service(clock: Clock) -> None:
    """They are checked singly, as its server may lack the bulk route."""
    setup = ClientSetup(clock, "reference", Scenario(duration=0))
    jobs = [setup.submit() for _ in range(3)]

    assert [str(job.status) for job in setup.client.check_all(jobs)] == ["completed"] * 3
    assert setup.requested_paths("GET") == [f"/status/{job.id}" for job in jobs]


def test_the_list_of_languages_is_fetched_once(clock: Clock) -> None:
    """It is None if the service publishes none."""
    setup = ClientSetup(clock, "heygen")
    languages = setup.client.languages()

    assert languages is not None
    assert "Spanish (Spain)" in languages
    assert setup.client.languages() == languages
    assert len(setup.lab.arrivals) == 1
    assert ClientSetup(clock, "azure").client.languages() is None


@pytest.mark.parametrize("service", ["heygen", "elevenlabs", "reference"])
def test_too_many_concurrent_jobs_raise_too_many_jobs(clock: Clock, service: str) -> None:
    """Nothing is submitted, and the error names `queue=True`."""
    setup = ClientSetup(clock, service, Scenario(30, max_jobs=1))
    setup.submit()

    with pytest.raises(TooManyJobs, match="queue=True") as caught:
        setup.submit()
    error = caught.value
    assert (error.status_code, error.may_have_been_accepted, len(setup.lab.submissions)) == (429, False, 1)
    assert error.problem is not None
    assert error.problem.code in ("rate_limit_exceeded", "too_many_concurrent_requests", "too_many_jobs")


@pytest.mark.parametrize("service", ["heygen", "elevenlabs", "reference"])
def test_a_queued_submission_waits_for_a_free_slot(clock: Clock, lines: LogLines, service: str) -> None:
    """With the backoff of a wait. The 429 responses count as no faults."""
    setup = ClientSetup(clock, service, Scenario(100, max_jobs=1), max_faults=1)
    first = setup.submit()
    second = setup.submit(queue=True)

    assert second.id != first.id
    assert len(setup.lab.submissions) == 2
    assert setup.client.check(first).status == "completed"
    assert len(lines.of("waiting_for_slot")) == len(lines.of("sleeping")) >= 1


def test_a_queued_submission_waits_until_its_deadline(clock: Clock) -> None:
    """The error says that no job was created."""
    setup = ClientSetup(clock, "heygen", Scenario(10_000, max_jobs=1))
    setup.submit()

    with pytest.raises(
        WaitTimeout, match=r"did not accept the job within .* × no free slot.*No job was made"
    ) as caught:
        setup.submit(queue=True, timeout=60)
    assert caught.value.elapsed <= 60.25
    assert caught.value.may_have_been_accepted is False


@pytest.mark.parametrize("trigger", [{"nth": 1}, {"every": 1}])
def test_a_queued_submission_without_a_deadline_waits_for_the_client_timeout(
    clock: Clock, lines: LogLines, trigger: dict[str, int]
) -> None:
    """A `Retry-After` of a day does not make the wait longer."""
    full = {"status_code": 429, "headers": {"Retry-After": "86400"}, "body": '{"code": "too_many_jobs"}'}
    setup = ClientSetup(clock, "reference", Scenario(faults=[_fault({"route": "create", **trigger, **full})]))
    began = clock()
    if "nth" in trigger:
        setup.submit(queue=True, timeout=math.inf)
    else:
        with pytest.raises(WaitTimeout, match="no free slot"):
            setup.submit(queue=True, timeout=math.inf)

    assert [(line["sleep_seconds"], line["reason"]) for line in lines.of("sleeping")] == [(600, "deadline")]
    assert (clock() - began).total_seconds() == pytest.approx(600, abs=1)


@every_service
def test_a_submission_is_retried_after_a_429_for_too_many_requests(clock: Clock, lines: LogLines, service: str) -> None:
    """The body tells it from a 429 for too many jobs. The retry is sent after its `Retry-After`."""
    body = '{"error": {"code": "busy", "message": "slow down"}, "detail": {"status": "system_busy", "message": "x"}}'
    data = {"nth": 1, "route": "create", "status_code": 429, "headers": {"Retry-After": "7"}, "body": body}
    setup = ClientSetup(clock, service, Scenario(faults=[_fault(data)]))
    setup.submit()

    assert [line["sleep_seconds"] for line in lines.of("check_failed")] == [7]
    assert len(setup.lab.submissions) == 1


def test_the_error_for_a_response_without_a_job_id_names_the_field(clock: Clock) -> None:
    """It says that a job may have been accepted."""
    for service, field in (
        ("heygen", "data.video_translation_ids.0"),
        ("elevenlabs", "dubbing_id"),
        ("reference", "id"),
    ):
        data = {"nth": 1, "route": "create", "action": "answer", "status_code": 200, "body": '{"data": {}}'}
        setup = ClientSetup(clock, service, Scenario(faults=[_fault(data)]))

        with pytest.raises(UnexpectedAnswer, match=field) as caught:
            setup.submit()
        assert caught.value.may_have_been_accepted is True
        assert (caught.value.idempotency_key is None) == (service != "heygen")


def test_the_error_for_a_response_without_languages_names_the_field(clock: Clock) -> None:
    """Nothing is submitted."""
    data = {"every": 1, "route": "languages", "action": "answer", "status_code": 200, "body": '{"data": {}}'}
    setup = ClientSetup(clock, "heygen", Scenario(faults=[_fault(data)]))

    with pytest.raises(UnexpectedAnswer, match=r"data\.languages.*Nothing was submitted"):
        setup.submit()
    assert setup.requested_paths("POST") == []


def test_the_status_words_of_every_service_are_known(clock: Clock, lines: LogLines) -> None:
    """No word of the fake server is logged as unknown, and no log line has a secret."""
    for service in LANGUAGE:
        ClientSetup(clock, service, Scenario(50)).finished()

    assert lines.of("unknown_status") == []
    assert SIGNATURE not in str(lines)
    assert KEY not in str(lines)
