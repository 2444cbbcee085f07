"""Downloads of results write the complete file or none, whatever fault occurs."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from support.adapters import FunctionAdapter, response
from support.fixtures import Clock, LogLines, SilentLogger
from support.in_process_service import HOST, SERVICES, ClientSetup, left_in
from support.scripted_server import Arrived, Scripted, scripted
from support.scripted_server import response as http_response

from fake_server import Scenario
from translation_client import (
    AsyncVideoTranslationClient,
    Job,
    RequestFailed,
    ResultNotReady,
    TranslationClientError,
    TranslationStatus,
    UnexpectedAnswer,
    VideoTranslationClient,
    WaitCancelled,
    WaitTimeout,
)

SIZE = 300_000
DONE = Job("j", TranslationStatus.COMPLETED, "completed", result_url="http://files.test/j.mp4?sig=s3cr3t")


def finished(clock: Clock, *faults: str, service: str = "heygen", **scenario: Any) -> tuple[ClientSetup, Job]:
    setup = ClientSetup(clock, service, Scenario(0, result_bytes=SIZE, faults=faults, **scenario))
    return setup, setup.finished()


def requested_ranges(setup: ClientSetup) -> list[str | None]:
    """The `Range` header of each request for the file, or None if it has none."""
    return [
        arrival.headers.get("Range")
        for arrival in setup.lab.arrivals
        if "/_files/" in arrival.path or "/audio/" in arrival.path or arrival.path.endswith("/result")
    ]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("fault", ["truncate", "reset-after-headers"])
def test_a_download_resumes_where_the_connection_broke(
    clock: Clock, lines: LogLines, tmp_path: Path, service: str, fault: str
) -> None:
    """By a range request, on the condition that the file has not changed."""
    setup, job = finished(clock, f"result/1:{fault}", f"result/2:{fault}", service=service)
    path = setup.client.download(job, tmp_path / "out.mp4")

    assert path.read_bytes() == setup.file_of(job)
    nothing, half, more = requested_ranges(setup)
    assert nothing is None
    if fault == "truncate":  # a reset discards the bytes that were not read yet
        assert (half, more) == (f"bytes={SIZE // 2}-", f"bytes={SIZE // 2 + SIZE // 4}-")
    assert 65_536 <= int(str(half)[6:-1]) < int(str(more)[6:-1])
    assert [line["fault"] for line in lines.of("check_failed")] == ["connection"] * 2
    assert left_in(tmp_path) == ["out.mp4"]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("fault", ["truncate-chunked", "html", "invalid-gzip", "503", "mute", "drop", "204", "302"])
def test_a_response_without_the_complete_file_is_retried(
    clock: Clock, tmp_path: Path, service: str, fault: str
) -> None:
    """The retry requests the whole file, or the rest of it."""
    setup, job = finished(clock, f"result/1:{fault}", service=service)
    path = setup.client.download(job, tmp_path / "out.mp4")

    assert path.read_bytes() == setup.file_of(job)
    assert left_in(tmp_path) == ["out.mp4"]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("fault", ["html", "503", "drop", "mute", "400", "404", "418", "204", "invalid-gzip"])
def test_a_failed_download_leaves_no_partial_file(clock: Clock, tmp_path: Path, service: str, fault: str) -> None:
    """An existing file at the path stays as it is."""
    (tmp_path / "out.mp4").write_text("of yesterday")
    setup, job = finished(clock, f"result/every-1:{fault}", service=service)

    with pytest.raises(TranslationClientError) as caught:
        setup.client.download(job, tmp_path / "out.mp4")
    assert isinstance(caught.value, (RequestFailed, UnexpectedAnswer))
    assert (tmp_path / "out.mp4").read_text() == "of yesterday"
    assert left_in(tmp_path) == ["out.mp4"]


def test_an_expired_link_is_refreshed_by_one_status_request(clock: Clock, lines: LogLines, tmp_path: Path) -> None:
    """At HeyGen and Azure, whose results are links."""
    for service in ("heygen", "azure"):
        setup, job = finished(clock, service=service, link_seconds=60)
        clock.tick(61)
        before = len(setup.lab.arrivals)
        path = setup.client.download(job, tmp_path / f"{service}.mp4")

        assert path.read_bytes() == setup.file_of(job)
        assert ["/_files/" in arrival.path for arrival in setup.lab.arrivals[before:]] == [True, False, True]
        assert lines.of("file_downloaded")[-1]["attempts"] == 3


def test_a_link_that_expires_during_a_download_is_refreshed(clock: Clock, tmp_path: Path) -> None:
    """Only the rest of the file is requested from the fresh link."""
    setup, job = finished(clock, "result/1:truncate", "result/2:410")
    path = setup.client.download(job, tmp_path / "out.mp4")

    assert path.read_bytes() == setup.file_of(job)
    assert requested_ranges(setup) == [None, f"bytes={SIZE // 2}-", f"bytes={SIZE // 2}-"]


def test_a_download_fails_if_the_fresh_link_is_rejected_too(clock: Clock, tmp_path: Path) -> None:
    """The link is refreshed once. The message does not have its signature."""
    setup, job = finished(clock, "result/every-1:403")

    with pytest.raises(RequestFailed, match="refused to return the result") as caught:
        setup.client.download(job, tmp_path / "out.mp4")
    assert (caught.value.status_code, len(requested_ranges(setup))) == (403, 2)
    assert "signature" not in str(caught.value)


def test_a_download_waits_while_elevenlabs_has_not_dubbed_yet(clock: Clock, lines: LogLines, tmp_path: Path) -> None:
    """ElevenLabs sends 425, or 404 with `dubbing_not_dubbed`, although the status is `dubbed`."""
    setup, job = finished(clock, service="elevenlabs", link_delay=30)
    path = setup.client.download(job, tmp_path / "out.mp4")

    assert path.stat().st_size == SIZE
    assert lines.of("check_failed") == []
    assert len(lines.of("sleeping")) >= 3

    body = '{"detail": {"status": "dubbing_not_dubbed", "message": "Dubbing has not finished yet"}}'
    fault = json.dumps({"nth": 1, "route": "result", "action": "answer", "status_code": 404, "body": body})
    setup, job = finished(clock, fault, service="elevenlabs")
    assert setup.client.download(job, tmp_path / "other.mp4").stat().st_size == SIZE


def test_a_download_of_a_result_that_is_never_ready_times_out(clock: Clock, tmp_path: Path) -> None:
    """After its own timeout, or without one after the timeout of the client plus one sleep."""
    for timeout, most in ((20.0, 20.25), (None, 660.25)):
        setup, job = finished(clock, service="elevenlabs", link_delay=10_000)

        with pytest.raises(WaitTimeout, match=r"did not return the result .* × not yet") as caught:
            setup.client.download(job, tmp_path / "out.mp4", timeout=timeout)
        assert caught.value.elapsed <= most
        assert left_in(tmp_path) == []


def test_a_download_has_the_requested_language(clock: Clock, tmp_path: Path) -> None:
    """By default it is that of the submission. Services with one result per job refuse `language`."""
    setup, job = finished(clock, service="elevenlabs")
    setup.client.download(job, tmp_path / "es.mp4")
    setup.client.download(str(job.id), tmp_path / "again.mp4")
    with pytest.raises(RequestFailed):
        setup.client.download(job, tmp_path / "fr.mp4", language="fr/x")

    assert [path.rpartition("/")[2] for path in setup.requested_paths("GET") if "/audio/" in path] == [
        "es",
        "es",
        "fr%2Fx",
    ]
    for bad, kind in (("", ValueError), ("..", ValueError), (5, TypeError)):
        with pytest.raises(kind, match="language must be"):
            setup.client.download(job, tmp_path / "x.mp4", language=bad)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(ValueError, match="a job of 'heygen' has one result"):
        ClientSetup(clock, "heygen").client.download("job-1", tmp_path / "out.mp4", language="French")


def test_a_404_without_the_code_dubbing_not_dubbed_is_an_error(clock: Clock, tmp_path: Path) -> None:
    """ElevenLabs sends 404 with this code for a result that is not ready yet."""
    setup, job = finished(clock, "result/1:404", service="elevenlabs")

    with pytest.raises(RequestFailed):
        setup.client.download(job, tmp_path / "out.mp4")


@pytest.mark.parametrize("pending", [0, 3])
def test_a_link_that_a_bulk_response_lacks_is_requested_by_a_single_check(
    clock: Clock, lines: LogLines, tmp_path: Path, pending: int
) -> None:
    """The server has no file at the result path: its files are at the links, which bulk responses do not have.

    A single check may say for a while that the job is pending. The download waits then.
    """
    requested_paths: list[str] = []

    def respond(request: requests.PreparedRequest) -> requests.Response:
        path = str(request.url).removeprefix(HOST)
        requested_paths.append(path)
        if path == "/storage/1":
            return response(200, bytes(SIZE), content_type="video/mp4", content_length=str(SIZE))
        if "ids=" in path:
            return response(200, json.dumps({"results": [{"id": one, "result": "completed"} for one in "ab"]}).encode())
        if requested_paths.count("/status/a") <= pending and path == "/status/a":
            return response(200, b'{"result": "pending"}')
        link = f'{{"result": "completed", "result_url": "{HOST}/storage/1"}}'
        return response(200, link.encode()) if path.startswith("/status/") else response(404, b"{}")

    session = requests.Session()
    session.mount("http://", FunctionAdapter(respond))
    client = VideoTranslationClient(HOST, session=session, sleep=clock.tick)
    [job, _] = client.wait_all(["a", "b"])
    assert isinstance(job, Job)
    assert len(requested_paths) == 1
    client.download(job, tmp_path / "out.mp4")

    assert requested_paths[1:] == ["/jobs/a/result", *["/status/a"] * (pending + 1), "/storage/1"]
    assert lines.of("file_downloaded")[0]["attempts"] == pending + 3
    assert (tmp_path / "out.mp4").read_bytes() == bytes(SIZE)


def test_a_404_for_the_file_is_an_error_after_one_status_request(clock: Clock, tmp_path: Path) -> None:
    """If the status may have another link. Where it never has one, the first 404 is the error."""
    for service, calls in (("reference", 3), ("heygen", 3), ("elevenlabs", 1)):
        setup, job = finished(clock, "result/every-1:404", service=service)
        before = len(setup.lab.arrivals)
        with pytest.raises(RequestFailed, match="The result is not kept any more"):
            setup.client.download(job, tmp_path / "out.mp4")
        assert len(setup.lab.arrivals) - before == calls


def header(request: requests.PreparedRequest, name: str) -> str | None:
    value = request.headers.get(name)
    return value.decode() if isinstance(value, bytes) else value


Respond = Callable[[requests.PreparedRequest], requests.Response]


def served_by(clock: Clock, respond: Respond, **arguments: Any) -> VideoTranslationClient:
    session = requests.Session()
    session.mount("http://", FunctionAdapter(respond))
    return VideoTranslationClient(HOST, session=session, sleep=clock.tick, **arguments)


def test_a_file_that_has_changed_is_downloaded_from_its_start(clock: Clock, tmp_path: Path) -> None:
    """A file of parts of two versions would be of no use."""
    ranges: list[str | None] = []

    def respond(request: requests.PreparedRequest) -> requests.Response:
        ranges.append(header(request, "Range"))
        if len(ranges) == 1:
            return response(200, b"a" * 70_000, content_length="100000", etag='"one"', content_type="video/mp4")
        assert request.headers.get("If-Range") in (None, '"one"')
        return response(200, b"b" * 90_000, content_length="90000", etag='"two"', content_type="video/mp4")

    path = served_by(clock, respond).download(DONE, tmp_path / "out.mp4")

    assert ranges == [None, "bytes=70000-"]
    assert path.read_bytes() == b"b" * 90_000


@pytest.mark.parametrize(
    "head",
    [
        {"content_range": "bytes 0-49999/100000"},
        {"content_range": "bytes 50001-99999/100000"},
        {"content_range": "bytes 50000-99999/100001"},  # another length
        {"content_range": "bytes 50000-99998/100000"},  # not to the end of the file
        {"content_range": "bytes 50000-99999/100000", "etag": '"three"'},
        {"content_range": "bytes 50000-99999/100000", "content_type": "multipart/byteranges; boundary=x"},
        {"content_range": "nonsense"},
        {"no_etag": "", "content_range": "bytes 50000-99999/100000"},
        {},
    ],
)
def test_a_part_other_than_the_requested_one_is_discarded(clock: Clock, tmp_path: Path, head: dict[str, str]) -> None:
    """The whole file is requested again."""
    calls: list[str | None] = []

    def respond(request: requests.PreparedRequest) -> requests.Response:
        calls.append(header(request, "Range"))
        if len(calls) == 1:
            return response(200, b"a" * 50_000, content_length="100000", etag='"one"')
        if len(calls) == 2:
            return response(206, b"x" * 50_000, **({"etag": '"one"', **head} if "no_etag" not in head else {}))
        return response(200, b"c" * 10, content_length="10", etag='"two"')

    path = served_by(clock, respond).download(DONE, tmp_path / "out.mp4")
    assert calls == [None, "bytes=50000-", None]
    assert path.read_bytes() == b"c" * 10


def test_the_length_of_the_file_may_be_in_content_range_alone(clock: Clock, tmp_path: Path) -> None:
    """The first response does not state it, and the second one breaks off too."""
    calls: list[str | None] = []

    def respond(request: requests.PreparedRequest) -> requests.Response:
        calls.append(header(request, "Range"))
        if len(calls) == 1:
            made = response(200, b"a" * 70_000, etag='"one"', transfer_encoding="chunked")
            made.raw = Breaking(made.content)
            return made
        if len(calls) == 2:
            return response(206, b"b" * 10, etag='"one"', content_range="bytes 65536-99999/100000")
        return response(206, b"c" * 34_454, etag='"one"', content_range="bytes 65546-99999/100000")

    path = served_by(clock, respond).download(DONE, tmp_path / "out.mp4")
    assert calls == [None, "bytes=65536-", "bytes=65546-"]
    assert path.stat().st_size == 100_000


class Breaking(io.BytesIO):
    """A body that is read in blocks, and breaks after the first one."""

    def read(self, size: int | None = -1, **_: object) -> bytes:
        if self.tell():
            raise ConnectionResetError(104, "Connection reset by peer")
        return super().read(size)


@pytest.mark.parametrize(
    "head",
    [
        {"last_modified": "Mon, 01 Jun 2026 00:00:08 GMT"},
        {"etag": '"new"'},
    ],
)
def test_a_part_of_a_modified_file_is_discarded(clock: Clock, tmp_path: Path, head: dict[str, str]) -> None:
    """The server sends it although `If-Range` does not match."""
    dates = {"last_modified": "Mon, 01 Jun 2026 00:00:00 GMT", "date": "Mon, 01 Jun 2026 00:00:09 GMT"}
    calls: list[str | None] = []

    def respond(request: requests.PreparedRequest) -> requests.Response:
        calls.append(header(request, "Range"))
        if len(calls) == 1:
            return response(200, b"a" * 70_000, content_length="100000", **dates)
        if len(calls) == 2:
            return response(206, b"b" * 30_000, content_range="bytes 70000-99999/100000", **head)
        return response(200, b"c" * 100_000, content_length="100000")

    assert set(served_by(clock, respond).download(DONE, tmp_path / "out.mp4").read_bytes()) == {ord("c")}


@pytest.mark.parametrize(
    ("validators", "is_resumed"),
    [
        ({"etag": '"strong"'}, True),
        ({"etag": 'W/"weak"'}, False),
        ({"etag": 'W/"weak"', "last_modified": "Mon, 01 Jun 2026 00:00:00 GMT"}, False),
        ({"last_modified": "Mon, 01 Jun 2026 00:00:00 GMT", "date": "Mon, 01 Jun 2026 00:00:09 GMT"}, True),
        ({"last_modified": "Mon, 01 Jun 2026 00:00:09 GMT", "date": "Mon, 01 Jun 2026 00:00:09 GMT"}, False),
        ({"last_modified": "yesterday", "date": "Mon, 01 Jun 2026 00:00:09 GMT"}, False),
        ({}, False),
    ],
)
def test_a_download_is_resumed_only_with_a_strong_validator(
    clock: Clock, tmp_path: Path, validators: dict[str, str], is_resumed: bool
) -> None:
    """A strong validator in the sense of RFC 9110: a strong `ETag`, or a `Last-Modified` older than `Date`."""
    ranges: list[str | None] = []

    def respond(request: requests.PreparedRequest) -> requests.Response:
        ranges.append(header(request, "Range"))
        if len(ranges) == 1:
            return response(200, b"a" * 70_000, content_length="100000", **validators)
        if is_resumed:
            same = {name: value for name, value in validators.items() if name == "etag"}
            return response(206, b"b" * 30_000, content_range="bytes 70000-99999/100000", **same)
        return response(200, b"c" * 100_000, content_length="100000")

    path = served_by(clock, respond).download(DONE, tmp_path / "out.mp4")
    assert path.stat().st_size == 100_000
    assert ranges == [None, "bytes=70000-" if is_resumed else None]


def test_a_416_response_to_a_range_request_restarts_the_download(clock: Clock, tmp_path: Path) -> None:
    """The file has become shorter. The 416 may also come from a proxy."""
    calls: list[str | None] = []

    def respond(request: requests.PreparedRequest) -> requests.Response:
        calls.append(header(request, "Range"))
        if len(calls) == 1:
            return response(200, b"a" * 70_000, content_length="100000", etag='"one"')
        return response(416, b"") if len(calls) == 2 else response(200, b"new", content_length="3", etag='"two"')

    assert served_by(clock, respond).download(DONE, tmp_path / "out.mp4").read_bytes() == b"new"
    assert calls == [None, "bytes=70000-", None]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html; charset=utf-8", b"please log in"),
        ("application/json", b"1"),
        ("image/jpeg", b"\xff\xd8\xff\xe0" + bytes(50)),
        ("Application/Problem+JSON", b"x"),
        ("application/xhtml+xml", b"x"),
        ("application/vnd.api+json", b"x"),
        ("text/json", b"x"),
        ("application/xml", b"x"),
        ("text/plain", b"<html>please log in"),
        ("video/mp4", b'<?xml version="1.0"?><Error><Code>ExpiredToken</Code></Error>'),
        ("video/mp4", b" <!doctype html>"),
        ("", b'{"error": "no"}'),
        ("", b"{}"),
        ("binary/octet-stream", b'[{"error": 1}]'),
        ("application/octet-stream", b"\xef\xbb\xbf<html>"),
    ],
)
def test_a_200_response_with_an_error_page_is_an_error(clock: Clock, tmp_path: Path, kind: str, body: bytes) -> None:
    """Known by its media type or its first bytes: a login page, an image, or an error that only the body states."""
    client = served_by(clock, lambda _: response(200, body, content_type=kind))

    with pytest.raises(UnexpectedAnswer, match="in place of the file"):
        client.download(DONE, tmp_path / "out.mp4")
    assert left_in(tmp_path) == []


def test_an_empty_file_is_an_error(clock: Clock, tmp_path: Path) -> None:
    """No file is left behind."""
    with pytest.raises(UnexpectedAnswer, match="the file is empty"):
        served_by(clock, lambda _: response(200, b"")).download(DONE, tmp_path / "out.mp4")
    assert left_in(tmp_path) == []


def test_real_progress_resets_the_count_of_faults_in_a_row(clock: Clock, tmp_path: Path) -> None:
    """Ten attempts bring 100 kB each, with `max_faults=2`."""
    whole = b"\0\0\0\x18ftyp" + os.urandom(999_992)

    def respond(request: requests.PreparedRequest) -> requests.Response:
        start = int(str(header(request, "Range") or "bytes=0-")[6:-1])
        part = whole[start : start + 100_000]
        if not start:
            return response(200, part, content_length="1000000", etag='"w"')
        head = {"content_range": f"bytes {start}-999999/1000000", "content_length": str(1_000_000 - start)}
        return response(206, part, etag='"w"', **head)

    path = served_by(clock, respond, max_faults=2).download(DONE, tmp_path / "out.mp4")
    assert path.read_bytes() == whole


def test_a_download_that_never_gets_further_fails(clock: Clock, tmp_path: Path) -> None:
    """Every second attempt brings more bytes than the one before, but none more than 200 kB."""
    sizes = iter([70_000, 200_000] * 1000)

    def respond(_: requests.PreparedRequest) -> requests.Response:
        return response(200, b"x" * next(sizes), content_length="1000000")

    with pytest.raises(RequestFailed, match="breaks off"):
        served_by(clock, respond).download(DONE, tmp_path / "out.mp4")


def test_on_progress_gets_the_received_and_the_total_bytes(clock: Clock, tmp_path: Path) -> None:
    """The received bytes never decrease here, although the first response is truncated."""
    setup, job = finished(clock, "result/1:truncate")
    progress: list[tuple[int, int | None]] = []
    setup.client.download(job, tmp_path / "out.mp4", on_progress=lambda *seen: progress.append(seen))

    assert [received for received, _ in progress] == sorted(received for received, _ in progress)
    assert {total for _, total in progress} == {SIZE}
    assert progress[-1][0] == SIZE


def test_an_interrupted_download_leaves_no_partial_file(clock: Clock, tmp_path: Path) -> None:
    """By a `KeyboardInterrupt` in `on_progress`."""
    setup, job = finished(clock)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        setup.client.download(job, tmp_path / "out.mp4", on_progress=interrupt)
    assert left_in(tmp_path) == []


def test_a_cancelled_download_leaves_no_partial_file(clock: Clock, tmp_path: Path) -> None:
    """It is cancelled while the body is received."""
    setup, job = finished(clock)
    cancel = threading.Event()

    with pytest.raises(WaitCancelled):
        setup.client.download(job, tmp_path / "o.mp4", cancel=cancel, on_progress=lambda *_: cancel.set())
    assert left_in(tmp_path) == []


class Full(io.FileIO):
    """A file on a full disk."""

    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_an_os_error_without_a_retry(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of the operating system is raised as it is."""
    setup, job = finished(clock)
    before = len(setup.lab.arrivals)
    monkeypatch.setattr(Path, "open", lambda path, mode: Full(path, mode))
    with pytest.raises(OSError, match="No space left on device"):
        setup.client.download(job, tmp_path / "out.mp4")
    assert len(setup.lab.arrivals) - before == 1


def test_a_symbolic_link_at_the_path_is_followed_and_not_replaced(clock: Clock, tmp_path: Path) -> None:
    """The file is at the target of the symbolic link."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link.mp4").symlink_to(tmp_path / "real" / "out.mp4")
    setup, job = finished(clock)
    setup.client.download(job, tmp_path / "link.mp4")

    assert (tmp_path / "link.mp4").is_symlink()
    assert (tmp_path / "real" / "out.mp4").stat().st_size == SIZE


def test_a_new_file_has_the_default_permissions(clock: Clock, tmp_path: Path) -> None:
    """Not those of a temporary file."""
    setup, job = finished(clock)
    (tmp_path / "other").touch()
    path = setup.client.download(job, tmp_path / "out.mp4")

    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("link", ["ftp://files.test/x", "javascript:alert(1)", "http://", "//", "j.mp4"])
def test_the_error_for_an_unusable_link_names_its_field(clock: Clock, tmp_path: Path, link: str) -> None:
    """The field has a value, which is no http(s) URL with a host."""
    body = json.dumps({"data": {"id": "j", "status": "completed", "video_url": link}})
    client = served_by(clock, lambda _: response(200, body.encode()), service="heygen", api_key="k-123456")

    with pytest.raises(UnexpectedAnswer, match=r"the link in .data\.video_url. cannot be used"):
        client.download("j", tmp_path / "out.mp4")


FILE = b"\0\0\0\x18ftypmp42" + bytes(100)


def fetched(client: type[Any], job: Job | str, server: Scripted, folder: Path) -> bytes | str:
    """Download from a server on a socket with a client of one kind. Returns the file, or the text of the error."""
    arguments: dict[str, Any] = {"logger": SilentLogger(), "max_faults": 1}

    async def download() -> Path:
        async with AsyncVideoTranslationClient(server.url, **arguments) as asynchronous:
            return await asynchronous.download(job, folder / "out.mp4")

    try:
        if client is AsyncVideoTranslationClient:
            return asyncio.run(download()).read_bytes()
        with VideoTranslationClient(server.url, **arguments) as blocking:
            return blocking.download(job, folder / "out.mp4").read_bytes()
    except TranslationClientError as error:
        return str(error)


@pytest.mark.parametrize("client", [VideoTranslationClient, AsyncVideoTranslationClient])
@pytest.mark.parametrize("holder", ["the job", "a status response", "a redirect"])
@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("{url}/my video.mp4?a=b c", "/my%20video.mp4?a=b%20c"),
        ("{url}/my%20video.mp4", "/my%20video.mp4"),
        (" \t{url}/f \t", "/f"),
        ("/my video.mp4", "/my%20video.mp4"),
        ("//{host}/f", "/f"),
        ("{url}/a\tb", None),
        ("{url}/a\\b", None),
        ("{url}\\@other.test/", None),
        ("http://my host/f", None),
        ("http://[::1/f", None),
        ("//[::1/f", None),
        ("//", None),
        ("ftp://{host}/f", None),
    ],
)
def test_a_link_is_read_the_same_in_a_job_a_status_response_and_a_redirect(
    client: type[Any], holder: str, link: str, path: str | None, tmp_path: Path
) -> None:
    """White space is dropped at its ends and quoted within, as in browsers.

    Control characters and backslashes are refused.
    """

    def respond(request: Arrived) -> list[bytes]:
        sent = link.format(url=server.url, host=server.url.removeprefix("http://"))
        if request.path == "/first":
            return [http_response(b"", "302 Found", f"Location: {sent}")]
        if request.path == "/status/j":
            return [http_response({"result": "completed", "result_url": sent})]
        return [http_response(FILE)]

    with scripted(respond) as server:
        own = f"{server.url}/first" if holder == "a redirect" else link
        own = own.format(url=server.url, host=server.url.removeprefix("http://"))
        job = Job("j", TranslationStatus.COMPLETED, "completed", result_url=own)
        outcome = fetched(client, "j" if holder == "a status response" else job, server, tmp_path)
        if path is None:
            assert "no http(s) URL" in str(outcome) or "breaks HTTP" in str(outcome)  # requests parses redirects too
            assert {request.path for request in server.arrived} <= {"/first", "/status/j"}
        else:
            assert outcome == FILE
            assert server.arrived[-1].path == path


@pytest.mark.parametrize("client", [VideoTranslationClient, AsyncVideoTranslationClient])
def test_a_link_may_end_with_a_line_break(client: type[Any], tmp_path: Path) -> None:
    """As a link read from a file may. One within the link is refused."""
    with scripted(lambda _: [http_response(FILE)]) as server:
        job = Job("j", TranslationStatus.COMPLETED, "completed", result_url=f"{server.url}/f\r\n")
        assert fetched(client, job, server, tmp_path) == FILE
        job = Job("j", TranslationStatus.COMPLETED, "completed", result_url=f"{server.url}/f\r\n/g")
        assert "the link in 'result_url' cannot be used" in str(fetched(client, job, server, tmp_path))
        # Not a path of the service.
        job = Job("j", TranslationStatus.COMPLETED, "completed", result_url="\xa0//other.test/f")
        assert "the link in 'result_url' cannot be used" in str(fetched(client, job, server, tmp_path))
        assert [request.path for request in server.arrived] == ["/f"]


def test_a_relative_link_is_resolved_against_the_base_url(clock: Clock, tmp_path: Path) -> None:
    """Its request has the API key, as it goes to the same origin."""
    requested: list[tuple[str | None, str | None]] = []

    def respond(request: requests.PreparedRequest) -> requests.Response:
        requested.append((request.url, header(request, "Authorization")))
        if "/status" in str(request.url):
            return response(200, b'{"result": "completed", "result_url": "/files/j.mp4"}')
        return response(200, b"file", content_type="video/mp4")

    served_by(clock, respond, api_key="k-123456").download("j", tmp_path / "out.mp4")
    assert requested == [(f"{HOST}/status/j", "Bearer k-123456"), (f"{HOST}/files/j.mp4", "Bearer k-123456")]


def test_the_download_of_an_audio_only_translation_is_its_audio(clock: Clock, tmp_path: Path) -> None:
    """With HeyGen's `translate_audio_only`. The audio of a video is not returned in place of the video."""
    data = {"id": "j", "status": "completed", "audio_url": "http://files.test/a.mp3", "video_url": None}

    def respond(request: requests.PreparedRequest) -> requests.Response:
        if "files.test" in str(request.url):
            return response(200, b"sound", content_type="audio/mpeg")
        return response(200, json.dumps({"data": data}).encode())

    client = served_by(clock, respond, service="heygen", api_key="k-123456")
    with pytest.raises(ResultNotReady, match="'completed'"):
        client.download("j", tmp_path / "out")
    data["translate_audio_only"] = True  # type: ignore[assignment]  # JSON has more than strings
    assert client.download("j", tmp_path / "out").read_bytes() == b"sound"


@pytest.mark.parametrize("error", [ValueError, TypeError, BrokenPipeError, KeyError, requests.ConnectionError])
def test_an_exception_of_on_progress_is_raised_without_a_retry(
    clock: Clock, tmp_path: Path, error: type[Exception]
) -> None:
    """It is raised as it is, even if the network may raise the same type."""
    setup, job = finished(clock)
    before = len(setup.lab.arrivals)

    def broken(*_: object) -> None:
        raise error("mine")

    with pytest.raises(error, match="mine"):
        setup.client.download(job, tmp_path / "out.mp4", on_progress=broken)
    assert len(setup.lab.arrivals) - before == 1
    assert left_in(tmp_path) == []


def test_the_sleep_after_a_broken_response_ends_at_the_deadline(clock: Clock, tmp_path: Path) -> None:
    """The response arrives 0.1 s before the deadline."""

    def respond(_: requests.PreparedRequest) -> requests.Response:
        clock.tick(1.9)
        return response(200, b"x" * 100_000, content_length="1000000")

    with pytest.raises(WaitTimeout) as caught:
        served_by(clock, respond).download(DONE, tmp_path / "out.mp4", timeout=2)
    assert caught.value.elapsed <= 2.25


@pytest.mark.parametrize("codes", [[416], [206], [200, 416], [200, 206]])
def test_a_download_fails_if_the_storage_never_sends_the_whole_file(
    clock: Clock, tmp_path: Path, codes: list[int]
) -> None:
    """It sends only 416 or 206, or one of them after each incomplete 200."""
    turns = iter(codes * 1000)

    def respond(_: requests.PreparedRequest) -> requests.Response:
        code = next(turns)
        head = {"content_length": "1000000", "etag": '"one"'} if code == 200 else {}
        return response(code, b"x" * 70_000, **head)

    with pytest.raises(TranslationClientError):
        served_by(clock, respond).download(DONE, tmp_path / "out.mp4")
    assert left_in(tmp_path) == []


def test_a_device_or_a_pipe_is_refused_as_the_path(clock: Clock, tmp_path: Path) -> None:
    """A download would replace it."""
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/null", tmp_path / "pipe"):
        with pytest.raises(ValueError, match="is a device or a pipe"):
            ClientSetup(clock, "heygen").client.download("job-1", path)


def test_a_download_keeps_the_permissions_of_the_file_that_it_replaces(clock: Clock, tmp_path: Path) -> None:
    """A private file stays private."""
    (tmp_path / "out.mp4").touch(mode=0o600)
    setup, job = finished(clock)

    assert setup.client.download(job, tmp_path / "out.mp4").stat().st_mode & 0o777 == 0o600
