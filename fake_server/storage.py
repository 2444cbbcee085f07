"""The storage host of results: at another origin than the service, with signed URLs in place of its keys."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from itertools import count
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import escape

from flask import Blueprint, request
from werkzeug.datastructures import Headers

from .jobs import Look, NoSuchJob
from .lab import Lab
from .media import Noise
from .replies import Body, Parts, Reply, elsewhere
from .responder import Desk, Refused, Voice

FILES_PREFIX = "/_files"

KEY_HEADERS = ("Authorization", "X-Api-Key", "xi-api-key", "Ocp-Apim-Subscription-Key")
"""A request with one of these and a signature is refused. Storage hosts refuse two kinds of authentication, and a key
must not be sent to them.
"""

KINDS: Mapping[str, str] = {
    ".mp4": "video/mp4",
    ".source.vtt": "text/vtt",
    ".target.vtt": "text/vtt",
    ".metadata.vtt": "text/vtt",
}
"""The suffixes of a job's files after its id, with their media types."""

SUBTITLES = b"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n...\n"

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII | re.IGNORECASE)

CODES = {400: "InvalidArgument", 403: "AccessDenied", 404: "NoSuchKey"}


class StorageVoice(Voice):
    """XML errors, as in S3 and Azure Blob Storage."""

    def error(self, status_code: int, message: str) -> Reply:
        """Return an `Error` with a `Code` and a `Message`."""
        code = CODES.get(status_code, "InternalError" if status_code >= 500 else "InvalidRequest")
        body = f'<?xml version="1.0" encoding="utf-8"?>\n<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>'
        return Reply(status_code, (("Content-Type", "application/xml"),), body.encode())


class Minted:
    """The numbers of URLs, so that no two are equal."""

    def __init__(self) -> None:
        self.numbers = count(1)


def link_to(lab: Lab, job_id: str, kind: str = ".mp4") -> str:
    """Return a new signed URL of a file of a job, at another origin than that of the current request.

    Args:
        lab: The lab of the job. Its time is part of the URL.
        job_id: The id of the job.
        kind: One of `KINDS`.
    """
    name = f"{job_id}{kind}"
    minted = f"{next(lab.memory(Minted).numbers)}-{lab.seconds:.3f}"
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(elsewhere(request.host_url)))
    return f"{origin}{FILES_PREFIX}/{quote(name)}?signature={minted}-{_seal(name, minted)}"


def storage_of(lab: Lab) -> Blueprint:
    """Build the routes of the storage host."""
    routes = Blueprint("storage", __name__, url_prefix=FILES_PREFIX)
    voice = StorageVoice()
    desk = Desk(lab, voice)

    @routes.errorhandler(NoSuchJob)
    def missing(problem: NoSuchJob) -> Parts:
        return voice.missing(problem).parts

    @routes.get("/<path:name>")
    def file(name: str) -> Parts:
        kind = next((kind for kind in KINDS if name.endswith(kind)), "")
        return desk.result(name.removesuffix(kind), lambda look: _file(lab, voice, look, name, kind))

    return routes


def _file(lab: Lab, voice: Voice, look: Look, name: str, kind: str) -> Reply:
    if any(header in request.headers for header in KEY_HEADERS):
        raise Refused(voice.error(400, "Only one auth mechanism allowed: a signature in the link, and no key"))
    if not _may_read(lab, name, request.args.get("signature", "")):
        raise Refused(voice.error(403, "The link has expired, or its signature is wrong"))
    if not look.has_result:
        raise Refused(voice.error(404, "There is no such file"))
    body: Body = result_body(str(look.job_id), lab.scenario.result_bytes) if kind == ".mp4" else SUBTITLES
    return file_reply(name, body, KINDS[kind], request.headers)


def _may_read(lab: Lab, name: str, signature: str) -> bool:
    number, _, rest = signature.partition("-")
    at, _, seal = rest.partition("-")
    if seal != _seal(name, f"{number}-{at}"):
        return False
    seconds = lab.scenario.link_seconds
    return seconds is None or lab.seconds < float(at) + seconds


def _seal(name: str, minted: str) -> str:
    """Return the signature. It need not be secure: it only shows that a URL was used unchanged."""
    return hashlib.sha256(f"fake/{name}/{minted}".encode()).hexdigest()[:32]


def result_body(job_id: str, size: int) -> Noise:
    """Return the result of a job, with this size in bytes. It is the same each time."""
    return Noise(job_id, 0, size)


def file_reply(name: str, body: Body, content_type: str, asked: Headers) -> Reply:
    """Return a file, or the requested part of it: RFC 9110, sections 13 and 14, for one range at a time.

    Args:
        name: The identity of the file, for its `ETag`.
        body: The whole file.
        content_type: Its media type.
        asked: The headers of the request. `Range` and `If-Range` are read.
    """
    tag = f'"{hashlib.sha256(f"{name}/{len(body)}".encode()).hexdigest()[:32]}"'
    headers = (("Content-Type", content_type), ("ETag", tag), ("Accept-Ranges", "bytes"))
    span = _span(asked.get("Range", ""), len(body)) if asked.get("If-Range", tag) == tag else None
    if span is None:
        return Reply(200, headers, body)
    if not span:
        return Reply(416, (("Content-Range", f"bytes */{len(body)}"), *headers[1:]), b"")
    place = f"bytes {span.start}-{span.stop - 1}/{len(body)}"
    return Reply(206, (*headers, ("Content-Range", place)), body[span.start : span.stop])


def _span(text: str, size: int) -> range | None:
    """Return the requested bytes: an empty range if they are past the end, None for the whole file.

    A header with no valid range, or with more than one, is ignored.
    """
    match = _RANGE.fullmatch(text)
    first, last = match.groups() if match else ("", "")
    if not first and not last:
        return None
    if not first:
        return range(max(size - int(last), 0), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)
