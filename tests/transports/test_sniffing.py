"""A page, an error or a blank body in place of a file is detected, whatever its media type, coding and blocks are."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.hostile_server import gzipped
from support.media import MEDIA
from support.raw_responses import CLIENTS, Raw, Script, chunked, downloaded, part, raw, whole

from translation_client import UnexpectedAnswer
from translation_client._transports import sniffing
from translation_client._transports.sniffing import MarkupSniffer

pytestmark = pytest.mark.exhaustive

TEXTS = [
    b"<html><body>please log in</body></html>",
    b"\r\n\r\n<!DOCTYPE html><html>login</html>",
    b'<?xml version="1.0"?><Error><Code>ExpiredToken</Code></Error>',
    b"<Error><Code>AccessDenied</Code></Error>",
    b"<!-- moved -->",
    b"</html>",
    b'{"error":"expired"}',
    b'{ \n "error" : 1}',
    b"{}",
    b'[{"error": 1}]',
    b'[ "error" ]',
    b"[]",
    b"\xef\xbb\xbf<html>",
    b"\xef\xbb\xbf \n{ }",
    "\ufeff <html>".encode("utf-16-le"),
    "\ufeff\n{\"error\": 1}".encode("utf-16-be"),
    "\ufeff<html>".encode("utf-32-le"),
    "\ufeff<html>".encode("utf-32-be"),
    b" " * 100_000 + b"<html>",
    b"<",
    b"{",
    b"\n\t ",
    b"\xef\xbb\xbf",
    b"\xef\xbb\xbf\xef\xbb\xbf<html>",
    b"\xef\xbb\xbf\xef\xbb\xbf{\"error\":\"quota\"}",
    b"\r\n\xef\xbb\xbf <!DOCTYPE html>",
    "\ufeff".encode().decode("latin-1").encode() + b"<html>",
    "\ufeff\ufeff<html>no</html>".encode("utf-16-le"),
    "<!DOCTYPE html><html>no</html>".encode("utf-16-le"),
    '{"error": "x"}'.encode("utf-16-be"),
    "<html>no</html>".encode("utf-32-le"),
    "\n\xa0\u200b<html>no</html>".encode("utf-16-be"),
    b"\0<html>no</html>",
    b"\0\0\0<!DOCTYPE html><html>no</html>",
    b"\x1a\x08\x1b<!DOCTYPE html>",
    "\xa0<html>".encode(),
    b"\xa0<html>",
    "\u200b\u2060\u3000\u2028<html>".encode(),
    b"<_error>x</_error>",
    b"[true]",
    b"[null, 1]",
    b'[404, "the result has expired"]',
    b"[ -1.5e3 , 2]",
    b"[404]",
    b"[404, 12.5]\n",
    b"[1, 2, 3] is a list",
    b'[5, null, "NOT_FOUND"]',
    b"[404, false, 1]",
    b'[1234567, "expired"]',
    ("\n" * 1100 + "<html><body>please log in</body></html>").encode("utf-16"),
    ("\r\n" * 1100 + '{"error": "expired"}').encode("utf-16-be"),
    ("\t " * 1100 + "<html>no</html>").encode("utf-32"),
    "\n".encode("utf-16-le") * 100,
    b")]}',\n{\"error\": 1}",
    b")]}'\n[]",
    b"for(;;);{\"error\": 1}",
    b"while(1);[]",
    b"/**/cb({\"error\":1})",
    b"/**/callback({\"error\":1})",
    b"<b>Warning</b>: readfile(): failed to open stream",
    b"<i>nginx</i><h1>502</h1>",
]  # fmt: skip

FILES = [
    b"\0\0\0\x18ftypmp42",
    b"\0\0\0\x3cftypisom",  # a box of 60 bytes; 60 is "<"
    b"\0\0\0\x20ftypqt  ",  # a box of 32 bytes; 32 is a blank
    b"\x1aE\xdf\xa3\x93B\x82",
    b"RIFF\0\0\0\0AVI LIST",
    b"ID3\x04\0",
    b"\xff\xfb\x90\x64",
    b"\xff\xfe<\x90",
    b"\x0bw\x12\x34",  # AC-3, whose first byte is white space
    b"OggS\0",
    b"fLaC\0",
    b"\x47\x40\x11\x10",
    b"WEBVTT\n\n00:00.000 --> 00:01.000\n<v Ann>Hello",
    b"1\n00:00:00,000 --> 00:00:01,000\n{\\an8}Hello\n",
    b"[Script Info]\n",
    b"[00:12.00]Hello",
    b"{1}{25}Hello",
    b"< 3",
    b"<3",
    b"x",
    b"\0" * 100,
    b"\0" * 5000 + b"<html>",  # zeros, whatever follows
    b"\0\0\0\x18<A\x90\x02",
    b"\0 \n\0",
    b"<A\x10\x20mdat" + bytes(50),  # a box of 1 GB
    b'{"\x10\x20mdat' + bytes(50),
    b"<!\0\x08wide\0\0\0\x20mdat",
    b"\0\0\0\x08wide<htmmdat",
    b"[13][27]Hello",
    b"[00:01]Hello",
    b"\x1f\x8b\x08",
    b"\x1f\x8b\x08 no gzip <html>",
    b"\x1f\x8b\x08" + bytes(100),
    gzipped(b""),
    gzipped(b"\0\0\0\x18ftypmp42" + bytes(100)),
    gzipped(gzipped(gzipped(b"<html>"))),
    ("\n" * 20 + "<\x01").encode("utf-16-le") + bytes(range(256)),
    gzipped(b"") + gzipped(b"\0\0\0\x18ftypmp42" + bytes(100)),
    gzipped(b"") + b"<html>",
    b"[13][27]Hello|ClientSetup",
    b"[1234567][1234568]Hello",
    b"[0:12.3]Hello",
    b"[0.00,4.20] Hello",
    b"[0.00,4.20]\n[MUSIC]\n[4.20,9.75]\nHello\n",
    b"[5.8125, 12.3125] Hello",
    b"[1234.567, 1240.125]\tHello",
    b"[0.00, 4.20] [MUSIC]",
    b"[0,4],Hello",
    b"[12.5] Hello",
]

KINDS = ["video/mp4", "application/octet-stream", "binary/octet-stream", "text/plain", ""]


def typed(body: bytes, kind: str, blocks: Sequence[int] = ()) -> Raw:
    return raw(200, f"Content-Length: {len(body)}", f"Content-Type: {kind}", body=body, blocks=(HEAD, *blocks))


HEAD = 150
"""Bytes of the first block: more than the headers have, or a part of them. The test is about the blocks after it."""


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("text", TEXTS)
def test_markup_json_or_blanks_in_place_of_the_file_are_an_error(
    client: type[Any], text: bytes, tmp_path: Path
) -> None:
    """With the media types of files, byte by byte, in chunks, until the connection ends, and packed."""
    packed = gzipped(text)
    responses = [
        *(typed(text, kind) for kind in KINDS),
        typed(text, "video/mp4", [1] * min(len(text), 300)),
        chunked(text, blocks=[1] * min(len(text), 300)),
        raw(200, "Content-Type: video/mp4", body=text, blocks=[HEAD, 1, 1, 1]),
        whole(packed, "Content-Encoding: gzip"),
        part(text, f"bytes 0-{len(text) - 1}/{len(text)}"),
    ]
    for response in responses:
        outcome = downloaded(client, Script(response), tmp_path, max_faults=1)
        assert isinstance(outcome.error, UnexpectedAnswer)
        assert "HTML, XML or JSON in place of the file" in str(outcome.error)
        assert (outcome.file, outcome.left) == (None, [])


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("file", FILES)
def test_a_file_is_not_taken_for_markup_or_json(client: type[Any], file: bytes, tmp_path: Path) -> None:
    """Containers and subtitles, and bodies that are too short to be any."""
    for response in (typed(file, "video/mp4"), typed(file, "", [1] * len(file)), chunked(file, blocks=[HEAD, 1, 1])):
        assert downloaded(client, Script(response), tmp_path).file == file


ERROR_TYPES = [
    "text/html; charset=UTF-8",
    "Application/JSON",
    "application/xml",
    "application/problem+json",
    "image/jpeg",
]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("file", MEDIA.values(), ids=MEDIA)
def test_a_media_file_is_kept_whatever_its_media_type(client: type[Any], file: bytes, tmp_path: Path) -> None:
    """Storage sends the type that was set at the upload. Also byte by byte, packed, and as a part."""
    packed = gzipped(file)
    for kind in ("video/mp4", "application/octet-stream", "text/vtt", "text/plain", *ERROR_TYPES):
        head = (f"Content-Length: {len(packed)}", f"Content-Type: {kind}", "Content-Encoding: gzip")
        about = (f"Content-Range: bytes 0-{len(file) - 1}/{len(file)}", f"Content-Type: {kind}")
        responses = [typed(file, kind, [1] * 20), raw(200, *head, body=packed), raw(206, *about, body=file)]
        for response in responses:
            assert downloaded(client, Script(response), tmp_path).file == file


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("kind", ERROR_TYPES)
@pytest.mark.parametrize(
    "body", [b"x", b"", b"ftyp", b"Gateway timed out", b"<!--free hosting-->", b'{\n "free": 1}', b"\0" * 50]
)
def test_a_body_with_the_media_type_of_an_error_that_is_no_media_is_an_error(
    client: type[Any], kind: str, body: bytes, tmp_path: Path
) -> None:
    """Also in place of the rest of a file: the length of the error is not that of the file."""
    error = typed(body, kind, [1] * len(body))
    begun = chunked(b"\0\0\0\x18ftypmp42" + bytes(99), is_cut=True)
    for script in (Script(error), Script(begun, error)):
        outcome = downloaded(client, script, tmp_path, max_faults=2)
        assert f"{kind.partition(';')[0].lower()} in place of the file" in str(outcome.error)
        assert (outcome.file, outcome.left) == (None, [])
    assert downloaded(client, Script(error, whole(b"x")), tmp_path).file == b"x"


@pytest.mark.parametrize("client", CLIENTS)
def test_the_download_of_a_file_with_a_wrong_media_type_is_resumed(client: type[Any], tmp_path: Path) -> None:
    """By parts of the same type. An error in place of the rest of a video is no such part."""
    file, about = b"\0\0\0\x18ftypmp42" + bytes(range(200)), ("Content-Type: text/html", 'ETag: "a"')
    first = raw(200, f"Content-Length: {len(file)}", *about, body=file[:99])
    rest = raw(206, f"Content-Range: bytes 99-{len(file) - 1}/{len(file)}", *about, body=file[99:])

    assert downloaded(client, Script(first, rest), tmp_path).file == file
    video = raw(200, f"Content-Length: {len(file)}", "Content-Type: video/mp4", 'ETag: "a"', body=file[:99])
    outcome = downloaded(client, Script(video, rest), tmp_path, max_faults=2)
    assert "text/html in place of the file" in str(outcome.error)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("blocks", [(), (1,) * 60])
def test_a_packed_page_without_content_encoding_is_an_error(
    client: type[Any], blocks: Sequence[int], tmp_path: Path
) -> None:
    """Caches lose that header. A file that is declared to be a gzip is kept, whatever is in it."""
    for page in (b"<html>" + b"x" * 300, b'{"error": 1}', b" " * 20_000 + b"<html>", b"\n\xef\xbb\xbf<html>"):
        packed = gzipped(page)
        outcome = downloaded(client, Script(typed(packed, "video/mp4", blocks)), tmp_path, max_faults=1)
        assert "HTML, XML or JSON in place of the file" in str(outcome.error)
        assert (outcome.file, outcome.left) == (None, [])
        assert downloaded(client, Script(typed(packed, "application/gzip", blocks)), tmp_path).file == packed
        (tmp_path / "out.mp4").unlink()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    "packed",
    [
        gzipped(b" " * 100_000 + b"<html>"),
        gzipped(b"") + gzipped(b"<html>"),
        gzipped(b"\n ") + gzipped(b"<ht") + gzipped(b"ml>"),
        gzipped(gzipped(b"<html>")),
        gzipped(b'{"error": 1}') + b"\0\0",
    ],
)
def test_a_page_that_is_packed_in_another_way_is_an_error(client: type[Any], packed: bytes, tmp_path: Path) -> None:
    """After many blanks, in several members, and twice."""
    for blocks in ((), (1,) * 60):
        outcome = downloaded(client, Script(typed(packed, "video/mp4", blocks)), tmp_path, max_faults=1)
        assert "HTML, XML or JSON in place of the file" in str(outcome.error)
        assert (outcome.file, outcome.left) == (None, [])


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    "text",
    [
        b'"Hello," she said',
        b'"start","end","text"\n"0","1","Hi"\n',
        b"JOHN ([laughs]) Hello",
        b"['Music'] Hello everybody",
        b"// Subtitles by Anna\n",
        b"/* chorus */ La la la",
    ],
)
def test_a_text_that_may_be_a_transcript_is_kept(client: type[Any], text: bytes, tmp_path: Path) -> None:
    """Direct speech, a table, a comment: a file that was paid for, and cannot be distinguished from a short error."""
    for kind in ("text/plain", "text/csv", "application/octet-stream", ""):
        assert downloaded(client, Script(typed(text, kind)), tmp_path).file == text


TTML = b'<tt xmlns="http://www.w3.org/ns/ttml"><body/></tt>'
SUBTITLES = [
    ("application/ttml+xml", TTML),
    ("application/ttml+xml", b'<?xml version="1.0"?>\n<!-- <html> -->\n' + TTML),
    (
        "application/ttml+xml; charset=utf-8",
        b"\xef\xbb\xbf<tt:tt\n xml:lang='de' xmlns:tt='http://www.w3.org/ns/ttml'/>",
    ),
    ("application/ttaf+xml", TTML.decode().encode("utf-16")),
    ("application/x-sami", b"<SAMI>\n<HEAD>"),
    ("application/x-subrip", b"1\r\n00:00:00,000 --> 00:00:01,000\r\n<i>Hello</i>\r\n"),
    ("text/plain", b"[[MUSIC]] Hello"),
    ("Text/Plain", b"{}{}Hello"),
    ("text/vtt", b"WEBVTT\n\n"),
    ("text/srt", b"1\n00:00:00,000 --> 00:00:01,000\n<i>Hello</i>\n"),
]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("kind", "file"), SUBTITLES)
def test_declared_subtitles_are_not_taken_for_markup_or_json(
    client: type[Any], kind: str, file: bytes, tmp_path: Path
) -> None:
    """In one block, byte by byte, and packed."""
    packed = gzipped(file)
    head = (f"Content-Length: {len(packed)}", f"Content-Type: {kind}", "Content-Encoding: gzip")
    for response in (typed(file, kind), typed(file, kind, [1] * len(file)), raw(200, *head, body=packed)):
        assert downloaded(client, Script(response), tmp_path).file == file


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("kind", sniffing.SUBTITLES)
@pytest.mark.parametrize(
    "text",
    [
        *TEXTS,
        b'<html xmlns:tt="http://www.w3.org/ns/ttml">',
        b'<?xml version="1.0"?><!DOCTYPE html><html/>',
        b"<!--" + b"x" * 5000 + b"--><tt>",
        b"<body>",
        b"<button>",
        b"<title>",
    ],
)
def test_a_page_that_is_declared_as_subtitles_is_an_error(
    client: type[Any], kind: str, text: bytes, tmp_path: Path
) -> None:
    """In one block and byte by byte."""
    for response in (typed(text, kind), typed(text, kind, [1] * min(len(text), 300))):
        outcome = downloaded(client, Script(response), tmp_path, max_faults=1)
        assert "HTML, XML or JSON in place of the file" in str(outcome.error)
        assert (outcome.file, outcome.left) == (None, [])


@pytest.mark.parametrize("client", CLIENTS)
def test_a_page_in_two_responses_is_an_error(client: type[Any], tmp_path: Path) -> None:
    """The first response breaks off before the page can be recognized."""
    page = b" " * 70_000 + b"<html>" + b"x" * 1000
    first = raw(200, f"Content-Length: {len(page)}", 'ETag: "a"', body=page[:65_536])
    second = part(page[65_536:], f"bytes 65536-{len(page) - 1}/{len(page)}", 'ETag: "a"')
    outcome = downloaded(client, Script(first, second, whole(page)), tmp_path)

    assert "HTML, XML or JSON in place of the file" in str(outcome.error)
    assert (outcome.file, outcome.left) == (None, [])


BODIES = st.builds(
    bytes.__add__, st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\0\0\xfe\xff"]), st.binary(max_size=30)
) | st.sampled_from([*TEXTS[:3], *TEXTS[-30:], *MEDIA.values()]) | st.builds(
    gzipped, st.sampled_from([*TEXTS[-30:], *FILES])
) | st.sampled_from(["<", "{", "[", '"', " ", "\n", "h", "\0", "<h", '{"', "\ufeff"]).flatmap(
    lambda start: st.text(st.sampled_from("<{[\"] \nh\0\xa0\u200b"), max_size=30).map(lambda rest: (start + rest).encode())
)  # fmt: skip


def split(body: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = sorted({0, len(body), *(min(cut, len(body)) for cut in cuts)})
    return [body[start:end] for start, end in pairwise(places)]


def is_markup(blocks: Sequence[bytes], kind: str = "") -> bool | None:
    sniffer = MarkupSniffer(kind)
    for block in blocks:
        sniffer.feed(block)
    sniffer.finish()
    return sniffer.is_markup


@settings(max_examples=500)
@given(
    BODIES | st.sampled_from([*(file for _, file in SUBTITLES), b"<!--" + b"x" * 1007 + b"--><tt>", b"<" * 1100]),
    st.lists(st.integers(0, 20), max_size=8),
    st.sampled_from(["", *sniffing.SUBTITLES]),
)
@example(b"\xef\xbb\xbf", [1, 2], "")
def test_the_result_of_the_sniffer_does_not_depend_on_the_blocks(body: bytes, cuts: list[int], kind: str) -> None:
    """In one block, in single bytes, and in any."""
    verdicts = {is_markup(split(body, cuts), kind) for cuts in (cuts, [], range(len(body)))}

    assert len(verdicts) == 1
    assert verdicts <= {True, False}


@settings(max_examples=60)
@given(BODIES, st.lists(st.integers(1, 40), max_size=30), st.booleans(), st.booleans())
def test_both_clients_decide_alike_whatever_the_blocks_are(
    body: bytes, blocks: list[int], is_packed: bool, has_length: bool
) -> None:
    """Either the file is kept as it is, or none is."""
    sent = gzipped(body) if is_packed else body
    headers = ["Content-Encoding: gzip"] if is_packed else []
    response = (whole if has_length else chunked)(sent, *headers, blocks=blocks)
    expected = None if is_markup([body]) else body
    for client in CLIENTS:
        with tempfile.TemporaryDirectory() as folder:
            outcome = downloaded(client, Script(response), Path(folder), max_faults=1)
            assert (outcome.file, outcome.left) == (expected, [])
            assert (outcome.error is None) is (expected is not None)
