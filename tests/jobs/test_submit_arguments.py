"""Invalid arguments of a client, its calls or a custom service are refused before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.fixtures import Clock
from support.in_process_service import HOST, KEY, LANGUAGE, SERVICES, VIDEO, ClientSetup

from translation_client import BulkSpec, LanguagesSpec, Service, SubmitSpec, VideoTranslationClient
from translation_client._jobs.submit import build_submit_request
from translation_client.services import heygen


def test_the_error_for_an_unknown_service_lists_all_known_ones() -> None:
    """By their names, in alphabetical order."""
    with pytest.raises(ValueError, match="service must be one of azure, elevenlabs, heygen, reference, got 'heygne'"):
        VideoTranslationClient(service="heygne")


def test_a_target_language_that_the_service_does_not_list_is_refused(clock: Clock) -> None:
    """The error suggests similar ones. The list is fetched, and fetched once more if it was stored before."""
    setup = ClientSetup(clock, "heygen")

    with pytest.raises(
        ValueError, match=r"target_language must be one of the \d+ .* got 'Spanish'; did you mean 'Spanish"
    ) as caught:
        setup.client.submit(VIDEO, "Spanish")
    assert "client.languages() lists all" in str(caught.value)
    assert setup.requested_paths("GET") == ["/v3/video-translations/languages"]
    with pytest.raises(ValueError, match="for instance"):
        setup.client.submit(VIDEO, "Xyzzy")
    assert len(setup.requested_paths("GET")) == 2
    assert setup.requested_paths("POST") == []


@pytest.mark.parametrize("service", ["azure", "elevenlabs", "reference"])
def test_the_target_language_is_not_checked_if_the_service_lists_none(clock: Clock, service: str) -> None:
    """It is left to the service."""
    ClientSetup(clock, service).client.submit(VIDEO, "tlh")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "bad",
    [
        {"video": "ftp://host/talk.mp4"},
        {"video": "http://"},
        {"video": "https://host/a b?sig=s3cr3t"},
        {"video": "no-such-file.mp4"},
        {"video": "."},
        {"target_language": " "},
        {"source_language": ""},
        {"options": {"x": float("nan")}},
        {"options": {"x": object()}},
        {"timeout": 0},
        {"timeout": float("nan")},
    ],
)
def test_the_error_for_an_invalid_argument_names_it(clock: Clock, service: str, bad: dict[str, Any]) -> None:
    """Nothing is sent, and the error does not have the signature of a link."""
    setup = ClientSetup(clock, service)
    with pytest.raises(ValueError, match=next(iter(bad))) as caught:
        setup.client.submit(**{"video": VIDEO, "target_language": LANGUAGE[service], **bad})
    assert setup.lab.arrivals == []
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "bad",
    [
        {"video": 7},
        {"video": ""},
        {"video": None},
        {"target_language": None},
        {"source_language": 3},
        {"options": ["x"]},
        {"options": {1: 2}},
        {"cancel": True},
        {"timeout": "10"},
    ],
)
def test_the_error_for_an_argument_of_a_wrong_type_names_it(clock: Clock, bad: dict[str, Any]) -> None:
    """Nothing is sent."""
    setup = ClientSetup(clock, "reference")
    with pytest.raises(TypeError, match=next(iter(bad))):
        setup.client.submit(**{"video": VIDEO, "target_language": "es", **bad})
    assert setup.lab.arrivals == []


@pytest.mark.parametrize("service", ["azure", "reference"])
def test_a_local_file_is_refused_if_the_service_accepts_only_urls(clock: Clock, tmp_path: Path, service: str) -> None:
    """The error says to put it where the service can fetch it."""
    video = tmp_path / "talk.mp4"
    video.write_bytes(b"x")
    with pytest.raises(ValueError, match="video must be a URL") as caught:
        ClientSetup(clock, service).client.submit(video, "es")

    assert str(caught.value) == (
        f"video must be a URL for the service {service!r}, which takes no files: put {str(video)!r} on a host that it can "
        "reach, and pass its URL"
    )


@pytest.mark.parametrize("video", ["C:/videos/talk.mp4", "c:\\talk.mp4"])
def test_a_path_with_a_drive_letter_is_no_url(clock: Clock, video: str) -> None:
    """The scheme of a URL has more than one letter here."""
    with pytest.raises(ValueError, match=r"there is no file '[Cc]:"):
        ClientSetup(clock, "heygen").client.submit(video, LANGUAGE["heygen"])


def test_a_file_that_is_too_large_or_empty_is_refused(clock: Clock, tmp_path: Path) -> None:
    """By its size on the disk, before anything is sent."""
    video = tmp_path / "talk.mp4"
    with video.open("wb") as file:
        file.truncate(heygen.MAX_ASSET_BYTES + 1)
    setup = ClientSetup(clock, "heygen")

    with pytest.raises(
        ValueError, match=r"from 1 to 33554432 bytes .*talk\.mp4' has 33554433; pass a larger one by its URL"
    ):
        setup.client.submit(video, setup.language)
    video.write_bytes(b"")
    with pytest.raises(ValueError, match="has 0"):
        setup.client.submit(str(video), setup.language)
    assert setup.lab.arrivals == []


@pytest.mark.parametrize("size", [1, heygen.MAX_ASSET_BYTES])
def test_a_file_of_the_smallest_or_largest_size_is_accepted(tmp_path: Path, size: int) -> None:
    """The limits that the error names are included."""
    video = tmp_path / "talk.mp4"
    with video.open("wb") as file:
        file.truncate(size)
    wanted: dict[str, Any] = {"target_language": "French", "source_language": None, "options": None}

    request = build_submit_request(heygen.HEYGEN, HOST, video=video, **wanted, idempotency_key=None)[1]

    assert request.video == video


@pytest.mark.parametrize(
    ("video", "shown"),
    [
        ("https://host/a b?sig=s3cr3t", "https://host/a b"),
        ("https://host/a b#s3cr3t", "https://host/a b"),
        ("https://me:s3cr3t@host/a b", "https://…@host/a b"),
        ("https://me:s3?cr3t@host/a b", "…"),
    ],
)
def test_the_error_for_an_invalid_link_shows_it_without_its_secrets(clock: Clock, video: str, shown: str) -> None:
    """Without user name, password, query and fragment; or not at all, if it is uncertain where these are."""
    with pytest.raises(ValueError, match="video") as caught:
        ClientSetup(clock, "heygen").client.submit(video, LANGUAGE["heygen"])

    assert str(caught.value) == f"video must be an http(s) URL with a host, or a file; got {shown!r}"


@pytest.mark.parametrize("key", ["", "with blank", 'quo"ted', "x" * 256, "é"])
def test_an_idempotency_key_that_heygen_would_refuse_is_refused(clock: Clock, key: str) -> None:
    """By HeyGen's pattern of such keys."""
    with pytest.raises(ValueError, match="idempotency_key must match"):
        ClientSetup(clock, "heygen").submit(idempotency_key=key)


@pytest.mark.parametrize("key", ["ab", "-abc", "abc-", "a/b", "x" * 65])
def test_an_idempotency_key_that_is_no_id_of_azure_is_refused(clock: Clock, key: str) -> None:
    """Keys have at most 52 characters, to leave room for the suffixes of operation ids."""
    with pytest.raises(ValueError, match="idempotency_key must match"):
        ClientSetup(clock, "azure").submit(idempotency_key=key)
    ClientSetup(clock, "azure").submit(idempotency_key="x" * 52)


@pytest.mark.parametrize("service", ["elevenlabs", "reference"])
def test_an_idempotency_key_is_refused_if_the_service_has_none(clock: Clock, service: str) -> None:
    """It would not prevent a second job."""
    with pytest.raises(ValueError, match="has no idempotency keys"):
        ClientSetup(clock, service).submit(idempotency_key="order-1")


@pytest.mark.parametrize(
    ("service", "options"),
    [
        ("heygen", {"output_languages": ["French"]}),
        ("heygen", {"video": {}}),
        ("elevenlabs", {"target_lang": "fr"}),
        ("elevenlabs", {"file": "x"}),
        ("azure", {"targetLocale": "fr-FR"}),
        ("azure", {"autoCreateFirstIteration": True}),
        ("reference", {"video": "x"}),
    ],
)
def test_an_option_that_another_argument_sets_is_refused(clock: Clock, service: str, options: dict[str, Any]) -> None:
    """Nothing is sent."""
    setup = ClientSetup(clock, service)
    with pytest.raises(ValueError, match="options must not have"):
        setup.submit(options=options)
    assert setup.lab.arrivals == []


def test_submit_and_delete_are_refused_if_the_service_does_not_have_them() -> None:
    """This custom `Service` has only the path of the status."""
    client = VideoTranslationClient(HOST, service=Service("mine", "/jobs/{job_id}"))
    with pytest.raises(ValueError, match="the service 'mine' has no way to submit a job"):
        client.submit(VIDEO, "es")
    with pytest.raises(ValueError, match="the service 'mine' has no way to delete a job"):
        client.delete("j")


@pytest.mark.parametrize(
    "bad",
    [
        {"name": ""},
        {"status_path": "/jobs"},
        {"status_path": "jobs/{job_id}"},
        {"delete_path": "/jobs"},
        {"result_path": "result/{job_id}"},
        {"result_path": "/result/{job_id}/{lang}"},
        {"status_path": None},
        {"status_path": 5},
        {"status_path": "/jobs/{job_id}/{x}"},
        {"status_path": "/jobs/{job_id"},
        {"single_job_path": "status"},
        {"statuses": {"done": "finished"}},
    ],
)
def test_an_invalid_service_is_refused_when_it_is_created(bad: dict[str, Any]) -> None:
    """The error names the field."""
    with pytest.raises(ValueError, match=next(iter(bad))):
        Service(**{"name": "mine", "status_path": "/jobs/{job_id}", **bad})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SubmitSpec("jobs"), "path must begin with a slash"),
        (lambda: SubmitSpec("http://elsewhere.test/jobs"), "path must begin with a slash"),
        (lambda: SubmitSpec("/jobs", file_field="file"), "file_field needs a form"),
        (lambda: SubmitSpec("/jobs", language_field="languages.1"), "a list index in a field of the body must be 0"),
        (lambda: SubmitSpec("/jobs", video_field="inputs.0.url"), "a list index .* must be 0 and the last name"),
        (lambda: LanguagesSpec("languages", "data"), "path must begin with a slash"),
        (lambda: BulkSpec("/statuses", 10, "data", "id", "status", {}), "contain {job_ids}"),
        (lambda: BulkSpec("/statuses/{job_ids}", 0, "data", "id", "status", {}), "max_ids must be at least 1"),
        (lambda: BulkSpec("/statuses/{job_ids}", 1, "data", "id", "status", {"x": "y"}), "statuses must map"),
    ],
)
def test_an_invalid_part_of_a_service_is_refused_when_it_is_created(make: Callable[[], object], message: str) -> None:
    """Not only at the first request."""
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("service", ["heygen", "elevenlabs", "azure"])
def test_a_call_without_its_job_is_refused_if_every_job_has_an_id(clock: Clock, tmp_path: Path, service: str) -> None:
    """The error names the argument `job`."""
    client = ClientSetup(clock, service).client
    missing: Any = None
    for call in (client.wait, client.check, client.delete, lambda job: client.download(job, tmp_path / "x")):
        with pytest.raises(ValueError, match="job must be given: this request of the service"):
            call(missing)


@pytest.mark.parametrize("path", ["", ".", "no-such-folder/out.mp4"])
def test_a_download_path_that_cannot_be_written_is_refused(clock: Clock, path: str) -> None:
    """Nothing is sent."""
    setup = ClientSetup(clock, "heygen")
    with pytest.raises(ValueError, match="path must"):
        setup.client.download("job-1", path)
    with pytest.raises(TypeError, match="path must"):
        setup.client.download("job-1", 7)  # type: ignore[arg-type]  # what is tested
    assert setup.lab.arrivals == []


def test_the_region_in_the_base_url_of_azure_is_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """From `SPEECH_REGION`, as its API key is from `SPEECH_KEY`."""
    monkeypatch.setenv("SPEECH_KEY", KEY)
    for value, message in (("", "which is not set"), ("evil.test/", "which is 'evil.test/'")):
        monkeypatch.setenv("SPEECH_REGION", value)
        with pytest.raises(ValueError, match=rf"base_url must be given, .* SPEECH_REGION, {message}"):
            VideoTranslationClient(service="azure")
    monkeypatch.setenv("SPEECH_REGION", "westeurope")
    assert "https://westeurope.api.cognitive.microsoft.com/videotranslation" in repr(
        VideoTranslationClient(service="azure")
    )


def test_a_source_language_is_refused_if_the_service_has_no_field_for_it(clock: Clock) -> None:
    """It is not left out silently."""
    service = Service("mine", "/jobs/{job_id}", base_url=HOST, submit=SubmitSpec("/jobs"))
    with pytest.raises(ValueError, match="source_language is not supported"):
        VideoTranslationClient(service=service).submit(VIDEO, "es", source_language="en")


def test_a_generated_idempotency_key_is_valid_by_the_default_pattern() -> None:
    """The key in an error may be a generated one, and must be valid to resume with. A key with a blank is refused."""
    service = Service("mine", "/jobs/{job_id}", base_url=HOST, submit=SubmitSpec("/jobs", key_header="Idempotency-Key"))
    wanted: dict[str, Any] = {"video": VIDEO, "target_language": "es", "source_language": None, "options": None}

    request, made = build_submit_request(service, HOST, **wanted, idempotency_key=None)
    assert build_submit_request(service, HOST, **wanted, idempotency_key=made.key) == (request, made)
    with pytest.raises(ValueError, match="idempotency_key must match"):
        build_submit_request(service, HOST, **wanted, idempotency_key="two words")
