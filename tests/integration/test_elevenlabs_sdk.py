"""The official SDK of ElevenLabs, a client that we did not write, against the fake server: from submission to audio."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.fixtures import ServerTime

from fake_server import Scenario, Server
from fake_server.storage import result_body

elevenlabs = pytest.importorskip("elevenlabs", reason="the official SDK is not here: tox -e sdk")
httpx = pytest.importorskip("httpx", reason="comes with the SDK")

MakeSdk = Callable[..., Any]

SECONDS = 400
KEY = "secret"


@pytest.fixture
def server(server_time: ServerTime) -> Iterator[Server]:
    """A fake ElevenLabs whose jobs take 400 seconds, and which checks the API key."""
    with Server(Scenario(SECONDS, api_key=KEY, result_bytes=200_000), service="elevenlabs") as running:
        yield running


@pytest.fixture
def sdk(server: Server) -> Iterator[MakeSdk]:
    """SDK clients for the fake server. Their sockets are closed here, as the SDK does not close them."""
    with httpx.Client(timeout=60) as http:
        yield lambda key=KEY: elevenlabs.ElevenLabs(api_key=key, base_url=server.url, httpx_client=http)


def dubbed(client: Any, dubbing_id: str, server_time: ServerTime) -> list[str]:
    """Check the status twenty times over the duration of the job, and return each status that was seen, once."""
    seen: list[str] = []
    for _ in range(20):
        seen.append(client.dubbing.get(dubbing_id).status)
        server_time.advance(SECONDS / 20)
    seen.append(client.dubbing.get(dubbing_id).status)
    return list(dict.fromkeys(seen))


def test_the_sdk_submits_a_url_and_downloads_the_audio(server_time: ServerTime, sdk: MakeSdk) -> None:
    """Each status on the way is seen. Audio before the end is a 404, and so is the job after its deletion."""
    client = sdk()
    submitted = client.dubbing.create(source_url="https://example.com/talk.mp4", target_lang="es", name="Talk")
    assert submitted.expected_duration_sec == SECONDS
    with pytest.raises(elevenlabs.core.ApiError) as early:
        next(client.dubbing.audio.get(submitted.dubbing_id, "es"))

    assert (early.value.status_code, early.value.body["detail"]["status"]) == (404, "dubbing_not_dubbed")
    assert dubbed(client, submitted.dubbing_id, server_time) == ["queued", "preparing", "dubbing", "dubbed"]
    job = client.dubbing.get(submitted.dubbing_id)
    assert (job.name, job.target_languages, job.error) == ("Talk", ["es"], None)
    assert job.media_metadata.content_type == "video/mp4"
    assert abs(job.created_at.timestamp() - time.time()) < 60
    audio = b"".join(client.dubbing.audio.get(submitted.dubbing_id, "es"))
    assert audio == bytes(result_body(submitted.dubbing_id, 200_000))
    assert client.dubbing.delete(submitted.dubbing_id).status == "ok"
    with pytest.raises(elevenlabs.core.ApiError) as gone:
        client.dubbing.get(submitted.dubbing_id)
    assert gone.value.status_code == 404


def test_the_sdk_uploads_a_file_and_downloads_the_audio(server: Server, server_time: ServerTime, sdk: MakeSdk) -> None:
    """The name of the file and all of its bytes arrive."""
    client = sdk()
    submitted = client.dubbing.create(file=("talk.mp3", b"12345" * 1000, "audio/mpeg"), target_lang="fr")
    server_time.advance(SECONDS)

    (submission,) = server.submissions
    assert submission.fields["file"] == "talk.mp3"
    assert (submission.fields["file_bytes"], submission.fields["target_lang"]) == (5000, "fr")
    assert len(b"".join(client.dubbing.audio.get(submitted.dubbing_id, "fr"))) == 200_000
    assert client.dubbing.get(submitted.dubbing_id).media_metadata.content_type == "audio/mpeg"


def test_the_sdk_lists_jobs_by_page_and_by_status(sdk: MakeSdk) -> None:
    """The newest job comes first."""
    client = sdk()
    for _ in range(3):
        client.dubbing.create(source_url="https://example.com/talk.mp4", target_lang="es")
    page = client.dubbing.list(page_size=2)
    rest = client.dubbing.list(page_size=2, cursor=page.next_cursor)

    assert [one.dubbing_id for one in (*page.dubs, *rest.dubs)] == ["job-3", "job-2", "job-1"]
    assert (page.has_more, rest.has_more, rest.next_cursor) == (True, False, None)
    assert client.dubbing.list(dubbing_statuses=["failed"]).dubs == []


def test_the_sdk_reads_the_status_codes_and_bodies_of_errors(server: Server, sdk: MakeSdk) -> None:
    """A wrong API key, a missing field, too many jobs, and audio that is not there yet (425)."""
    with pytest.raises(elevenlabs.core.ApiError) as unauthorized:
        sdk("wrong").dubbing.get("job-1")
    assert (unauthorized.value.status_code, set(unauthorized.value.body["detail"])) == (401, {"status", "message"})

    server.play(Scenario(60, max_jobs=1))
    client = sdk()
    with pytest.raises(elevenlabs.core.ApiError) as incomplete:
        client.dubbing.create(source_url="https://example.com/talk.mp4")
    assert (incomplete.value.status_code, incomplete.value.body["detail"][0]["loc"]) == (422, ["body", "target_lang"])
    client.dubbing.create(source_url="https://example.com/talk.mp4", target_lang="es")
    with pytest.raises(elevenlabs.core.ApiError) as too_many:
        client.dubbing.create(
            source_url="https://example.com/talk.mp4", target_lang="es", request_options={"max_retries": 0}
        )
    assert too_many.value.body["detail"]["status"] == "too_many_concurrent_requests"

    server.play(Scenario(0, link_delay=60))
    dubbing_id = client.dubbing.create(source_url="https://example.com/talk.mp4", target_lang="es").dubbing_id
    with pytest.raises(elevenlabs.core.ApiError) as too_early:
        next(client.dubbing.audio.get(dubbing_id, "es"))
    assert too_early.value.status_code == 425
