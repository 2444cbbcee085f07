"""Downloads across truncated responses, ranges, changed lengths and validators: two versions are never mixed."""

from __future__ import annotations

import dataclasses
import gzip
import io
import math
import os
import random
import socket
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from support.example_errors import chain_of
from support.fixtures import SilentLogger
from support.hostile_server import answering, serving
from support.raw_responses import CLIENTS, Headers, Raw, Script, checked, chunked, downloaded, part, raw, whole

from translation_client import (
    AsyncVideoTranslationClient,
    Job,
    RequestFailed,
    TranslationStatus,
    UnexpectedAnswer,
    VideoTranslationClient,
)
from translation_client._jobs.file_headers import strong_validator
from translation_client._jobs.part_file import PartFile
from translation_client._models import Fault
from translation_client._polling import REAL_PROGRESS_BYTES
from translation_client._transports.matched_response import MatchedResponse

pytestmark = pytest.mark.exhaustive

OLD = b"\0\0\0\x18ftypmp42" + b"a" * 988
NEW = b"\0\0\0\x18ftypmp42" + b"b" * 988
BLOCK = 65536
"""The number of bytes that the blocking client reads at once. If a read breaks off, all of its bytes are lost."""

LONG = b"\0\0\0\x18ftypmp42" + random.Random(3).randbytes(4 * REAL_PROGRESS_BYTES - 12)
PAGE = b"<html>" + b"please log in" * 1000
A, B = 'ETag: "a"', 'ETag: "b"'
MODIFIED = ("Last-Modified: Mon, 01 Jun 2026 00:00:00 GMT", "Date: Mon, 01 Jun 2026 00:00:09 GMT")
LATER = ("Last-Modified: Mon, 01 Jun 2026 00:00:05 GMT", "Date: Mon, 01 Jun 2026 00:00:09 GMT")
UNKNOWN_LENGTH = "bytes 500-599/*"

every_client = pytest.mark.parametrize("client", CLIENTS)


def cut(*headers: str, body: bytes = OLD, at: int = 500) -> Raw:
    """Make a truncated 200: its `Content-Length` is that of the whole body."""
    return raw(200, f"Content-Length: {len(body)}", "Content-Type: video/mp4", *headers, body=body[:at])


def closed(body: bytes, *headers: str, version: str = "HTTP/1.0") -> Raw:
    """Make a 200 without a length, whose body ends with the connection."""
    return raw(200, "Content-Type: video/mp4", "Connection: close", *headers, body=body, version=version)


def rest(*headers: str, body: bytes = OLD, total: int | str = 1000, most: int = 10**9) -> Any:
    """Return a function that makes a 206 with the requested range, or with at most `most` bytes of it."""

    def respond(request_headers: Headers) -> Raw:
        start = int(request_headers["Range"][len("bytes=") : -1])
        end = min(len(body), start + most)
        return part(body[start:end], f"bytes {start}-{end - 1}/{total}", *headers)

    return respond


@every_client
def test_a_206_without_a_total_length_keeps_the_known_length(client: type[Any], tmp_path: Path) -> None:
    """A server may send less than requested, and need not state the total length (RFC 9110, section 15.3.7)."""
    script = Script(cut(A), part(OLD[500:600], UNKNOWN_LENGTH, A), rest(A))
    outcome = downloaded(client, script, tmp_path)

    assert outcome.file == OLD
    assert script.ranges == [None, "bytes=500-", "bytes=600-"]
    assert {total for _, total in outcome.progress} == {1000}


@every_client
def test_a_206_without_a_total_length_is_not_taken_as_the_last_part(client: type[Any], tmp_path: Path) -> None:
    """If no length is known, the rest is requested until a 416 states the length that was received."""
    more = rest(A, body=LONG, total="*", most=100_000)
    end = raw(416, f"Content-Range: bytes */{len(LONG)}", A)
    script = Script(chunked(LONG[:BLOCK], A, is_cut=True), more, more, end)

    assert downloaded(client, script, tmp_path).file == LONG
    assert script.ranges == [None, *(f"bytes={at}-" for at in (BLOCK, BLOCK + 100_000, len(LONG)))]


@every_client
@pytest.mark.parametrize(
    "content_range", ["bytes */65537", "bytes */65535", "bytes */*", "bytes 0-9/65536", "", "nonsense"]
)
def test_a_416_that_does_not_confirm_the_received_length_restarts_the_download(
    client: type[Any], content_range: str, tmp_path: Path
) -> None:
    """It may be about another version of the file."""
    script = Script(chunked(LONG[:BLOCK], A, is_cut=True), raw(416, f"Content-Range: {content_range}"), whole(NEW, B))

    assert downloaded(client, script, tmp_path).file == NEW
    assert script.ranges == [None, "bytes=65536-", None]


@every_client
def test_a_416_with_another_etag_restarts_the_download(client: type[Any], tmp_path: Path) -> None:
    """Even if the new version is as long as the received part. With the same `ETag`, or none, the file is complete."""
    end = "Content-Range: bytes */65536"
    new = NEW + bytes(BLOCK - len(NEW))
    script = Script(chunked(LONG[:BLOCK], A, is_cut=True), raw(416, end, B), whole(new, B))

    assert downloaded(client, script, tmp_path).file == new
    for tag in ((A,), ()):
        script = Script(chunked(LONG[:BLOCK], A, is_cut=True), raw(416, end, *tag))
        assert downloaded(client, script, tmp_path).file == LONG[:BLOCK]


@every_client
@pytest.mark.parametrize("headers", [MODIFIED, (A, *MODIFIED)])
def test_a_416_with_another_last_modified_restarts_the_download(
    client: type[Any], headers: tuple[str, ...], tmp_path: Path
) -> None:
    """A `Last-Modified` without `Date` is no strong validator, but a different one still restarts the download."""
    end = "Content-Range: bytes */65536"
    begun = chunked(LONG[:BLOCK], *headers, is_cut=True)
    new = NEW + bytes(BLOCK - len(NEW))
    for later in (LATER, LATER[:1]):
        script = Script(begun, raw(416, end, *later), whole(new, *LATER))
        assert downloaded(client, script, tmp_path).file == new
    for same in (headers, MODIFIED, ()):
        assert downloaded(client, Script(begun, raw(416, end, *same)), tmp_path).file == LONG[:BLOCK]


@every_client
@pytest.mark.parametrize("content_range", ["bytes */500", "bytes */1000", ""])
def test_a_416_before_the_end_of_a_known_length_restarts_the_download(
    client: type[Any], content_range: str, tmp_path: Path
) -> None:
    """500 bytes of the stated 1000 were received."""
    script = Script(cut(A), raw(416, f"Content-Range: {content_range}", A), whole(NEW, B))

    assert downloaded(client, script, tmp_path).file == NEW
    assert script.ranges == [None, "bytes=500-", None]


FORBIDDEN = raw(403, "Content-Length: 0")
COMPLETED = b'{"result": "completed", "result_url": "http://storage.test/fresh"}'
STATUS = raw(200, f"Content-Length: {len(COMPLETED)}", body=COMPLETED)


@every_client
@pytest.mark.parametrize("at", [200_000, 150_000, 100_000, 10])
def test_a_fresh_link_may_expire_at_any_point_of_the_file(client: type[Any], at: int, tmp_path: Path) -> None:
    """Without a validator the download restarts, and may be truncated before the point that the first link reached."""
    for headers in ((), (A,)):
        again = rest(*headers, body=LONG, total=len(LONG), most=at) if headers else cut(body=LONG, at=at)
        last = rest(*headers, body=LONG, total=len(LONG)) if headers else whole(LONG)
        links = (cut(*headers, body=LONG, at=150_000), FORBIDDEN, STATUS, again, FORBIDDEN, STATUS, last)
        assert downloaded(client, Script(*links), tmp_path, max_faults=2).file == LONG


@every_client
@pytest.mark.parametrize("text", [PAGE, b'{"error": "' + b"x" * 200, b" " * 200_000])
@pytest.mark.parametrize("size", [1, 5, 100])
def test_a_fresh_link_that_delivers_only_text_is_not_refreshed_again(
    client: type[Any], text: bytes, size: int, tmp_path: Path
) -> None:
    """HTML, JSON and blanks are no bytes of the file, also in small blocks. Bytes of the file from before count."""
    head = len(whole(text).data) - len(text)
    page = whole(text, blocks=(head, *[size] * 100))

    for begun in (page, cut(body=LONG, at=100_000), cut(A, body=LONG, at=100_000)):
        script = Script(begun, FORBIDDEN, STATUS, page, FORBIDDEN)
        assert "a fresh one too" in str(downloaded(client, script, tmp_path, max_faults=9).error)
        assert len(script.requests) == 5
    more = rest(A, body=LONG, total=len(LONG), most=50_000)
    links = (cut(A, body=LONG, at=100_000), FORBIDDEN, STATUS, more, page, FORBIDDEN, STATUS, whole(LONG))
    assert downloaded(client, Script(*links), tmp_path).file == LONG


@every_client
def test_links_that_bring_no_new_bytes_are_not_refreshed_for_ever(client: type[Any], tmp_path: Path) -> None:
    """Each delivers the same 100 000 bytes. The first fresh link may, then `max_faults` more, but at most 50.

    A fresh link whose first request gets a 403 is the last one.
    """

    def respond(_: Headers) -> Raw:
        return (cut(body=LONG, at=100_000), FORBIDDEN, STATUS)[(len(script.requests) - 1) % 3]

    script = Script(respond)
    assert "403" in str(downloaded(client, script, tmp_path, max_faults=4).error)
    assert len(script.requests) == 3 * (1 + 4) + 2
    script = Script(respond)
    assert "403" in str(downloaded(client, script, tmp_path, max_faults=math.inf).error)
    assert len(script.requests) == 3 * (1 + 50) + 2
    script = Script(cut(body=LONG, at=100_000), FORBIDDEN, STATUS, FORBIDDEN)
    assert "a fresh one too" in str(downloaded(client, script, tmp_path).error)
    assert len(script.requests) == 4


@every_client
def test_links_that_each_bring_new_bytes_are_refreshed_without_limit(client: type[Any], tmp_path: Path) -> None:
    """Five times, with `max_faults=2`."""
    further = rest(A, body=LONG, total=len(LONG), most=20_000)
    script = Script(
        cut(A, body=LONG, at=20_000), *[FORBIDDEN, STATUS, further] * 5, rest(A, body=LONG, total=len(LONG))
    )

    assert downloaded(client, script, tmp_path, max_faults=2).file == LONG
    assert len(script.requests) == 17


@every_client
def test_fsync_is_called_before_the_file_is_renamed(
    client: type[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Otherwise the file could be empty after a power failure."""
    synced: list[tuple[int, bool]] = []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        sync(descriptor)
        synced.append((os.fstat(descriptor).st_size, (tmp_path / "out.mp4").exists()))

    monkeypatch.setattr(os, "fsync", watched)
    assert downloaded(client, Script(whole(OLD)), tmp_path).file == OLD
    assert synced == [(len(OLD), False)]


@every_client
def test_each_short_206_is_followed_by_a_request_for_the_rest(client: type[Any], tmp_path: Path) -> None:
    """A 206 with new bytes is no fault, so ten of them do not reach `max_faults=2`."""
    script = Script(cut(A), rest(A, most=50))

    assert downloaded(client, script, tmp_path, max_faults=2).file == OLD
    assert len(script.requests) == 11


@every_client
@pytest.mark.parametrize(
    ("most", "pauses"),
    [(REAL_PROGRESS_BYTES, 0), (REAL_PROGRESS_BYTES - 1, 3)],
)
def test_the_client_sleeps_after_each_206_with_less_than_64_kib(
    client: type[Any], most: int, pauses: int, tmp_path: Path
) -> None:
    """After one with 64 KiB the rest is requested at once."""
    slept: list[float] = []
    first = cut(A, body=LONG, at=REAL_PROGRESS_BYTES)
    script = Script(first, rest(A, body=LONG, total=len(LONG), most=most))
    downloaded(client, script, tmp_path, sleep=slept.append)

    assert len(slept) == 1 + pauses  # one sleep after the fault


@every_client
@pytest.mark.parametrize("faults_before", [0, 1])
@pytest.mark.parametrize("max_faults", [1, 2])
def test_a_truncated_response_with_new_bytes_resets_the_fault_count(
    client: type[Any], max_faults: int, faults_before: int, tmp_path: Path
) -> None:
    """It has 128 KiB. Before it there are up to `max_faults - 1` faults, and after it `max_faults - 1` more."""
    faults_before = min(faults_before, max_faults - 1)
    responses = [cut(A, body=LONG, at=0)] * faults_before + [cut(A, body=LONG, at=2 * REAL_PROGRESS_BYTES)]
    responses += [raw(503)] * (max_faults - 1)
    script = Script(*responses, rest(A, body=LONG, total=len(LONG)))

    assert downloaded(client, script, tmp_path, max_faults=max_faults).file == LONG


@every_client
def test_a_download_that_restarts_again_and_again_ends_with_an_error(client: type[Any], tmp_path: Path) -> None:
    """The host sends a 416 after each few parts. Otherwise the requests would never end."""

    def respond(request_headers: Headers) -> Raw:
        turn = len(script.requests) % 4
        if "Range" not in request_headers:
            return cut(A, at=100)
        return raw(416) if turn == 0 else rest(A, most=10)(request_headers)

    script = Script(respond)
    outcome = downloaded(client, script, tmp_path)

    assert outcome.error is not None
    assert 5 < len(script.requests) < 50


OTHERS = {
    "another start": part(OLD[400:], "bytes 400-999/1000", A),
    "another start, later": part(OLD[600:], "bytes 600-999/1000", A),
    "another length": part(OLD[500:], "bytes 500-999/1001", A),
    "a shorter file": part(OLD[500:600], "bytes 500-599/600", A),
    "behind the end": part(OLD[500:] + b"x", "bytes 500-1000/*", A),
    "behind its own end": part(OLD[500:] + b"x", "bytes 500-1000/1000", A),
    "an end before the start": part(b"", "bytes 500-499/1000", A),
    "another version": part(NEW[500:], "bytes 500-999/1000", B),
    "a version that is not said": part(NEW[500:], "bytes 500-999/1000"),
    "a weak tag": part(NEW[500:], "bytes 500-999/1000", 'ETag: W/"a"'),
    "no range": raw(206, "Content-Length: 500", "Content-Type: video/mp4", A, body=OLD[500:]),
    "no range that is one": part(OLD[500:], "bytes */1000", A),
    "another unit": part(OLD[500:], "items 500-999/1000", A),
    "several parts": raw(
        206,
        "Content-Type: multipart/byteranges; boundary=x",
        "Content-Range: bytes 500-999/1000",
        A,
        body=b"--x\r\n\r\n" + OLD[500:],
    ),
    "a length below its range": raw(206, "Content-Range: bytes 500-999/1000", "Content-Length: 300", A, body=OLD[500:800]),
    "a length above its range": raw(206, "Content-Range: bytes 500-599/1000", "Content-Length: 500", A, body=OLD[500:]),
    "more than its range, in chunks": chunked(
        OLD[500:], "Content-Range: bytes 500-599/1000", A, status=206
    ),
    "more than its range, until the end": raw(206, "Content-Range: bytes 500-599/*", A, body=OLD[500:]),
}  # fmt: skip


@every_client
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_206_that_does_not_continue_the_file_restarts_the_download(
    client: type[Any], other: Raw, tmp_path: Path
) -> None:
    """Its bytes are not written into the file, and the next request has no `Range`."""
    script = Script(cut(A), other, whole(NEW, B))
    outcome = downloaded(client, script, tmp_path)

    assert (outcome.file, outcome.left) == (NEW, [])
    assert script.ranges == [None, "bytes=500-", None]


@every_client
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_download_fails_if_no_206_continues_the_file(client: type[Any], other: Raw, tmp_path: Path) -> None:
    """No temporary file is left, and an existing file at the target is kept."""
    (tmp_path / "out.mp4").write_bytes(b"of yesterday")
    outcome = downloaded(client, Script(cut(A), other), tmp_path, keeps_target=True)

    assert outcome.error is not None
    assert (outcome.file, outcome.left) == (b"of yesterday", [])


@every_client
def test_a_truncated_206_is_resumed_after_its_last_byte(client: type[Any], tmp_path: Path) -> None:
    """With `Content-Length`, without it, or chunked."""
    for short in (
        raw(206, "Content-Range: bytes 500-999/1000", "Content-Length: 500", A, body=OLD[500:600]),
        raw(206, "Content-Range: bytes 500-999/1000", A, body=OLD[500:600]),
        chunked(OLD[500:600], "Content-Range: bytes 500-999/1000", A, status=206),
    ):
        script = Script(cut(A), short, rest(A))

        assert downloaded(client, script, tmp_path).file == OLD
        assert script.ranges == [None, "bytes=500-", "bytes=600-"]


@every_client
@pytest.mark.parametrize("unit", ["bytes", "Bytes", "  bytes "])
def test_the_unit_of_content_range_is_case_insensitive(client: type[Any], unit: str, tmp_path: Path) -> None:
    """RFC 9110, section 14.1. Blanks around the unit are ignored."""
    script = Script(cut(A), part(OLD[500:], f"{unit} 500-999/1000", A))

    assert downloaded(client, script, tmp_path).file == OLD


@every_client
@pytest.mark.parametrize("headers", [(), (A,)])
def test_a_206_with_the_whole_file_is_accepted(client: type[Any], headers: tuple[str, ...], tmp_path: Path) -> None:
    """Some hosts send one, whether a range was requested or not. Its `Content-Range` proves that no byte is missing."""
    everything = part(NEW, "bytes 0-999/1000", *headers)

    assert downloaded(client, Script(everything), tmp_path).file == NEW
    assert downloaded(client, Script(cut(A), everything), tmp_path).file == NEW
    assert downloaded(client, Script(part(NEW[:999], "bytes 0-998/1000", A)), tmp_path).error is not None


@every_client
@pytest.mark.parametrize("validator", [(), ('ETag: W/"a"',), MODIFIED[:1]])
def test_a_206_without_a_request_for_a_range_restarts_the_download(
    client: type[Any], validator: tuple[str, ...], tmp_path: Path
) -> None:
    """Without a strong validator no range is requested, as nothing proves that the file is the same."""
    script = Script(cut(*validator), part(NEW[500:], "bytes 500-999/1000", *validator), whole(NEW))

    assert downloaded(client, script, tmp_path).file == NEW
    assert script.ranges == [None, None, None]


@every_client
def test_a_last_modified_older_than_date_is_a_strong_validator(client: type[Any], tmp_path: Path) -> None:
    """RFC 9110, section 8.8.2.2. A 206 with another date, or with an `ETag` that was not there before, is rejected."""
    assert downloaded(client, Script(cut(*MODIFIED), rest(*MODIFIED)), tmp_path).file == OLD
    for other in (LATER, (A,), (A, *MODIFIED)):
        script = Script(cut(*MODIFIED), rest(*other, body=NEW), whole(NEW))
        assert downloaded(client, script, tmp_path).file == NEW
        assert script.ranges == [None, "bytes=500-", None]


@every_client
def test_a_200_to_a_range_request_replaces_the_received_part(client: type[Any], tmp_path: Path) -> None:
    """`If-Range` did not match, or the host does not support ranges."""
    for headers in ((A,), (B,), ()):
        assert downloaded(client, Script(cut(A), whole(NEW, *headers)), tmp_path).file == NEW


WITHOUT_A_LENGTH = {"chunked": chunked, "until the end": closed}


@every_client
@pytest.mark.parametrize("framed", WITHOUT_A_LENGTH.values(), ids=WITHOUT_A_LENGTH)
@pytest.mark.parametrize("headers", [(A,), (), ('ETag: W/"a"',), MODIFIED])
def test_a_response_without_a_length_does_not_remove_the_known_length(
    client: type[Any], framed: Any, headers: tuple[str, ...], tmp_path: Path
) -> None:
    """Unless it proves another version. Proxies end a body properly though their own connection to the host broke."""
    script = Script(cut(A), framed(OLD[:600], *headers))
    outcome = downloaded(client, script, tmp_path)

    assert isinstance(outcome.error, RequestFailed)
    assert "the file has 600 of 1000 bytes" in str(outcome.error)
    assert (outcome.file, outcome.left) == (None, [])
    assert downloaded(client, Script(cut(A), framed(OLD, *headers)), tmp_path).file == OLD


@every_client
@pytest.mark.parametrize("framed", WITHOUT_A_LENGTH.values(), ids=WITHOUT_A_LENGTH)
def test_a_response_without_a_length_is_complete_if_no_length_is_known(
    client: type[Any], framed: Any, tmp_path: Path
) -> None:
    """It is the first response, or its validator proves that the file was replaced."""
    assert downloaded(client, Script(framed(OLD)), tmp_path).file == OLD
    assert downloaded(client, Script(cut(A), framed(NEW[:700], B)), tmp_path).file == NEW[:700]
    assert downloaded(client, Script(cut(*MODIFIED), framed(NEW[:700], *LATER)), tmp_path).file == NEW[:700]


@every_client
@pytest.mark.parametrize("blocks", [(), (200,), (200, 300)])
def test_a_reset_connection_is_not_the_end_of_a_body_without_a_length(
    client: type[Any], blocks: tuple[int, ...], tmp_path: Path
) -> None:
    """A closed connection is."""
    for headers in ((), (A,)):
        broken = raw(200, "Content-Type: video/mp4", *headers, body=OLD[:600], blocks=blocks, is_reset=True)
        outcome = downloaded(client, Script(broken), tmp_path)

        assert isinstance(outcome.error, RequestFailed)
        assert (outcome.file, outcome.left) == (None, [])


@every_client
@pytest.mark.parametrize("length", [600, 1200])
@pytest.mark.parametrize("headers", [(A,), MODIFIED])
def test_another_length_under_the_same_validator_is_rejected(
    client: type[Any], length: int, headers: tuple[str, ...], tmp_path: Path
) -> None:
    """The length that was stated first holds."""
    other = whole((OLD + OLD)[:length], *headers)
    outcome = downloaded(client, Script(cut(*headers), other), tmp_path)

    assert isinstance(outcome.error, UnexpectedAnswer)
    assert f"the file has {length} bytes, and the same version had 1000" in str(outcome.error)
    assert downloaded(client, Script(cut(*headers), other, whole(OLD, *headers)), tmp_path).file == OLD


BAD_RESPONSES_TO_A_RANGE = {
    "a page": raw(200, "Content-Type: text/html", "Content-Length: 6", body=b"<html>"),
    "a page as a file": whole(PAGE),
    "the rest as the whole": whole(OLD[500:], A),
    "400": raw(400, "Content-Length: 0"),
    "405": raw(405, "Content-Length: 0"),
    "412": raw(412, "Content-Length: 0"),
    "501": raw(501, "Content-Length: 0"),
}


@every_client
@pytest.mark.parametrize("bad", BAD_RESPONSES_TO_A_RANGE.values(), ids=BAD_RESPONSES_TO_A_RANGE)
def test_an_unusable_response_to_a_range_is_followed_by_a_request_without_one(
    client: type[Any], bad: Raw, tmp_path: Path
) -> None:
    """The same range request would fail again. Later ranges are requested again, and known lengths hold."""
    script = Script(cut(A), bad, cut(A, at=700), rest(A))
    outcome = downloaded(client, script, tmp_path, max_faults=4)

    assert outcome.file == OLD
    assert script.ranges == [None, "bytes=500-", None, "bytes=700-"]
    short = downloaded(client, Script(cut(A), bad, whole(OLD[:700], A)), tmp_path)
    assert "the same version had 1000" in str(short.error)


@every_client
@pytest.mark.parametrize("status", [503, 429])
def test_a_503_or_429_to_a_range_request_is_retried_with_the_range(
    client: type[Any], status: int, tmp_path: Path
) -> None:
    """These statuses say nothing about the support of ranges."""
    script = Script(cut(A), raw(status, "Content-Length: 0"), rest(A))

    assert downloaded(client, script, tmp_path).file == OLD
    assert script.ranges == [None, "bytes=500-", "bytes=500-"]


@every_client
def test_a_disk_error_after_a_fault_does_not_chain_the_fault(
    client: type[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault has the response, which may contain secrets."""
    script = Script(cut(A), raw(412, body=b"echo: s3cr3t"))
    original = PartFile.start_over

    def start_over(part: PartFile) -> None:
        if len(script.requests) > 1:
            part._file.close()
        original(part)

    monkeypatch.setattr(PartFile, "start_over", start_over)
    with pytest.raises(ValueError, match="closed file") as caught:
        downloaded(client, script, tmp_path)
    assert len(script.requests) == 2
    assert not any(isinstance(error, Fault) for error in chain_of(caught.value))


@every_client
def test_a_400_to_a_request_without_a_range_ends_the_download(client: type[Any], tmp_path: Path) -> None:
    """Some hosts reject an expired link with a 400. There would be retries left."""
    script = Script(cut(A), raw(400, "Content-Length: 0"))
    outcome = downloaded(client, script, tmp_path, max_faults=9)

    assert "400" in str(outcome.error)
    assert script.ranges == [None, "bytes=500-", None]


@every_client
def test_a_203_is_accepted_as_the_file(client: type[Any], tmp_path: Path) -> None:
    """RFC 9110, section 15.3.4. A truncated one is resumed, and HTML in place of the file is rejected."""
    headers = ("Content-Length: 1000", "Content-Type: video/mp4", A)
    assert downloaded(client, Script(raw(203, *headers, body=OLD)), tmp_path).file == OLD
    assert downloaded(client, Script(raw(203, *headers, body=OLD[:500]), rest(A)), tmp_path).file == OLD
    page = downloaded(client, Script(raw(203, "Content-Length: 6", body=b"<html>")), tmp_path)
    assert "HTML, XML or JSON in place of the file" in str(page.error)


@every_client
@pytest.mark.parametrize("labels", [((), ("gzip",)), (("gzip",), ()), (("zstd",), ("deflate",)), (("gzip",), ("br",))])
@pytest.mark.parametrize("headers", [(A,), ()])
def test_a_false_content_encoding_does_not_remove_the_known_length(
    client: type[Any], labels: tuple[tuple[str, ...], ...], headers: tuple[str, ...], tmp_path: Path
) -> None:
    """The length is that of the bytes sent, which are the same with each `Content-Encoding`."""
    first, second = ([*headers, *(f"Content-Encoding: {one}" for one in some)] for some in labels)
    begun = cut(*first, body=LONG, at=100_000)
    for size in (200_000, 500, 8):  # also fewer bytes than prove that the coding is false
        outcome = downloaded(client, Script(begun, chunked(LONG[:size], *second)), tmp_path)
        assert f"the file has {size} of {len(LONG)} bytes" in str(outcome.error)
        assert (outcome.file, outcome.left) == (None, [])
    outcome = downloaded(client, Script(begun, whole(LONG[:500], *second)), tmp_path)
    assert f"the file has 500 bytes, and {'the same version' if headers else ''}" in str(outcome.error)
    outcome = downloaded(client, Script(begun, chunked(LONG + b"x", *second)), tmp_path)
    assert "more bytes than the response announced" in str(outcome.error)
    assert downloaded(client, Script(begun, chunked(LONG, *second)), tmp_path).file == LONG


@every_client
@pytest.mark.parametrize("repeated", ["gzip", ""])
def test_a_file_with_a_false_content_encoding_is_resumed(client: type[Any], repeated: str, tmp_path: Path) -> None:
    """Whether the 206 repeats the `Content-Encoding` or not."""
    label = [f"Content-Encoding: {repeated}"] if repeated else []
    script = Script(
        cut(A, "Content-Encoding: gzip", body=LONG, at=100_000), rest(A, *label, body=LONG, total=len(LONG))
    )

    assert downloaded(client, script, tmp_path).file == LONG
    assert len(script.requests) == 2


@every_client
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("framed", [whole, chunked])
@pytest.mark.parametrize("headers", [(A,), (), MODIFIED])
def test_a_compressed_response_must_have_the_known_length(
    client: type[Any], coding: str, framed: Any, headers: tuple[str, ...], tmp_path: Path
) -> None:
    """Its length after decoding counts, unless its validator proves another version."""

    def packed(body: bytes, *headers: str) -> Raw:
        packed_body = gzip.compress(body) if coding == "gzip" else zlib.compress(body)
        response: Raw = framed(packed_body, f"Content-Encoding: {coding}", *headers)
        return response

    for second_headers in {headers, ()}:
        outcome = downloaded(client, Script(cut(*headers), packed(OLD[:600], *second_headers)), tmp_path)
        assert "the file has 600 bytes, and " in str(outcome.error)
        assert (outcome.file, outcome.left) == (None, [])
        assert downloaded(client, Script(cut(*headers), packed(OLD, *second_headers)), tmp_path).file == OLD
        (tmp_path / "out.mp4").unlink()
    if headers:
        other = (B,) if headers == (A,) else LATER
        assert downloaded(client, Script(cut(*headers), packed(NEW[:600], *other)), tmp_path).file == NEW[:600]


@every_client
def test_an_uncompressed_206_does_not_complete_a_gzip_file_that_is_too_short(client: type[Any], tmp_path: Path) -> None:
    """A 206 need not repeat `Content-Encoding`, and bytes after the end of a gzip stream are ignored."""
    packed = closed(gzip.compress(LONG[:90_000]), A, "Content-Encoding: gzip")
    broken = dataclasses.replace(packed, blocks=(1000,) * 100, is_reset=True)
    script = Script(cut(A, body=LONG, at=10), broken, rest(A, body=LONG, total=len(LONG)), whole(LONG, A))

    assert downloaded(client, script, tmp_path).file == LONG


@every_client
def test_a_compressed_file_may_have_had_no_content_encoding_before(client: type[Any], tmp_path: Path) -> None:
    """Then the known length is that of the compressed bytes."""
    stored = gzip.compress(LONG)
    for headers in ((A,), ()):
        labelled = whole(stored, *headers, "Content-Encoding: gzip")
        assert downloaded(client, Script(cut(*headers, body=stored), labelled), tmp_path).file == LONG
    no_label = chunked(stored, A, is_cut=True, blocks=(1000,) * (len(stored) // 1000))
    for odd in (no_label, part(stored[:50], f"bytes 0-49/{len(stored)}", A)):
        labelled = whole(stored, A, "Content-Encoding: gzip")
        assert downloaded(client, Script(odd, labelled), tmp_path).file == LONG
    begun = cut(A, "Content-Encoding: gzip", body=stored, at=100_000)
    for label in ((), ("Content-Encoding: gzip",)):
        script = Script(cut(A, body=stored), begun, rest(A, *label, body=stored, total=len(stored)))
        assert downloaded(client, script, tmp_path).file == LONG
        assert len(script.requests) == 3


@every_client
def test_the_length_of_a_truncated_html_page_does_not_bind_a_compressed_file(client: type[Any], tmp_path: Path) -> None:
    """Two bytes of the page arrive, too few to recognize it."""
    page = cut(body=PAGE, at=2)
    packed = gzip.compress(LONG)
    for headers in ((), (A,)):
        for framed in (whole, chunked):
            script = Script(page, framed(packed, "Content-Encoding: gzip", *headers))
            assert downloaded(client, script, tmp_path).file == LONG
        resumed = (cut("Content-Encoding: gzip", A, body=packed, at=100_000), rest(A, body=packed, total=len(packed)))
        assert downloaded(client, Script(page, *resumed), tmp_path).file == LONG


@every_client
def test_the_length_of_a_version_holds_whatever_response_comes_in_between(client: type[Any], tmp_path: Path) -> None:
    """Another version, a 206 that does not continue the file, or a 416."""
    for between in (cut(B, body=NEW[:700]), part(OLD[400:], "bytes 400-999/1000", A), raw(416), chunked(NEW[:300], B, is_cut=True)):  # fmt: skip
        outcome = downloaded(client, Script(cut(A), between, whole(OLD[:600], A)), tmp_path, max_faults=4)
        assert (outcome.file, outcome.left) == (None, [])


@every_client
@pytest.mark.parametrize("headers", [(A,), MODIFIED])
def test_a_file_shorter_than_its_received_part_is_rejected(
    client: type[Any], headers: tuple[str, ...], tmp_path: Path
) -> None:
    """Even if no response states a length. With another validator, or none, it is accepted as a new version."""
    begun = chunked(LONG[:200_000], *headers, is_cut=True, blocks=(1000,) * 180)
    short = LONG[:100_000]
    other = (B,) if headers == (A,) else LATER
    between = chunked(NEW, *other, is_cut=True)
    for script in ((chunked(short, *headers),), (whole(short, *headers),), (between, whole(short, *headers))):
        outcome = downloaded(client, Script(begun, *script), tmp_path, max_faults=4)
        assert "and the same version had " in str(outcome.error)
        assert (outcome.file, outcome.left) == (None, [])
    for replaced in ((chunked(short, *other),), (whole(short),), (between, whole(short))):
        assert downloaded(client, Script(begun, *replaced), tmp_path).file == short
    assert downloaded(client, Script(begun, chunked(LONG, *headers)), tmp_path).file == LONG


@every_client
def test_a_rejected_part_sets_a_minimum_length_of_its_version(client: type[Any], tmp_path: Path) -> None:
    """If no other response states a length. A total of 1000 may be that of a compressed form: the minimum is 888."""
    for status in (200, 206):
        odd = part_as(status, OLD[:600], "bytes 0-599/1000", A)
        assert "the same version had 888 or more" in str(
            downloaded(client, Script(odd, whole(OLD[:600], A)), tmp_path).error
        )
        assert "had 888 or more" in str(downloaded(client, Script(odd, chunked(OLD[:600], A)), tmp_path).error)
        assert downloaded(client, Script(odd, whole(OLD, A)), tmp_path).file == OLD
        of_a_slice = part_as(status, OLD[100:500], "bytes 100-499/500", A)
        assert downloaded(client, Script(of_a_slice, whole(OLD, A)), tmp_path).file == OLD
        assert downloaded(client, Script(odd, whole(OLD[:600], B)), tmp_path).file == OLD[:600]


@every_client
@pytest.mark.parametrize(
    "content_range", ["0-1000/1000", "0-/1000", "=0-999/1000", " -/1000", " */1000", ": 0-999 / 1000"]
)
@pytest.mark.parametrize("framed", [chunked, closed])
def test_a_malformed_content_range_of_a_200_states_the_length(
    client: type[Any], content_range: str, framed: Any, tmp_path: Path
) -> None:
    """If no other header does. A total that is too small is ignored."""
    about = f"Content-Range: bytes{content_range if content_range[0] in '=: ' else ' ' + content_range}"
    for low in (" */0", " 0-0/0", " 0-999/999", " */1"):
        assert downloaded(client, Script(framed(OLD, f"Content-Range: bytes{low}")), tmp_path).file == OLD
    assert downloaded(client, Script(whole(OLD, "Content-Range: bytes */1001")), tmp_path).file == OLD
    for end in (raw(416, "Content-Range: bytes */1000", A), rest(A)):
        script = Script(framed(OLD[:900], "Content-Range: bytes */1001", A), rest(A, most=100), end)
        assert downloaded(client, script, tmp_path).file == OLD
    packed = framed(gzip.compress(OLD), about, "Content-Encoding: gzip")
    assert downloaded(client, Script(packed), tmp_path).file == OLD
    assert "600 of 1000 bytes" in str(downloaded(client, Script(framed(OLD[:600], about)), tmp_path).error)
    assert downloaded(client, Script(framed(OLD, about)), tmp_path).file == OLD


@every_client
@pytest.mark.parametrize("at", [0, 2, 15, 3000])
def test_the_length_of_a_truncated_html_page_does_not_bind_the_file(client: type[Any], at: int, tmp_path: Path) -> None:
    """Nor does its `ETag`. Its `Content-Type` is `text/html`, and the bytes that arrive do not disprove it."""
    about = ("Content-Type: text/html", f"Content-Length: {len(PAGE)}", A)
    page = raw(200, *about, body=PAGE[:at], is_reset=True)
    for file in (whole(OLD), chunked(OLD), whole(OLD, A), chunked(gzip.compress(OLD), "Content-Encoding: gzip")):
        assert downloaded(client, Script(page, file), tmp_path).file == OLD
    assert (
        downloaded(client, Script(page, chunked(LONG[:BLOCK], A, is_cut=True), whole(LONG, A)), tmp_path).file == LONG
    )
    begun = raw(200, *about[:2], body=OLD[:at], is_reset=True)
    if at < 16:  # so few bytes of a file with a wrong media type could be those of a page
        assert downloaded(client, Script(begun, whole(OLD)), tmp_path).file == OLD


@every_client
def test_a_known_length_holds_only_for_its_version(client: type[Any], tmp_path: Path) -> None:
    """A later response without a length may be of a longer version, and its `Content-Encoding` may be wrong."""
    other = chunked(LONG[:BLOCK], B, is_cut=True)
    assert downloaded(client, Script(cut(), other, whole(LONG, B)), tmp_path, max_faults=4).file == LONG
    packed = gzip.compress(LONG)
    begun = cut("Content-Encoding: gzip", body=packed, at=BLOCK)
    for unpacked in (chunked(LONG, "Content-Encoding: gzip"), whole(LONG, "Content-Encoding: gzip")):
        assert downloaded(client, Script(begun, unpacked), tmp_path).file == LONG
    shorter = whole(LONG[:-BLOCK], "Content-Encoding: gzip")
    assert downloaded(client, Script(cut(body=LONG), shorter), tmp_path).file is None


@every_client
@pytest.mark.parametrize("headers", [(), (A,)])
@pytest.mark.parametrize("at", [0, 2, 7])
def test_a_length_with_an_unconfirmed_coding_does_not_replace_a_known_one(
    client: type[Any], headers: tuple[str, ...], at: int, tmp_path: Path
) -> None:
    """Too few bytes of that response arrive to tell whether its `Content-Encoding` is right."""
    labelled = (*headers, "Content-Encoding: gzip")
    begun = cut(*labelled, body=OLD[:600], at=at)
    for short in (chunked(OLD[:600], *labelled), whole(OLD[:600], *labelled), whole(OLD[:600], *headers)):
        assert downloaded(client, Script(cut(*headers), begun, short), tmp_path, max_faults=4).file is None
    assert downloaded(client, Script(begun, whole(OLD)), tmp_path).file == OLD


@every_client
@pytest.mark.parametrize("hiccup", [raw(412), raw(501), raw(416), part(OLD, "bytes 9-1008/2000")])
def test_a_restarted_download_goes_on_with_short_206_responses(client: type[Any], hiccup: Raw, tmp_path: Path) -> None:
    """An unusable response restarts it. The bytes received before are received again, part by part."""
    more = rest(A, body=LONG, total=len(LONG), most=50_000)
    script = Script(*(cut(A, body=LONG, at=70_000), more, more, more, hiccup, cut(A, body=LONG, at=70_000)), more)

    assert downloaded(client, script, tmp_path, max_faults=8).file == LONG
    assert len(script.requests) < 12


NO_PROOF = {
    "a part of a version that is not said": part(OLD[500:], "bytes 500-999/1000"),
    "a part of another length": part(OLD[500:600], "bytes 500-599/600"),
    "a part that bytes follow": raw(
        206, "Content-Range: bytes 500-599/1000", "Content-Length: 100", A, body=OLD[500:700], blocks=(1,) * 160
    ),
    "another part": part(OLD[400:], "bytes 400-999/1000", A),
    "a part of a date": part(OLD[500:], "bytes 500-999/1000", *MODIFIED),
    "no range": raw(206, "Content-Length: 500", "Content-Type: video/mp4", A, body=OLD[500:]),
    "a 416 of the length": raw(416, "Content-Range: bytes */1000", A),
    "a 416 of another length": raw(416, "Content-Range: bytes */600"),
    "a 416 that says nothing": raw(416),
}


@every_client
@pytest.mark.parametrize("bad", NO_PROOF.values(), ids=NO_PROOF)
@pytest.mark.parametrize("headers", [(A,), MODIFIED])
def test_an_unusable_response_to_a_range_does_not_remove_the_known_length(
    client: type[Any], bad: Raw, headers: tuple[str, ...], tmp_path: Path
) -> None:
    """It proves no replacement, so that a shorter file without a validator is still rejected as truncated."""
    # After a response with a date, a 206 needs no validator: these two continue the file.
    is_rest = headers is MODIFIED and bad in (
        NO_PROOF["a part of a version that is not said"],
        NO_PROOF["a part of a date"],
    )
    if headers is MODIFIED and b"ETag" in bad.data:
        bad = dataclasses.replace(bad, data=bad.data.replace(A.encode(), "\r\n".join(MODIFIED).encode()))
    for short in (whole(OLD[:600]), chunked(OLD[:600])):
        outcome = downloaded(client, Script(cut(*headers), bad, short), tmp_path, max_faults=4)
        assert (outcome.file, outcome.left) == (OLD if is_rest else None, [])
    assert downloaded(client, Script(cut(*headers), bad, whole(OLD)), tmp_path).file == OLD


@every_client
@pytest.mark.parametrize(
    ("headers", "proof"),
    [
        ((A,), part(NEW[500:700], "bytes 500-699/700", B)),
        ((A,), part(NEW[500:700], "bytes 500-699/*", B)),
        ((A,), raw(416, "Content-Range: bytes */700", B)),
        ((A,), raw(416, B)),
        (MODIFIED, part(NEW[500:700], "bytes 500-699/700", *LATER)),
        (MODIFIED, raw(416, "Content-Range: bytes */700", *LATER)),
    ],
)
def test_another_validator_in_a_206_or_416_proves_a_replacement(
    client: type[Any], headers: tuple[str, ...], proof: Raw, tmp_path: Path
) -> None:
    """The new version may be shorter, and its next response may lack the validator. Its stated length holds."""
    if b"/700" in proof.data:
        outcome = downloaded(client, Script(cut(*headers), proof, whole(NEW[:650])), tmp_path, max_faults=4)
        assert (outcome.file, outcome.left) == (None, [])
    assert downloaded(client, Script(cut(*headers), proof, whole(NEW[:700])), tmp_path).file == NEW[:700]


@every_client
@pytest.mark.parametrize("weaker", [(), ('ETag: W/"a"',), MODIFIED])
def test_a_response_with_a_weaker_validator_does_not_remove_the_known_etag(
    client: type[Any], weaker: tuple[str, ...], tmp_path: Path
) -> None:
    """The next strong validator still proves that the file was replaced, or that it was not."""
    for between in (cut(*weaker), chunked(OLD[:500], *weaker, is_cut=True), cut(*weaker, body=OLD + OLD)):
        outcome = downloaded(client, Script(cut(A), between, whole(OLD[:600], A)), tmp_path, max_faults=4)
        assert (outcome.file, outcome.left) == (None, [])
        for new in (whole(NEW[:600], B), chunked(NEW[:600], B)):
            assert downloaded(client, Script(cut(A), between, new), tmp_path).file == NEW[:600]
        (tmp_path / "out.mp4").unlink()


@every_client
@pytest.mark.parametrize("between", [raw(416), part(OLD[400:], "bytes 400-999/1000")])
def test_a_replaced_file_is_accepted_after_an_unusable_response(
    client: type[Any], between: Raw, tmp_path: Path
) -> None:
    """Its own validator proves the replacement."""
    for headers, other in (((A,), (B,)), (MODIFIED, LATER)):
        for new in (whole(NEW[:600], *other), chunked(NEW[:600], *other)):
            assert downloaded(client, Script(cut(*headers), between, new), tmp_path).file == NEW[:600]


@every_client
def test_a_shorter_file_without_a_validator_is_rejected(client: type[Any], tmp_path: Path) -> None:
    """A cache may have stored a truncated response with the length that it received. A longer file is accepted."""
    outcome = downloaded(client, Script(cut(), whole(OLD[:600])), tmp_path)

    assert "the file has 600 bytes, and had 1000 before" in str(outcome.error)
    assert downloaded(client, Script(cut(body=OLD[:700]), whole(OLD)), tmp_path).file == OLD


@every_client
def test_the_headers_of_an_html_page_do_not_bind_the_file(client: type[Any], tmp_path: Path) -> None:
    """Its length and its `ETag`. The same is true of an empty body, and of one that cannot be decoded."""
    for headers in ((), (A,)):
        assert downloaded(client, Script(whole(PAGE, *headers), whole(OLD, *headers)), tmp_path).file == OLD
        assert downloaded(client, Script(whole(b"", *headers), whole(OLD, *headers)), tmp_path).file == OLD
    broken = whole(b"\x1f\x8b\x08 no gzip" + bytes(2000), A, "Content-Encoding: gzip")
    assert downloaded(client, Script(broken, whole(OLD, A)), tmp_path).file == OLD


@every_client
def test_an_html_page_does_not_remove_the_known_length(client: type[Any], tmp_path: Path) -> None:
    """The length stated before the page holds after it."""
    pages = (whole(PAGE), chunked(PAGE, is_cut=True), chunked(PAGE[:3], "Content-Encoding: gzip", is_cut=True))
    for page in pages:
        assert "600 of 1000" in str(downloaded(client, Script(cut(A), page, chunked(OLD[:600])), tmp_path).error)


@every_client
@pytest.mark.parametrize(
    "broken",
    [
        raw(200, "Transfer-Encoding: gzip, chunked", body=b"3e8\r\n" + OLD + b"\r\n0\r\n\r\n"),
        raw(200, "Transfer-Encoding: gzip", body=OLD),
        raw(200, "Content-Length: 1000", "Content-Length: 600", body=OLD),
        raw(200, "Content-Length: 1000, 600", body=OLD),
        raw(200, "Content-Length: many", body=OLD),
        raw(200, "Content-Length: -1", body=OLD),
    ],
)
def test_a_body_with_ambiguous_framing_is_rejected(client: type[Any], broken: Raw, tmp_path: Path) -> None:
    """`http.client` reads a body with an unknown transfer coding as it is, including the chunk sizes."""
    outcome = downloaded(client, Script(broken), tmp_path)

    assert outcome.error is not None
    assert (outcome.file, outcome.left) == (None, [])


SHORT = (
    raw(200, "Content-Length: 1000", A, body=OLD + b"b" * 3000),
    raw(200, "Content-Length: 1000", A, "Connection: close", body=OLD + b"b" * 3000),
    raw(200, "Content-Length: 1000", A, body=OLD + b"\r\nHTML/1.1 200 OK\r\n\r\n"),
    raw(200, "Transfer-Encoding: chunked", A, body=b"3e8\r\n" + OLD + b"\r\n0\r\n\r\n5\r\nmore"),
)


@every_client
@pytest.mark.parametrize("short", SHORT)
@pytest.mark.parametrize("first", [1000, 0])
def test_a_file_followed_by_more_bytes_is_rejected(client: type[Any], short: Raw, first: int, tmp_path: Path) -> None:
    """Its length is wrong, so no header of the response counts.

    aiohttp drops all surplus bytes that arrive together with the headers.
    """
    script = Script(dataclasses.replace(short, blocks=(first,) if first else ()), whole(LONG, A))
    outcome = downloaded(client, script, tmp_path)

    assert (outcome.file, outcome.left) == (LONG, [])
    assert script.ranges == [None, None]
    outcome = downloaded(client, Script(dataclasses.replace(short, blocks=(first,))), tmp_path)
    assert outcome.error is not None
    assert first == 0 or "more bytes than the response announced" in str(outcome.error)


@every_client
def test_a_206_followed_by_more_bytes_restarts_the_download(client: type[Any], tmp_path: Path) -> None:
    """The next request has no `Range`."""
    head = ("Content-Range: bytes 500-599/1000", "Content-Length: 100", A)
    late = (1,) * 160  # the headers first, as aiohttp drops surplus bytes that arrive with them
    script = Script(cut(A), raw(206, *head, body=OLD[500:700], blocks=late), whole(OLD, A))

    assert downloaded(client, script, tmp_path).file == OLD
    assert script.ranges == [None, "bytes=500-", None]


@every_client
@pytest.mark.parametrize("behind", [b"\r\n", whole(OLD).data, b"\r\n" + raw(408, "Content-Length: 0").data])
def test_a_line_break_or_a_second_response_after_a_file_is_ignored(
    client: type[Any], behind: bytes, tmp_path: Path
) -> None:
    """Some old servers send a line break after each body, and some proxies send a response twice."""
    assert downloaded(client, Script(raw(200, "Content-Length: 1000", body=OLD + behind)), tmp_path).file == OLD


@pytest.mark.parametrize("behind", [b"more", b"", b"\r\n", b"HTTP/1.1 408 Request Timeout"])
def test_surplus_bytes_in_the_socket_buffer_are_found_without_blocking(behind: bytes) -> None:
    """`http.client` reads no further than the body if its end is the end of a buffer."""
    body = bytes(io.DEFAULT_BUFFER_SIZE)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        connection: Any = SimpleNamespace(sock=None, close=lambda: None)
        response = MatchedResponse(connection, ours, 0, "GET")
        response.is_download = True
        response.begin()
        theirs.sendall(body + behind)
        assert response.read(len(body)) == body

    assert response.has_surplus is (behind == b"more")


@pytest.mark.parametrize("make_session", [lambda: None, requests.Session])
def test_a_content_length_repeated_in_one_header_ends_the_body(make_session: Any, tmp_path: Path) -> None:
    """RFC 9112, section 6.3. The server keeps the connection open, and the client does not wait for its end."""
    response = raw(200, "Content-Length: 1000, 1000", body=OLD)
    with serving(answering(response.data, close=False)) as server:
        job = Job("j", TranslationStatus.COMPLETED, "completed", result_url=server.url)
        with VideoTranslationClient(server.url, logger=SilentLogger(), max_faults=1, session=make_session()) as client:
            assert client.download(job, tmp_path / "out.mp4").read_bytes() == OLD


@pytest.mark.parametrize("headers", [("Content-Length: 1000, 1000",), ("Transfer-Encoding: identity", "Content-Length: 1000")])  # fmt: skip
def test_the_blocking_client_accepts_odd_but_unambiguous_framing(headers: tuple[str, ...], tmp_path: Path) -> None:
    """A repeated `Content-Length`, or `Transfer-Encoding: identity`. aiohttp is stricter."""
    assert downloaded(CLIENTS[0], Script(raw(200, *headers, body=OLD)), tmp_path).file == OLD
    short = Script(raw(200, *headers, body=OLD[:600]))
    assert downloaded(CLIENTS[0], short, tmp_path, max_faults=1).error is not None


@every_client
@pytest.mark.parametrize("at", range(0, 1100, 7))
def test_a_chunked_body_truncated_at_any_offset_is_rejected(client: type[Any], at: int, tmp_path: Path) -> None:
    """In the data of a chunk, or between two chunks."""
    framed = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in (OLD[:300], OLD[300:], b""))
    outcome = downloaded(client, Script(raw(200, "Transfer-Encoding: chunked", A, body=framed[:at])), tmp_path)

    assert outcome.file == (None if at < len(framed) else OLD)
    assert outcome.left == []


@every_client
@pytest.mark.parametrize("junk", [b"XXXX", b"\r\nzz\r\n", b"\r\n-1\r\n", b"\r\n;\r\n"])
@pytest.mark.parametrize("first", [1, 100, 500, 5000])
def test_malformed_chunks_are_a_fault(client: type[Any], junk: bytes, first: int, tmp_path: Path) -> None:
    """Also if they begin in a later block: aiohttp raises a RuntimeError then."""
    broken = raw(200, "Transfer-Encoding: chunked", body=b"3e8\r\n" + OLD + junk, blocks=(first,))
    outcome = downloaded(client, Script(broken), tmp_path, request_timeout=0.2)

    assert isinstance(outcome.error, (RequestFailed, UnexpectedAnswer))
    assert (outcome.file, outcome.left) == (None, [])
    assert isinstance(checked(client, Script(broken), request_timeout=0.2), (RequestFailed, UnexpectedAnswer))


@every_client
@pytest.mark.parametrize("left", [b"", b"0", b"000", b"0000", b"0;", b"0;ext=", b"0 ", b"\r", b"0\r"])
def test_a_body_that_ends_within_a_chunk_size_is_truncated(client: type[Any], left: bytes, tmp_path: Path) -> None:
    """Sizes may be padded with zeros, so that the start of one looks like the last chunk.

    `http.client` takes it for the last chunk.
    """
    begun = b"00000200\r\n" + OLD[:512] + b"\r\n"
    for headers in ((), ("Content-Encoding: gzip",)):
        broken = raw(200, "Transfer-Encoding: chunked", *headers, body=begun + left)
        outcome = downloaded(client, Script(broken), tmp_path)

        assert isinstance(outcome.error, (RequestFailed, UnexpectedAnswer))
        assert (outcome.file, outcome.left) == (None, [])
    assert not isinstance(checked(client, Script(chunk_of_a_job(b"00000016", left))), Job)


def chunk_of_a_job(size: bytes, behind: bytes) -> Raw:
    """Make a status response in one chunk of 22 bytes."""
    body = size + b'\r\n{"result":"completed"}\r\n' + behind
    return raw(200, "Transfer-Encoding: chunked", body=body)


@every_client
@pytest.mark.parametrize("size", [b"3_e8", b"+3e8", b"0x3e8", b" 3e8", b"-3e8", b"", b"3e8" + b"0" * 20])
def test_a_malformed_chunk_size_is_rejected(client: type[Any], size: bytes, tmp_path: Path) -> None:
    """`int` accepts more than the hexadecimal digits of RFC 9112, section 7.1."""
    broken = raw(200, "Transfer-Encoding: chunked", body=size + b"\r\n" + OLD + b"\r\n0\r\n\r\n")
    outcome = downloaded(client, Script(broken), tmp_path, request_timeout=0.2)

    assert outcome.error is not None
    assert (outcome.file, outcome.left) == (None, [])


@every_client
@pytest.mark.parametrize("behind", [b"xx", b"\n\n", b"\0\0", b"3e"])
def test_a_chunk_without_a_line_break_at_its_end_is_rejected(client: type[Any], behind: bytes, tmp_path: Path) -> None:
    """`http.client` skips two bytes there, whatever they are."""
    broken = raw(200, "Transfer-Encoding: chunked", body=b"3e8\r\n" + OLD + behind + b"0\r\n\r\n")
    outcome = downloaded(client, Script(broken), tmp_path, request_timeout=0.2)

    assert outcome.error is not None
    assert (outcome.file, outcome.left) == (None, [])


@every_client
@pytest.mark.parametrize("size", [b"3e8", b"3E8", b"00000000000000000000003e8", b"3e8;a=b", b'3e8;a="b c";d'])
@pytest.mark.parametrize("last", [b"0\r\n\r\n", b"000;x\r\n\r\n", b"0\r\nX-Checksum: 1\r\nX-More: 2\r\n\r\n"])
def test_chunk_sizes_with_zeros_and_extensions_and_trailers_are_read(
    client: type[Any], size: bytes, last: bytes, tmp_path: Path
) -> None:
    """All in one block, and byte by byte."""
    body = size + b"\r\n" + OLD + b"\r\n" + last
    for blocks in ((), (1,) * 1200):
        script = Script(raw(200, "Transfer-Encoding: chunked", body=body, blocks=blocks))
        assert downloaded(client, script, tmp_path).file == OLD


@every_client
@pytest.mark.parametrize("names", [("chunked", "chunked"), ("chunked", "Chunked"), ("chunked, chunked",)])
def test_a_repeated_chunked_transfer_coding_is_decoded_once(
    client: type[Any], names: tuple[str, ...], tmp_path: Path
) -> None:
    """An application and its proxy may each add it."""
    headers = [f"Transfer-Encoding: {name}" for name in names]
    framed = b"3e8\r\n" + OLD + b"\r\n0\r\n\r\n"

    assert downloaded(client, Script(raw(200, *headers, body=framed)), tmp_path).file == OLD
    assert downloaded(client, Script(raw(200, *headers, body=framed[:-7])), tmp_path).error is not None
    status = chunk_of_a_job(b"16", b"0\r\n\r\n")
    named = status.data.replace(b"Transfer-Encoding: chunked", "\r\n".join(headers).encode())
    assert isinstance(checked(client, Script(Raw(named))), Job)


@pytest.mark.parametrize("count", [2, 3])
def test_a_body_with_chunks_that_were_not_decoded_is_rejected(count: int, tmp_path: Path) -> None:
    """`http.client`, as in a session of the caller, does not decode a header with several codings."""
    response = raw(
        200, "Transfer-Encoding: " + ", ".join(["chunked"] * count), body=b"3e8\r\n" + OLD + b"\r\n0\r\n\r\n"
    )
    with serving(answering(response.data)) as server, requests.Session() as session:
        job = Job("j", TranslationStatus.COMPLETED, "completed", result_url=server.url)
        client = VideoTranslationClient(server.url, logger=SilentLogger(), max_faults=1, session=session)
        with client, pytest.raises(UnexpectedAnswer, match="transfer coding"):
            client.download(job, tmp_path / "out.mp4")


def part_as(status: int, body: bytes, content_range: str, *headers: str) -> Raw:
    """Make a partial response with another status than 206, as a proxy may have replaced it."""
    about = (f"Content-Range: {content_range}", f"Content-Length: {len(body)}", "Content-Type: video/mp4")
    return raw(status, *about, *headers, body=body)


@every_client
@pytest.mark.parametrize("status", [200, 203])
@pytest.mark.parametrize(
    ("body", "content_range"),
    [
        (OLD[:600], "bytes 0-599/1000"),
        (OLD[600:], "bytes 600-999/1000"),
        (OLD[:600], "bytes 0-999/1000"),
        (OLD[500:], "bytes 500-999/500"),
        (OLD[1:], "bytes 1-999/1000"),
        (OLD[1:], "bytes 1-1000/1000"),
        (OLD[:600], "bytes -/1000"),
    ],
)
def test_a_200_or_203_with_a_partial_content_range_is_rejected(
    client: type[Any], status: int, body: bytes, content_range: str, tmp_path: Path
) -> None:
    """A proxy may have replaced the status 206, and `Content-Range` shows that bytes are missing."""
    outcome = downloaded(client, Script(part_as(status, body, content_range, A)), tmp_path)

    assert outcome.error is not None
    assert (outcome.file, outcome.left) == (None, [])


@every_client
@pytest.mark.parametrize("status", [200, 203])
def test_a_200_whose_content_range_covers_its_whole_body_is_complete(
    client: type[Any], status: int, tmp_path: Path
) -> None:
    """The total in `Content-Range` is unknown, and `Content-Length` states the length."""
    outcome = downloaded(client, Script(part_as(status, OLD, f"bytes 0-{len(OLD) - 1}/*", A)), tmp_path)

    assert outcome.file == OLD


@every_client
@pytest.mark.parametrize("status", [200, 203])
@pytest.mark.parametrize("begun", [cut(A), chunked(OLD[:500], A, blocks=(200,), is_cut=True)])
def test_a_200_or_203_with_the_requested_range_continues_the_file(
    client: type[Any], status: int, begun: Raw, tmp_path: Path
) -> None:
    """It is not kept as the whole file. One with the range of another version is rejected."""

    def respond(request_headers: Headers) -> Raw:
        start = int(request_headers["Range"][len("bytes=") : -1]) if "Range" in request_headers else 0
        return part_as(status, OLD[start:], f"bytes {start}-999/1000", A)

    assert downloaded(client, Script(begun, respond), tmp_path).file == OLD
    other = part_as(status, NEW[500:], "bytes 500-999/1000", B)
    assert downloaded(client, Script(cut(A), other, whole(NEW, B)), tmp_path).file == NEW
    assert downloaded(client, Script(cut(A), other), tmp_path).error is not None


@every_client
@pytest.mark.parametrize("status", [200, 203])
@pytest.mark.parametrize(
    "content_range",
    [
        *(
            "bytes 0-999/1000",
            "bytes 0-1000/1000",
            "bytes 1-1000/1000",
            "bytes -/1000",
            "bytes -",
            "bytes */1000",
            "items 0-5/1000",
            "items 1-5/9",
            "all",
            "no-range",
            "",
        ),
        *("bytes=0-999/1000", "bytes: 0-999/1000", "0-999/1000", "bytes 0-/1000", "bytes 0-/*", "bytes 0-"),
        *("bytes 0-999/1000, bytes 0-999/1000", "bytes 0-999/1000, bytes 0-999/*"),
    ],
)
def test_a_whole_file_with_a_content_range_is_accepted(
    client: type[Any], status: int, content_range: str, tmp_path: Path
) -> None:
    """If the range covers all of it, or is malformed."""
    assert downloaded(client, Script(part_as(status, OLD, content_range)), tmp_path).file == OLD


@every_client
@pytest.mark.parametrize(
    "content_range", ["bytes -/{total}", "bytes -", "bytes -/*", "bytes */{total}", "bytes 1-{rest}/{rest}"]
)
@pytest.mark.parametrize("begun", [cut(A, body=LONG, at=150_000), chunked(LONG[:150_000], A, is_cut=True)])
@pytest.mark.parametrize("framed", [whole, chunked])
def test_a_meaningless_content_range_is_rejected_if_a_range_was_requested(
    client: type[Any], content_range: str, begun: Raw, framed: Any, tmp_path: Path
) -> None:
    """The body may be the rest of the file."""

    def odd(request_headers: Headers) -> Raw:
        rest_of_it = LONG[int(request_headers["Range"][len("bytes=") : -1]) :]
        about = content_range.format(total=len(LONG), rest=len(rest_of_it))
        response: Raw = framed(rest_of_it, f"Content-Range: {about}", A)
        return response

    assert downloaded(client, Script(begun, odd, whole(LONG, A)), tmp_path).file == LONG


MALFORMED = (
    "bytes=500-999/1000",
    "bytes 500-999",
    "bytes 500-/1000",
    "500-999/1000",
    "bytes: 500-999/1000",
    "bytes -500/1000",
    "bytes 500-999/unknown",
    "bytes 500-999/1000\r\nContent-Range: bytes 500-999/*",
    "bytes 500-999/1000, bytes 500-999/1001",
    "bytes 500-799,800-999/1000",
)


@every_client
@pytest.mark.parametrize("status", [200, 203, 206])
@pytest.mark.parametrize("content_range", MALFORMED)
def test_a_body_with_a_malformed_partial_content_range_is_rejected(
    client: type[Any], status: int, content_range: str, tmp_path: Path
) -> None:
    """It is neither the whole file nor the rest of it, as the meaning of the header is uncertain."""
    tail = part_as(status, OLD[500:], content_range, A)
    begun = chunked(OLD[:500], A, blocks=(200,), is_cut=True)
    assert downloaded(client, Script(begun, tail), tmp_path).file is None
    assert downloaded(client, Script(tail), tmp_path).file is None
    head = part_as(status, OLD[:500], content_range.replace("500-", "0-").replace("999", "499"), A)
    if "0-/" not in content_range:  # without a last position, the range is that of the whole body
        assert downloaded(client, Script(head), tmp_path).file is None
    assert downloaded(client, Script(begun, tail, whole(OLD, A)), tmp_path).file == OLD


@every_client
@pytest.mark.parametrize("status", [200, 206])
def test_a_multipart_byteranges_body_is_rejected(client: type[Any], status: int, tmp_path: Path) -> None:
    """No request is for several ranges."""
    body = b"--x\r\nContent-Type: video/mp4\r\nContent-Range: bytes 0-999/1000\r\n\r\n" + OLD + b"\r\n--x--"
    about = ("Content-Type: Multipart/byteranges; boundary=x", f"Content-Length: {len(body)}")
    outcome = downloaded(client, Script(raw(status, *about, body=body)), tmp_path)

    assert outcome.error is not None
    assert (outcome.file, outcome.left) == (None, [])


@pytest.mark.parametrize(
    "modified", ["Mon, 01 Jan 99999999999 00:00:00 GMT", "Mon, 01 Jan 2026 00:00:00 +9999999999999"]
)
def test_a_date_that_overflows_is_no_validator(modified: str) -> None:
    """`strong_validator` returns None, and raises no error."""
    headers = {"Last-Modified": modified, "Date": "Mon, 01 Jun 2026 00:00:09 GMT"}
    assert strong_validator(headers) is None
    assert strong_validator({**headers, "Last-Modified": headers["Date"], "Date": modified}) is None


TWO_FORMS = {
    "deflate": ("deflate", zlib.compress(LONG), 1000),
    "gzip, after two bytes": ("gzip", gzip.compress(LONG), 2),
    "gzip, after seven bytes": ("gzip", gzip.compress(LONG), 7),
    "gzip in gzip": ("gzip, gzip", gzip.compress(gzip.compress(LONG)), 2),
    "brotli": ("br", b"\x8b\x03\x80" + LONG, 4),
    "zstd": ("zstd", b"\x28\xb5\x2f\xfd" + LONG, 3),
}


@every_client
@pytest.mark.parametrize(("label", "packed", "at"), TWO_FORMS.values(), ids=TWO_FORMS)
@pytest.mark.parametrize("before", [(), (cut(A, body=LONG, at=17), raw(412))])
def test_a_file_is_not_resumed_before_its_content_coding_is_known(
    client: type[Any], label: str, packed: bytes, at: int, before: Sequence[Raw], tmp_path: Path
) -> None:
    """A host may give the compressed and the uncompressed form one validator.

    The rest may then be that of the other form.
    """
    begun = chunked(packed[:at], A, f"Content-Encoding: {label}", is_cut=True, blocks=(1,) * at)
    unpacked = rest(A, body=LONG, total=len(LONG))
    script = Script(
        *before,
        begun,
        lambda request_headers: unpacked(request_headers) if "Range" in request_headers else whole(LONG, A),
    )

    assert downloaded(client, script, tmp_path, max_faults=5).file == LONG


@every_client
@pytest.mark.parametrize("label", [("Content-Encoding: gzip",), ()])
@pytest.mark.parametrize("before", [(), (cut(A, "Content-Encoding: gzip", body=gzip.compress(LONG)), raw(412))])
def test_an_uncompressed_file_is_not_resumed_by_a_206_of_a_compressed_one(
    client: type[Any], label: tuple[str, ...], before: Sequence[Raw], tmp_path: Path
) -> None:
    """A proxy may decompress whole responses, keep `Content-Encoding`, and forward ranges as they are stored."""
    packed = gzip.compress(LONG)
    unpacked = chunked(LONG[:100_000], A, "Content-Encoding: gzip", is_cut=True, blocks=(1000,) * 100)
    stored = rest(A, *label, body=packed, total=len(packed))
    again = whole(packed, A, "Content-Encoding: gzip")
    script = Script(
        *before, unpacked, lambda request_headers: stored(request_headers) if "Range" in request_headers else again
    )

    assert downloaded(client, script, tmp_path, max_faults=5).file == LONG


@every_client
@pytest.mark.parametrize("headers", [(), (A,)])
@pytest.mark.parametrize(("label", "at"), [("gzip", 0), ("gzip", 7), ("deflate", 1000), ("br", 15), ("zstd", 7)])
def test_a_stated_length_holds_before_the_content_coding_is_known(
    client: type[Any], headers: tuple[str, ...], label: str, at: int, tmp_path: Path
) -> None:
    """A compressed form would be hardly longer than the file, so that a much shorter file is rejected."""
    labelled = (*headers, f"Content-Encoding: {label}")
    begun = cut(*labelled, body=LONG, at=at)
    for short in (whole(LONG[:90_000], *labelled), chunked(LONG[:90_000], *labelled), chunked(LONG[:90_000], *headers)):
        assert downloaded(client, Script(begun, short), tmp_path).file is None
    for file in (chunked(LONG, *labelled), whole(LONG, *headers), whole(LONG[:-100], *labelled)):
        assert downloaded(client, Script(begun, file), tmp_path).file is not None


@every_client
def test_a_416_does_not_complete_a_file_shorter_than_its_known_length(client: type[Any], tmp_path: Path) -> None:
    """The content coding of the second 200 is unknown until its first bytes have arrived."""
    begun = chunked(OLD[:500], A, "Content-Encoding: deflate", is_cut=True, blocks=(1,) * 500)
    short = part(OLD[500:600], "bytes 500-599/*", A)
    script = Script(cut(A), raw(412), begun, short, raw(416, "Content-Range: bytes */600", A))

    assert downloaded(client, script, tmp_path, max_faults=6).file is None


@every_client
@pytest.mark.parametrize("framed", [whole, chunked])
@pytest.mark.parametrize("length", [0, 1])
def test_the_total_of_an_uncompressed_206_is_not_the_compressed_length(
    client: type[Any], framed: Any, length: int, tmp_path: Path
) -> None:
    """A proxy compresses whole responses and forwards ranges as they are, all with one validator."""
    text = b"1\n00:00:01,000 --> 00:00:02,000\nHello\n\n" * 4000
    packed = gzip.compress(text)
    label = "Content-Encoding: gzip"
    begun = chunked(packed[:-100], A, label, is_cut=True, blocks=(10,) * 60)

    def broken(request_headers: Headers) -> Raw:
        start = int(request_headers["Range"][len("bytes=") : -1])
        about = (f"Content-Range: bytes {start}-{len(text) - 1}/{len(text)}", f"Content-Length: {len(text) - start}")
        return raw(206, *about, A, "Content-Type: video/mp4", body=text[start:][:length])

    script = Script(begun, broken if client is AsyncVideoTranslationClient else raw(503), framed(packed, A, label))
    assert downloaded(client, script, tmp_path).file == text


@every_client
def test_the_total_of_a_rejected_uncompressed_206_is_no_compressed_length(client: type[Any], tmp_path: Path) -> None:
    """A cache ignores `If-Range`, and its 206 responses are not compressed."""
    text = b"1\n00:00:01,000 --> 00:00:02,000\n" + LONG.hex().encode()
    packed, label = gzip.compress(text), "Content-Encoding: gzip"
    other = rest(B, body=text, total=len(text))
    for framed in (whole, chunked):
        script = Script(cut(A, label, body=packed, at=100_000), other, framed(packed, B, label))
        assert downloaded(client, script, tmp_path).file == text
        assert script.ranges[1] is not None
        assert len(script.ranges) == 3


@every_client
def test_a_rejected_206_does_not_override_a_stated_length(client: type[Any], tmp_path: Path) -> None:
    """It may have another content coding without a `Content-Encoding`."""
    packed = gzip.compress(LONG)
    script = Script(cut(A, body=LONG, at=100_000), rest(A, body=packed, total=len(packed)), whole(LONG, A))

    assert downloaded(client, script, tmp_path).file == LONG


@pytest.mark.parametrize("kind", ["application/octet-stream", "audio/mpeg", "video/mp4"])
@pytest.mark.parametrize(
    "page",
    [
        b"<html>please log in" * 900,
        b'{\n  "detail": "later"}' * 900,
        b" \n<!DOCTYPE html>" * 900,
        b"\xef\xbb\xbf<html>" * 900,
        "<html>".encode("utf-16") * 900,
    ],
)
def test_the_length_of_a_truncated_page_of_any_media_type_does_not_bind_the_file(
    kind: str, page: bytes, tmp_path: Path
) -> None:
    """Its first bytes are HTML or JSON. The blocking client gets no bytes of a body that ends so early."""
    begun = raw(200, f"Content-Length: {len(page)}", f"Content-Type: {kind}", body=page[:9], is_reset=True)
    for file in (whole(OLD), chunked(LONG), whole(OLD, A)):
        assert downloaded(AsyncVideoTranslationClient, Script(begun, file), tmp_path).error is None


@every_client
@pytest.mark.parametrize("headers", [(), ('ETag: W/"a"',)])
@pytest.mark.parametrize("comment", [b"", b"<!-- " + b"by hand " * 100 + b"-->"])
@pytest.mark.parametrize("framed", [whole, chunked])
def test_the_length_of_truncated_subtitles_that_begin_as_xml_holds(
    client: type[Any], headers: tuple[str, ...], comment: bytes, framed: Any, tmp_path: Path
) -> None:
    """Though the first response ends before the bytes that identify subtitles."""
    file = (
        b'<?xml version="1.0"?>\n'
        + comment
        + b'<tt xmlns="http://www.w3.org/ns/ttml">'
        + b"<p>Hello</p>" * 400
        + b"</tt>"
    )
    ttml = ("Content-Type: application/ttml+xml", *headers)
    begun = raw(200, f"Content-Length: {len(file)}", *ttml, body=file[:30])
    short = (
        raw(200, "Content-Length: 3000", *ttml, body=file[:3000]) if framed is whole else chunked(file[:3000], *ttml)
    )

    assert downloaded(client, Script(begun, short), tmp_path).file is None


@every_client
def test_the_total_of_a_compressed_206_does_not_bind_the_file(client: type[Any], tmp_path: Path) -> None:
    """It has no `Content-Encoding`, and its total is hardly greater than the length of the file.

    The total of a 206 without a validator is forgotten with a replacement.
    """
    packed = gzip.compress(LONG)
    elsewhere = part(packed[9:], f"bytes 9-{len(packed) - 1}/{len(packed)}", A)
    script = Script(chunked(LONG[:100_000], A, is_cut=True, blocks=(1000,) * 100), elsewhere, whole(LONG, A))
    assert downloaded(client, script, tmp_path).file == LONG
    unnamed = part(LONG[9:], f"bytes 9-{len(LONG) - 1}/{len(LONG)}")
    script = Script(chunked(LONG[:100_000], A, is_cut=True, blocks=(1000,) * 100), unnamed, whole(OLD))
    assert downloaded(client, script, tmp_path).file == OLD


@every_client
def test_a_length_without_a_validator_is_dropped_when_the_file_is_replaced(client: type[Any], tmp_path: Path) -> None:
    """Also if it was stated with a `Content-Encoding`."""
    labelled = cut("Content-Encoding: gzip", body=LONG, at=3)
    replaced = cut(B, body=LONG[:-BLOCK], at=17)
    script = Script(cut(A, body=LONG, at=17), raw(412), labelled, replaced, raw(412), whole(LONG[:-BLOCK]))

    assert downloaded(client, script, tmp_path, max_faults=9).file == LONG[:-BLOCK]
