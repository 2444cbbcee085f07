"""The fake server as Azure: the REST shapes that Microsoft publishes, from submission to link, on frozen time.

The tables are those of the OpenAPI of 2025-05-20 in github.com/Azure/azure-rest-api-specs, and of the how-to rest.md in
github.com/MicrosoftDocs/azure-ai-docs, read in copies of both.
"""

from __future__ import annotations

from typing import Any

import pytest
import requests
from support.fake_services import FakeService
from support.fixtures import Clock

from fake_server import Scenario

BASE = "/videotranslation"
VERSION = "2025-05-20"
VIDEO = {
    "displayName": "hello.mp4",
    "description": "Translate video from en-US to zh-CN.",
    "input": {
        "sourceLocale": "en-US",
        "targetLocale": "zh-CN",
        "voiceKind": "PlatformVoice",
        "videoFileUrl": "https://mystorage.blob.core.windows.net/container1/video.mp4",
    },
}
EDIT = {"input": {"speakerCount": 1, "subtitleMaxCharCountPerSegment": 50}}

# The fields of the OpenAPI definitions. The how-to shows two more of a translation.
FIELDS = {
    "Translation": {
        *("id", "input", "displayName", "description", "createdDateTime"),
        *("latestIteration", "latestSucceededIteration", "failureReason"),
        *("status", "lastActionDateTime"),
    },
    "TranslationInput": {
        *("sourceLocale", "targetLocale", "voiceKind", "videoFileUrl", "audioFileUrl", "speakerCount", "enableLipSync"),
        *("subtitleMaxCharCountPerSegment", "exportSubtitleInVideo"),
    },
    "Iteration": {
        *("id", "input", "description", "status", "failureReason", "createdDateTime", "lastActionDateTime", "result"),
    },
    "IterationResult": {
        *("translatedVideoFileUrl", "translatedAudioFileUrl", "sourceLocaleSubtitleWebvttFileUrl"),
        *("targetLocaleSubtitleWebvttFileUrl", "targetLocaleAdvancedSubtitleFileUrl", "metadataJsonWebvttFileUrl"),
        "reportFileUrl",
    },
    "Operation": {"id", "status"},
    "Paged": {"value", "nextLink"},
    "ErrorResponse": {"error"},
    "Error": {"code", "message", "target", "details", "innererror"},
}
STATUSES = ["NotStarted", "Running", "Succeeded", "Failed", "Canceled"]

# Method, path, the definition of the response, the published status codes, and a header that comes with them.
PUBLISHED = [
    ("PUT", "/translations/one", "Translation", (200, 201), "Operation-Location"),
    ("GET", "/operations/op-1", "Operation", (200,), None),
    ("GET", "/operations/op-1", "Operation", (200,), None),
    ("GET", "/operations/op-1", "Operation", (200,), None),
    ("GET", "/translations/one", "Translation", (200,), None),
    ("PUT", "/translations/one/iterations/first", "Iteration", (200, 201), "Operation-Location"),
    ("GET", "/translations/one/iterations/first", "Iteration", (200,), None),
    ("GET", "/translations/one/iterations", "Paged", (200,), None),
    ("GET", "/translations", "Paged", (200,), None),
    ("GET", "/translations/one", "Translation", (200,), None),
    ("DELETE", "/translations/one", None, (204,), None),
]


class Azure(FakeService):
    """A server in process, and a client of it that sends the API version and an operation id."""

    def __init__(self, scenario: Scenario | None = None, **arguments: Any) -> None:
        super().__init__(scenario or Scenario(10), "azure", **arguments)

    def call(self, method: str, path: str, operation: str = "op-1", **arguments: Any) -> requests.Response:
        if method == "PUT":
            arguments = {"json": EDIT if "iterations" in path else VIDEO, **arguments}
            arguments["headers"] = {"Operation-Id": operation, **arguments.get("headers", {})}
        return self.send(method, BASE + path, **{"params": {"api-version": VERSION}, **arguments})

    def translation(self, translation_id: str = "one", operation: str = "op-1") -> None:
        """Create a translation, and check it until it has succeeded."""
        self.call("PUT", f"/translations/{translation_id}", operation)
        for _ in range(3):
            self.call("GET", f"/operations/{operation}")

    def iteration(self, translation_id: str = "one", iteration_id: str = "first", operation: str = "op-2") -> Any:
        return self.call("PUT", f"/translations/{translation_id}/iterations/{iteration_id}", operation)

    def first(self) -> Any:
        return self.call("GET", "/translations/one/iterations/first").json()


def test_every_route_responds_in_the_published_shape() -> None:
    """No field, status code or status word that is not published, and all headers that are."""
    fake = Azure(Scenario(0))
    for method, path, definition, codes, header in PUBLISHED:
        response = fake.call(method, path, "op-2" if "iterations" in path else "op-1")
        assert response.status_code in codes, (method, path)
        assert header is None or header in response.headers
        if definition:
            hold(response.json(), definition)
        else:
            assert response.content == b""


def hold(value: dict[str, Any], definition: str) -> None:
    """Assert that a value has the published shape."""
    assert set(value) <= FIELDS[definition]
    if definition in ("Translation", "Iteration"):
        assert {"id", "input"} <= set(value)
        assert value["createdDateTime"].endswith("Z")
    if definition == "Translation":
        assert set(value["input"]) <= FIELDS["TranslationInput"]
        for name in {"latestIteration", "latestSucceededIteration"} & set(value):
            hold(value[name], "Iteration")
    if definition in ("Iteration", "Operation"):
        assert value["status"] in STATUSES
    assert set(value.get("result", {})) <= FIELDS["IterationResult"]
    for one in value.get("value", ()):
        hold(one, "Translation" if "displayName" in one else "Iteration")


def test_a_new_translation_advances_with_checks_and_not_with_time(clock: Clock) -> None:
    """Each check of its operation returns the next status, up to `Succeeded`. No job is created."""
    fake = Azure()
    made = fake.call("PUT", "/translations/one")
    clock.tick(3600)
    looks = [fake.call("GET", "/operations/op-1").json() for _ in range(4)]

    assert (made.status_code, made.json()["status"]) == (201, "NotStarted")
    assert [one["status"] for one in looks] == ["NotStarted", "Running", "Succeeded", "Succeeded"]
    assert looks[0]["id"] == "op-1"
    assert fake.lab.submissions == []
    assert {**VIDEO, "id": "one"}.items() <= made.json().items()


def test_unpublished_fields_of_a_request_are_not_in_the_response() -> None:
    """An `id` or `status` in the body of the request is ignored."""
    fake = Azure()
    fake.call("PUT", "/translations/one", json={**VIDEO, "id": "two", "status": "Failed", "more": 1})
    translation = fake.call("GET", "/translations/one").json()

    assert (translation["id"], translation["status"], "more" in translation) == ("one", "NotStarted", False)


def test_a_translation_can_be_checked_without_its_operation() -> None:
    """It has the same sequence of statuses."""
    fake = Azure()
    fake.call("PUT", "/translations/one")

    statuses = [fake.call("GET", "/translations/one").json()["status"] for _ in range(3)]
    assert statuses == ["NotStarted", "Running", "Succeeded"]
    assert fake.iteration().status_code == 201


@pytest.mark.parametrize(
    ("seconds", "word", "entered"),
    [(0, "NotStarted", 0), (0.9, "NotStarted", 0), (1.1, "Running", 1), (9.9, "Running", 1), (10, "Succeeded", 10)],
)
def test_an_iteration_and_its_operation_have_the_status_of_the_job(
    seconds: float, word: str, entered: int, clock: Clock
) -> None:
    """So has the `latestIteration` of the translation."""
    fake = Azure()
    fake.translation()
    assert fake.iteration().status_code == 201
    clock.tick(seconds)

    assert fake.first()["status"] == fake.call("GET", "/operations/op-2").json()["status"] == word
    assert fake.first()["createdDateTime"] == "2026-11-23T09:00:00.000Z"
    assert fake.first()["lastActionDateTime"] == f"2026-11-23T09:00:{entered:02}.000Z"
    assert fake.call("GET", "/translations/one").json()["latestIteration"]["status"] == word
    assert ("latestSucceededIteration" in fake.call("GET", "/translations/one").json()) == (word == "Succeeded")


def test_a_result_has_links_to_four_files_at_another_origin(clock: Clock) -> None:
    """They are in the status after the delay of the links, and not before."""
    fake = Azure(Scenario(10, link_delay=5))
    fake.translation()
    fake.iteration()
    clock.tick(14)
    assert (fake.first()["status"], "result" in fake.first()) == ("Succeeded", False)
    clock.tick(1)
    result = fake.first()["result"]

    kinds = [fake.session.get(link).headers["Content-Type"] for link in result.values()]
    assert kinds == ["video/mp4", "text/vtt", "text/vtt", "text/vtt"]
    assert result["translatedVideoFileUrl"].startswith("http://localhost:5000/_files/one/first.mp4?signature=")
    assert fake.session.get(result["sourceLocaleSubtitleWebvttFileUrl"]).text.startswith("WEBVTT")


def test_a_failed_iteration_has_a_failure_reason() -> None:
    """It has no result."""
    fake = Azure(Scenario(0, "error"))
    fake.translation()
    fake.iteration()

    assert (fake.first()["status"], bool(fake.first()["failureReason"]), "result" in fake.first()) == (
        "Failed",
        True,
        False,
    )


def test_a_submission_has_the_fields_of_its_translation_and_its_iteration() -> None:
    """The `input` of the iteration is added to that of the translation."""
    fake = Azure()
    fake.translation()
    fake.iteration()

    (submission,) = fake.lab.submissions
    assert (submission.job_id, submission.fields["displayName"]) == ("one/first", "hello.mp4")
    assert submission.fields["input"] == {**VIDEO["input"], **EDIT["input"]}  # type: ignore[dict-item]  # both are objects


def test_a_put_can_be_repeated() -> None:
    """The repetition is a 200, creates nothing, and has the same operation."""
    fake = Azure()
    made = [fake.call("PUT", "/translations/one") for _ in range(2)]
    fake.translation()
    begun = [fake.iteration() for _ in range(2)]

    for first, second in (made, begun):
        assert (first.status_code, second.status_code) == (201, 200)
        assert first.headers["Operation-Location"] == second.headers["Operation-Location"]
        assert first.json()["id"] == second.json()["id"]
    assert made[0].headers["Operation-Location"] == (
        f"http://127.0.0.1:5000{BASE}/operations/op-1?api-version={VERSION}"
    )
    assert len(fake.lab.submissions) == 1


def test_a_put_of_the_same_id_with_other_settings_is_an_error() -> None:
    """It changes nothing. The `Operation-Id` of another resource is an error too."""
    fake = Azure()
    fake.translation()
    fake.iteration()
    other = {**VIDEO, "displayName": "other.mp4"}

    refused = [
        fake.call("PUT", "/translations/one", json=other),
        fake.call("PUT", "/translations/one/iterations/first", "op-2", json={"input": {}}),
        fake.call("PUT", "/translations/two", "op-1"),
        fake.call("PUT", "/translations/two", "op-2"),
    ]
    assert [one.status_code for one in refused] == [400] * 4
    assert fake.call("GET", "/translations/one").json()["displayName"] == "hello.mp4"
    assert fake.call("GET", "/translations/two").status_code == 204


def test_an_iteration_is_rejected_until_its_translation_has_succeeded() -> None:
    """The translation has to exist, too. A rejected iteration has no operation."""
    fake = Azure()
    assert fake.iteration().status_code == 404
    fake.call("PUT", "/translations/one")
    for _ in range(2):
        fake.call("GET", "/operations/op-1")
    assert fake.iteration().status_code == 400
    assert fake.call("GET", "/operations/op-2").status_code == 404
    fake.call("GET", "/operations/op-1")
    assert fake.iteration().status_code == 201


def test_every_iteration_after_the_first_requires_subtitles() -> None:
    """Edited ones, by the how-to."""
    fake = Azure()
    fake.translation()
    fake.iteration()
    path = "/translations/one/iterations/second"
    subtitles = {"input": {"webvttFile": {"url": "https://x/y.vtt", "kind": "MetadataJson"}}}

    assert fake.call("PUT", path, "op-3").status_code == 400
    assert fake.call("PUT", path, "op-3", json=subtitles).status_code == 201
    latest = fake.call("GET", "/translations/one").json()["latestIteration"]
    assert (latest["id"], latest["input"]) == ("second", subtitles["input"])


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("/translations/one", {"params": {}}),
        ("/translations/one", {"params": {"api-version": "latest"}}),
        ("/translations/one", {"headers": {"Operation-Id": ""}}),
        ("/translations/one", {"headers": {"Operation-Id": "-x"}}),
        ("/translations/one", {"headers": {"Operation-Id": "x" * 65}}),
        ("/translations/ab", {}),
        ("/translations/a%20b%20c", {}),
        ("/translations/one-", {}),
        ("/translations/one", {"json": None, "data": b"nonsense"}),
        ("/translations/one", {"json": {"displayName": "x"}}),
        ("/translations/one", {"json": {"input": {**VIDEO["input"], "targetLocale": ""}}}),  # type: ignore[dict-item]  # an object
        ("/translations/one", {"json": {"input": {**VIDEO["input"], "voiceKind": "Mine"}}}),  # type: ignore[dict-item]  # an object
        ("/translations/one", {"json": {"input": {**VIDEO["input"], "videoFileUrl": ""}}}),  # type: ignore[dict-item]  # an object
        ("/translations/one", {"json": {"input": {**VIDEO["input"], "audioFileUrl": "https://x/y"}}}),  # type: ignore[dict-item]  # an object
    ],
)
def test_an_invalid_put_is_rejected(path: str, arguments: dict[str, Any]) -> None:
    """In the published shape of an error, with its code in a header too."""
    fake = Azure()
    response = fake.call("PUT", path, **arguments)

    assert response.status_code == 400
    hold(response.json(), "ErrorResponse")
    assert set(response.json()["error"]) <= FIELDS["Error"]
    assert response.headers["x-ms-error-code"] == response.json()["error"]["code"]
    assert fake.call("GET", "/translations").json() == {"value": []}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/translations/nope"),
        ("GET", "/translations/nope/iterations/first"),
        ("GET", "/translations/one/iterations/nope"),
        ("DELETE", "/translations/nope"),
    ],
)
def test_a_resource_that_does_not_exist_is_a_204(method: str, path: str) -> None:
    """It is no error, by the how-to."""
    fake = Azure()
    fake.translation()
    response = fake.call(method, path)

    assert (response.status_code, response.content) == (204, b"")


def test_deleting_a_translation_deletes_its_iterations_operations_and_files() -> None:
    """Other translations stay."""
    fake = Azure(Scenario(0))
    fake.translation()
    fake.translation("two", "op-9")
    fake.iteration()
    link = fake.first()["result"]["translatedVideoFileUrl"]
    assert fake.call("DELETE", "/translations/one").status_code == 204

    assert fake.call("GET", "/translations/one/iterations/first").status_code == 204
    assert [fake.call("GET", f"/operations/{one}").status_code for one in ("op-1", "op-2", "op-9")] == [404, 404, 200]
    assert fake.session.get(link).status_code == 404
    assert [one["id"] for one in fake.call("GET", "/translations").json()["value"]] == ["two"]


def test_lists_are_paged_by_skip_and_top() -> None:
    """A value that is no integer is a 400."""
    fake = Azure()
    for number in range(3):
        fake.call("PUT", f"/translations/tr-{number}", f"op-{number}")

    def listed(**params: Any) -> list[str]:
        response = fake.call("GET", "/translations", params={"api-version": VERSION, **params})
        return [one["id"] for one in response.json()["value"]]

    assert listed() == ["tr-0", "tr-1", "tr-2"]
    assert listed(skip=1, top=1) == ["tr-1"]
    assert listed(skip=2) == ["tr-2"]
    assert fake.call("GET", "/translations", params={"api-version": VERSION, "top": "x"}).status_code == 400
    assert fake.call("GET", "/translations/tr-0/iterations").json() == {"value": []}


def test_the_number_of_pending_iterations_is_limited() -> None:
    """Translations do not count. A rejected iteration has no operation."""
    fake = Azure(Scenario(10, max_jobs=1))
    fake.translation()
    fake.translation("two", "op-3")
    fake.iteration()
    refused = fake.iteration("two", "first", "op-4")

    assert (refused.status_code, refused.headers["x-ms-error-code"]) == (429, "TooManyRequests")
    assert fake.call("GET", "/operations/op-4").status_code == 404
    fake.call("DELETE", "/translations/one")
    assert fake.iteration("two", "first", "op-4").status_code == 201


def test_faults_count_both_kinds_of_put_together_and_operations_separately() -> None:
    """Their errors have the codes of Azure, and `relapse` sends its word for a running job."""
    fake = Azure(Scenario(0, faults=["create/2:503", "operation/2:500", "bulk/1:500", "1:relapse", "2:unknown-word"]))
    assert fake.call("PUT", "/translations/one").status_code == 201
    assert [fake.call("GET", "/operations/op-1").status_code for _ in range(3)] == [200, 500, 200]
    lost = fake.iteration()

    assert [fake.call("GET", "/translations").status_code for _ in range(2)] == [500, 200]
    assert (lost.status_code, lost.headers["x-ms-error-code"]) == (503, "InternalServerError")
    assert fake.iteration().status_code == 200
    assert len(fake.lab.submissions) == 1
    operations = [fake.first() for _ in range(3)]
    assert [one["status"] for one in operations] == ["Running", "polishing", "Succeeded"]
    assert ["result" in one for one in operations] == [False, False, True]
