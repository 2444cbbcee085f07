"""`Content-Encoding` as storage hosts and proxies send it: values that are no codings, and codings not accepted."""

from __future__ import annotations

import asyncio
import random
import tracemalloc
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from support.fixtures import SilentLogger
from support.hostile_server import answering, gzipped, serving
from support.media import MEDIA
from support.raw_responses import CLIENTS, Headers, Raw, Script, checked, chunked, downloaded, part, raw, whole

from translation_client import (
    AsyncVideoTranslationClient,
    Job,
    TranslationStatus,
    UnexpectedAnswer,
    VideoTranslationClient,
)
from translation_client._transports import decoding, file_decoding
from translation_client._transports.decoding import REGISTERED_CODINGS, content_codings, decode
from translation_client._transports.file_decoding import MAX_RATIO, UNCHECKED_BYTES, FileDecoder
from translation_client._transports.framing import UnreadableBody

pytestmark = pytest.mark.exhaustive

VIDEO = b"\0\0\0\x18ftypmp42" + random.Random(5).randbytes(70_000) + bytes(100_000)
SUBTITLES = b"1\n00:00:00,000 --> 00:00:01,000\nHello\n"
COMPLETED = b'{"result": "completed"}'
PACKED: dict[str, Callable[[bytes], bytes]] = {"gzip": gzipped, "x-gzip": gzipped, "deflate": zlib.compress}
NO_CODINGS = [
    "aws-chunked",
    "utf-8",
    "UTF-8",
    "none",
    "binary",
    "identity",
    "Identity",
    "",
    ",",
    "mp4",
    "a b;q=1",
    "gzip1",
]
UNDECODABLE = sorted(REGISTERED_CODINGS - set(decoding.DECODABLE_CODINGS))


def raw_deflate(body: bytes) -> bytes:
    return zlib.compress(body)[2:-4]


def labels(*values: str) -> list[str]:
    return [f"Content-Encoding: {value}" for value in values]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("label", NO_CODINGS)
def test_a_content_encoding_that_is_no_coding_is_ignored(client: type[Any], label: str, tmp_path: Path) -> None:
    """In downloads and in status responses. A packed file without a coding stays packed."""
    for body in (VIDEO, gzipped(VIDEO)):
        assert downloaded(client, Script(whole(body, *labels(label))), tmp_path).file == body

    job = checked(client, Script(whole(COMPLETED, *labels(label))))
    assert isinstance(job, Job)
    assert job.status is TranslationStatus.COMPLETED


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("coding", PACKED)
def test_a_coding_that_was_set_at_the_upload_is_undone(client: type[Any], coding: str, tmp_path: Path) -> None:
    """S3 sends it although `identity` was requested. The progress counts the bytes that are sent."""
    body = PACKED[coding](VIDEO)
    outcome = downloaded(client, Script(whole(body, *labels(coding))), tmp_path)

    assert outcome.file == VIDEO
    assert outcome.progress[-1] == (len(body), len(body))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("values", "body"),
    [
        (["gzip, aws-chunked"], gzipped(VIDEO)),
        (["aws-chunked,gzip"], gzipped(VIDEO)),
        (["aws-chunked", "gzip"], gzipped(VIDEO)),
        ([" , GZip ,,"], gzipped(VIDEO)),
        (["gzip;q=1"], gzipped(VIDEO)),
        (["gzip; q=1.0, identity"], gzipped(VIDEO)),
        (['"gzip"'], gzipped(VIDEO)),
        (["gzip gzip"], gzipped(VIDEO)),
        (["'deflate'"], zlib.compress(VIDEO)),
        (["gzip", "gzip"], gzipped(VIDEO)),  # sent by the application and by its proxy, and applied once
        (["gzip, gzip"], gzipped(gzipped(VIDEO))),
        (["deflate, gzip"], gzipped(zlib.compress(VIDEO))),
        (["deflate"], raw_deflate(VIDEO)),
        (["deflate"], zlib.compress(VIDEO) + bytes(512)),
        (["gzip"], gzipped(VIDEO[:50_000]) + gzipped(VIDEO[50_000:]) + bytes(512)),
    ],
)
def test_lists_of_content_codings_are_undone(client: type[Any], values: list[str], body: bytes, tmp_path: Path) -> None:
    """Repeated headers are one list; members that are no codings are left out."""
    assert downloaded(client, Script(whole(body, *labels(*values))), tmp_path).file == VIDEO


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("coding", PACKED)
@pytest.mark.parametrize(
    "body", [VIDEO, b"RIFF\0\0\0\0AVI ", b"ID3\x04" + bytes(50), b"\x1aE\xdf\xa3" + bytes(2000), b"\0\0"]
)
def test_a_file_that_was_never_encoded_is_kept_as_it_is(
    client: type[Any], coding: str, body: bytes, tmp_path: Path
) -> None:
    """Its first bytes prove that the label is wrong. Two bytes prove nothing against deflate."""
    outcome = downloaded(client, Script(whole(body, *labels(coding))), tmp_path)

    if body == b"\0\0" and coding == "deflate":  # a stored deflate block may begin with these bytes
        assert isinstance(outcome.error, UnexpectedAnswer)
    else:
        assert outcome.file == body


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("kind", ["application/gzip", "application/x-gzip; x=y"])
def test_a_file_of_a_gzip_media_type_is_not_unpacked(client: type[Any], kind: str, tmp_path: Path) -> None:
    """Where the media type is gzip, `Content-Encoding` repeats it. Browsers keep such a file as it is."""
    body = gzipped(VIDEO)
    response = raw(200, f"Content-Length: {len(body)}", f"Content-Type: {kind}", *labels("gzip"), body=body)

    assert downloaded(client, Script(response), tmp_path).file == body


@pytest.mark.parametrize("client", CLIENTS)
def test_the_download_of_a_gzip_file_is_resumed(client: type[Any], tmp_path: Path) -> None:
    """A host that sends `Content-Encoding` with the file sends it with the rest, too."""
    body, about = gzipped(VIDEO), ("Content-Type: application/gzip", 'ETag: "a"', *labels("gzip"))
    first = raw(200, f"Content-Length: {len(body)}", *about, body=body[:66_000])
    script = Script(first, lambda request_headers: raw_rest(body, request_headers, *about))

    assert downloaded(client, script, tmp_path).file == body
    assert len(script.requests) == 2


def raw_rest(body: bytes, request_headers: Headers, *headers: str) -> Raw:
    start = int(request_headers["Range"][len("bytes=") : -1])
    length = f"Content-Length: {len(body) - start}"
    return raw(206, length, f"Content-Range: bytes {start}-{len(body) - 1}/{len(body)}", *headers, body=body[start:])


STARTS = {
    "compress": b"\x1f\x9d\x90",
    "x-compress": b"\x1f\x9d\x90",
    "zstd": b"\x28\xb5\x2f\xfd",
    "dcb": b"\xffDCB",
    "dcz": b"\x5e\x2a\x4d\x18",
    "pack200-gzip": b"\x1f\x8b\x08",
}
"""The first bytes of bodies with such a coding, for the codings that have a magic number."""


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("coding", UNDECODABLE)
def test_the_error_names_a_coding_that_cannot_be_decoded(client: type[Any], coding: str, tmp_path: Path) -> None:
    """In downloads and in status responses, in upper or lower case."""
    body = STARTS.get(coding, b"\x8b\x0f\x80") + VIDEO
    outcome = downloaded(client, Script(whole(body, *labels(f"gzip, {coding.upper()}"))), tmp_path)
    error = checked(client, Script(whole(body[:100], *labels(coding))))

    for ended in (outcome.error, error):
        assert isinstance(ended, UnexpectedAnswer)
        assert f"(Content-Encoding: {coding})" in str(ended)
    assert (outcome.file, outcome.left) == (None, [])


@pytest.mark.parametrize("start", [b"\x5a\x2a\x4d\x18", b"\x28\xb5\x2f\xfd", b"\x28\xb5"])
def test_each_magic_number_of_zstd_is_recognized(start: bytes, tmp_path: Path) -> None:
    """A frame, a skippable frame, and a body that breaks off in its magic number (RFC 8878, section 3.1)."""
    outcome = downloaded(CLIENTS[0], Script(whole(start, *labels("zstd"))), tmp_path)

    assert "(Content-Encoding: zstd)" in str(outcome.error)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("coding", UNDECODABLE)
def test_a_body_that_was_never_encoded_is_kept_with_any_content_encoding(
    client: type[Any], coding: str, tmp_path: Path
) -> None:
    """A media file or a JSON value proves that a label is wrong, also that of a coding that cannot be decoded."""
    for body in (VIDEO, SUBTITLES, *MEDIA.values()):
        assert downloaded(client, Script(whole(body, *labels(coding, "gzip"))), tmp_path).file == body
    for body in (COMPLETED, BOM_UTF8 + COMPLETED):
        assert isinstance(checked(client, Script(whole(body, *labels(coding)))), Job)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_text_without_the_magic_number_of_its_coding_is_kept(client: type[Any], tmp_path: Path) -> None:
    """A coding without a magic number, such as br, is disproved by no text but subtitles.

    These begin with a number and a time.
    """
    text = b"Hello, this is a transcript."
    for coding in ("zstd", "compress", "gzip"):
        assert downloaded(client, Script(whole(text, *labels(coding))), tmp_path).file == text
    assert "(Content-Encoding: br)" in str(downloaded(client, Script(whole(text, *labels("br"))), tmp_path).error)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
@pytest.mark.parametrize("status", ["204 No Content", "200 OK"])
def test_delete_accepts_an_empty_response_with_a_content_encoding(client: type[Any], coding: str, status: str) -> None:
    """The job is deleted, and the request is not retried."""
    length = "" if status.startswith("204") else "Content-Length: 0\r\n"
    head = f"HTTP/1.1 {status}\r\nContent-Encoding: {coding}\r\n{length}\r\n".encode()
    with serving(answering(head)) as server:
        arguments: Any = {
            "service": "elevenlabs",
            "api_key": "k" * 20,
            "logger": SilentLogger(),
            "sleep": lambda _: None,
        }

        async def delete() -> None:
            async with AsyncVideoTranslationClient(server.url, **arguments) as deleting:
                await deleting.delete("j")

        if client is AsyncVideoTranslationClient:
            asyncio.run(delete())
        else:
            with VideoTranslationClient(server.url, **arguments) as deleting:
                deleting.delete("j")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "header", ["Content-Length: -1", "Content-Length: abc", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked"]
)
def test_a_204_has_no_body_whatever_its_headers_are(header: str) -> None:
    """RFC 9110, section 15.3.5: the job is deleted, and the request is not retried. aiohttp refuses such headers."""
    arguments: Any = {"service": "elevenlabs", "api_key": "k" * 20, "logger": SilentLogger(), "sleep": lambda _: None}
    head = f"HTTP/1.1 204 No Content\r\n{header}\r\n\r\n".encode()
    with serving(answering(head)) as server, VideoTranslationClient(server.url, **arguments) as client:
        client.delete("j")
    assert len(server.requests) == 1


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("coding", PACKED)
def test_the_download_of_a_packed_file_is_resumed_in_packed_bytes(
    client: type[Any], coding: str, tmp_path: Path
) -> None:
    """Ranges count the bytes sent (RFC 9110, section 14.1.2). A 206 may repeat the coding or leave it out (15.3.7)."""
    body = PACKED[coding](VIDEO)
    for repeated in (labels(coding), labels(), labels("aws-chunked")):
        script = Script(
            cut(body, 66_000, 'ETag: "a"', *labels(coding)),
            lambda request_headers, more=repeated: rest(body, request_headers, 'ETag: "a"', *more),  # type: ignore[misc]  # a default of a lambda
        )
        outcome = downloaded(client, script, tmp_path)

        assert outcome.file == VIDEO
        assert len(script.requests) == 2
        assert outcome.progress[-1] == (len(body), len(body))


def cut(body: bytes, at: int, *headers: str) -> Raw:
    return raw(200, f"Content-Length: {len(body)}", "Content-Type: video/mp4", *headers, body=body[:at])


def rest(body: bytes, request_headers: Headers, *headers: str) -> Raw:
    start = int(request_headers["Range"][len("bytes=") : -1])
    return part(body[start:], f"bytes {start}-{len(body) - 1}/{len(body)}", *headers)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_part_in_another_coding_is_discarded(client: type[Any], tmp_path: Path) -> None:
    """Some servers select a range first and encode it afterwards."""
    packed = gzipped(VIDEO)
    script = Script(
        cut(VIDEO, 66_000, 'ETag: "a"'),
        part(packed[66_000:], f"bytes 66000-{len(packed) - 1}/{len(packed)}", 'ETag: "a"', *labels("gzip")),
        whole(VIDEO, 'ETag: "a"'),
    )

    assert downloaded(client, script, tmp_path).file == VIDEO
    assert [bool(one) for one in script.ranges] == [False, True, False]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_download_starts_over_if_storage_unpacks_the_file(client: type[Any], tmp_path: Path) -> None:
    """Google does if gzip is not accepted: in chunks, without a length, with the same `ETag`, and without ranges."""
    packed = gzipped(VIDEO)
    script = Script(cut(packed, 66_000, 'ETag: "a"', *labels("gzip")), chunked(VIDEO, 'ETag: "a"'))

    assert downloaded(client, script, tmp_path).file == VIDEO


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("behind", [b"\r\n", b"\0\0\n", b"\x1f\x8c", b"more" * 30_000, b"\n" + gzipped(b"more")])
def test_bytes_after_gzip_that_are_no_gzip_are_ignored(client: type[Any], behind: bytes, tmp_path: Path) -> None:
    """In downloads, in any blocks, and in status responses. A body that breaks off is not accepted."""
    packed = gzipped(VIDEO[:50_000]) + gzipped(VIDEO[50_000:])
    responses = [
        whole(packed + behind, *labels("gzip")),
        raw(200, *labels("gzip"), body=packed + behind, blocks=(len(packed), *[1] * 100)),
    ]
    for response in responses:
        assert downloaded(client, Script(response), tmp_path).file == VIDEO
    assert isinstance(checked(client, Script(whole(gzipped(COMPLETED) + behind, *labels("gzip")))), Job)
    broken = checked(client, Script(whole(gzipped(COMPLETED)[:-1], *labels("gzip"))))
    assert "breaks off" in str(broken)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (gzipped(VIDEO)[:-9], "breaks off"),
        (gzipped(VIDEO)[:-8] + bytes(8), "does not unpack"),
        (gzipped(VIDEO) + b"\x1f", "breaks off"),
        (gzipped(VIDEO) + b"\x1f\x8b\x08", "breaks off"),
        (gzipped(VIDEO) + b"\x1f\x8b\x08more" * 9, "does not unpack"),
        (gzipped(b""), "the file is empty"),
        (b"\x1f", "breaks off"),
        (b"\x1f\x8b\x08", "breaks off"),
        (gzipped(b"<html>please log in</html>"), "in place of the file"),
        (gzipped(b' {"error": "expired"}'), "in place of the file"),
    ],
)
@pytest.mark.parametrize("has_length", [True, False])
def test_a_packed_file_that_is_damaged_empty_or_a_page_is_an_error(
    client: type[Any], body: bytes, message: str, has_length: bool, tmp_path: Path
) -> None:
    """With a length and in chunks; also one that breaks off. No file is left."""
    response = (whole if has_length else chunked)(body, *labels("gzip"))
    outcome = downloaded(client, Script(response), tmp_path)

    assert isinstance(outcome.error, UnexpectedAnswer)
    assert message in str(outcome.error)
    assert (outcome.file, outcome.left) == (None, [])


ZEROS = gzipped(bytes(16 * 1024 * 1024))


@pytest.mark.parametrize("client", CLIENTS)
def test_a_file_that_begins_with_80_mib_of_zeros_is_kept(client: type[Any], tmp_path: Path) -> None:
    """A transfer has no size limit."""
    sound = gzipped(b"RIFF") + ZEROS * 5 + gzipped(VIDEO)
    outcome = downloaded(client, Script(whole(sound, *labels("gzip"))), tmp_path)

    assert UNCHECKED_BYTES < 5 * 16 * 1024 * 1024
    assert outcome.error is None
    assert len(outcome.file or b"") == len(b"RIFF") + 5 * 16 * 1024 * 1024 + len(VIDEO)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("inner", ["gzip", "deflate"])
def test_a_file_packed_twice_fills_neither_memory_nor_disk(client: type[Any], inner: str, tmp_path: Path) -> None:
    """Above 64 MiB, it may unpack to `MAX_RATIO` times its size.

    One block could unpack to gigabytes before the deadline is checked.
    """
    bomb = gzipped(ZEROS * 40 if inner == "gzip" else zlib.compress(bytes(80 * 1024 * 1024)))
    tracemalloc.start()
    try:
        outcome = downloaded(client, Script(whole(bomb, *labels(inner, "gzip"))), tmp_path, max_faults=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert f"more than {MAX_RATIO} times" in str(outcome.error)
    assert (outcome.file, outcome.left) == (None, [])
    assert peak < 8 * 1024 * 1024


def test_a_file_packed_twice_below_max_ratio_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its size."""
    monkeypatch.setattr(file_decoding, "UNCHECKED_BYTES", 1000)
    body = gzipped(gzipped(VIDEO))
    decoder = FileDecoder(["gzip", "gzip"])

    assert b"".join([*decoder.feed(body), *decoder.finish()]) == VIDEO
    with pytest.raises(UnreadableBody, match="more than 100 times"):
        list(FileDecoder(["gzip", "gzip"]).feed(gzipped(gzipped(bytes(10_000_000)))))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    "values", [["gzip"], ["x-gzip"], ["deflate"], ["gzip, gzip"], ["utf-8, gzip"], ["gzip, gzip, gzip"]]
)
def test_a_plain_json_body_with_a_wrong_content_encoding_is_read(client: type[Any], values: list[str]) -> None:
    """A job that was paid for is not lost to a header that its body disproves."""
    for body in (COMPLETED, b"\n " + COMPLETED + b"\n", BOM_UTF8 + COMPLETED):
        assert isinstance(checked(client, Script(whole(body, *labels(*values)))), Job)
    error = checked(client, Script(whole(COMPLETED[:-1], *labels(*values))))
    assert isinstance(error, UnexpectedAnswer)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("values", [["gzip", "gzip"], ["aws-chunked", "gzip"], ["gzip", "none"], ["GZIP , identity"]])
def test_a_packed_json_body_with_several_content_encodings_is_read(client: type[Any], values: list[str]) -> None:
    """Also with a session of the caller's, which would unpack by itself."""
    assert isinstance(checked(client, Script(whole(gzipped(COMPLETED), *labels(*values)))), Job)


@settings(max_examples=200)
@given(
    st.sampled_from(["gzip", "x-gzip", "deflate", "raw deflate", "plain"]),
    st.binary(max_size=3000),
    st.lists(st.integers(0, 4000), max_size=6),
)
def test_decoding_a_file_does_not_depend_on_its_blocks(coding: str, body: bytes, cuts: list[int]) -> None:
    """In one block or in up to seven."""
    packers: dict[str, Callable[[bytes], bytes]] = {
        **PACKED,
        "raw deflate": raw_deflate,
        "plain": lambda plain: b"\0\0\0\x18ftyp" + plain,
    }
    label = {"raw deflate": "deflate", "plain": "gzip"}.get(coding, coding)
    packed = packers[coding](body)
    ends = [*sorted(cuts), len(packed)]
    decoder = FileDecoder([label])
    pieces = [piece for start, end in zip([0, *ends], ends, strict=False) for piece in decoder.feed(packed[start:end])]

    assert b"".join([*pieces, *decoder.finish()]) == (packed if coding == "plain" else body)


@settings(max_examples=200)
@given(st.lists(st.sampled_from([*NO_CODINGS, "gzip", " GZIP", "br"]), max_size=4), st.booleans())
def test_content_codings_are_read_from_one_line_or_from_several(values: list[str], is_one_line: bool) -> None:
    """requests joins repeated headers, and a multidict keeps them apart."""
    expected = tuple(one.strip().lower() for one in values if one.strip().lower() in ("gzip", "br"))
    headers: Any = {"Content-Encoding": ",".join(values)}
    if not is_one_line:
        headers = CIMultiDict(("content-encoding", one) for one in values)

    assert content_codings(headers) == expected


@pytest.mark.parametrize("count", [3, 20])
def test_more_than_two_nested_codings_are_an_error(count: int) -> None:
    """Each costs time. A label that names more than the body has costs none."""
    body = COMPLETED
    for _ in range(2):
        body = gzipped(body)
        decoder = FileDecoder(["gzip"] * count)
        assert decode(body, ["gzip"] * count, 1000) == COMPLETED
        assert b"".join([*decoder.feed(body), *decoder.finish()]) == COMPLETED
    body = gzipped(body)
    with pytest.raises(UnreadableBody, match="more than 2 content codings"):
        decode(body, ["gzip"] * count, 1000)
    with pytest.raises(UnreadableBody, match="more than 2 content codings"):
        list(FileDecoder(["gzip"] * count).feed(body))
