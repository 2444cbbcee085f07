"""The fake server as HeyGen: both API versions and their status words, from submission to link."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from support.fake_services import HEYGEN_SUBMISSION as SUBMISSION
from support.fake_services import URL, FakeService
from support.fixtures import Clock

from fake_server import Scenario
from fake_server.dialects.heygen import LANGUAGES

V3 = "/v3/video-translations"
V2 = "/v2/video_translate"


def fake_of(duration: float = 10, **arguments: Any) -> FakeService:
    return FakeService(Scenario(duration, **arguments), "heygen")


def made(fake: FakeService, **arguments: Any) -> str:
    return str(fake.send("POST", V3, json=SUBMISSION, **arguments).json()["data"]["video_translation_ids"][0])


def status(fake: FakeService, job_id: str = "job-1") -> dict[str, Any]:
    return dict(fake.send("GET", f"{V3}/{job_id}").json()["data"])


@pytest.mark.parametrize(
    ("seconds", "v3", "v3_bulk", "v2"),
    [
        (0, "pending", "queued", "pending"),
        (0.9, "pending", "queued", "pending"),
        (1.1, "running", "processing", "running"),
        (9.9, "running", "processing", "running"),
        (10, "completed", "completed", "success"),
    ],
)
def test_v3_its_bulk_route_and_v2_have_different_status_words(
    seconds: float, v3: str, v3_bulk: str, v2: str, clock: Clock
) -> None:
    """All three are checked for the same job."""
    fake = fake_of()
    job_id = made(fake)
    clock.tick(seconds)
    many = fake.send("GET", f"{V3}/statuses", params={"video_translation_ids": f"{job_id},nope"}).json()
    older = fake.send("GET", f"{V2}/{job_id}").json()

    assert status(fake)["status"] == v3
    assert [(one["video_id"], one["status"]) for one in many["data"]] == [(job_id, v3_bulk), ("nope", "not_found")]
    assert (older["error"], older["data"]["video_translate_id"], older["data"]["status"]) == (None, job_id, v2)


def test_a_status_has_the_fields_of_the_submission(clock: Clock) -> None:
    """It has a link only if the job is completed."""
    fake = fake_of()
    fake.send("POST", V3, json={**SUBMISSION, "title": "Talk", "callback_id": "c1", "input_language": None})
    began = int(clock().timestamp())

    assert status(fake) == {
        "id": "job-1",
        "status": "pending",
        "title": "Talk",
        "output_language": "Spanish (Spain)",
        "input_language": None,
        "created_at": began,
        "callback_id": "c1",
        "translate_audio_only": False,
    }
    clock.tick(10)
    assert status(fake)["video_url"].startswith("http://localhost:5000/_files/job-1.mp4?signature=")


def test_a_job_can_be_completed_before_its_link_is_available(clock: Clock) -> None:
    """A documented race."""
    fake = fake_of(10, link_delay=30)
    job_id = made(fake)
    clock.tick(39)

    assert (status(fake)["status"], status(fake)["video_url"]) == ("completed", None)
    assert fake.send("GET", f"{V2}/{job_id}").json()["data"]["url"] is None
    clock.tick(1)
    assert fake.session.get(status(fake)["video_url"]).status_code == 200
    assert fake.session.get(fake.send("GET", f"{V2}/{job_id}").json()["data"]["url"]).status_code == 200


def test_a_failed_job_has_a_failure_message() -> None:
    """In the fields of each version, and of the bulk route."""
    fake = fake_of(0, outcome="error")
    job_id = made(fake)

    assert (status(fake)["status"], bool(status(fake)["failure_message"])) == ("failed", True)
    assert "video_url" not in status(fake)
    older = fake.send("GET", f"{V2}/{job_id}").json()["data"]
    assert (older["status"], older["url"], bool(older["message"])) == ("failed", None, True)
    many = fake.send("GET", f"{V3}/statuses", params={"video_translation_ids": job_id}).json()["data"]
    assert (many[0]["status"], bool(many[0]["error"])) == ("failed", True)


def test_each_output_language_is_a_job() -> None:
    """All of them are created, or none if the limit of jobs is too low for all."""
    fake = fake_of(max_jobs=3)
    submission = {**SUBMISSION, "output_languages": ["Spanish (Spain)", "French (France)"]}

    assert fake.send("POST", V3, json=submission).json() == {"data": {"video_translation_ids": ["job-1", "job-2"]}}
    assert [one.fields["output_language"] for one in fake.lab.submissions] == submission["output_languages"]
    assert fake.send("POST", V3, json=submission).status_code == 429
    assert len(fake.lab.submissions) == 2


def test_a_429_for_too_many_jobs_has_a_retry_after(clock: Clock) -> None:
    """Of the seconds until the first of the jobs is finished."""
    fake = fake_of(10, max_jobs=2)
    made(fake)
    clock.tick(2.5)
    made(fake)
    refused = fake.send("POST", V3, json=SUBMISSION)

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "8")
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"video": None}, "video"),
        ({"video": {"type": "url"}}, "video"),
        ({"video": {"type": "file", "file": "x"}}, "video"),
        ({"video": {"type": "asset_id", "asset_id": "nope"}}, "video"),
        ({"video": "https://x/y.mp4"}, "video"),
        ({"output_languages": []}, "output_languages"),
        ({"output_languages": "Spanish (Spain)"}, "output_languages"),
        ({"output_languages": ["es"]}, "output_languages"),
        ({"output_languages": [["Spanish (Spain)"]]}, "output_languages"),
    ],
)
def test_an_invalid_submission_is_rejected(change: dict[str, Any], param: str) -> None:
    """The error names the parameter."""
    fake = fake_of()
    response = fake.send("POST", V3, json={**SUBMISSION, **change})

    assert response.status_code == 400
    assert set(response.json()["error"]) == {"code", "message", "param", "doc_url"}
    assert (response.json()["error"]["code"], response.json()["error"]["param"]) == ("invalid_parameter", param)
    assert fake.lab.submissions == []


def test_a_repeated_idempotency_key_replays_the_first_response(clock: Clock) -> None:
    """Even if the body is another one. For a day, and for each key separately."""
    fake = fake_of()
    first = fake.send("POST", V3, json=SUBMISSION, headers={"Idempotency-Key": "k-1"})
    clock.tick(24 * 3600 - 1)
    other = {**SUBMISSION, "output_languages": ["French (France)"]}
    again = fake.send("POST", V3, json=other, headers={"Idempotency-Key": "k-1"})

    assert again.content == first.content
    assert len(fake.lab.submissions) == 1
    assert made(fake, headers={"Idempotency-Key": "k-2"}) == "job-2"
    clock.tick(1)
    assert made(fake, headers={"Idempotency-Key": "k-1"}) == "job-3"
    fake.lab.play(Scenario())
    made(fake, headers={"Idempotency-Key": "k-1"})
    assert len(fake.lab.submissions) == 1


@pytest.mark.parametrize("key", ['"quoted"', "", "a b", "k" * 256])
def test_an_idempotency_key_must_match_a_pattern(key: str) -> None:
    """Quotes, which the draft of the IETF requires, do not match it."""
    fake = fake_of()
    response = fake.send("POST", V3, json=SUBMISSION, headers={"Idempotency-Key": key})

    assert (response.status_code, response.json()["error"]["param"]) == (400, "Idempotency-Key")
    assert fake.lab.submissions == []


def test_a_submission_whose_response_was_lost_can_be_retried() -> None:
    """With the same idempotency key it creates one job. A 409, while the first request is in progress, creates none."""
    fake = fake_of(faults=["create/1:409", "create/2:drop"])
    key = {"Idempotency-Key": "k-1"}
    in_progress = fake.send("POST", V3, json=SUBMISSION, headers=key)
    with pytest.raises(requests.ConnectionError):
        fake.send("POST", V3, json=SUBMISSION, headers=key)

    assert (in_progress.status_code, in_progress.json()["error"]["code"]) == (409, "request_in_progress")
    assert made(fake, headers=key) == "job-1"
    assert len(fake.lab.submissions) == 1


def test_the_response_to_a_rejected_submission_is_not_replayed() -> None:
    """Its idempotency key can be used again."""
    fake = fake_of(max_jobs=1)
    made(fake)
    key = {"Idempotency-Key": "k-1"}

    assert fake.send("POST", V3, json=SUBMISSION, headers=key).status_code == 429
    fake.send("DELETE", f"{V3}/job-1")
    assert made(fake, headers=key) == "job-2"


def test_an_upload_is_submitted_by_its_asset_id() -> None:
    """The recorded submission has the name and the size of the file."""
    fake = fake_of()
    asset_id = fake.send("POST", "/v3/assets", files={"file": ("talk.mp4", b"12345")}).json()["data"]["asset_id"]
    video = {"type": "asset_id", "asset_id": asset_id}
    fake.send("POST", V3, json={**SUBMISSION, "video": video})

    fields = fake.lab.submissions[0].fields
    assert (fields["video"], fields["file"], fields["file_bytes"]) == (video, "talk.mp4", 5)
    assert fake.send("POST", "/v3/assets", data={"file": "talk.mp4"}).status_code == 400


def test_an_upload_is_limited_to_32_mebibytes() -> None:
    """One byte more is rejected."""
    fake = fake_of()
    codes = [
        fake.send("POST", "/v3/assets", files={"file": ("talk.mp4", bytes(32 * 1024 * 1024 + more))}).status_code
        for more in (0, 1)
    ]
    assert codes == [200, 400]


def test_languages_are_names_and_not_codes() -> None:
    """Faults apply to the routes of languages and uploads."""
    fake = fake_of(faults=["languages/1:503", "upload/1:503"])

    assert fake.send("GET", f"{V3}/languages").json()["error"]["code"] == "internal_error"
    assert fake.send("GET", f"{V3}/languages").json() == {"data": {"languages": list(LANGUAGES)}}
    assert fake.send("GET", f"{V2}/target_languages").json()["data"]["languages"] == list(LANGUAGES)
    assert fake.send("POST", "/v3/assets", files={"file": ("x", b"")}).status_code == 503


@pytest.mark.parametrize("ids", [None, "", ",", ",".join(["job-1"] * 101)])
def test_a_bulk_request_has_from_1_to_100_ids(ids: str | None) -> None:
    """Any other number is a 400."""
    fake = fake_of()

    assert fake.send("GET", f"{V3}/statuses", params={"video_translation_ids": ids}).status_code == 400


def test_bulk_responses_have_faults_of_their_own() -> None:
    """They do not count as responses about a job."""
    fake = fake_of(faults=["bulk/2:503", "2:504"])
    job_id = made(fake)
    params = {"video_translation_ids": job_id}

    assert [fake.send("GET", f"{V3}/statuses", params=params).status_code for _ in range(3)] == [200, 503, 200]
    assert [fake.send("GET", f"{V3}/{job_id}").status_code for _ in range(3)] == [200, 504, 200]


def test_a_deleted_job_is_a_404() -> None:
    """The response to the deletion has its id."""
    fake = fake_of()
    job_id = made(fake)

    assert fake.send("DELETE", f"{V3}/{job_id}").json() == {"data": {"id": job_id}}
    for method in ("GET", "DELETE"):
        gone = fake.send(method, f"{V3}/{job_id}")
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "not_found")


def test_faults_have_the_status_words_and_errors_of_heygen() -> None:
    """After `relapse`, a completed job is running, and has no link."""
    fake = fake_of(0, faults=["1:relapse", "2:unknown-word", "4:relapse", "5:503"])
    job_id = made(fake)
    statuses = [status(fake) for _ in range(3)]
    older = fake.send("GET", f"{V2}/{job_id}").json()["data"]

    assert [one["status"] for one in statuses] == ["running", "polishing", "completed"]
    assert ["video_url" in one for one in statuses] == [False, False, True]
    assert (older["status"], older["url"]) == ("running", None)
    assert fake.send("GET", f"{V3}/{job_id}").json()["error"]["code"] == "internal_error"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"video_url": "https://x/y", "output_language": "Spanish (Spain)"}, 200),
        ({"video_url": "https://x/y", "output_languages": ["Spanish (Spain)"]}, 200),
        ({"video_url": "https://x/y", "output_languages": 5}, 400),
        ({"video_url": "https://x/y", "output_language": "es"}, 400),
        ({"output_language": "Spanish (Spain)"}, 400),
    ],
)
def test_a_submission_to_v2_has_the_video_as_a_url(body: dict[str, Any], code: int) -> None:
    """The language is in `output_language` or `output_languages`. An unknown one is a 400."""
    fake = fake_of()
    response = fake.send("POST", V2, json=body)

    assert response.status_code == code
    if code == 200:
        assert response.json() == {"error": None, "data": {"video_translate_id": "job-1"}}
        assert fake.lab.submissions[0].fields == {**body, "output_language": "Spanish (Spain)"}


def test_errors_of_flask_have_the_shape_of_heygen() -> None:
    """A path of another service without a key is a 401."""
    fake = fake_of()

    for method, path, code in (("GET", "/v3/nope", 404), ("PATCH", V3, 405), ("POST", V3, 400)):
        response = fake.send(method, path)
        assert response.status_code == code
        assert set(response.json()["error"]) == {"code", "message", "doc_url"}
    assert fake.session.get(f"{URL}/status").status_code == 401
