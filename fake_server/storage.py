"""The storage host of results: files at another origin than the service, with signed URLs instead of API keys."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from itertools import count
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import escape

from flask import Blueprint, request
from werkzeug.datastructures import Headers

from .jobs import JobState, NoSuchJob
from .lab import Lab
from .media import MediaBytes
from .replies import Body, Reply, ResponseTuple, other_origin
from .responder import ErrorResponses, RequestRejected, Responder

FILES_PREFIX = "/_files"

KEY_HEADERS = ("Authorization", "X-Api-Key", "xi-api-key", "Ocp-Apim-Subscription-Key")
"""A request with a signature and one of these headers is rejected. Storage hosts reject two kinds of authentication,
and a key must not be sent to them.
"""

MEDIA_TYPES: Mapping[str, str] = {
    ".mp4": "video/mp4",
    ".source.vtt": "text/vtt",
    ".target.vtt": "text/vtt",
    ".metadata.vtt": "text/vtt",
}
"""The media types of a job's files, by the suffix after its id."""

SUBTITLES = b"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n...\n"

ERROR_CODES = {400: "InvalidArgument", 403: "AccessDenied", 404: "NoSuchKey"}

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII | re.IGNORECASE)


class StorageErrors(ErrorResponses):
    """XML errors, as in S3 and Azure Blob Storage."""

    def error(self, status_code: int, message: str) -> Reply:
        """Return an `Error` with a `Code` and a `Message`."""
        code = ERROR_CODES.get(status_code, "InternalError" if status_code >= 500 else "InvalidRequest")
        body = f'<?xml version="1.0" encoding="utf-8"?>\n<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>'
        return Reply(status_code, (("Content-Type", "application/xml"),), body.encode())


class SignedURLCounter:
    """The numbers of the signed URLs, so that no two are equal."""

    def __init__(self) -> None:
        self.numbers = count(1)


def signed_url(lab: Lab, job_id: str, suffix: str = ".mp4") -> str:
    """Return a new signed URL of a file of a job, at another origin than that of the current request.

    Args:
        lab: The lab of the job. Its time is part of the URL.
        job_id: The id of the job.
        suffix: One of `MEDIA_TYPES`.
    """
    name = f"{job_id}{suffix}"
    nonce = f"{next(lab.service_state(SignedURLCounter).numbers)}-{lab.elapsed:.3f}"
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(other_origin(request.host_url)))
    return f"{origin}{FILES_PREFIX}/{quote(name)}?signature={nonce}-{_digest(name, nonce)}"


def storage_blueprint(lab: Lab) -> Blueprint:
    """Return the routes of the storage host."""
    blueprint = Blueprint("storage", __name__, url_prefix=FILES_PREFIX)
    errors = StorageErrors()
    responder = Responder(lab, errors)

    @blueprint.errorhandler(NoSuchJob)
    def handle_no_such_job(error: NoSuchJob) -> ResponseTuple:
        return errors.no_such_job(error).as_tuple()

    @blueprint.get("/<path:name>")
    def file(name: str) -> ResponseTuple:
        suffix = next((suffix for suffix in MEDIA_TYPES if name.endswith(suffix)), "")
        return responder.result(
            name.removesuffix(suffix), lambda state: _job_file_reply(lab, errors, state, name, suffix)
        )

    return blueprint


def _job_file_reply(lab: Lab, errors: ErrorResponses, state: JobState, name: str, suffix: str) -> Reply:
    if any(header in request.headers for header in KEY_HEADERS):
        raise RequestRejected(errors.error(400, "Only one auth mechanism allowed: a signature in the link, and no key"))
    if not _is_valid_signature(lab, name, request.args.get("signature", "")):
        raise RequestRejected(errors.error(403, "The link has expired, or its signature is wrong"))
    if not state.has_result:
        raise RequestRejected(errors.error(404, "There is no such file"))
    is_video = suffix == ".mp4"
    body: Body = result_body(str(state.job_id), lab.scenario.result_bytes) if is_video else SUBTITLES
    return file_reply(name, body, MEDIA_TYPES[suffix], request.headers)


def _is_valid_signature(lab: Lab, name: str, signature: str) -> bool:
    number, _, rest = signature.partition("-")
    signed_at, _, digest = rest.partition("-")
    if digest != _digest(name, f"{number}-{signed_at}"):
        return False
    link_seconds = lab.scenario.link_seconds
    return link_seconds is None or lab.elapsed < float(signed_at) + link_seconds


def _digest(name: str, nonce: str) -> str:
    """Return the digest of a signature. It need not be secure: it only shows that a URL was used unchanged."""
    return hashlib.sha256(f"fake/{name}/{nonce}".encode()).hexdigest()[:32]


def result_body(job_id: str, size: int) -> MediaBytes:
    """Return the result of a job, with this size in bytes. It is the same each time."""
    return MediaBytes(job_id, 0, size)


def file_reply(name: str, body: Body, content_type: str, request_headers: Headers) -> Reply:
    """Return a file, or the requested part of it: RFC 9110, sections 13 and 14, for one range at a time.

    Args:
        name: The identity of the file, for its `ETag`.
        body: The complete file.
        content_type: Its media type.
        request_headers: The headers of the request, of which `Range` and `If-Range` are read.
    """
    etag = f'"{hashlib.sha256(f"{name}/{len(body)}".encode()).hexdigest()[:32]}"'
    headers = (("Content-Type", content_type), ("ETag", etag), ("Accept-Ranges", "bytes"))
    is_unchanged = request_headers.get("If-Range", etag) == etag
    part = _requested_range(request_headers.get("Range", ""), len(body)) if is_unchanged else None
    if part is None:
        return Reply(200, headers, body)
    if not part:
        return Reply(416, (("Content-Range", f"bytes */{len(body)}"), *headers[1:]), b"")
    content_range = f"bytes {part.start}-{part.stop - 1}/{len(body)}"
    return Reply(206, (*headers, ("Content-Range", content_range)), body[part.start : part.stop])


def _requested_range(header: str, size: int) -> range | None:
    """Return the requested bytes: an empty range if they are past the end, None for the complete file.

    A header with no valid range, or with more than one, is ignored.
    """
    match = _RANGE.fullmatch(header)
    first, last = match.groups() if match else ("", "")
    if not first and not last:
        return None
    if not first:
        return range(max(size - int(last), 0), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)
