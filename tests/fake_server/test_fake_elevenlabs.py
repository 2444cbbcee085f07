"""The fake server as ElevenLabs: dubbing, from submission to audio."""

from __future__ import annotations

from typing import Any

import pytest
from support.fake_services import FakeService
from support.fixtures import Clock

from fake_server import Scenario
from fake_server.storage import result_body

DUBBING = "/v1/dubbing"


def fake_of(duration: float = 10, **arguments: Any) -> FakeService:
    return FakeService(Scenario(duration, **arguments), "elevenlabs")


def form(**fields: str) -> dict[str, Any]:
    """Return a multipart form, as the service requires it, also without a file."""
    return {"files": {name: (None, value) for name, value in fields.items()}}


def made(fake: FakeService, **fields: str) -> str:
    fields = {"source_url": "https://x/y.mp4", "target_lang": "es", **fields}
    return str(fake.send("POST", DUBBING, **form(**fields)).json()["dubbing_id"])


def status(fake: FakeService, job_id: str = "job-1") -> dict[str, Any]:
    return dict(fake.send("GET", f"{DUBBING}/{job_id}").json())


def test_the_response_to_a_submission_has_the_expected_duration() -> None:
    """In seconds."""
    fake = fake_of(12.5)
    response = fake.send("POST", DUBBING, **form(source_url="https://x/y.mp4", target_lang="es"))

    assert (response.status_code, response.json()) == (200, {"dubbing_id": "job-1", "expected_duration_sec": 12.5})
    assert fake.lab.submissions[0].fields == {"source_url": "https://x/y.mp4", "target_lang": "es"}


@pytest.mark.parametrize(
    ("seconds", "word"),
    [
        (0, "queued"),
        (0.9, "queued"),
        (1.1, "preparing"),
        (2.9, "preparing"),
        (3.1, "dubbing"),
        (9.9, "dubbing"),
        (10, "dubbed"),
    ],
)
def test_the_status_words_of_a_dub_follow_its_progress(seconds: float, word: str, clock: Clock) -> None:
    """The words are those of the filters of the list."""
    fake = fake_of()
    made(fake)
    clock.tick(seconds)

    assert status(fake)["status"] == word


def test_a_status_has_the_fields_of_the_submission(clock: Clock) -> None:
    """By the field names of the SDK."""
    fake = fake_of()
    made(fake, name="Talk", source_lang="de")

    assert status(fake) == {
        "dubbing_id": "job-1",
        "name": "Talk",
        "status": "queued",
        "source_language": "de",
        "target_languages": ["es"],
        "editable": False,
        "created_at": clock().isoformat() + "+00:00",
        "media_metadata": {"content_type": "video/mp4", "duration": 60.0},
        "error": None,
    }


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"source_url": "https://x/y.mp4"}, 422), ({"target_lang": ""}, 422), ({"target_lang": "es"}, 400)],
)
def test_a_submission_without_a_language_or_a_source_is_rejected(fields: dict[str, str], code: int) -> None:
    """A missing language as FastAPI reports it, a missing source with a message."""
    fake = fake_of()
    response = fake.send("POST", DUBBING, **form(**fields))

    assert response.status_code == code
    if code == 422:
        assert response.json() == {
            "detail": [{"loc": ["body", "target_lang"], "msg": "Field required", "type": "missing"}]
        }
    else:
        assert set(response.json()["detail"]) == {"status", "message"}
    assert fake.lab.submissions == []


@pytest.mark.parametrize(
    ("seconds", "code", "word"),
    [
        (0, 404, "dubbing_not_dubbed"),
        (4.9, 404, "dubbing_not_dubbed"),
        (5.1, 425, "dubbing_not_dubbed"),
        (12.9, 425, None),
    ],
)
def test_the_audio_is_available_after_the_link_delay(seconds: float, code: int, word: str | None, clock: Clock) -> None:
    """Before, it is a 404, and from half of the duration on a 425, for a while also if the status is `dubbed`."""
    fake = fake_of(10, link_delay=3)
    made(fake)
    clock.tick(seconds)
    response = fake.send("GET", f"{DUBBING}/job-1/audio/es")

    assert response.status_code == code
    assert response.json()["detail"]["status"] == (word or "dubbing_not_dubbed")
    clock.tick(13.1 - seconds)
    dubbed = fake.send("GET", f"{DUBBING}/job-1/audio/es")
    assert (dubbed.status_code, dubbed.headers["Content-Type"]) == (200, "video/mp4")
    assert dubbed.content == bytes(result_body("job-1", 65536))


@pytest.mark.parametrize(
    ("name", "kind"), [("talk.mp3", "audio/mpeg"), ("talk.mp4", "video/mp4"), ("talk", "video/mp4")]
)
def test_the_result_of_an_upload_has_its_media_type(name: str, kind: str) -> None:
    """An audio file results in audio, and a file of unknown type in a video."""
    fake = fake_of(0)
    fake.send("POST", DUBBING, data={"target_lang": "es"}, files={"file": (name, b"12345")})

    assert fake.lab.submissions[0].fields == {"target_lang": "es", "file": name, "file_bytes": 5}
    assert status(fake)["name"] == name
    assert fake.send("GET", f"{DUBBING}/job-1/audio/es").headers["Content-Type"] == kind


def test_there_is_no_audio_of_another_language_or_of_a_failed_or_unknown_dub() -> None:
    """Each case has a code of its own."""
    fake = fake_of(0)
    made(fake)
    assert fake.send("GET", f"{DUBBING}/job-1/audio/fr").json()["detail"]["status"] == "language_not_found"
    assert fake.send("GET", f"{DUBBING}/nope/audio/es").json()["detail"]["status"] == "dubbing_not_found"
    fake.lab.play(Scenario(0, "error"))
    made(fake)
    failed = fake.send("GET", f"{DUBBING}/job-1/audio/es")
    assert (failed.status_code, failed.json()["detail"]["status"]) == (404, "dubbing_failed")
    assert (status(fake)["status"], bool(status(fake)["error"])) == ("failed", True)


def test_a_429_for_too_many_jobs_differs_from_that_of_a_busy_service() -> None:
    """By its code: `too_many_concurrent_requests` or `system_busy`."""
    fake = fake_of(max_jobs=1, faults=["create/3:429"])
    made(fake)
    responses = [fake.send("POST", DUBBING, **form(source_url="x", target_lang="es")) for _ in range(2)]

    assert [one.status_code for one in responses] == [429, 429]
    assert [one.json()["detail"]["status"] for one in responses] == ["too_many_concurrent_requests", "system_busy"]


def test_dubs_are_listed_in_pages(clock: Clock) -> None:
    """The newest first, on request only those of some statuses, and without deleted ones."""
    fake = fake_of()
    for _ in range(3):
        made(fake)
    clock.tick(10)
    made(fake)
    fake.send("DELETE", f"{DUBBING}/job-2")

    def listed(**params: Any) -> tuple[list[str], str | None, bool]:
        page = fake.send("GET", DUBBING, params=params).json()
        return [dub["dubbing_id"] for dub in page["dubs"]], page["next_cursor"], page["has_more"]

    assert listed() == (["job-4", "job-3", "job-1"], None, False)
    assert listed(page_size=2) == (["job-4", "job-3"], "2", True)
    assert listed(page_size=2, cursor="2") == (["job-1"], None, False)
    assert listed(dubbing_status="dubbed") == (["job-3", "job-1"], None, False)
    assert listed(dubbing_statuses=["queued", "failed"]) == (["job-4"], None, False)
    assert fake.send("GET", DUBBING, params={"page_size": "many"}).status_code == 422


def test_a_deleted_dub_is_a_404() -> None:
    """The response to the deletion has the status `ok`."""
    fake = fake_of()
    made(fake)

    assert fake.send("DELETE", f"{DUBBING}/job-1").json() == {"status": "ok"}
    for method in ("GET", "DELETE"):
        gone = fake.send(method, f"{DUBBING}/job-1")
        assert (gone.status_code, gone.json()["detail"]["status"]) == (404, "dubbing_not_found")


def test_faults_have_the_status_words_and_errors_of_elevenlabs() -> None:
    """Also on the route of the result."""
    fake = fake_of(0, faults=["1:relapse", "2:unknown-word", "4:503", "result/1:503"])
    made(fake)

    assert [status(fake)["status"] for _ in range(3)] == ["dubbing", "polishing", "dubbed"]
    assert status(fake)["detail"]["status"] == "internal_server_error"
    assert fake.send("GET", f"{DUBBING}/job-1/audio/es").json()["detail"]["message"] == "scripted fault 503"
