"""What all services of the fake server share: API keys, the limit of jobs, results, links, faults and submissions."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fake_services import HEYGEN_SUBMISSION, KEY, URL, FakeService
from support.fixtures import Clock
from support.random_faults import FAULTS
from urllib3.exceptions import HTTPError

from fake_server import Fault, Lab, Scenario, create_app, parse_fault
from fake_server.dialects import SERVICES, load_dialect
from fake_server.faults import ROUTES
from fake_server.media import BLOCK_BYTES, MediaBytes
from fake_server.storage import result_body

FIRST = {
    "reference": "/status/job-1",
    "heygen": "/v3/video-translations/job-1",
    "elevenlabs": "/v1/dubbing/job-1",
    "azure": "/videotranslation/translations/one?api-version=2025-05-20",
}


def linked(**arguments: Any) -> tuple[FakeService, str]:
    fake = FakeService(Scenario(duration=0, **arguments), "heygen")
    return fake, fake.link()


def test_every_service_has_a_dialect() -> None:
    """An unknown service is an error that names the known ones."""
    assert all(load_dialect(service).key_headers for service in SERVICES)
    with pytest.raises(ValueError, match="service must be one of reference, heygen, elevenlabs, azure; got 'dubbo'"):
        create_app(service="dubbo")


@pytest.mark.parametrize("service", KEY)
def test_a_service_requires_an_api_key(service: str) -> None:
    """In its own header, with an error in its own shape. Any key is accepted."""
    fake = FakeService(service=service)
    without = fake.session.get(URL + FIRST[service])

    assert without.status_code == 401
    assert set(without.json()) <= {"error", "detail"}
    assert fake.send("GET", FIRST[service]).status_code in (204, 404)
    assert len(fake.lab.arrivals) == 2


@pytest.mark.parametrize("service", SERVICES)
def test_a_scenario_can_set_the_api_key(service: str) -> None:
    """Then no other is accepted, and the reference service requires it too. The control API requires none."""
    fake = FakeService(Scenario(api_key="right"), service)
    header = KEY.get(service, "Authorization")
    before = "" if service in KEY else "Bearer "

    assert fake.send("GET", FIRST[service]).status_code == 401
    assert fake.send("GET", FIRST[service], headers={header: before + "wrong"}).status_code == 401
    assert fake.send("GET", FIRST[service], headers={header: before + "right"}).status_code in (204, 404)
    assert fake.session.get(f"{URL}/_control/requests").status_code == 200


@pytest.mark.parametrize(("service", "is_taken"), [("heygen", True), ("azure", True), ("elevenlabs", False)])
def test_a_bearer_token_is_accepted_by_heygen_and_azure_only(service: str, is_taken: bool) -> None:
    """`Basic` credentials never are."""
    fake = FakeService(service=service)
    fake.headers = {}

    assert (fake.send("GET", FIRST[service], headers={"Authorization": "Bearer t"}).status_code != 401) == is_taken
    assert fake.send("GET", FIRST[service], headers={"Authorization": "Basic dDp0"}).status_code == 401


@pytest.mark.parametrize(
    "arguments",
    [
        {"api_key": ""},
        {"api_key": "a\nb"},
        {"api_key": 5},
        {"max_jobs": 0},
        {"max_jobs": True},
        {"max_jobs": 1.5},
        {"result_bytes": -1},
        {"result_bytes": "9"},
        {"link_seconds": -1},
        {"link_seconds": float("nan")},
        {"link_seconds": True},
        {"link_delay": float("inf")},
        {"link_delay": None},
    ],
)
def test_an_invalid_scenario_is_rejected(arguments: dict[str, Any]) -> None:
    """When it is created. The message names the argument, and does not contain the API key."""
    with pytest.raises(ValueError, match=next(iter(arguments))) as caught:
        Scenario(**arguments)
    assert "a\nb" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "start", "stop"),
    [("job-1", 0, 3), ("job-1", 0, BLOCK_BYTES), ("job-1", BLOCK_BYTES - 1, 3 * BLOCK_BYTES + 5)],
)
def test_media_bytes_are_a_function_of_name_and_offset(name: str, start: int, stop: int) -> None:
    """A slice has the bytes of the file there. Another name has other bytes. No block is larger than the limit."""
    whole = bytes(MediaBytes(name, 0, 4 * BLOCK_BYTES))
    stretch = MediaBytes(name, 0, 4 * BLOCK_BYTES)[start:stop]

    assert bytes(stretch) == whole[start:stop]
    assert bytes(stretch[1:3]) == whole[start + 1 : start + 3]
    assert len(stretch) == stop - start
    assert max(map(len, stretch.blocks())) <= BLOCK_BYTES
    assert whole[:99] != whole[BLOCK_BYTES : BLOCK_BYTES + 99] != bytes(MediaBytes("job-2", 0, 99))
    assert bytes(MediaBytes("job-2", 0, 99)) != whole[:99]
    assert whole[4:8] == b"ftyp"


def test_the_end_of_a_huge_result_is_available_at_once() -> None:
    """The bytes are computed when they are needed."""
    assert len(bytes(result_body("job-1", 10**12)[-5:])) == 5


@pytest.mark.parametrize(
    ("request_headers", "code", "part", "place"),
    [
        ({}, 200, slice(None), None),
        ({"Range": "bytes=0-9"}, 206, slice(0, 10), "bytes 0-9/1000"),
        ({"Range": "bytes=990-"}, 206, slice(990, None), "bytes 990-999/1000"),
        ({"Range": "bytes=990-5000"}, 206, slice(990, None), "bytes 990-999/1000"),
        ({"Range": "bytes=-10"}, 206, slice(990, None), "bytes 990-999/1000"),
        ({"Range": "bytes=-5000"}, 206, slice(None), "bytes 0-999/1000"),
        ({"Range": "bytes=1000-"}, 416, None, "bytes */1000"),
        ({"Range": "bytes=-0"}, 416, None, "bytes */1000"),
        ({"Range": "bytes=9-2"}, 200, slice(None), None),
        ({"Range": "bytes=0-1,5-6"}, 200, slice(None), None),
        ({"Range": "bytes=-"}, 200, slice(None), None),
        ({"Range": "lines=0-1"}, 200, slice(None), None),
        ({"Range": "bytes=" + "9" * 5000 + "-"}, 200, slice(None), None),
        ({"Range": "bytes=5-", "If-Range": '"another"'}, 200, slice(None), None),
    ],
)
def test_a_range_request_returns_part_of_a_file(
    request_headers: dict[str, str], code: int, part: slice | None, place: str | None
) -> None:
    """By RFC 9110. Without a single valid range, or if the file is another one, the response is the complete file."""
    fake, link = linked(result_bytes=1000)
    response = fake.session.get(link, headers=request_headers)

    assert (response.status_code, response.headers.get("Content-Range")) == (code, place)
    if part is not None:
        assert response.content == bytes(result_body("job-1", 1000))[part]
        assert response.headers["Content-Length"] == str(len(response.content))
        assert (response.headers["Content-Type"], response.headers["Accept-Ranges"]) == ("video/mp4", "bytes")


def test_if_range_with_the_etag_of_the_file_returns_the_range() -> None:
    """The `ETag` is that of the response before."""
    fake, link = linked()
    tag = fake.session.get(link).headers["ETag"]

    assert re.fullmatch(r'"[0-9a-f]+"', tag)
    assert fake.session.get(link, headers={"Range": "bytes=5-", "If-Range": tag}).status_code == 206
    assert fake.session.head(link).headers["Content-Length"] == "65536"


@pytest.mark.parametrize(
    ("service", "path"), [("reference", "/jobs/{}/result"), ("elevenlabs", "/v1/dubbing/{}/audio/es")]
)
def test_results_of_services_without_links_support_range_requests(service: str, path: str) -> None:
    """The bytes are those of the files behind links."""
    fake = FakeService(Scenario(duration=0, result_bytes=200_000), service)
    job_id = fake.lab.create({"target_lang": "es"})
    whole = fake.send("GET", path.format(job_id))
    rest = fake.send("GET", path.format(job_id), headers={"Range": "bytes=70000-", "If-Range": whole.headers["ETag"]})

    assert whole.content == bytes(result_body(job_id, 200_000))
    assert (rest.status_code, rest.content) == (206, whole.content[70_000:])


def test_links_point_to_another_origin(clock: Clock) -> None:
    """It is the other name of loopback. Links have a signature and need no key. Each response has a new one."""
    fake, link = linked()
    status = fake.send("GET", "/v3/video-translations/job-1").json()

    assert re.fullmatch(r"http://localhost:5000/_files/job-1\.mp4\?signature=\S+", link)
    assert fake.session.get(link).status_code == 200
    assert status["data"]["video_url"] != link


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key", "xi-api-key", "Ocp-Apim-Subscription-Key"])
def test_the_storage_host_rejects_an_api_key(header: str) -> None:
    """As S3 rejects two kinds of authentication."""
    fake, link = linked()
    response = fake.session.get(link, headers={header: "Bearer x"})

    assert response.status_code == 400
    assert "<Code>InvalidArgument</Code>" in response.text


def test_a_link_expires_after_link_seconds_and_the_next_one_is_valid(clock: Clock) -> None:
    """The error is XML, as from a storage host."""
    fake, link = linked(link_seconds=60)
    clock.tick(59.9)
    assert fake.session.get(link).status_code == 200
    clock.tick(0.1)
    expired = fake.session.get(link)

    assert (expired.status_code, expired.headers["Content-Type"]) == (403, "application/xml")
    assert "<Code>AccessDenied</Code>" in expired.text
    status = fake.send("GET", "/v3/video-translations/job-1").json()
    assert fake.session.get(status["data"]["video_url"]).status_code == 200


@pytest.mark.parametrize(("change", "code"), [(("signature=1", "signature=2"), 403), (("?signature", "?s"), 403)])
def test_a_link_with_a_changed_signature_is_rejected(change: tuple[str, str], code: int) -> None:
    """With a 403, also if the signature is missing."""
    fake, link = linked()

    assert link.replace(*change) != link
    assert fake.session.get(link.replace(*change)).status_code == code


def test_a_link_is_valid_only_for_its_own_file() -> None:
    """And only until its job is deleted."""
    fake, link = linked()
    fake.link()

    assert fake.session.get(link.replace("job-1", "job-2")).status_code == 403
    assert fake.session.get(link.replace("job-1", "job-9")).status_code == 404
    fake.send("DELETE", "/v3/video-translations/job-1")
    gone = fake.session.get(link)
    assert (gone.status_code, gone.headers["Content-Type"]) == (404, "application/xml")
    fake.lab.play(Scenario(10))
    fake.lab.create()
    assert fake.session.get(link).status_code == 404


def test_a_fault_can_name_any_route() -> None:
    """In the short syntax and as JSON. Without one it is `status`."""
    for route in ROUTES:
        assert parse_fault(f"{route}/every-2:drop") == Fault(every=2, action="drop", route=route)
    assert parse_fault('{"nth": 1, "route": "create"}') == Fault(nth=1, route="create")
    assert parse_fault("1:503").route == "status"
    with pytest.raises(ValueError, match="route must be one of"):
        Fault(nth=1, route="door")  # type: ignore[arg-type]  # none of them
    with pytest.raises(ValueError, match="a fault must be"):
        parse_fault("door/1:503")


@pytest.mark.parametrize("fault", ["503", "drop", "html", "200", "reset-after-headers", "430", "399"])
def test_a_fault_of_a_submission_replaces_its_response_but_the_job_is_created(fault: str) -> None:
    """The worst case: the job is paid for, and the client does not know."""
    fake = FakeService(Scenario(faults=[f"create/1:{fault}"]))
    if fault in ("drop", "reset-after-headers"):
        with pytest.raises(requests.RequestException):
            fake.send("POST", "/jobs")
    else:
        assert fake.send("POST", "/jobs").status_code != 201

    assert len(fake.lab.submissions) == 1
    assert fake.send("POST", "/jobs").json()["id"] == "job-2"


@pytest.mark.parametrize("code", [400, 409, 425, 428, 429])
def test_a_fault_that_rejects_a_submission_creates_no_job(code: int) -> None:
    """These status codes say that the request was not accepted."""
    fake = FakeService(Scenario(faults=[f"create/1:{code}"]))

    assert fake.send("POST", "/jobs").status_code == code
    assert fake.lab.submissions == []
    assert fake.send("POST", "/jobs").status_code == 201


def test_faults_of_submissions_are_counted_and_timed_for_the_server(clock: Clock) -> None:
    """Not for each job."""
    fake = FakeService(Scenario(faults=["create/2:503", "create/5s-6s:504"]))

    assert [fake.send("POST", "/jobs").status_code for _ in range(3)] == [201, 503, 201]
    clock.tick(5)
    assert fake.send("POST", "/jobs").status_code == 504
    clock.tick(1)
    assert fake.send("POST", "/jobs").status_code == 201


def test_refused_connections_of_the_create_route_begin_with_the_server(clock: Clock) -> None:
    """No request arrives, to whatever route, and no job is created."""
    fake = FakeService(Scenario(faults=["create/0s-2s:refuse"]))

    for method, path in (("POST", "/jobs"), ("GET", "/status")):
        with pytest.raises(requests.ConnectionError, match="refused"):
            fake.send(method, path)
    assert fake.lab.arrivals == []
    clock.tick(2)
    assert fake.send("POST", "/jobs").status_code == 201
    assert len(fake.lab.submissions) == 1


def test_faults_of_results_are_counted_and_timed_for_each_job(clock: Clock) -> None:
    """Separately from the responses about its status."""
    fake = FakeService(Scenario(0, faults=["result/2:503", "result/5s-6s:403", "1:504"]))
    ids = [fake.lab.create(), fake.lab.create()]

    codes = [[fake.send("GET", f"/jobs/{job_id}/result").status_code for _ in range(3)] for job_id in ids]
    assert codes == [[200, 503, 200]] * 2
    assert fake.send("GET", "/status/job-1").status_code == 504
    clock.tick(5)
    assert fake.send("GET", "/jobs/job-1/result").status_code == 403


def test_a_fault_of_the_storage_host_is_xml() -> None:
    """The service itself sends JSON."""
    fake, link = linked(faults=["result/1:503"])
    response = fake.session.get(link)

    assert (response.status_code, response.headers["Content-Type"]) == (503, "application/xml")
    assert "<Code>InternalError</Code>" in response.text


def test_a_truncated_result_can_be_continued_with_a_range_request() -> None:
    """The bytes that came are correct, and fewer than the `Content-Length`."""
    fake, link = linked(result_bytes=1_000_000, faults=["result/1:truncate"])
    broken = fake.session.get(link, stream=True)
    came = b""
    with suppress(requests.RequestException):  # urllib3 raises from 2.0 on
        for part in broken.iter_content(10_000):
            came += part
    rest = fake.session.get(link, headers={"Range": f"bytes={len(came)}-", "If-Range": broken.headers["ETag"]})

    assert broken.headers["Content-Length"] == "1000000"
    assert 0 < len(came) < 1_000_000
    assert came + rest.content == bytes(result_body("job-1", 1_000_000))


@pytest.mark.parametrize(
    "action", ["drip-body@0", "drip-headers@0", "late@1", "reset-after-headers", "truncate-chunked"]
)
def test_delivery_faults_apply_to_a_result(action: str) -> None:
    """Also byte by byte."""
    fake, link = linked(result_bytes=70_000, faults=[f"result/1:{action}"])
    whole = bytes(result_body("job-1", 70_000))
    if action in ("reset-after-headers", "truncate-chunked"):
        with pytest.raises(requests.RequestException):
            fake.session.get(link)
    else:
        assert fake.session.get(link).content == whole
    assert fake.session.get(link).content == whole


@pytest.mark.parametrize("action", ["relapse", "unknown-word"])
@pytest.mark.parametrize("route", ["create", "delete"])
def test_faults_of_the_status_word_do_not_change_other_responses(action: str, route: str) -> None:
    """On the routes of creation and deletion."""
    fake = FakeService(Scenario(faults=[f"{route}/1:{action}"]))

    assert fake.send("POST", "/jobs").status_code == 201
    assert fake.send("DELETE", "/jobs/job-1").status_code == 204


def test_a_fault_of_a_deletion_replaces_its_response_but_the_job_is_deleted() -> None:
    """The next deletion is a 404. A fault with the code 409 rejects the request, and the job stays."""
    fake = FakeService(Scenario(faults=["delete/1:503", "delete/3:409"]))
    for _ in range(2):
        fake.send("POST", "/jobs")

    assert [fake.send("DELETE", "/jobs/job-1").status_code for _ in range(2)] == [503, 404]
    assert [fake.send("DELETE", "/jobs/job-2").status_code for _ in range(2)] == [409, 204]


@pytest.mark.parametrize(
    ("sent", "fields"),
    [
        ({}, {}),
        (
            {"json": {"video": "https://x/y", "target_language": "es"}},
            {"video": "https://x/y", "target_language": "es"},
        ),
        (
            {"data": {"target_language": "es"}, "files": {"file": ("talk.mp4", b"12345", "video/mp4")}},
            {"target_language": "es", "file": "talk.mp4", "file_bytes": 5},
        ),
    ],
)
def test_submissions_are_recorded(sent: dict[str, Any], fields: dict[str, Any], clock: Clock) -> None:
    """With their time, also after the job is deleted. The control API lists them too."""
    fake = FakeService()
    clock.tick(2)
    fake.send("POST", "/jobs", **sent)
    fake.send("DELETE", "/jobs/job-1")

    assert [(submission.job_id, submission.at, submission.fields) for submission in fake.lab.submissions] == [
        ("job-1", 2.0, fields)
    ]
    listed = fake.session.get(f"{URL}/_control/submissions").json()
    assert listed == [{"job_id": "job-1", "at": 2.0, "fields": fields}]
    assert fake.session.post(f"{URL}/_control/reset").status_code == 204
    assert fake.lab.submissions == []


@pytest.mark.parametrize("body", [b"[]", b"nonsense", b'"x"', b"\xff", b"[" * 100_000])
def test_a_submission_whose_body_is_no_json_object_is_rejected(body: bytes) -> None:
    """With an error message."""
    fake = FakeService()
    response = fake.send("POST", "/jobs", data=body)

    assert (response.status_code, response.json()) == (400, {"error": "the body must be a JSON object"})
    assert fake.lab.submissions == []


def test_the_reference_service_returns_a_result_after_the_link_delay(clock: Clock) -> None:
    """Before, it is a 425. For a failed or unknown job it is a 404."""
    fake = FakeService(Scenario(10, link_delay=5))
    fake.send("POST", "/jobs")
    early = fake.send("GET", "/jobs/job-1/result")
    clock.tick(14.9)
    late = fake.send("GET", "/jobs/job-1/result")

    assert [(one.status_code, one.json()) for one in (early, late)] == [(425, {"error": "not finished"})] * 2
    assert fake.send("GET", "/status/job-1").json() == {"result": "completed"}
    clock.tick(0.2)
    assert fake.send("GET", "/jobs/job-1/result").headers["Content-Type"] == "video/mp4"
    assert fake.send("GET", "/jobs/nope/result").status_code == 404
    fake.lab.play(Scenario(0, "error"))
    fake.send("POST", "/jobs")
    assert fake.send("GET", "/jobs/job-1/result").status_code == 404


def test_the_number_of_pending_jobs_is_limited(clock: Clock) -> None:
    """Finished and deleted jobs do not count, nor does the single job."""
    fake = FakeService(Scenario(10, max_jobs=2))
    fake.send("GET", "/status")

    assert [fake.send("POST", "/jobs").status_code for _ in range(3)] == [201, 201, 429]
    assert len(fake.lab.submissions) == 2
    fake.send("DELETE", "/jobs/job-1")
    assert [fake.send("POST", "/jobs").status_code for _ in range(2)] == [201, 429]
    clock.tick(10)
    assert fake.send("POST", "/jobs").status_code == 201


def test_any_wsgi_server_can_serve_a_result() -> None:
    """Without what only `fake_server.Server` can do."""
    lab = Lab(Scenario(0, result_bytes=100_000))
    lab.create()
    response = create_app(lab).test_client().get("/jobs/job-1/result")

    assert (response.headers["Content-Length"], response.data) == ("100000", bytes(result_body("job-1", 100_000)))


def test_a_request_body_from_an_iterable_of_known_length_is_accepted() -> None:
    """One of unknown length, which is sent in chunks, is a 411."""

    class Sized:
        def __len__(self) -> int:
            return 8

        def __iter__(self) -> Any:
            return iter([b'{"a"', b": 1}"])

    fake = FakeService()

    assert fake.send("POST", "/jobs", data=Sized()).status_code == 201
    assert fake.lab.submissions[0].fields == {"a": 1}
    assert fake.send("POST", "/jobs", data=iter([b"{", b"}"])).status_code == 411


AZURE = "/videotranslation/translations/one"
CALLS: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    "reference": [
        ("POST", "/jobs", {}),
        ("GET", "/status/job-1", {}),
        ("GET", "/jobs/job-1/result", {}),
        ("DELETE", "/jobs/job-1", {}),
    ],
    "heygen": [
        ("GET", "/v3/video-translations/languages", {}),
        ("POST", "/v3/assets", {"files": {"file": ("x", b"1")}}),
        ("POST", "/v3/video-translations", {"json": HEYGEN_SUBMISSION}),
        ("GET", "/v3/video-translations/statuses", {"params": {"video_translation_ids": "job-1"}}),
        ("GET", "/v3/video-translations/job-1", {}),
        ("GET", "/v2/video_translate/job-1", {}),
        ("DELETE", "/v3/video-translations/job-1", {}),
    ],
    "elevenlabs": [
        ("POST", "/v1/dubbing", {"files": {"target_lang": (None, "es"), "source_url": (None, "x")}}),
        ("GET", "/v1/dubbing/job-1", {}),
        ("GET", "/v1/dubbing/job-1/audio/es", {}),
        ("GET", "/v1/dubbing", {}),
        ("DELETE", "/v1/dubbing/job-1", {}),
    ],
    "azure": [
        (
            "PUT",
            AZURE,
            {"json": {"input": {"targetLocale": "es-ES", "voiceKind": "PlatformVoice", "videoFileUrl": "x"}}},
        ),
        *[("GET", "/videotranslation/operations/op-1", {})] * 3,
        ("PUT", f"{AZURE}/iterations/two", {"json": {"input": {}}, "headers": {"Operation-Id": "op-2"}}),
        ("GET", f"{AZURE}/iterations/two", {}),
        ("GET", "/videotranslation/operations/op-2", {}),
        ("DELETE", AZURE, {}),
    ],
}


@pytest.mark.exhaustive
@settings(max_examples=100)
@given(st.sampled_from(SERVICES), st.lists(st.builds(replace, FAULTS, route=st.sampled_from(ROUTES)), max_size=4))
def test_no_fault_causes_an_internal_error_of_the_server(service: str, faults: list[Fault]) -> None:
    """Each request gets a response or raises. A status code from 500 on is always that of a fault."""
    fake = FakeService(Scenario(0, faults=faults), service)
    fake.headers["Operation-Id"] = "op-1"
    for method, path, arguments in CALLS[service]:
        query = {"params": {"api-version": "2025-05-20"}} if service == "azure" else {}
        try:
            response = fake.send(method, path, **{**query, **arguments}, allow_redirects=False, stream=True)
            came = response.raw.read(100_000)
        except (requests.RequestException, HTTPError):
            continue
        scripted = [fault.status_code or 503 for fault in faults]
        assert response.status_code < 500 or response.status_code in scripted, came


@pytest.mark.parametrize("service", SERVICES)
def test_the_fuzzed_requests_succeed_without_faults(service: str) -> None:
    """So the test above does not only send invalid requests."""
    fake = FakeService(Scenario(0), service)
    fake.headers["Operation-Id"] = "op-1"
    query = {"params": {"api-version": "2025-05-20"}} if service == "azure" else {}

    assert {fake.send(method, path, **{**query, **arguments}).ok for method, path, arguments in CALLS[service]} == {
        True
    }
